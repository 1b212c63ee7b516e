//! Launchers behind wrappers: refused while floating, and pinned with the wrapper in front.

use serde_json::json;

use super::Npm;

/// A wrapper that nobody knows: it says that it ran, and starts the rest.
const WRAPPER: &str = "#!/bin/sh\necho \"wrapped $1 $2\" >&2\nshift 2\nexec \"$@\"\n";

#[test]
fn a_wrapper_starts_the_installed_package() {
    let Some(npm) = Npm::new() else { return };
    let wrapper = npm.test.program_file("some-wrapper", WRAPPER);
    let command = [
        wrapper.to_str().unwrap(),
        "-f",
        "settings",
        "npx",
        "-y",
        "@s/server",
        "--flag",
    ];
    npm.test.policy("s", &command, "");
    let refused = npm.refused();
    assert!(
        refused.contains("[unpinned]") && refused.contains("`mcpwrap pin s`"),
        "{refused}"
    );
    npm.test.ok(&["pin", "s", "--yes"]);
    npm.registry.close();
    let mut run = npm.test.run("s");
    run.initialize();
    let facts = run.request("tools/list", &json!({}))["result"]["facts"].clone();
    assert_eq!(facts["args"], json!(["--flag"]));
    let tree = npm.installed().join("tree");
    assert!(
        facts["file"]
            .as_str()
            .unwrap()
            .starts_with(tree.to_str().unwrap()),
        "{facts}"
    );
    let ended = run.finish();
    assert!(ended.stderr.contains("wrapped -f settings"), "{ended}");
    // The wrapper is part of the grant.
    std::fs::write(&wrapper, format!("{WRAPPER}# changed\n")).unwrap();
    let refused = npm.refused();
    assert!(refused.contains("[program-changed]"), "{refused}");
}

#[test]
fn what_cannot_be_installed_is_refused_with_the_reason() {
    let Some(npm) = Npm::new() else { return };
    let wrapper = npm.test.program_file("some-wrapper", WRAPPER);
    let wrapper = wrapper.to_str().unwrap();
    for (words, why) in [
        (
            &["--run", "npx -y @s/server"][..],
            "an argument contains its command line",
        ),
        (
            &["ssh", "host", "npx", "-y", "@s/server"],
            "starts on another machine",
        ),
    ] {
        let command: Vec<_> = [wrapper].into_iter().chain(words.iter().copied()).collect();
        npm.test.policy("s", &command, "");
        let refused = npm.refused();
        assert!(
            refused.contains("[unpinned]") && refused.contains(why),
            "{refused}"
        );
        let ended = npm.test.cli(&["pin", "s", "--yes"]);
        assert!(ended.code != 0 && ended.stderr.contains(why), "{ended}");
    }
}
