//! Planted code does not run, and changed files are not started.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;

use super::{Npm, code, writable};

/// Adds a package to a `node_modules` that leaves a mark when it is loaded.
fn plant(dir: &Path, name: &str, mark: &Path) {
    let package = dir.join("node_modules").join(name);
    std::fs::create_dir_all(&package).unwrap();
    let evil = format!(
        "require('fs').writeFileSync({:?}, 'ran');\n",
        mark.display().to_string()
    );
    let manifest = json!({ "name": name, "version": "1.0.0", "bin": { "server": "server.js" }, "main": "server.js" });
    std::fs::write(package.join("package.json"), manifest.to_string()).unwrap();
    let server = package.join("server.js");
    let head = "#!/usr/bin/env node\n";
    std::fs::write(
        &server,
        format!("{head}{evil}{}", code("1.0.0", "planted").replace(head, "")),
    )
    .unwrap();
    writable(&server);
    let bin = dir.join("node_modules/.bin");
    std::fs::create_dir_all(&bin).unwrap();
    drop(std::os::unix::fs::symlink(&server, bin.join("server")));
}

/// A directory inside another, both prepared by an attacker.
fn hostile(npm: &Npm, mark: &Path) -> PathBuf {
    let parent = npm.test.dir.join("repo");
    let cwd = parent.join("sub");
    std::fs::create_dir_all(&cwd).unwrap();
    let evil = parent.join("evil.js");
    std::fs::write(
        &evil,
        format!(
            "require('fs').writeFileSync({:?}, 'ran')",
            mark.display().to_string()
        ),
    )
    .unwrap();
    for dir in [&parent, &cwd] {
        plant(dir, "@s/server", mark);
        plant(dir, "optional-thing", mark);
        let settings = format!(
            "node-options=--require={0}\nscript-shell={1}\nregistry=http://127.0.0.1:9/\n",
            evil.display(),
            cwd.join("node_modules/.bin/server").display()
        );
        std::fs::write(dir.join(".npmrc"), settings).unwrap();
        std::fs::write(
            dir.join("package.json"),
            r#"{"dependencies":{"@s/server":"1.0.0"}}"#,
        )
        .unwrap();
        std::fs::write(
            dir.join(".env"),
            format!("NODE_OPTIONS=--require={}\n", evil.display()),
        )
        .unwrap();
    }
    cwd
}

/// `npx -y pkg@exact` would run a copy planted in the working directory.
#[test]
fn planted_packages_and_settings_never_run() {
    let Some(npm) = Npm::new() else { return };
    let mark = npm.test.home.join("planted-ran");
    let cwd = hostile(&npm, &mark);
    npm.policy(&["npx", "-y", "@s/server@1.0.0"]);
    // The same while pinning in that directory.
    let mut pin = npm.test.command(npm.test.program());
    let pinned = npm
        .test
        .start(pin.args(["pin", "s", "--yes"]).current_dir(&cwd))
        .finish();
    assert_eq!(pinned.code, 0, "{pinned}");
    let evil = format!("--require={}", npm.test.dir.join("repo/evil.js").display());
    npm.test.set("NODE_OPTIONS", &evil);
    npm.test.set("NODE_PATH", cwd.join("node_modules"));
    npm.test.set("npm_config_node_options", &evil);
    let mut run = npm.test.command(npm.test.program());
    let mut run = npm.test.start(run.args(["run", "s"]).current_dir(&cwd));
    assert_eq!(run.initialize()["result"]["serverInfo"]["name"], "real");
    let facts = run.request("tools/list", &json!({}))["result"]["facts"].clone();
    assert_eq!(
        (&facts["cwd"], &facts["optional"]),
        (&json!(cwd), &json!("absent"))
    );
    assert_eq!(run.finish().code, 0);
    assert!(!mark.exists());

    // The launcher itself runs the planted code: the trap works.
    for name in ["NODE_OPTIONS", "NODE_PATH", "npm_config_node_options"] {
        npm.test.unset(name);
    }
    let mut bare = npm.test.command("npx");
    bare.args(["-y", "@s/server@1.0.0"])
        .current_dir(&cwd)
        .stderr(Stdio::null());
    let mut bare = npm.test.start(&mut bare);
    bare.initialize();
    bare.finish();
    assert!(mark.exists());
}

/// Node.js also looks for packages above the installation and in the home directory.
#[test]
fn a_package_planted_above_the_installation_stops_the_start() {
    let Some(npm) = Npm::new() else { return };
    npm.policy(&["npx", "-y", "@s/server@1.0.0"]);
    npm.test.ok(&["pin", "s", "--yes"]);
    let mark = npm.test.home.join("planted-ran");
    plant(&npm.test.home, "unrelated", &mark);
    assert_eq!(npm.start().0, "real");
    plant(&npm.test.home, "optional-thing", &mark);
    let refused = npm.refused();
    assert!(
        refused.contains("[package-changed]") && refused.contains("optional-thing"),
        "{refused}"
    );
    // Node.js is told not to look there.
    let modules = npm.test.home.join("node_modules");
    std::fs::rename(modules, npm.test.home.join(".node_modules")).unwrap();
    let (name, _, facts) = npm.start();
    assert_eq!(
        (name.as_str(), &facts["optional"]),
        ("real", &json!("absent"))
    );
    assert!(!mark.exists());
}

/// A changed tree, lock or interpreter is refused with `package-changed`.
#[test]
fn a_changed_file_is_refused_with_both_hashes() {
    let Some(npm) = Npm::new() else { return };
    npm.policy(&["npx", "-y", "@s/server@1.0.0"]);
    // A separate interpreter, which the test can change.
    let bin = npm.test.home.join("bin");
    std::fs::create_dir(&bin).unwrap();
    let node = bin.join("node");
    let real = ["/usr/local/bin/node", "/usr/bin/node"].map(PathBuf::from);
    std::fs::copy(real.iter().find(|path| path.exists()).unwrap(), &node).unwrap();
    npm.test.set(
        "PATH",
        format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()),
    );
    npm.test.ok(&["pin", "s", "--yes"]);
    assert_eq!(npm.start().2["execPath"], json!(node));

    let place = npm.installed();
    let server = place.join("tree/node_modules/@s/server/server.js");
    let states = std::fs::read_dir(&place)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let states = states
        .into_iter()
        .find(|path| path.to_string_lossy().contains("states-"))
        .unwrap();
    for path in [&server, &place.join("lock"), &node] {
        let bytes = std::fs::read(path).unwrap();
        writable(path);
        std::fs::write(path, [&bytes[..], b" "].concat()).unwrap();
        let mut run = npm.test.run("s");
        let answer = run.initialize();
        assert_eq!(
            answer["error"]["data"]["mcpwrap"]["code"], "package-changed",
            "{answer}"
        );
        let ended = run.finish();
        for part in ["pinned ", "found  ", "`mcpwrap pin s`"] {
            assert!(ended.stderr.contains(part), "{part}\n{ended}");
        }
        // With the old bytes it is accepted again, although the file has a new state.
        std::fs::write(path, &bytes).unwrap();
        restore_mode(path, path == &node);
        assert_eq!(npm.start().0, "real");
    }

    // An additional file, and a list of states that matches it.
    let more = server.with_file_name("more.js");
    writable(server.parent().unwrap());
    std::fs::write(&more, "").unwrap();
    assert!(npm.refused().contains("[package-changed]"));
    std::fs::remove_file(&more).unwrap();
    assert_eq!(npm.start().0, "real");
    std::fs::write(&states, "").unwrap();
    assert_eq!(npm.start().0, "real");

    // Pinning the same version again fixes it, without a new grant.
    writable(&server);
    std::fs::write(&server, "evil").unwrap();
    assert!(npm.refused().contains("[package-changed]"));
    let ended = npm.test.ok(&["pin", "s", "--yes"]);
    assert!(ended.stdout.len() > 10, "{ended}");
    assert_eq!(npm.start().0, "real");
}

fn restore_mode(path: &Path, program: bool) {
    let lock = path.ends_with("lock");
    let mode = if program {
        0o755
    } else if lock {
        0o600
    } else {
        0o555
    };
    super::mode(path, mode);
}

/// A registry that serves a different tarball for the same version.
#[test]
fn another_archive_of_the_same_version_is_refused() {
    let Some(npm) = Npm::new() else { return };
    npm.policy(&["npx", "-y", "@s/server@1.0.0"]);
    npm.test.ok(&["pin", "s", "--yes"]);
    let before = npm.text();
    let (manifest, code) = Npm::server("1.0.0", "replaced", &json!({}));

    // The registry reports the new hash.
    npm.registry
        .npm(&npm.test.home, &manifest, &[("server.js", &code)]);
    std::fs::remove_dir_all(npm.test.home.join("npm-cache")).unwrap();
    let ended = npm.test.cli(&["pin", "s", "--to", "1.0.0", "--yes"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("error[package-changed]"), "{ended}");
    // The same if the old installation is gone.
    let place = npm.installed();
    let gone = npm.test.home.join("gone");
    std::fs::rename(&place, &gone).unwrap();
    let ended = npm.test.cli(&["pin", "s", "--yes"]);
    assert!(ended.stderr.contains("error[package-changed]"), "{ended}");
    assert!(npm.refused().contains("[package-absent]"));
    std::fs::rename(&gone, &place).unwrap();
    assert_eq!(npm.text(), before);
    assert_eq!(npm.start().0, "real");
}

/// A registry that serves a tarball with a different hash than it reports.
#[test]
fn an_archive_that_is_not_what_the_registry_says_is_refused() {
    let Some(npm) = Npm::new() else { return };
    npm.policy(&["npx", "-y", "@s/server@1.0.0"]);
    let (manifest, code) = Npm::server("1.0.0", "replaced", &json!({}));
    npm.registry
        .lie(&npm.test.home, &manifest, &[("server.js", &code)]);
    let before = npm.text();
    let ended = npm.test.cli(&["pin", "s", "--yes"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("error[package-failed]"), "{ended}");
    assert!(ended.stderr.contains("EINTEGRITY"), "{ended}");
    assert_eq!(npm.text(), before);
    assert_eq!(npm.installations().len(), 0);
}
