//! Two `add` at the same time: no entry is lost, no file is half written, and each says how it ended.

use serde_json::{Value, json};

use super::{CURSOR, Case};
use crate::harness::{Ended, fake_server};

/// How often: each time they meet elsewhere.
const ROUNDS: usize = 6;

/// Runs `add` of these servers at the same time.
fn add_at_once(case: &Case, servers: [&str; 2]) -> [Ended; 2] {
    let program = fake_server().display().to_string();
    let start = |server| {
        let args = ["add", server, "--yes", "--client", "cursor", "--", &program];
        let mut command = case.test.command(case.test.program());
        let mut run = case.test.start(command.args(args));
        run.close();
        run
    };
    servers.map(start).map(crate::harness::Run::end)
}

fn entries(case: &Case) -> Vec<(String, Value)> {
    let value: Value = serde_json::from_str(&case.text()).unwrap();
    let entries = value["mcpServers"].as_object().unwrap().iter();
    entries
        .map(|(name, entry)| (name.clone(), entry["args"].clone()))
        .collect()
}

#[test]
fn the_same_server() {
    let case = Case::new(CURSOR);
    for _ in 0..ROUNDS {
        let both = add_at_once(&case, ["s", "s"]);
        assert!(
            both.iter().any(|one| one.code == 0),
            "{}\n{}",
            both[0],
            both[1]
        );
        for one in &both {
            if one.code == 0 {
                let words = ["added to Cursor", "already in Cursor"];
                assert!(
                    words.iter().any(|words| one.text().contains(words)),
                    "{one}"
                );
            } else {
                // The other one wrote the policy first.
                let again = "run `mcpwrap add s --client cursor` again to use that policy";
                assert!(one.stderr.contains("error[policy-exists]"), "{one}");
                assert!(one.stderr.contains(again), "{one}");
            }
        }
        assert_eq!(
            entries(&case),
            [
                ("other".to_owned(), Value::Null),
                ("s".to_owned(), json!(["run", "s"]))
            ]
        );
        // The one that lost continues.
        let again = case.test.ok(&["add", "s", "--yes", "--client", "cursor"]);
        assert!(again.stderr.contains("nothing to do"), "{again}");
        case.test.ok(&["remove", "s", "--yes"]);
        assert_eq!(case.text(), CURSOR);
        assert!(!case.policy("s").exists());
    }
}

#[test]
fn two_servers_in_one_file() {
    let case = Case::new(CURSOR);
    for _ in 0..ROUNDS {
        for one in add_at_once(&case, ["s", "t"]) {
            assert_eq!(one.code, 0, "{one}");
        }
        let mut names: Vec<_> = entries(&case).into_iter().map(|(name, _)| name).collect();
        names.sort();
        assert_eq!(names, ["other", "s", "t"]);
        for server in ["s", "t"] {
            case.test.ok(&["remove", server, "--yes"]);
        }
        assert_eq!(entries(&case), [("other".to_owned(), Value::Null)]);
    }
    let verified = case.test.cli(&["log", "verify"]);
    assert!(verified.text().contains("no change found"), "{verified}");
}
