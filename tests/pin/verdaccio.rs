//! Pins from verdaccio, a registry that many companies run, filled by npm itself.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;

use serde_json::{Value, json};

use super::{Npm, spoken};
use crate::harness::{DEADLINE, Test, policy_text, skip};

/// Nothing comes from another registry.
const CONFIG: &str = "storage: DIR/storage
auth:
  htpasswd:
    file: DIR/users
uplinks: {}
packages:
  '@private/*':
    access: $authenticated
    publish: $authenticated
  '**':
    access: $all
    publish: $authenticated
web:
  enable: false
log: { type: stdout, format: json, level: fatal }
";

/// A running registry with a user.
struct Verdaccio {
    process: Child,
    /// Ends with `/`.
    url: String,
    token: String,
    dir: PathBuf,
}

impl Drop for Verdaccio {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The registry ends before the test, which looks for processes that are left.
struct Real {
    verdaccio: Verdaccio,
    test: Test,
}

impl Real {
    /// None without verdaccio, with a message.
    fn new() -> Option<Self> {
        let module =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/verdaccio/node_modules/verdaccio");
        if !module.exists() {
            let why = "there is no verdaccio in `.cache`: `cargo xtask deps` installs it";
            skip("verdaccio", why);
            return None;
        }
        let test = Test::new();
        let verdaccio = start(&test, &module);
        test.hide(&verdaccio.token);
        test.set("npm_config_registry", &verdaccio.url);
        test.set("npm_config_fetch_retries", "0");
        test.set("npm_config_cache", test.home.join("npm-cache"));
        test.init();
        let real = Self { verdaccio, test };
        // All packages here are published by the tests.
        real.set_age("0");
        Some(real)
    }

    /// Sets how old a version must be.
    fn set_age(&self, age: &str) {
        let text = format!("store = \"file\"\n[packages]\nmin_age = \"{age}\"\n");
        let path = self.test.root().join("config.toml");
        let known = std::fs::read_to_string(&path).unwrap();
        let key = known.lines().find(|line| line.starts_with("key_file"));
        std::fs::write(&path, format!("{}\n{text}", key.unwrap())).unwrap();
    }

    /// `npm` as the person who publishes.
    fn npm(&self, dir: &Path, args: &[&str]) {
        let mut npm = self.test.command("npm");
        npm.args(args)
            .current_dir(dir)
            .env("npm_config_userconfig", self.npmrc());
        let ended = self.test.start(&mut npm).finish();
        assert_eq!(ended.code, 0, "npm {args:?}\n{ended}");
    }

    /// The settings of somebody with an account, outside of the home.
    fn npmrc(&self) -> PathBuf {
        let path = self.verdaccio.dir.join("npmrc");
        let place = self.verdaccio.url.trim_start_matches("http:");
        let (token, url) = (&self.verdaccio.token, &self.verdaccio.url);
        let text = format!("{place}:_authToken={token}\n@private:registry={url}\n");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn publish(&self, version: &str, more: &Value) {
        let (manifest, code) = Npm::server(version, "real", more);
        let name = format!("{}-{version}", manifest["name"]).replace(['@', '/', '"'], "");
        let dir = self.verdaccio.dir.join(name);
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("package.json"), manifest.to_string()).unwrap();
        std::fs::write(dir.join("server.js"), code).unwrap();
        self.npm(&dir, &["publish", "--quiet", "--access=public"]);
    }

    fn policy(&self, command: &[&str]) {
        self.test.write_policy("s", &policy_text(command, ""));
    }

    /// Pins and returns what was said.
    fn pin(&self) -> String {
        self.test.ok(&["pin", "s", "--yes"]).text().to_owned()
    }

    /// The version that mcpwrap starts.
    fn version(&self) -> String {
        spoken(self.test.run("s")).1
    }

    /// The version that npx starts.
    fn npx(&self, package: &str) -> String {
        let mut npx = self.test.command("npx");
        spoken(self.test.start(npx.args(["-y", package]))).1
    }
}

/// Starts the registry and waits until it has its user.
fn start(test: &Test, module: &Path) -> Verdaccio {
    let dir = test.dir.join("verdaccio");
    std::fs::create_dir(&dir).unwrap();
    let config = dir.join("config.yaml");
    let text = CONFIG.replace("DIR", &dir.display().to_string());
    std::fs::write(&config, text).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pin/verdaccio.js");
    let mut node: Command = test.command("node");
    node.arg(script)
        .arg(config)
        .args(["ana", "a password of ana"])
        .env("VERDACCIO", module)
        .env("HOME", &dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut process = node.spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let (sender, ready) = channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            drop(sender.send(line));
        }
    });
    let line = loop {
        let line = ready.recv_timeout(DEADLINE).expect("verdaccio is ready");
        if let Some(rest) = line.strip_prefix("ready ") {
            break rest.to_owned();
        }
    };
    let (url, token) = line.split_once(' ').unwrap();
    Verdaccio {
        process,
        url: url.to_owned(),
        token: token.to_owned(),
        dir,
    }
}

/// The newest version needs another Node.js: npx takes the one before, and so does a pin.
#[test]
fn the_newest_version_that_runs_here_is_pinned() {
    let Some(real) = Real::new() else { return };
    real.publish("1.0.0", &json!({}));
    real.publish("2.0.0", &json!({ "engines": { "node": ">=99" } }));
    real.policy(&["npx", "-y", "@s/server"]);
    let said = real.pin();
    for part in [
        "package    @s/server 1.0.0 from npm",
        "published  20",
        "latest     2.0.0, which needs Node.js >=99",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    assert_eq!(real.version(), "1.0.0");
    assert_eq!(real.npx("@s/server"), "1.0.0");
    let outdated = real.test.ok(&["pin", "--outdated", "--json"]);
    assert_eq!(outdated.json()["outdated"], json!([]));

    real.publish("1.1.0", &json!({ "publishConfig": { "tag": "fix" } }));
    let outdated = real.test.cli(&["pin", "--outdated", "--json"]);
    assert_eq!(outdated.code, 1, "{outdated}");
    assert_eq!(outdated.json()["outdated"][0]["latest"], "1.1.0");
}

#[test]
fn what_was_just_published_is_refused() {
    let Some(real) = Real::new() else { return };
    real.publish("1.0.0", &json!({}));
    real.policy(&["npx", "-y", "@s/server@1.0.0"]);
    real.set_age("1d");
    let refused = real.test.cli(&["pin", "s", "--yes"]);
    assert_eq!(refused.code, 2, "{refused}");
    assert!(
        refused
            .stderr
            .contains("only versions that are younger than 1 day"),
        "{refused}"
    );
    real.test.ok(&["pin", "s", "--min-age", "0", "--yes"]);
}

#[test]
fn a_deprecation_is_shown() {
    let Some(real) = Real::new() else { return };
    real.publish("1.0.0", &json!({}));
    real.publish("1.1.0", &json!({}));
    let deprecate = ["deprecate", "@s/server@1.1.0", "it loses your data"];
    real.npm(&real.verdaccio.dir, &deprecate);
    real.policy(&["npx", "-y", "@s/server@1.1.0"]);
    let said = real.pin();
    assert!(said.contains("DEPRECATED it loses your data"), "{said}");
    assert_eq!(real.version(), "1.1.0");

    real.policy(&["npx", "-y", "@s/server"]);
    let said = real.pin();
    assert!(!said.contains("DEPRECATED"), "{said}");
    let version = real.version();
    assert_eq!(
        (version.as_str(), real.npx("@s/server")),
        ("1.0.0", version.clone())
    );
}

/// A package for another platform that the registry lacks.
#[test]
fn an_absent_optional_dependency_prevents_nothing() {
    let Some(real) = Real::new() else { return };
    let lacking = json!({ "optionalDependencies": { "@s/server-other-platform": "1.0.0" } });
    real.publish("1.0.0", &lacking);
    real.policy(&["npx", "-y", "@s/server"]);
    real.pin();
    assert_eq!(real.version(), "1.0.0");
}

#[test]
fn install_scripts_are_reported_and_not_run() {
    let Some(real) = Real::new() else { return };
    let mark = real.test.dir.join("script-ran");
    let script = format!("touch '{}'", mark.display());
    real.publish("1.0.0", &json!({ "scripts": { "postinstall": script } }));
    real.policy(&["npx", "-y", "@s/server"]);
    let said = real.pin();
    assert!(said.contains("not run: @s/server"), "{said}");
    assert_eq!(real.version(), "1.0.0");
    assert!(!mark.exists());
    real.test.ok(&["pin", "s", "--allow-scripts", "--yes"]);
    assert!(mark.exists());
}

/// The end of each test looks for the token in the output and in every file of the home: policies, log,
/// installations, npm's cache.
#[test]
fn a_private_package_is_pinned_with_the_token_of_an_npmrc() {
    let Some(real) = Real::new() else { return };
    real.publish("1.0.0", &json!({ "name": "@private/server" }));
    real.policy(&["npx", "-y", "@private/server"]);
    let refused = real.test.cli(&["pin", "s", "--yes"]);
    assert_eq!(refused.code, 2, "{refused}");
    assert!(
        refused.stderr.contains("error[package-failed]"),
        "{refused}"
    );

    // Only the scope comes from this registry.
    real.test.set("npm_config_userconfig", real.npmrc());
    real.test.set("npm_config_registry", "http://127.0.0.1:9/");
    let said = real.pin();
    assert!(
        said.contains("package    @private/server 1.0.0 from npm"),
        "{said}"
    );
    real.publish("1.1.0", &json!({ "name": "@private/server" }));
    let outdated = real.test.cli(&["pin", "--outdated", "--json"]);
    assert_eq!(outdated.json()["outdated"][0]["latest"], "1.1.0");

    // A start needs no token.
    real.test.unset("npm_config_userconfig");
    assert_eq!(real.version(), "1.0.0");
}
