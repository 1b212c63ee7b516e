//! Advisories at pin time and afterwards: found, none known, or not told.

use std::path::Path;

use serde_json::{Value, json};

use super::{Npm, python};
use crate::harness::{Ended, Test, policy_text};

const BULK: &str = "/-/npm/v1/security/advisories/bulk";

/// A server with a dependency, and its policy.
fn with_helper() -> Option<Npm> {
    let npm = Npm::new()?;
    let helper = json!({ "name": "helper", "version": "2.0.0", "main": "h.js" });
    npm.registry
        .npm(&npm.test.home, &helper, &[("h.js", "module.exports = 'h'")]);
    npm.publish("1.0.0", &json!({ "dependencies": { "helper": "^2" } }));
    npm.policy(&["npx", "-y", "@s/server@1.0.0"]);
    Some(npm)
}

/// What the user sees before the question, in one line per fact.
fn shown(ended: &Ended) -> Vec<String> {
    let lines = ended.text().lines();
    lines.map(|line| line.trim().to_owned()).collect()
}

#[track_caller]
fn says(ended: &Ended, expected: &str) {
    assert!(
        shown(ended).iter().any(|line| line == expected),
        "{expected}\n{ended}"
    );
}

/// Three answers: found, none known, not told.
#[test]
fn a_pin_shows_what_the_registry_tells_of_advisories() {
    let Some(npm) = with_helper() else { return };
    let dry_run = || npm.test.ok(&["pin", "s", "--dry-run"]);
    let silent = dry_run();
    assert!(npm.registry.asked().iter().any(|path| path == BULK));
    says(&silent, "advisories this registry does not tell: HTTP 404");
    assert!(!silent.text().contains("none known"), "{silent}");

    npm.registry.tell(|told| told.npm = Some([].into()));
    says(&dry_run(), "advisories none known for 2 packages");

    npm.registry.tell(|told| {
        told.advise("helper", ">=1.0.0 <2.0.1", "critical");
        told.advise("helper", "<2.0.0", "high");
    });
    let found = dry_run();
    says(
        &found,
        "ADVISORY   critical: helper@2.0.0: It is bad (GHSA-aaaa), fixed in 2.0.1, \
         https://github.com/advisories/GHSA-aaaa",
    );
    assert_eq!(found.text().matches("ADVISORY").count(), 1, "{found}");
    assert!(!found.text().contains("none known"), "{found}");
}

/// npm asks its main registry about the packages of all scopes.
#[test]
fn a_scope_with_another_registry_is_not_looked_up() {
    let Some(npm) = with_helper() else { return };
    npm.registry.tell(|told| told.npm = Some([].into()));
    let other = npm.registry.url.replace("127.0.0.1", "localhost");
    std::fs::write(
        npm.test.home.join(".npmrc"),
        format!("@s:registry={other}\n"),
    )
    .unwrap();
    let ended = npm.test.ok(&["pin", "s", "--dry-run"]);
    says(&ended, "advisories none known for 1 package");
    says(
        &ended,
        "advisories packages of @s have another registry, which npm does not ask",
    );
}

/// A registry that hands on nothing of the main one's proofs does not deny them for this package.
#[test]
fn provenance_is_denied_only_where_the_registry_has_it() {
    let Some(npm) = with_helper() else { return };
    npm.publish("1.1.0", &json!({}));
    let dry_run = || npm.test.ok(&["pin", "s", "--dry-run"]);
    says(&dry_run(), "provenance this registry does not tell");
    npm.registry.tell(|told| told.signed = true);
    says(&dry_run(), "provenance no attestation");
    let attest = |version: &str| {
        let key = format!("@s/server@{version}");
        npm.registry.tell(|told| told.attested.push(key));
    };
    attest("1.1.0");
    says(&dry_run(), "provenance no attestation");
    attest("1.0.0");
    says(&dry_run(), "provenance has a signed attestation");
    npm.registry.tell(|told| told.signed = false);
    says(&dry_run(), "provenance has a signed attestation");
}

fn record(id: &str, name: &str, fixed: &str) -> Value {
    json!({
        "id": id, "modified": "2026-01-01T00:00:00Z", "summary": "It is bad",
        "database_specific": { "severity": "HIGH" },
        "affected": [{
            "package": { "ecosystem": "npm", "name": name },
            "ranges": [{ "type": "SEMVER", "events": [{ "introduced": "0" }, { "fixed": fixed }] }],
        }],
    })
}

/// The file replaces the registry's answer, at a pin and at a check.
#[test]
fn advisories_of_a_file_need_no_registry() {
    let Some(npm) = with_helper() else { return };
    let file = npm.test.home.join("osv.json");
    let records = json!([
        record("GHSA-file", "helper", "2.0.1"),
        record("GHSA-old", "helper", "1.0.0")
    ]);
    std::fs::write(&file, records.to_string()).unwrap();
    let path = file.to_str().unwrap();
    let ended = npm.test.ok(&["pin", "s", "--yes", "--advisories", path]);
    says(
        &ended,
        "ADVISORY   high: helper@2.0.0: It is bad (GHSA-file), fixed in 2.0.1, \
         https://osv.dev/vulnerability/GHSA-file",
    );
    assert!(!npm.registry.asked().iter().any(|path| path == BULK));
    npm.registry.close();
    let asked = npm.registry.asked().len();

    let report = check(&npm.test, &["--advisories", path]);
    let found = findings(&report);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0]["what"],
        "`helper@2.0.0` has an advisory: It is bad (GHSA-file), fixed in 2.0.1"
    );
    assert_eq!(found[0]["severity"], "high");
    assert_eq!(found[0]["command"], "mcpwrap pin s --to latest");
    not_looked_into(&report, "deprecated or withdrawn");
    assert_eq!(npm.registry.asked().len(), asked, "no registry is asked");

    std::fs::write(&file, "{\"affected\": []}").unwrap();
    for args in [
        &["check", "--advisories", path][..],
        &["pin", "s", "--advisories", path],
    ] {
        let refused = npm.test.cli(args);
        assert_eq!(refused.code, 2, "{refused}");
        for part in [
            "cannot read advisories from",
            "line 1: missing field `id`",
            "hint: use OSV records",
        ] {
            assert!(refused.stderr.contains(part), "{part}\n{refused}");
        }
    }
}

fn check(test: &Test, args: &[&str]) -> Value {
    let ended = test.cli(&[&["check", "--json"], args].concat());
    assert!(ended.code < 2, "{ended}");
    serde_json::from_str(ended.text()).unwrap()
}

fn findings(report: &Value) -> Vec<Value> {
    let all = report["findings"].as_array().unwrap().iter();
    let own = all.filter(|one| one["check"] == "unpinned-server");
    own.cloned().collect()
}

/// Whether a line of "not looked into" contains this.
#[track_caller]
fn not_looked_into(report: &Value, part: &str) {
    let all = report["not_checked"].as_array().unwrap().iter();
    let mut lines = all.filter_map(Value::as_str);
    assert!(lines.any(|line| line.contains(part)), "{part}: {report:#}");
}

/// The registry is asked only with `--online`, and no answer is not an answer.
#[test]
fn a_check_online_asks_what_became_of_pinned_packages() {
    let Some(npm) = with_helper() else { return };
    npm.test.ok(&["pin", "s", "--yes"]);
    npm.registry.tell(|told| {
        told.advise("helper", "<=2.0.0", "moderate");
        let key = "@s/server@1.0.0".to_owned();
        told.deprecated.insert(key, "use @s/other".to_owned());
    });
    let asked = npm.registry.asked().len();
    let offline = check(&npm.test, &[]);
    assert_eq!(findings(&offline), Vec::<Value>::new());
    not_looked_into(&offline, "registries were not asked (`--online`)");
    assert_eq!(
        npm.registry.asked().len(),
        asked,
        "nothing is asked without --online"
    );

    let online = check(&npm.test, &["--online"]);
    let what: Vec<_> = findings(&online)
        .iter()
        .map(|one| format!("{} {}", one["severity"], one["what"]))
        .collect();
    assert_eq!(
        what,
        [
            "\"medium\" \"`@s/server@1.0.0` is deprecated: use @s/other\"",
            "\"medium\" \"`helper@2.0.0` has an advisory: It is bad (GHSA-aaaa)\"",
        ]
    );
    let checks = online["checks"].as_array().unwrap();
    let own = checks
        .iter()
        .find(|one| one["id"] == "unpinned-server")
        .unwrap();
    assert_eq!(own["checked"]["registry_answers"], 1, "{own}");
    let sarif = npm.test.cli(&["check", "--online", "--sarif"]);
    assert!(
        sarif.text().contains("is deprecated: use @s/other"),
        "{sarif}"
    );
    let text = npm.test.cli(&["check", "--online"]);
    assert!(text.text().contains("medium unpinned-server"), "{text}");

    // The version is gone, and there are no advisories to ask for.
    npm.publish("2.0.0", &json!({}));
    npm.registry.keep("@s/server", &["2.0.0"]);
    npm.registry.tell(|told| told.npm = None);
    let removed = check(&npm.test, &["--online"]);
    let found = findings(&removed);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0]["what"],
        "`@s/server@1.0.0` is no longer in its registry"
    );
    not_looked_into(
        &removed,
        "advisories for `s`: this registry does not tell: HTTP 404",
    );

    npm.registry.close();
    let silent = check(&npm.test, &["--online"]);
    assert_eq!(findings(&silent), Vec::<Value>::new());
    not_looked_into(&silent, "`s`: ");
    let checks = silent["checks"].as_array().unwrap();
    let own = checks
        .iter()
        .find(|one| one["id"] == "unpinned-server")
        .unwrap();
    assert!(own["checked"].get("registry_answers").is_none(), "{own}");
}

/// Without a lock nobody knows what to ask for.
#[test]
fn a_server_without_a_pin_is_not_looked_into() {
    let test = Test::new();
    test.init();
    let command = ["npx", "-y", "other@1.0.0"];
    test.write_policy("floating", &policy_text(&command, ""));
    let report = check(&test, &["--online"]);
    not_looked_into(&report, "without a pin from npm or PyPI: `floating`");
}

/// Nothing remains of asking.
#[test]
fn a_check_online_leaves_nothing_behind() {
    let Some(npm) = with_helper() else { return };
    npm.test.ok(&["pin", "s", "--yes"]);
    let names = |dir: &Path| {
        let entries = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries.map(|one| one.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let root = npm.test.root().join("data/packages");
    let before = (names(&root), npm.text());
    check(&npm.test, &["--online"]);
    assert_eq!((names(&root), npm.text()), before);
}

/// A Python registry with the paths of PyPI, and a pinned package.
#[test]
fn a_python_registry_tells_of_vulnerabilities_and_withdrawn_archives() {
    let test = Test::new();
    let Some(registry) = python::uv_registry(&test) else {
        return;
    };
    registry.wheel(&test.home, "timer", "1.0", "def main(): pass\n");
    test.write_policy("s", &policy_text(&["uvx", "timer@1.0"], ""));
    let dry_run = || test.ok(&["pin", "s", "--dry-run"]);
    says(&dry_run(), "advisories this registry does not tell");
    registry.tell(|told| told.pypi = Some([].into()));
    says(
        &test.ok(&["pin", "s", "--yes"]),
        "advisories none known for 1 package",
    );

    registry.tell(|told| {
        let found = json!([{
            "id": "PYSEC-1", "summary": "It is bad", "fixed_in": ["0.5", "1.1"],
            "link": "https://osv.dev/vulnerability/PYSEC-1", "withdrawn": null,
        }]);
        let all = found.as_array().unwrap().clone();
        told.pypi = Some([("timer/1.0".to_owned(), all)].into());
        let file = "timer-1.0-py3-none-any.whl".to_owned();
        told.yanked.insert(file, "it deletes files".to_owned());
    });
    says(&dry_run_of_a_pin(&test), "YANKED     it deletes files");
    says(
        &dry_run_of_a_pin(&test),
        "ADVISORY   unknown severity: timer@1.0: It is bad (PYSEC-1), fixed in 1.1, \
         https://osv.dev/vulnerability/PYSEC-1",
    );
    let what: Vec<_> = findings(&check(&test, &["--online"]))
        .iter()
        .map(|one| format!("{} {}", one["severity"], one["what"]))
        .collect();
    assert_eq!(
        what,
        [
            "\"high\" \"`timer@1.0` has an advisory: It is bad (PYSEC-1), fixed in 1.1\"",
            "\"medium\" \"`timer@1.0` was withdrawn (yanked): it deletes files\"",
        ]
    );
    registry.close();
    let silent = check(&test, &["--online"]);
    assert_eq!(findings(&silent), Vec::<Value>::new());
    not_looked_into(
        &silent,
        "whether it was withdrawn since: this registry does not tell",
    );
    not_looked_into(&silent, "advisories for `s`: this registry does not tell");
}

/// What is pinned is installed again only if that is asked for.
fn dry_run_of_a_pin(test: &Test) -> Ended {
    test.ok(&["pin", "s", "--dry-run", "--repair"])
}
