//! `mcpwrap store`: adding, listing, checking and removing stores other than the local one.

use crate::harness::{TOKEN, Test, golden};
use crate::messages::message;
use crate::secrets::refused;

/// Writes `config.toml` after `init`, with these lines at its end.
fn with_config(lines: &str) -> Test {
    let test = Test::new();
    test.init();
    let path = test.root().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("{text}{lines}")).unwrap();
    test
}

fn config(test: &Test) -> String {
    std::fs::read_to_string(test.root().join("config.toml")).unwrap()
}

const UNKNOWN: &str = "\n# mine\n[stores.old] # of an older version\ntype = \"none-such\"\n\
    env = { A = \"secret:old/token\", B = \"secret:shared\" }\n";

#[test]
fn a_type_that_does_not_exist_is_named() {
    let test = Test::new();
    test.init();
    let before = config(&test);
    let ended = test.cli(&["store", "add", "corp", "--type", "valt", "--yes"]);
    refused(&ended, "store-unknown");
    assert!(
        ended.stderr.contains("no store has the type `valt`"),
        "{ended}"
    );
    for name in ["secret", "mint", "Op", "a/b"] {
        let ended = test.cli(&["store", "add", name, "--type", "op", "--yes"]);
        refused(&ended, "name-invalid");
    }
    assert_eq!(config(&test), before);
}

#[test]
fn the_local_store_is_the_first_row_of_the_list() {
    let test = with_config(UNKNOWN);
    test.write_policy(
        "github",
        "version = 1\ncommand = [\"cat\"]\n[secrets.TOKEN]\nfrom = \"secret:a\"\n\
         [profile.dev.secrets.TOKEN]\nfrom = \"old:x/y\"\n",
    );
    test.write_policy("none", "version = 1\ncommand = [\"cat\"]\n");
    let list = test.ok(&["store", "list", "--json"]);
    golden::check("store/list.json", list.text());
    let shown = test.ok(&["store", "list"]);
    let rows: Vec<&str> = shown.text().lines().collect();
    assert!(rows[1].starts_with("secret  file"), "{shown}");
    assert!(
        rows[2].contains("not usable: no store has the type"),
        "{shown}"
    );
}

#[test]
fn a_removed_store_leaves_the_rest_and_names_what_is_left() {
    let test = with_config(UNKNOWN);
    test.secret("shared", TOKEN);
    let server = "version = 1\ncommand = [\"cat\"]\n[secrets.TOKEN]\nfrom = \"old:x/y\"\n\
        [secrets.OTHER]\nfrom = \"secret:shared\"\n";
    test.write_policy("github", server);
    let dry = test.ok(&["store", "rm", "old", "--dry-run"]);
    assert!(
        dry.text()
            .contains("server `github` will not start without it"),
        "{dry}"
    );
    let mut terminal = test.terminal(&["store", "rm", "old"]);
    terminal.expect("remove it? [y/n]").enter("n");
    let (code, screen) = terminal.end();
    assert!(code == 2 && screen.contains("error[declined]"), "{screen}");
    assert!(config(&test).contains("[stores.old]"));

    let mut terminal = test.terminal(&["store", "rm", "old"]);
    terminal
        .expect("server `github` will not start without it")
        .enter("y");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(
        screen.contains("run `mcpwrap secret rm old/token`"),
        "{screen}"
    );
    assert!(!screen.contains("secret rm shared"), "{screen}");
    let left = config(&test);
    assert!(
        !left.contains("stores") && left.contains("key_file"),
        "{left}"
    );
    let records = test.audit();
    let of_store = records.iter().filter(|one| one["reason"] == "store");
    let notes: Vec<_> = of_store.map(|one| one["detail"]["note"].clone()).collect();
    assert_eq!(notes, ["old: removed"]);
    let ended = test.cli(&["store", "rm", "old", "--yes"]);
    refused(&ended, "store-unknown");
    message(&test, "store-unknown", &ended);
}

#[test]
fn a_check_of_several_reports_each() {
    let test = with_config(UNKNOWN);
    let ended = test.cli(&["store", "check", "old", "none", "--json"]);
    assert_eq!(ended.code, 2, "{ended}");
    let rows = ended.json();
    assert_eq!(rows[0]["error"]["code"], "store-unknown");
    assert_eq!(
        (&rows[1]["name"], &rows[1]["works"]),
        (&"none".into(), &false.into())
    );
}
