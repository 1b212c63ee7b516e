//! Adopting, client by client: golden files, and the properties that hold for each of them.
//!
//! A case is a folder below `tests/golden/clients`: `in.json` with `out.json` and `said.txt`, or,
//! for a refused file, `said.txt` alone. `DIR` in a file is replaced by the test's directory.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use mcpwrap::testing::client::{CLIENTS, Os, client};

use crate::harness::Test;
use crate::harness::golden::{self, stable};

fn folder(name: &str) -> PathBuf {
    golden::path("clients").join(name)
}

/// The folders and files in a directory, sorted.
fn list(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

/// The path of a client config in a test: the first location of this system in the home directory.
fn place(test: &Test, id: &str, kind: &str) -> Option<PathBuf> {
    let places = client(id)
        .unwrap()
        .places
        .iter()
        .filter(|place| matches!(place.os, Os::Any | Os::Linux));
    let fits = |path: &&str| {
        let rest = path.split_once('|').map_or(*path, |(_, default)| default);
        !rest.contains('*') && !rest.starts_with(['/', '%']) && rest.ends_with(kind)
    };
    let mut paths: Vec<&str> = places.map(|place| place.path).filter(fits).collect();
    paths.sort_by_key(|path| !path.contains('~'));
    let path = paths.first()?;
    let path = path.split_once('|').map_or(*path, |(_, default)| default);
    Some(
        path.strip_prefix("~/")
            .map_or_else(|| test.dir.join(path), |rest| test.home.join(rest)),
    )
}

/// A test in which clients find mcpwrap on their search path.
fn ready() -> Test {
    let test = Test::new();
    test.program_file("docker", "#!/bin/sh\n");
    let (own, programs) = (test.dir.display(), test.programs().display());
    test.set("PATH", format!("{own}:{programs}:/usr/bin:/bin"));
    test.init();
    test
}

#[track_caller]
fn case(id: &str, dir: &Path) {
    let input = list(dir)
        .into_iter()
        .find(|path| path.file_stem().unwrap() == "in")
        .unwrap();
    let kind = input.extension().unwrap().to_str().unwrap();
    let test = ready();
    let own = place(&test, id, &format!(".{kind}"));
    let elsewhere = test.home.join(format!("config.{kind}"));
    let file = own.clone().unwrap_or(elsewhere);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let here = test.dir.display().to_string();
    let original = std::fs::read(&input).unwrap();
    let original = String::from_utf8(original.clone())
        .map_or(original, |text| text.replace("DIR", &here).into_bytes());
    std::fs::write(&file, &original).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let shown = file.display().to_string();
    let named = ["--config", shown.as_str()];
    let by_client = ["--client", id];
    let selector = if own.is_some() { by_client } else { named };
    let adopt = |more: &[&str]| test.cli(&[&["adopt", "--yes"], &selector[..], more].concat());
    let no_pin = &["--no-pin", "--no-test"];

    let name = format!(
        "clients/{id}/{}",
        dir.file_name().unwrap().to_str().unwrap()
    );
    let ended = adopt(no_pin);
    let said = format!("exit code {}\n{}{}", ended.code, ended.text(), ended.stderr);
    golden::check(&format!("{name}/said.txt"), &stable(&test, &said));
    let adopted = std::fs::read(&file).unwrap();
    if adopted == original {
        assert!(
            !dir.join(format!("out.{kind}")).exists(),
            "{name}: nothing was adopted"
        );
    } else {
        let text = String::from_utf8(adopted.clone()).unwrap();
        golden::check(&format!("{name}/out.{kind}"), &stable(&test, &text));
    }
    assert_eq!(
        file.metadata().unwrap().permissions().mode() & 0o777,
        0o640,
        "{name}: the mode"
    );

    // adopt(adopt(x)) == adopt(x)
    adopt(no_pin);
    assert_eq!(
        std::fs::read(&file).unwrap(),
        adopted,
        "{name}: the second time"
    );
    // undo(adopt(x)) == x
    adopt(&["--undo"]);
    assert_eq!(std::fs::read(&file).unwrap(), original, "{name}: undo");
}

#[test]
fn every_client_has_its_folder_and_every_folder_its_client() {
    let folders: Vec<String> = list(&folder(""))
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let mut ids: Vec<_> = CLIENTS.iter().map(|client| client.id.to_owned()).collect();
    ids.sort();
    assert_eq!(folders, ids);
}

/// Tests the clients with these first letters, so that the groups run in parallel.
fn clients(letters: std::ops::RangeInclusive<char>) {
    for dir in list(&folder("")) {
        let id = dir.file_name().unwrap().to_str().unwrap().to_owned();
        if letters.contains(&id.chars().next().unwrap()) {
            for dir in list(&dir) {
                case(&id, &dir);
            }
        }
    }
}

#[test]
fn golden_clients_a_to_b() {
    clients('a'..='b');
}

#[test]
fn golden_clients_c() {
    clients('c'..='c');
}

#[test]
fn golden_clients_d_to_k() {
    clients('d'..='k');
}

#[test]
fn golden_clients_l_to_z() {
    clients('l'..='z');
}

/// The plan shows which guess of a stored value is right. That leaves a record, also if nothing is
/// adopted.
#[test]
fn a_comparison_with_stored_secrets_is_recorded_before_it_is_shown() {
    let test = ready();
    let (right, wrong) = ("hunter2-Correct-Horse", "hunter2-Wrong-Battery");
    test.secret("db/password", right);
    test.hide(wrong);
    let guess = |value: &str| serde_json::json!({"command": "db", "env": {"DB_PASSWORD": value}});
    let config = serde_json::json!({"mcpServers": {"a": guess(wrong), "b": guess(right)}});
    let path = test.dir.join("guesses.json");
    std::fs::write(&path, config.to_string()).unwrap();
    let before = test.audit().len();
    let mut terminal = test.terminal(&["adopt", "--config", path.to_str().unwrap()]);
    terminal.expect("db/password").expect("already stored");
    // The record is there while the question is open.
    let records = test.audit().split_off(before);
    terminal.expect("proceed? [y/n] ").enter("n");
    assert_eq!(terminal.end().0, 1);
    let [count, known] = records.as_slice() else {
        panic!("{records:#?}")
    };
    for record in [count, known] {
        assert_eq!(record["event"], "adopt");
        assert_eq!(record["outcome"], "intent");
        assert_eq!(record["reason"], "compared");
    }
    assert_eq!(count["detail"]["records"], 2);
    assert_eq!(known["secret"]["name"], "db/password");
    let found = test
        .ok(&["log", "--json", "--secret", "db/password"])
        .stdout;
    assert!(String::from_utf8_lossy(&found).contains("compared"));
}
