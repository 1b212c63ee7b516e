//! README.md and docs/guide.md: the first day, and daily use.

use std::path::PathBuf;

use super::scene::Scene;
use crate::harness::{TOKEN, Test, fake_server, policy_text};
use crate::pin::Npm;

const NEW: &str = "tok_wN7pZq2xC5vB9mK4jH8gF3dS6aL1";
pub(super) const PROCEED: &[(&str, &str)] = &[("proceed? [y/n] ", "y")];
pub(super) const UNDO: &[(&str, &str)] = &[("restore these entries?", "y")];
pub(super) const ADOPT: &[(&str, &str)] = &[PROCEED[0], ("test the server now?", "y")];

/// A Cursor with one server, whose token is in plaintext.
pub(super) fn cursor(test: &Test) -> PathBuf {
    let file = test.home.join(".cursor/mcp.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let server = fake_server().display().to_string();
    let text = serde_json::json!({
        "mcpServers": {"tickets": {"command": server, "env": {"TICKETS_TOKEN": TOKEN}}}
    });
    std::fs::write(&file, format!("{text:#}\n")).unwrap();
    test.hide(TOKEN);
    file
}

fn read(file: &PathBuf) -> String {
    std::fs::read_to_string(file).unwrap()
}

/// A policy of that name whose server is here: the vendor's own one is not on this machine.
pub(super) fn github(test: &Test) {
    let text = policy_text(&[&fake_server().display().to_string()], "");
    test.write_policy("github", &text);
}

pub(super) fn readme(scene: &mut Scene) -> bool {
    let Some(npm) = Npm::new() else { return false };
    npm.package("my-server", "1.2.0");
    let test = &npm.test;
    let file = cursor(test);
    let adopted = scene.asks(test, "mcpwrap adopt", ADOPT);
    assert!(!read(&file).contains(TOKEN), "{adopted}");

    github(test);
    let answers = [PROCEED[0], ("type `github` to confirm: ", "github")];
    let before = read(&file);
    let added = scene.asks(test, "mcpwrap add github", &answers);
    for part in ["works: github, ", "added to Cursor: ~/.cursor/mcp.json"] {
        assert!(added.contains(part), "{added}");
    }
    let answers = [PROCEED[0], ("type `mine` to confirm: ", "mine")];
    let added = scene.asks(test, "mcpwrap add mine -- npx -y my-server", &answers);
    assert!(added.contains("pinned: mine, my-server 1.2.0"), "{added}");
    let removed = scene.asks(test, "mcpwrap remove github", PROCEED);
    assert!(removed.contains("removed: policy github"), "{removed}");
    test.ok(&["remove", "mine", "--yes"]);
    assert_eq!(read(&file), before);
    true
}

pub(super) fn guide(scene: &mut Scene) -> bool {
    let Some(npm) = Npm::new() else { return false };
    set_up(scene);
    by_hand(scene, &npm);
    remote(scene, &npm.test);
    daily(scene, &npm.test);
    repository(scene, &npm.test);
    undo(scene, &npm.test);
    true
}

fn set_up(scene: &mut Scene) {
    let test = Test::new();
    let passphrase = "correct horse battery staple";
    let answers = [
        ("type `keychain` or `file`: ", "file"),
        ("passphrase of the vault file", passphrase),
        ("once more", passphrase),
    ];
    let screen = scene.asks(&test, "mcpwrap init", &answers);
    assert!(screen.contains("set up: store `file`"), "{screen}");
    let test = Test::new();
    std::fs::create_dir_all(test.home.join(".config/mcpwrap")).unwrap();
    scene.ok(
        &test,
        "mcpwrap init --store file --key-file ~/.config/mcpwrap/key",
    );
    assert!(test.home.join(".config/mcpwrap/key").exists());
    let status = scene.ok(&test, "mcpwrap status");
    assert!(status.text().contains("~/.config/mcpwrap/key"), "{status}");

    let file = cursor(&test);
    let before = read(&file);
    let dry = scene.ok(&test, "mcpwrap adopt --dry-run");
    assert!(dry.text().contains("policy `tickets`"), "{dry}");
    assert_eq!(read(&file), before);
    scene.asks(&test, "mcpwrap adopt", ADOPT);
    assert!(!read(&file).contains(TOKEN));
    scene.asks(&test, "mcpwrap adopt --undo", UNDO);
    assert_eq!(read(&file), before);
    // The config has the token in plaintext again.
    std::fs::remove_file(&file).unwrap();
}

/// Steps 3 to 7, with a package of the same name from a registry of this test.
fn by_hand(scene: &mut Scene, npm: &Npm) {
    let test = &npm.test;
    npm.package("@modelcontextprotocol/server-github", "2025.4.8");
    test.hide(TOKEN);
    let value = [("value of `github/token`", TOKEN)];
    scene.asks(test, "mcpwrap secret set github/token", &value);
    let written = scene.ok(
        test,
        "mcpwrap policy new github --secret GITHUB_PERSONAL_ACCESS_TOKEN=secret:github/token \
         -- npx -y @modelcontextprotocol/server-github@2025.4.8",
    );
    assert!(written.text().contains("policies/github.toml"), "{written}");
    let name = [("type `github` to confirm: ", "github")];
    let granted = scene.asks(test, "mcpwrap grant github", &name);
    assert!(granted.contains("granted: github"), "{granted}");
    let pinned = scene.asks(test, "mcpwrap pin github", &name);
    assert!(pinned.contains("server-github 2025.4.8"), "{pinned}");
}

fn remote(scene: &mut Scene, test: &Test) {
    scene.ok(test, "mcpwrap policy new notion --remote");
    let name = [("type `notion` to confirm: ", "notion")];
    let granted = scene.asks(test, "mcpwrap grant notion", &name);
    assert!(granted.contains("mcp.notion.com"), "{granted}");
}

fn daily(scene: &mut Scene, test: &Test) {
    let tested = scene.ok(test, "mcpwrap test github");
    assert!(tested.text().contains("tools"), "{tested}");
    let mut agent = test.run("github");
    agent.initialize();
    let ps = scene.ok(test, "mcpwrap ps");
    assert!(ps.text().contains("github"), "{ps}");
    let log = scene.ok(test, "mcpwrap log --since 24h");
    assert!(log.text().contains("inject"), "{log}");
    test.hide(NEW);
    let value = [("value of `github/token`", NEW)];
    let rotated = scene.asks(test, "mcpwrap secret rotate github/token", &value);
    assert!(rotated.contains("rotated: github/token"), "{rotated}");
    scene.ok(test, "mcpwrap renew github");
    let revoked = scene.ok(test, "mcpwrap revoke github");
    assert!(revoked.text().contains("revoked: github"), "{revoked}");
    scene.ok(test, "mcpwrap revoke --all");
    let name = [("type `github` to confirm: ", "github")];
    scene.asks(test, "mcpwrap grant github", &name);
    let locked = scene.ok(test, "mcpwrap lock --sessions");
    assert!(locked.text().contains("`mcpwrap unlock`"), "{locked}");
    test.ok(&["unlock"]);
    agent.finish();
    let drilled = scene.ok(test, "mcpwrap drill");
    assert!(drilled.text().contains("refused"), "{drilled}");
    let checked = scene.ok(test, "mcpwrap check");
    assert!(
        checked.text().contains("10 of 10 checks passed"),
        "{checked}"
    );
    test.program_file("op", "#!/bin/sh\nexit 1\n");
    let path = format!("{}:/usr/bin:/bin", test.programs().display());
    test.set("PATH", path);
    let added = scene.asks(
        test,
        "mcpwrap store add op --type op --set account=acme.1password.com",
        &[("write it? [y/n]", "y")],
    );
    assert!(added.contains("added: store op"), "{added}");
}

fn repository(scene: &mut Scene, test: &Test) {
    let project = test.dir.join("project");
    std::fs::create_dir(&project).unwrap();
    let text = "{\"mcpServers\": {\"x\": {\"command\": \"npx\", \"args\": [\"-y\", \"x-mcp\"]}}}\n";
    std::fs::write(project.join(".mcp.json"), text).unwrap();
    scene.directory = Some(project);
    let found = scene.ends(test, "mcpwrap check .", 1);
    assert!(found.text().contains(".mcp.json"), "{found}");
    let sarif = scene.ends(test, "mcpwrap check . --sarif", 1);
    assert_eq!(sarif.json()["version"], "2.1.0");
    scene.directory = None;
}

fn undo(scene: &mut Scene, test: &Test) {
    let file = cursor(test);
    let before = read(&file).replace(TOKEN, NEW);
    std::fs::write(&file, &before).unwrap();
    test.ok(&["adopt", "--yes"]);
    scene.asks(test, "mcpwrap adopt --undo", UNDO);
    assert_eq!(read(&file), before);
    std::fs::remove_file(&file).unwrap();
    let yes = [("[y/n]", "y")];
    scene.asks(test, "mcpwrap policy rm github", &yes);
    scene.asks(test, "mcpwrap secret rm github/token", &yes);
    let name = [("type `uninstall` to confirm: ", "uninstall")];
    scene.asks(test, "mcpwrap uninstall", &name);
    assert!(!test.root().exists());
}
