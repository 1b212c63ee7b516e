//! Local scripts: what they import by a relative path belongs to the pin.

use std::fs;

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
