//! What a server needs still reaches it after adoption: references of the client, scripts of a shell,
//! numbers, and variables of the terminal; and which values lay in plaintext is remembered.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Run, TOKEN, Test, fake_server};

/// Writes an entry into a client's file.
fn put(test: &Test, file: &str, key: &str, entry: &Value) -> PathBuf {
    let path = test.home.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, json!({key: {"x": entry}}).to_string()).unwrap();
    path
}

/// The words of the adopted entry.
fn words(path: &Path, key: &str) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(!text.contains(TOKEN), "{text}");
    let file: Value = serde_json::from_str(&text).unwrap();
    let words = file[key]["x"]["args"].as_array().unwrap().iter();
    words
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}

/// Starts the server as the client would, with the folder that it has open.
fn start<'a>(test: &'a Test, words: &[String], folder: &str) -> Run<'a> {
    let words = words
        .iter()
        .map(|word| word.replace("${workspaceFolder}", folder));
    test.start(test.command(test.program()).args(words))
}

/// The last argument that the server got.
fn last_argument(run: &mut Run<'_>) -> String {
    let facts = run.facts();
    let last = facts["arguments"].as_array().unwrap().last().unwrap();
    let digits = last.as_str().unwrap();
    let byte = |n: usize| u8::from_str_radix(&digits[n..n + 2], 16).unwrap();
    let bytes = (0..digits.len()).step_by(2).map(byte).collect();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_folder_of_the_client_is_an_argument_of_its_own() {
    let test = Test::new();
    test.init();
    let program = fake_server().display().to_string();
    let entry = json!({
        "command": program,
        "args": ["--root=${workspaceFolder}"],
        "env": {"API_TOKEN": TOKEN},
    });
    let path = put(&test, ".config/Code/User/mcp.json", "servers", &entry);
    test.ok(&["adopt", "--yes"]);
    let words = words(&path, "servers");
    assert_eq!(words.last().unwrap(), "--root=${workspaceFolder}");
    let policy = std::fs::read_to_string(test.root().join("policies/x.toml")).unwrap();
    assert!(policy.contains("--root={client.workspace}"), "{policy}");
    for name in ["one", "two"] {
        let folder = test.home.join(name);
        std::fs::create_dir(&folder).unwrap();
        let mut run = start(&test, &words, folder.to_str().unwrap());
        run.initialize();
        assert_eq!(
            last_argument(&mut run),
            format!("--root={}", folder.display())
        );
        run.finish();
    }
    for folder in [
        "/",
        test.home.to_str().unwrap(),
        "/no/such/folder",
        "${workspaceFolder}",
    ] {
        let ended = start(&test, &words, folder).refused();
        assert!(
            ended.stderr.contains("error[command-not-allowed]"),
            "{ended}"
        );
    }
    // A folder whose name is a template stays a name.
    let odd = test.home.join("{secret.API_TOKEN}");
    std::fs::create_dir(&odd).unwrap();
    let mut run = start(&test, &words, odd.to_str().unwrap());
    run.initialize();
    assert_eq!(last_argument(&mut run), format!("--root={}", odd.display()));
    run.finish();
}

#[test]
fn what_the_server_itself_fills_in_stays() {
    let test = Test::new();
    test.init();
    let program = fake_server().display().to_string();
    let entry = json!({
        "command": program,
        "args": ["--header", "Authorization:${AUTH}", "${HOME}/data"],
        "env": {"AUTH": format!("Bearer {TOKEN}"), "PORT": 3334, "VERBOSE": true, "NONE": null},
    });
    let path = put(&test, ".cursor/mcp.json", "mcpServers", &entry);
    test.ok(&["adopt", "--yes"]);
    let words = words(&path, "mcpServers");
    let data = format!("{}/data", test.home.display());
    assert_eq!(words.split_off_last(2), ["Authorization:${AUTH}", &data]);
    let mut run = start(&test, &words, "");
    run.initialize();
    assert_eq!(run.peek("AUTH"), format!("Bearer {TOKEN}").as_bytes());
    assert_eq!(
        (run.peek("PORT"), run.peek("VERBOSE")),
        (b"3334".to_vec(), b"true".to_vec())
    );
    run.finish();
}

/// The last words of a command.
trait Last {
    fn split_off_last(&self, count: usize) -> Vec<&str>;
}

impl Last for [String] {
    fn split_off_last(&self, count: usize) -> Vec<&str> {
        let start = self.len() - count;
        self[start..].iter().map(String::as_str).collect()
    }
}

/// The value is not part of the script: one with syntax is not run.
#[test]
fn a_secret_in_a_script_is_never_code() {
    let test = Test::new();
    test.init();
    let program = fake_server().display().to_string();
    let script = format!("export API_TOKEN='{TOKEN}'; exec {program} --auth \"Bearer {TOKEN}\"");
    let entry = json!({"command": "/bin/sh", "args": ["-c", script]});
    let path = put(&test, ".cursor/mcp.json", "mcpServers", &entry);
    test.ok(&["adopt", "--yes"]);
    let words = words(&path, "mcpServers");
    let list = test.ok(&["secret", "list", "--json"]).json();
    let name = list[0]["name"].as_str().unwrap().to_owned();
    let made = test.home.join("made");
    let value = format!("a'b\"c $(touch {}) `id` ;d", made.display());
    test.hide(&value);
    let rotate = ["secret", "rotate", &name, "--from-stdin"];
    assert_eq!(test.feed(&rotate, value.as_bytes()).code, 0);
    let mut run = start(&test, &words, "");
    run.initialize();
    assert_eq!(run.peek("API_TOKEN"), value.as_bytes());
    assert!(!made.exists());
    run.finish();
}

/// What the terminal has and the server reads, but no longer gets, is named.
#[test]
fn variables_that_no_longer_reach_the_server_are_named() {
    let test = Test::new();
    test.init();
    let script = test.home.join("server.py");
    let text = "import os\nos.environ.get('KUBECONFIG')\nos.getenv(\"DISPLAY\")\nprint('AWS_REGION_NAME')\n";
    std::fs::write(&script, text).unwrap();
    let Some(python) = ["/usr/bin/python3", "/bin/python3"]
        .into_iter()
        .find(|path| Path::new(path).exists())
    else {
        return crate::harness::skip("python3", "no python3 on this machine");
    };
    for (name, value) in [
        ("KUBECONFIG", "/srv/prod.yaml"),
        ("DISPLAY", ":0"),
        ("AWS_REGION_NAME", "eu"),
    ] {
        test.set(name, value);
    }
    let entry = json!({"command": python, "args": [script], "env": {"API_TOKEN": TOKEN}});
    put(&test, ".cursor/mcp.json", "mcpServers", &entry);
    let said = test.ok(&["adopt", "--yes"]).stderr;
    let by_value = "add to `set` in `[env]`: KUBECONFIG = \"/srv/prod.yaml\"";
    assert!(said.contains(by_value), "{said}");
    assert!(
        said.contains("add to `pass` in `[env]`: \"DISPLAY\""),
        "{said}"
    );
    assert!(!said.contains("AWS_REGION_NAME"), "{said}");
    let path = test.root().join("policies/x.toml");
    let policy = std::fs::read_to_string(&path).unwrap();
    let fixed = policy.replace(
        "\n[secrets",
        "\n[env]\npass = [\"DISPLAY\"]\nset = { KUBECONFIG = \"/srv/prod.yaml\" }\n\n[secrets",
    );
    std::fs::write(&path, fixed).unwrap();
    let said = test.ok(&["grant", "x", "--yes"]).stderr;
    assert!(!said.contains("does not get"), "{said}");
    // A client must not choose the cluster.
    let passed = policy.replace("\n[secrets", "\n[env]\npass = [\"KUBECONFIG\"]\n\n[secrets");
    std::fs::write(&path, passed).unwrap();
    let lint = test.ok(&["policy", "lint", "x"]).stderr;
    assert!(lint.contains("the client chooses `KUBECONFIG`"), "{lint}");
}

/// The mark lasts until the value changes, and a second `adopt` says so.
#[test]
fn what_lay_in_plaintext_is_remembered_until_it_changes() {
    let test = Test::new();
    test.init();
    let entry = json!({"command": "/bin/cat", "env": {"API_TOKEN": TOKEN}});
    put(&test, ".cursor/mcp.json", "mcpServers", &entry);
    test.ok(&["adopt", "--yes"]);
    let exposed = |test: &Test| {
        let check = test.cli(&["check", "--json"]).json();
        let findings = check["findings"].as_array().unwrap().clone();
        let in_check = findings.iter().any(|one| {
            one["what"]
                .as_str()
                .is_some_and(|what| what.contains("was in plaintext in"))
        });
        let list = test.ok(&["secret", "list", "--json"]).json();
        let status = test.ok(&["status", "--json"]).json();
        let again = test.ok(&["adopt", "--yes"]);
        [
            in_check,
            !list[0]["exposed"].is_null(),
            status["secrets"]["exposed"] == json!(["x/api-token"]),
            again.text().contains("mcpwrap secret rotate x/api-token"),
        ]
    };
    assert_eq!(exposed(&test), [true; 4]);
    let list = test.ok(&["secret", "list", "--json"]).json();
    assert_eq!(list[0]["exposed"]["places"], json!(["~/.cursor/mcp.json"]));
    // The same value again is no rotation.
    let store = |verb: &str, value: &str| {
        test.hide(value);
        let args = ["secret", verb, "x/api-token", "--from-stdin"];
        assert_eq!(test.feed(&args, value.as_bytes()).code, 0);
    };
    store("rotate", "ghp_Zq3xYp9Lw2Vt8Kd5Hs1Nf7Rb4Mc6Gj0Qa");
    assert_eq!(exposed(&test), [false; 4]);
}

/// A file of no known client is named by the user, who has its programs beside it.
#[test]
fn a_relative_script_lies_beside_a_file_of_no_known_client() {
    let test = Test::new();
    test.init();
    let entry = json!({
        "command": "/bin/sh",
        "args": ["tools/server.sh"],
        "env": {"API_TOKEN": TOKEN},
    });
    let path = put(&test, "team/servers.json", "mcpServers", &entry);
    let tools = test.home.join("team/tools");
    std::fs::create_dir(&tools).unwrap();
    let script = format!("exec {}\n", fake_server().display());
    std::fs::write(tools.join("server.sh"), script).unwrap();
    let named = path.display().to_string();
    test.ok(&["adopt", "--yes", "--config", &named]);
    let words = words(&path, "mcpServers");
    let mut run = start(&test, &words, "/");
    run.initialize();
    let directory = test.home.join("team").display().to_string();
    assert_eq!(run.facts()["directory"], json!(directory));
    run.finish();
}
