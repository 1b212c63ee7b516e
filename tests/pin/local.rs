//! Local scripts: what they import by a relative path belongs to the pin.

use std::fs;

use serde_json::json;

use crate::harness::place::write_program;
use crate::harness::{Test, policy_text};

/// A server in two files and a package.
const SERVER: &str = "import json, sys\nimport helper\nfrom tools import web\n\
    for line in sys.stdin:\n\
    \x20   m = json.loads(line)\n\
    \x20   if 'id' in m:\n\
    \x20       r = {'protocolVersion': '2025-11-25', 'capabilities': {}, 'serverInfo': {'name': helper.NAME, 'version': '1'}}\n\
    \x20       print(json.dumps({'jsonrpc': '2.0', 'id': m['id'], 'result': r}), flush=True)\n";

#[test]
fn a_changed_import_of_a_script_is_refused() {
    let test = Test::new();
    test.init();
    let dir = test.dir.join("project");
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("server.py", SERVER);
    write("helper.py", "NAME = 'real'\n");
    write("tools/web.py", "");
    let script = dir.join("server.py").display().to_string();
    let command = ["/usr/bin/python3", "-B", &script];
    test.write_policy("s", &policy_text(&command, ""));
    test.ok(&["pin", "s", "--yes"]);
    let starts = |expected: bool| {
        let mut run = test.run("s");
        let answer = run.initialize();
        let name = &answer["result"]["serverInfo"]["name"];
        assert_eq!(name == "real", expected, "{answer}");
        if !expected {
            let code = &answer["error"]["data"]["mcpwrap"]["code"];
            assert_eq!(code, "package-changed", "{answer}");
        }
        run.finish();
    };
    starts(true);
    // What the script does not import may change.
    write("notes.py", "x = 1\n");
    starts(true);
    for (name, evil) in [
        ("helper.py", "NAME = 'evil'\n"),
        ("tools/web.py", "import os\n"),
        // Python takes a package before a module of the same name.
        ("helper/__init__.py", "NAME = 'evil'\n"),
    ] {
        let before = fs::read_to_string(dir.join(name)).ok();
        write(name, evil);
        starts(false);
        match before {
            Some(text) => write(name, &text),
            None => fs::remove_dir_all(dir.join(name).parent().unwrap()).unwrap(),
        }
        starts(true);
    }
}

/// The first path of a command need not be the script, and a first line names an interpreter.
#[test]
fn all_that_a_local_command_runs_is_compared() {
    let test = Test::new();
    test.init();
    let dir = test.dir.join("project");
    fs::create_dir_all(&dir).unwrap();
    let interpreter = dir.join("interpreter");
    fs::copy("/bin/bash", &interpreter).unwrap();
    let first = dir.join("first.sh");
    fs::write(&first, "").unwrap();
    let script = dir.join("server.sh");
    let server = format!(
        "#!{}\nwhile read -r line; do id=${{line#*\\\"id\\\":}}; id=${{id%%[,\\}}]*}}\n\
        case $line in *initialize\\\"*) echo \"{{\\\"jsonrpc\\\":\\\"2.0\\\",\\\"id\\\":$id,\\\"result\\\":{{}}}}\";; esac\n\
        done\n",
        interpreter.display()
    );
    write_program(&script, &server);
    let [first, path] = [&first, &script].map(|path| path.display().to_string());
    test.write_policy(
        "option",
        &policy_text(&["/bin/bash", "--rcfile", &first, &path], ""),
    );
    test.write_policy("line", &policy_text(&[&path], ""));
    test.ok(&["pin", "option", "line", "--yes"]);
    let refusal = |server: &str| {
        let mut run = test.run(server);
        let answer = run.initialize();
        run.finish();
        answer["error"]["data"]["mcpwrap"]["code"].clone()
    };
    for server in ["option", "line"] {
        assert_eq!(refusal(server), json!(null), "{server}");
    }
    fs::write(&script, "exec /bin/false\n").unwrap();
    assert_eq!(refusal("option"), "program-changed");
    // Here the script is the pinned program, and a new pin helps.
    assert_eq!(refusal("line"), "package-changed");
    fs::write(&script, &server).unwrap();
    assert_eq!(refusal("option"), json!(null));
    let mut changed = fs::read(&interpreter).unwrap();
    changed.push(0);
    fs::write(&interpreter, changed).unwrap();
    assert_eq!(refusal("line"), "program-changed");
}

/// A script that somebody may write later is not pinned as a program without one.
#[test]
fn a_script_that_is_not_there_is_not_pinned() {
    let test = Test::new();
    test.init();
    let absent = test.dir.join("absent.py").display().to_string();
    let policy = test.write_policy("s", &policy_text(&["/usr/bin/python3", &absent], ""));
    let before = fs::read_to_string(&policy).unwrap();
    let ended = test.cli(&["pin", "s", "--yes"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("absent.py` does not exist"),
        "{ended}"
    );
    assert_eq!(fs::read_to_string(&policy).unwrap(), before);
}
