//! The documents of single commands.

use super::first_steps::{ADOPT, PROCEED, UNDO, cursor, github};
use super::scene::Scene;
use crate::harness::{TOKEN, Test, fake_server};

pub(super) fn adding(scene: &mut Scene) -> bool {
    let test = Test::new();
    test.init();
    std::fs::create_dir(test.home.join(".cursor")).unwrap();
    github(&test);
    let answers = [PROCEED[0], ("type `github` to confirm: ", "github")];
    let added = scene.asks(&test, "mcpwrap add github", &answers);
    assert!(added.contains("added to Cursor: "), "{added}");
    scene.asks(&test, "mcpwrap remove github", PROCEED);
    assert!(!test.home.join(".cursor/mcp.json").exists());
    true
}

pub(super) fn adopting(scene: &mut Scene) -> bool {
    let test = Test::new();
    test.init();
    let file = cursor(&test);
    let before = std::fs::read_to_string(&file).unwrap();
    let dry = scene.ok(&test, "mcpwrap adopt --dry-run");
    assert!(dry.text().contains("policy `tickets`"), "{dry}");
    scene.replace("FILE", &file.display().to_string());
    scene.replace("NAME", "tickets");
    for command in [
        "mcpwrap adopt",
        "mcpwrap adopt --client cursor",
        "mcpwrap adopt --config FILE",
        "mcpwrap adopt --server NAME",
        "mcpwrap adopt --oauth",
    ] {
        assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
        scene.asks(&test, command, ADOPT);
        let now = std::fs::read_to_string(&file).unwrap();
        assert!(!now.contains(TOKEN) && now.contains("\"run\""), "{now}");
        if command != "mcpwrap adopt --oauth" {
            test.ok(&["adopt", "--undo", "--yes"]);
        }
    }
    scene.asks(&test, "mcpwrap adopt --undo", UNDO);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    // It has the token in plaintext again.
    std::fs::remove_file(&file).unwrap();
    true
}

pub(super) fn agents(scene: &mut Scene) -> bool {
    let test = Test::new();
    test.init();
    let allows = |shown: &str| {
        shown
            .lines()
            .any(|line| line.contains("grant") && line.contains("allowed"))
    };
    let first = scene.ok(&test, "mcpwrap config agents");
    let name = [("type `agents` to confirm: ", "agents")];
    scene.asks(&test, "mcpwrap config agents --allow grant", &name);
    let now = test.ok(&["config", "agents"]);
    assert_ne!(first.text(), now.text());
    scene.ok(&test, "mcpwrap config agents --forbid grant");
    let last = test.ok(&["config", "agents"]);
    assert_eq!(allows(first.text()), allows(last.text()), "{last}");
    true
}

pub(super) fn checks(scene: &mut Scene) -> bool {
    let test = Test::new();
    test.init();
    let file = cursor(&test);
    let project = test.dir.join("project");
    std::fs::create_dir_all(&project).unwrap();
    std::fs::copy(&file, project.join(".mcp.json")).unwrap();
    let found = scene.ends(&test, "mcpwrap check", 1);
    assert!(found.text().contains(".cursor/mcp.json"), "{found}");
    scene.directory = Some(project.clone());
    let found = scene.ends(&test, "mcpwrap check .", 1);
    assert!(found.text().contains(".mcp.json"), "{found}");
    scene.replace("FILE", &file.display().to_string());
    scene.ends(&test, "mcpwrap check --config FILE", 1);
    scene.ends(&test, "mcpwrap check --client cursor", 1);
    scene.ends(&test, "mcpwrap check . --sarif > mcpwrap.sarif", 1);
    let sarif = std::fs::read_to_string(project.join("mcpwrap.sarif")).unwrap();
    assert!(sarif.contains("\"2.1.0\""), "{sarif}");
    std::fs::remove_file(&file).unwrap();
    true
}

/// With an `op` that lists a vault, a `doppler` that knows its workplace, and an OpenBao that nobody asks.
pub(super) fn stores(scene: &mut Scene) -> bool {
    let test = Test::new();
    test.secret("op/token", TOKEN);
    test.secret("corp/token", "q9Kx2LmP7vRt4WzB8nYcD3fG");
    test.program_file("op", "#!/bin/sh\necho '[{\"name\": \"Work\"}]'\n");
    test.program_file(
        "doppler",
        "#!/bin/sh\necho '{\"workplace\": {\"name\": \"acme\"}}'\n",
    );
    let path = format!("{}:/usr/bin:/bin", test.programs().display());
    test.set("PATH", path);
    let yes = [("[y/n]", "y")];
    let added = scene.asks(
        &test,
        "mcpwrap store add op --type op --env OP_SERVICE_ACCOUNT_TOKEN=secret:op/token",
        &yes,
    );
    assert!(added.contains("added: store op"), "{added}");
    let added = scene.asks(
        &test,
        "mcpwrap store add corp --type vault --set address=https://vault.example.com:8200 \
         --set auth.method=token --set auth.token=secret:corp/token",
        &yes,
    );
    assert!(added.contains("added: store corp"), "{added}");
    scene.asks(
        &test,
        "mcpwrap store add team --type doppler --set project=shop --set config=dev",
        &yes,
    );
    let list = scene.ok(&test, "mcpwrap store list");
    assert!(list.text().contains("vault.example.com"), "{list}");
    scene.asks(&test, "mcpwrap store login team", &[]);
    let removed = scene.asks(&test, "mcpwrap store rm op", &yes);
    assert!(removed.contains("removed: store op"), "{removed}");
    true
}

/// Also that the output in the document has the lines of a real one.
pub(super) fn testing(scene: &mut Scene) -> bool {
    let test = Test::new();
    test.set("GH_HOST", "elsewhere");
    let text = format!(
        "#!/bin/sh\n: \"${{GH_HOST:-}}\"\nexec '{}' lists=26\n",
        fake_server().display()
    );
    let script = test.program_file("server.sh", &text);
    test.policy("github", &["/bin/sh", &script.display().to_string()], "");
    let tested = scene.ok(&test, "mcpwrap test github");
    let labels = |text: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.split_once(":  "));
        let names = lines.map(|(name, _)| name.trim().to_owned());
        names.filter(|name| !name.contains('`')).collect()
    };
    let shown = labels(tested.text());
    assert!(shown.len() > 5, "{tested}");
    assert_eq!(shown, labels(&document("docs/test.md")));
    true
}

fn document(path: &str) -> String {
    std::fs::read_to_string(super::root().join(path)).unwrap()
}

/// The error that docs/errors.md begins with.
#[test]
fn the_error_of_the_reference_is_a_real_one() {
    let test = Test::new();
    test.unset("MCPWRAP_HOME");
    let ended = test.cli(&["policy", "show", "github"]);
    let text = document("docs/errors.md");
    let lines = text.lines().map(str::trim);
    let shown: Vec<_> = lines.filter(|line| line.starts_with("mcpwrap: ")).collect();
    assert_eq!(ended.stderr.lines().collect::<Vec<_>>(), shown);
}
