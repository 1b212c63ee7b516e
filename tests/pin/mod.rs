//! `mcpwrap pin` and the start of what it installed, with a local registry.

mod added;
mod adopting;
mod age;
mod advisories;
mod attacks;
mod corpus;
mod faults;
mod images;
mod local;
mod packing;
mod python;
mod python_versions;
mod real;
mod registry;
mod settings;
mod verdaccio;
mod told;
mod wrapped;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use self::registry::Registry;
use crate::harness::{Run, Test, policy_text, skip};
use crate::messages::message;

/// npm with a local registry that has a server.
pub(crate) struct Npm {
    pub(crate) test: Test,
    registry: Registry,
}

impl Npm {
    /// None without npm, with a message.
    pub(crate) fn new() -> Option<Self> {
        let test = Test::new();
        let there = |name: &str| {
            Path::new("/usr/bin").join(name).exists()
                || Path::new("/usr/local/bin").join(name).exists()
        };
        if !(there("npm") && there("node")) {
            skip("npm", "there is no npm in /usr/bin or /usr/local/bin");
            return None;
        }
        let registry = Registry::start();
        test.set("npm_config_registry", &registry.url);
        test.set("npm_config_fetch_retries", "0");
        test.set("npm_config_cache", test.home.join("npm-cache"));
        test.init();
        let npm = Self { test, registry };
        npm.publish("1.0.0", &json!({}));
        Some(npm)
    }

    /// Publishes the server. `more` is merged into its package.json.
    fn publish(&self, version: &str, more: &Value) {
        let (manifest, code) = Self::server(version, "real", more);
        self.registry
            .npm(&self.test.home, &manifest, &[("server.js", &code)]);
    }

    fn server(version: &str, copy: &str, more: &Value) -> (Value, String) {
        let mut manifest = json!({
            "name": "@s/server", "version": version, "bin": { "server": "server.js" },
            "peerDependencies": { "optional-thing": "*" },
            "peerDependenciesMeta": { "optional-thing": { "optional": true } },
        });
        for (key, value) in more.as_object().unwrap() {
            manifest[key] = value.clone();
        }
        (manifest, code(version, copy))
    }

    /// Writes a policy for this command, without a grant, in the client's directory, where a test may plant something.
    fn policy(&self, command: &[&str]) {
        let rest = "cwd = \"client\"\n";
        self.test.write_policy("s", &policy_text(command, rest));
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.test.root().join("policies/s.toml")).unwrap()
    }

    /// The directory of the only installation.
    fn installed(&self) -> PathBuf {
        let all = self.installations();
        assert_eq!(all.len(), 1, "{all:?}");
        all.into_iter().next().unwrap()
    }

    fn installations(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.test.root().join("data/packages"));
        let all = entries
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path());
        all.filter(|path| path.is_dir()).collect()
    }

    /// Starts the server and returns its name, its version, and what it sees.
    fn start(&self) -> (String, String, Value) {
        spoken(self.test.run("s"))
    }

    /// Starts the server, which is refused, and returns the error that the client gets.
    fn refused(&self) -> String {
        let mut run = self.test.run("s");
        let answer = run.initialize();
        let text = answer["error"]["message"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"));
        let text = text.to_owned();
        assert!(run.finish().stderr.contains("mcpwrap: error["));
        text
    }
}

/// What a started server says of itself.
fn spoken(mut run: Run<'_>) -> (String, String, Value) {
    let answer = run.initialize();
    let info = &answer["result"]["serverInfo"];
    let facts = run.request("tools/list", &json!({}))["result"]["facts"].clone();
    let text = |key: &str| {
        info[key]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned()
    };
    let (name, version) = (text("name"), text("version"));
    assert_eq!(run.finish().code, 0);
    (name, version, facts)
}

fn code(version: &str, copy: &str) -> String {
    include_str!("server.js")
        .replace("COPY", copy)
        .replace("VERSION", version)
}

fn writable(path: &Path) {
    mode(path, 0o755);
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Arguments and working directory are those of the original command line.
#[test]
fn an_installed_server_starts_as_its_command_would_and_offline() {
    let Some(npm) = Npm::new() else { return };
    npm.policy(&["npx", "-y", "@s/server@1.0.0", "--flag", "two words"]);
    npm.test.ok(&["pin", "s", "--yes"]);
    let text = npm.text();
    for line in [
        "registry = \"npm\"",
        "version = \"1.0.0\"",
        "integrity = \"sha512-",
        "tree = \"",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    npm.registry.close();
    let asked = npm.registry.asked().len();
    let (name, version, facts) = npm.start();
    assert_eq!((name.as_str(), version.as_str()), ("real", "1.0.0"));
    assert_eq!(facts["args"], json!(["--flag", "two words"]));
    assert_eq!(facts["cwd"], json!(npm.test.dir));
    assert!(facts["execPath"].as_str().unwrap().starts_with('/'));
    let tree = npm.installed().join("tree");
    assert!(Path::new(facts["file"].as_str().unwrap()).starts_with(&tree));
    let first = format!("{}:", tree.join("node_modules/.bin").display());
    assert!(
        facts["path"].as_str().unwrap().starts_with(&first),
        "{facts}"
    );
    assert_eq!(
        npm.registry.asked().len(),
        asked,
        "nothing is asked at a start"
    );
    assert_eq!(npm.test.events().first().map(String::as_str), Some("pin"));
    let launch = npm
        .test
        .audit()
        .into_iter()
        .find(|record| record["event"] == "launch")
        .unwrap();
    assert_eq!(launch["detail"]["package"], "@s/server 1.0.0");

    let again = npm.test.ok(&["pin", "s", "--yes"]);
    assert!(again.text().contains("already pinned"), "{again}");
}

/// Unpinned is refused by default with the command that pins it.
#[test]
fn truncation_of_the_log_after_pin_is_detected() {
    let Some(npm) = Npm::new() else { return };
    npm.policy(&["npx", "-y", "@s/server@1.0.0"]);
    npm.test.ok(&["pin", "s", "--yes"]);
    crate::audit::faults::cut_the_last_record(&npm.test);
    let ended = npm.test.cli(&["log", "verify"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.text().contains("truncated: record"), "{ended}");
}

#[test]
fn a_floating_version_starts_only_after_pin() {
    let Some(npm) = Npm::new() else { return };
    npm.publish("1.1.0", &json!({}));
    npm.test.policy("s", &["npx", "-y", "@s/server"], "");
    let refused = npm.refused();
    assert!(
        refused.contains("[unpinned]") && refused.contains("`mcpwrap pin s`"),
        "{refused}"
    );
    npm.test.ok(&["pin", "s", "--yes"]);
    assert_eq!(npm.start().1, "1.1.0");

    // A newer version is not installed automatically.
    npm.publish("1.2.0", &json!({}));
    assert_eq!(npm.start().1, "1.1.0");
    let outdated = npm.test.cli(&["pin", "--outdated", "--json"]);
    assert_eq!(outdated.code, 1, "{outdated}");
    assert_eq!(outdated.json()["unanswered"], json!([]));
    assert_eq!(
        outdated.json()["outdated"],
        json!([{"server": "s", "package": "@s/server", "version": "1.1.0", "latest": "1.2.0"}])
    );
}

/// A newer version is a new pin: the changes are shown, and a grant is needed.
#[test]
fn a_newer_version_is_shown_and_asked_for() {
    let Some(npm) = Npm::new() else { return };
    let helper = json!({ "name": "helper", "version": "2.0.0", "main": "h.js" });
    npm.registry.npm(
        &npm.test.home,
        &helper,
        &[("h.js", "module.exports = 'helper'")],
    );
    npm.policy(&["npx", "-y", "@s/server@1.0.0"]);
    npm.test.ok(&["pin", "s", "--yes"]);
    npm.publish("2.0.0", &json!({ "dependencies": { "helper": "^2" } }));

    let before = npm.text();
    let mut terminal = npm.test.terminal(&["pin", "s", "--to", "latest"]);
    terminal.expect("type `s` to confirm: ").enter("no");
    let (code, shown) = terminal.end();
    assert_eq!(code, 1, "{shown}");
    assert_eq!(npm.text(), before);

    let mut terminal = npm.test.terminal(&["pin", "s", "--to", "latest"]);
    terminal.expect("type `s` to confirm: ").enter("s");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    for part in [
        "@s/server 2.0.0 from npm",
        "before     @s/server 1.0.0",
        "published  2026-01-02 by ana",
        "1 added: helper 2.0.0",
        "1 with another version: @s/server 1.0.0 → 2.0.0",
        "-version = \"1.0.0\"",
        "+version = \"2.0.0\"",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let (_, version, facts) = npm.start();
    assert_eq!(
        (version.as_str(), &facts["dependency"]),
        ("2.0.0", &json!("helper"))
    );

    // Both exist until they are pruned; the granted one stays.
    assert_eq!(npm.installations().len(), 2);
    npm.test.ok(&["pin", "--prune"]);
    npm.installed();
    assert_eq!(npm.start().1, "2.0.0");
}

/// Install scripts run only if the user allows it, and the grant covers that.
#[test]
fn install_scripts_run_only_when_allowed() {
    let Some(npm) = Npm::new() else { return };
    let mark = npm.test.home.join("script-ran");
    // It changes an installed file, too, as some do.
    let script = format!("touch '{}' && echo '//' >> server.js", mark.display());
    npm.publish("1.0.1", &json!({ "scripts": { "postinstall": script } }));
    npm.policy(&["npx", "-y", "@s/server@1.0.1"]);
    let ended = npm.test.ok(&["pin", "s", "--yes"]);
    assert!(ended.text().contains("not run: @s/server"), "{ended}");
    assert!(!mark.exists());
    assert!(!npm.text().contains("scripts"));
    npm.test.ok(&["pin", "s", "--allow-scripts", "--yes"]);
    assert!(mark.exists());
    assert!(npm.text().contains("scripts = true"));
}

/// After a hard link or a restored backup the bytes are the same, but comparing them at each start
/// is slow.
#[test]
fn changed_times_are_pinned_again_without_a_registry() {
    let Some(npm) = Npm::new() else { return };
    npm.policy(&["npx", "-y", "@s/server@1.0.0"]);
    npm.test.ok(&["pin", "s", "--yes"]);
    npm.registry.close();
    let (before, files) = (npm.text(), |text: &str| {
        let line = text.lines().find(|line| line.starts_with("files = "));
        line.unwrap().to_owned()
    });
    let lock = npm.installed().join("tree/package-lock.json");
    std::fs::hard_link(&lock, npm.test.home.join("link")).unwrap();
    mode(&lock, 0o644);
    assert_eq!(npm.start().0, "real");

    let said = npm.test.ok(&["pin", "s", "--yes"]).stdout;
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("only file times changed"), "{said}");
    let now = std::fs::metadata(&lock).unwrap().permissions().mode();
    assert_eq!(now & 0o777, 0o444);
    let after = npm.text();
    assert_ne!(files(&after), files(&before));
    assert_eq!(after.replace(&files(&after), &files(&before)), before);
    assert_eq!(npm.start().0, "real");
    let said = npm.test.ok(&["pin", "s", "--yes"]).stdout;
    assert!(String::from_utf8_lossy(&said).contains("already pinned"));
}

/// Local programs are pinned by the hash of the executable and its script.
#[test]
fn a_changed_local_program_is_refused() {
    let test = Test::new();
    test.init();
    let program = test.home.join("server.sh");
    let fake = crate::harness::fake_server();
    std::fs::write(&program, format!("#!/bin/sh\nexec '{}'\n", fake.display())).unwrap();
    writable(&program);
    test.write_policy("s", &policy_text(&[&program.display().to_string()], ""));
    test.ok(&["pin", "s", "--yes"]);
    let mut run = test.run("s");
    assert!(run.initialize().get("result").is_some());
    assert_eq!(run.finish().code, 0);

    std::fs::write(&program, "#!/bin/sh\ntouch \"$HOME/planted\"\n").unwrap();
    let mut run = test.run("s");
    let answer = run.initialize();
    assert_eq!(
        answer["error"]["data"]["mcpwrap"]["code"], "package-changed",
        "{answer}"
    );
    let ended = run.finish();
    let hashes = ended.stderr.matches("pinned ").count() + ended.stderr.matches("found ").count();
    assert!(
        hashes >= 2 && ended.stderr.contains("`mcpwrap pin s`"),
        "{ended}"
    );
    assert!(!test.home.join("planted").exists());
}

/// The messages of `pin`, and of starts of what it installed.
#[test]
fn messages() {
    let test = Test::new();
    test.init();
    let program = test.home.join("server.sh");
    std::fs::write(&program, "#!/bin/sh\nexec cat\n").unwrap();
    writable(&program);
    test.write_policy(
        "changed",
        &policy_text(&[&program.display().to_string()], ""),
    );
    test.ok(&["pin", "changed", "--yes"]);
    std::fs::write(&program, "#!/bin/sh\nexec true\n").unwrap();
    let refused = |server: &str| {
        let mut run = test.run(server);
        run.initialize();
        run.finish()
    };
    message(&test, "package-changed", &refused("changed"));

    let hash = "0".repeat(64);
    let table = format!(
        "[package]\nregistry = \"npm\"\nname = \"server\"\nversion = \"1.2.3\"\nentry = \"x\"\n\
         lock = \"{hash}\"\ntree = \"{hash}\"\nprogram = \"{hash}\"\nfiles = \"{hash}\"\n"
    );
    test.policy("absent", &["npx", "-y", "server"], &table);
    message(&test, "package-absent", &refused("absent"));

    test.write_policy("script", &policy_text(&["npx", "-c", "server --x"], ""));
    message(
        &test,
        "package-failed",
        &test.cli(&["pin", "script", "--yes"]),
    );
}
