//! `mcpwrap check`: a `bad` and an `ok` case for each rule, the fields of findings, and that nothing is
//! changed.
//!
//! A case is a folder in `tests/golden/check`: either `repo/`, a directory to check, or `home/`, the
//! home of a user. `findings.txt` has the findings of its rule.

mod ci;
mod fixes;
mod formats;
mod found;
mod ignores;
mod machine;
#[cfg(target_os = "linux")]
mod provider;
mod scopes;
#[cfg(target_os = "linux")]
mod service;
#[cfg(target_os = "linux")]
mod verified_add;
#[cfg(target_os = "linux")]
mod verified_grant;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use clap::Parser as _;
use mcpwrap::testing::check::RULES;
use serde_json::Value;

use crate::harness::golden;
use crate::harness::{Ended, Test};

/// Copies a directory, private as mcpwrap's own files have to be.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o700)).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
            std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// A test with the files of a case, and the arguments that check them.
fn case(name: &str) -> (Test, Vec<&'static str>) {
    let test = Test::new();
    test.unset("MCPWRAP_HOME");
    let dir = golden::path("check").join(name);
    assert!(
        dir.join("home").is_dir() || dir.join("repo").is_dir(),
        "a rule needs this case: make `repo/` or `home/` in {}",
        dir.display()
    );
    if dir.join("home").is_dir() {
        copy(&dir.join("home"), &test.home);
        (test, vec!["check"])
    } else {
        copy(&dir.join("repo"), &test.dir.join("repo"));
        (test, vec!["check", "repo"])
    }
}

/// Everything below a directory: modes, times, contents.
fn state(dir: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(path) = open.pop() {
        let meta = path.symlink_metadata().unwrap();
        let bytes = if meta.is_file() {
            std::fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        let changed = (meta.mtime(), meta.mtime_nsec(), meta.ctime_nsec());
        let text = format!("{:o} {changed:?} {bytes:?}", meta.mode());
        all.insert(path.display().to_string(), text);
        if meta.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()));
        }
    }
    all
}

/// The report with `--json`; fails if anything was changed.
#[track_caller]
fn report(test: &Test, args: &[&str]) -> (Value, Ended) {
    let before = state(&test.dir);
    let answer = report_while_running(test, args);
    assert_eq!(state(&test.dir), before, "something was changed");
    answer
}

/// The same while a supervisor runs, which changes files by itself.
#[track_caller]
fn report_while_running(test: &Test, args: &[&str]) -> (Value, Ended) {
    let ended = test.cli(&[args, &["--json"]].concat());
    assert!(ended.code < 2, "{ended}");
    (serde_json::from_str(ended.text()).unwrap(), ended)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// A finding as the golden files have it.
fn shown(finding: &Value) -> String {
    let number = |key: &str| {
        finding[key]
            .as_u64()
            .map_or("-".to_owned(), |n| n.to_string())
    };
    let head = [
        text(finding, "severity").to_owned(),
        format!(
            "{}:{}:{}",
            text(finding, "file"),
            number("line"),
            number("column")
        ),
        text(finding, "server").to_owned(),
        text(finding, "value").to_owned(),
    ];
    let head: Vec<_> = head
        .iter()
        .filter(|part| !part.is_empty())
        .cloned()
        .collect();
    format!(
        "{}\n    {}\n    {}\n    -> {}\n",
        head.join(" "),
        text(finding, "what"),
        text(finding, "why"),
        text(finding, "fix")
    )
}

/// Words of a command, as a shell reads them. Handles single quotes only, which findings use.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in command.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words
}

/// "The one command that resolves it": it must exist, with these arguments.
#[track_caller]
fn commands_exist(report: &Value) {
    for finding in report["findings"].as_array().unwrap() {
        for key in [
            "check",
            "severity",
            "file",
            "what",
            "why",
            "fix",
            "fingerprint",
        ] {
            assert!(!text(finding, key).is_empty(), "no {key}: {finding:#}");
        }
        let command = text(finding, "command");
        if command.starts_with("mcpwrap ") {
            let parsed = mcpwrap::testing::cli::Cli::try_parse_from(words(command));
            assert!(parsed.is_ok(), "{command}: {:?}", parsed.err());
        } else {
            assert!(
                command.is_empty() || command.starts_with("rm "),
                "{command}"
            );
        }
    }
}

#[track_caller]
fn golden_case(check: &str, kind: &str) {
    let name = format!("{check}/{kind}");
    let (test, args) = case(&name);
    if kind == "ok" && check == "audit-log" {
        // A launch makes an intact log.
        test.serve("fake", &[], "");
        let mut run = test.run("fake");
        run.initialize();
        run.finish();
    }
    let (report, ended) = report(&test, &args);
    commands_exist(&report);
    let all = report["findings"].as_array().unwrap();
    let own: Vec<_> = all
        .iter()
        .filter(|finding| finding["check"] == check)
        .collect();
    let text: String = own.iter().map(|finding| shown(finding)).collect();
    golden::check(&format!("check/{name}/findings.txt"), &text);
    let line = report["checks"].as_array().unwrap().iter();
    let line = line.clone().find(|line| line["id"] == check).unwrap();
    assert_eq!(line["findings"].as_u64().unwrap(), own.len() as u64);
    if kind == "ok" {
        assert_eq!(line["status"], "ok", "{ended}");
    } else {
        assert!(!own.is_empty(), "{ended}");
    }
}

#[test]
fn each_rule_finds_the_bad_case_and_passes_the_ok_case() {
    for rule in RULES {
        golden_case(rule.name, "bad");
        golden_case(rule.name, "ok");
    }
    for entry in std::fs::read_dir(golden::path("check")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let known = mcpwrap::testing::check::rule(&name).is_some();
        assert!(
            known || entry.path().is_file(),
            "no rule has the cases `{name}`"
        );
    }
}

#[test]
fn every_value_in_a_report_is_masked() {
    for check in RULES {
        let (test, args) = case(&format!("{}/bad", check.name));
        let dir = if args.len() > 1 {
            test.dir.join("repo")
        } else {
            test.home.clone()
        };
        let mut secrets = vec!["Xk9wQ2mZ7pLr".to_owned()];
        for path in state(&dir).into_keys() {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let tokens = mcpwrap::testing::detect::known_tokens(&text).into_iter();
            secrets.extend(tokens.map(str::to_owned));
        }
        for format in ["--json", "--sarif", "--no-limit"] {
            let ended = test.cli(&[&args[..], &[format]].concat());
            for secret in &secrets {
                let said = format!("{}{}", ended.text(), ended.stderr);
                let middle = &secret[4..secret.len() - 4];
                assert!(!said.contains(middle), "{} {format}: a secret", check.name);
            }
        }
    }
}

/// "Exit 0 clean, 1 findings at or above `--fail-on` (default high), 2 could not look."
#[test]
fn the_exit_code_says_how_bad_it_is() {
    let (test, _) = case("expired-credential/bad");
    std::fs::write(
        test.dir.join("mcp.json"),
        r#"{"mcpServers": {"x": {"command": "server", "env": {"BRAVE_API_KEY": ""}}}}"#,
    )
    .unwrap();
    let code = |args: &[&str]| test.cli(&[&["check", "mcp.json"], args].concat()).code;
    assert_eq!(code(&[]), 0, "a medium finding");
    assert_eq!(code(&["--fail-on", "medium"]), 1);
    assert_eq!(code(&["--fail-on", "low"]), 1);
    assert_eq!(code(&["--fail-on", "never"]), 0);
    let ended = test.cli(&["check", "nowhere"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("error[file-unusable]"), "{ended}");
    assert_eq!(test.cli(&["check", "--fail-on", "bad"]).code, 2);
    assert_eq!(test.cli(&["check", "--client", "nobody"]).code, 2);
}
