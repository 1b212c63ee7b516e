//! Versions that are too young to be pinned.

use serde_json::json;

use super::Npm;
use super::python::uv_registry;
use crate::harness::{TOKEN, Test, policy_text};

/// A time this many hours ago, as registries write it.
fn hours_ago(hours: i64) -> String {
    (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours)).to_string()
}

fn with_a_young_version() -> Option<Npm> {
    let npm = Npm::new()?;
    npm.publish("1.1.0", &json!({ "_published": hours_ago(3) }));
    Some(npm)
}

#[test]
fn a_version_that_nobody_named_is_a_day_old() {
    let Some(npm) = with_a_young_version() else {
        return;
    };
    npm.policy(&["npx", "-y", "@s/server"]);
    let said = npm.test.ok(&["pin", "s", "--yes"]);
    let why = "latest     1.1.0, published 3 hours ago, and a version must be 1 day old";
    assert!(said.text().contains("pinned: s, @s/server 1.0.0"), "{said}");
    assert!(said.text().contains(why), "{said}");
    let outdated = npm.test.ok(&["pin", "--outdated", "--json"]).json();
    assert_eq!(outdated["outdated"], json!([]));
    let latest = npm.test.ok(&["pin", "s", "--to", "latest", "--dry-run"]);
    assert!(latest.text().contains("@s/server 1.0.0"), "{latest}");

    let any = npm
        .test
        .cli(&["pin", "--outdated", "--json", "--min-age", "0"]);
    assert_eq!(any.json()["outdated"][0]["latest"], "1.1.0");
    let any = npm
        .test
        .ok(&["pin", "s", "--to", "latest", "--min-age", "0", "--yes"]);
    assert!(any.text().contains("pinned: s, @s/server 1.1.0"), "{any}");
}

#[test]
fn a_named_version_may_be_young_unless_a_setting_forbids_it() {
    let Some(npm) = with_a_young_version() else {
        return;
    };
    npm.policy(&["npx", "-y", "@s/server@1.1.0"]);
    let config = npm.test.root().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let set = |age: &str| {
        let section = format!("{text}\n[packages]\nmin_age = \"{age}\"\n");
        std::fs::write(&config, section).unwrap();
    };
    set("4h");
    let refused = npm.test.cli(&["pin", "s", "--yes"]);
    assert_eq!(refused.code, 2, "{refused}");
    assert!(
        refused
            .stderr
            .contains("only versions that are younger than 4 hours")
            && refused
                .stderr
                .contains("hint: run `mcpwrap pin s --min-age 0`"),
        "{refused}"
    );
    set("2h");
    npm.test.ok(&["pin", "s", "--dry-run"]);
    set("4");
    let invalid = npm.test.cli(&["pin", "s", "--dry-run"]);
    assert!(
        invalid.stderr.contains("config-invalid") && invalid.stderr.contains("`12h`, `3d`"),
        "{invalid}"
    );
    std::fs::write(&config, &text).unwrap();
    npm.test.ok(&["pin", "s", "--yes"]);
    // What is pinned stays, whatever its age.
    set("4h");
    npm.test.ok(&["pin", "s", "--repair", "--yes"]);
}

/// Most malicious versions are dependencies.
#[test]
fn a_young_dependency_is_passed_over() {
    let Some(npm) = Npm::new() else { return };
    let dependency = |version: &str, time: &str| {
        let manifest = json!({ "name": "dep", "version": version, "_published": time });
        npm.registry.npm(&npm.test.home, &manifest, &[]);
    };
    dependency("1.0.0", "2026-01-01T00:00:00Z");
    dependency("1.0.1", &hours_ago(1));
    npm.publish("1.0.1", &json!({ "dependencies": { "dep": "^1.0.0" } }));
    npm.policy(&["npx", "-y", "@s/server"]);
    npm.test.ok(&["pin", "s", "--yes"]);
    let manifest = npm.installed().join("tree/node_modules/dep/package.json");
    let text = std::fs::read_to_string(manifest).unwrap();
    assert!(text.contains("1.0.0"), "{text}");
}

#[test]
fn adopt_says_what_it_passed_over_and_what_is_known_of_the_rest() {
    let Some(npm) = with_a_young_version() else {
        return;
    };
    let test = &npm.test;
    npm.registry
        .tell(|told| told.advise("@s/server", ">=1.0.0", "critical"));
    let entry =
        json!({ "command": "npx", "args": ["-y", "@s/server"], "env": { "API_TOKEN": TOKEN } });
    let file = test.home.join("client.json");
    std::fs::write(&file, json!({ "mcpServers": { "s": entry } }).to_string()).unwrap();
    test.hide(TOKEN);
    let said = test.ok(&["adopt", "--yes", "--config", &file.display().to_string()]);
    let why =
        "server `s`: passed over 1.1.0, published 3 hours ago, and a version must be 1 day old";
    assert!(said.text().contains("pinned: s, @s/server 1.0.0"), "{said}");
    assert!(said.stderr.contains(why), "{said}");
    let advised = "server `s`: advisory, critical: @s/server@1.0.0: It is bad";
    assert!(said.stderr.contains(advised), "{said}");
}

#[test]
fn a_python_registry_may_say_when_files_were_uploaded() {
    let test = Test::new();
    let Some(registry) = uv_registry(&test) else {
        return;
    };
    let policy = |version: &str| {
        let command = ["uvx", &format!("timer{version}")];
        test.write_policy("timer", &policy_text(&command, "cwd = \"client\"\n"));
    };
    let publish = |version: &str| {
        let module = "def main(): pass\n";
        registry.wheel(&test.home, "timer", version, module);
    };
    publish("1.0");
    policy("");
    let unknown = test.ok(&["pin", "timer", "--dry-run"]);
    let fact = "age        unknown: the registry does not say whether it is at least 1 day old";
    assert!(unknown.text().contains(fact), "{unknown}");
    let asked = test.cli(&["pin", "timer", "--dry-run", "--min-age", "1d"]);
    assert!(
        asked
            .stderr
            .contains("does not say when its files were published"),
        "{asked}"
    );

    registry.uploaded("timer", "1.0", "2026-01-01T00:00:00Z");
    publish("1.1");
    registry.uploaded("timer", "1.1", &hours_ago(2));
    // The client keeps answers of a registry for ten minutes.
    test.set("UV_CACHE_DIR", test.home.join("other-cache"));
    let old = test.ok(&["pin", "timer", "--yes"]);
    assert!(old.text().contains("pinned: timer, timer 1.0"), "{old}");
    let why = "latest     1.1, published less than 1 day ago";
    assert!(old.text().contains(why), "{old}");
    let outdated = test.ok(&["pin", "--outdated", "--json"]).json();
    assert_eq!(outdated["outdated"], json!([]));
    policy("==1.1");
    let named = test.ok(&["pin", "timer", "--yes"]);
    assert!(named.text().contains("pinned: timer, timer 1.1"), "{named}");
}
