//! From the store through a launch to the server.

use std::path::Path;

use crate::harness::{TOKEN, Test, skip};
use crate::messages::message;
use crate::policy::with_etc;

/// Adds a store to `config.toml`, as an editor would.
pub(crate) fn define(test: &Test, name: &str, settings: &str) {
    test.init();
    let path = test.root().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}\n[stores.{name}]\n{settings}\n")).unwrap();
}

/// A granted policy whose variable `TOKEN` comes from there.
pub(super) fn serve(test: &Test, from: &str) {
    test.serve(
        "fake",
        &[],
        &format!("[secrets.TOKEN]\nfrom = \"{from}\"\n"),
    );
}

/// What the variable `TOKEN` of the server is.
pub(super) fn served(test: &Test) -> Vec<u8> {
    let mut run = test.run("fake");
    run.initialize();
    let value = run.peek("TOKEN");
    assert_eq!(run.finish().code, 0);
    value
}

fn own(test: &Test, script: &str) {
    let program = test.program_file("store", &format!("#!/bin/sh\n{script}\n"));
    define(
        test,
        "mine",
        &format!(
            "type = \"exec\"\nprogram = \"{}\"\nargs = [\"get\", \"--\", \"{{path}}\"]\ndeadline = \"1s\"",
            program.display()
        ),
    );
}

#[test]
fn a_value_of_a_program_reaches_the_server_and_nothing_else() {
    let test = Test::new();
    test.hide(TOKEN);
    let value = test.dir.join("value");
    std::fs::write(&value, TOKEN).unwrap();
    own(
        &test,
        &format!(
            "[ \"$1 $2 $3\" = 'get -- -web/token' ] && cat '{}'",
            value.display()
        ),
    );
    serve(&test, "mine:-web/token");
    test.set("VAULT_ADDR", "https://chosen.by.an.agent");
    test.set("XDG_CONFIG_HOME", test.dir.join("elsewhere"));
    assert_eq!(served(&test), TOKEN.as_bytes());
    let inject = test
        .audit()
        .into_iter()
        .find(|record| record["event"] == "inject");
    assert_eq!(inject.unwrap()["secret"]["name"], "mine:-web/token");
}

#[test]
fn the_client_gets_a_code_and_a_fix_but_nothing_that_the_program_said() {
    let test = Test::new();
    test.hide(TOKEN);
    let said = test.dir.join("said");
    std::fs::write(&said, TOKEN).unwrap();
    own(
        &test,
        &format!("cat '{0}'; cat '{0}' >&2; exit 1", said.display()),
    );
    serve(&test, "mine:web/token");
    let ended = test.run("fake").refused();
    assert!(ended.stderr.contains("error[store-failed]"), "{ended}");
    assert!(ended.stderr.contains("mine:web/token"), "{ended}");
}

/// A policy with a store of this preset, whose program answers like this.
fn refused(
    test: &Test,
    id: &str,
    settings: &str,
    from: &str,
    script: &str,
) -> crate::harness::Ended {
    let program = test.program_file(id, &format!("#!/bin/sh\n{script}\n"));
    define(
        test,
        id,
        &format!(
            "type = \"{id}\"\nprogram = \"{}\"\n{settings}",
            program.display()
        ),
    );
    serve(test, from);
    test.run("fake").refused()
}

#[test]
fn messages() {
    let account = "account = \"acme.1password.com\"";
    for (code, script) in [
        (
            "store-signed-out",
            "echo '[ERROR] You are not currently signed in.' >&2; exit 1",
        ),
        (
            "store-throttled",
            "echo '[ERROR] rate limit exceeded' >&2; exit 1",
        ),
        (
            "store-unavailable",
            "echo 'dial tcp: lookup x: no such host' >&2; exit 1",
        ),
    ] {
        let test = Test::new();
        let ended = refused(&test, "op", account, "op://Work/GitHub/token", script);
        message(&test, code, &ended);
    }
    let test = Test::new();
    let region = "region = \"eu-west-1\"";
    let ended = refused(
        &test,
        "aws-sm",
        region,
        "aws-sm:prod/github",
        "echo '<html>'",
    );
    message(&test, "store-answer-invalid", &ended);
    let test = Test::new();
    let deleted = "echo 'because it was marked for deletion' >&2; exit 254";
    let ended = refused(&test, "aws-sm", region, "aws-sm:prod/github", deleted);
    message(&test, "secret-deleted", &ended);
    let test = Test::new();
    let mint = "echo '{\"v\":1,\"results\":[{\"id\":0,\"value\":\"x\",\"lease\":\"l\"}]}'";
    let spoken = "output = \"mcpwrap-store-v1\"";
    let ended = refused(&test, "exec", spoken, "exec:role", mint);
    message(&test, "reference-is-mint", &ended);
}

#[test]
fn a_program_that_others_can_change_is_refused() {
    let test = Test::new();
    own(&test, "echo V");
    serve(&test, "mine:web/token");
    let program = test.programs().join("store");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o757);
    std::fs::set_permissions(&program, open).unwrap();
    let ended = test.run("fake").refused();
    message(&test, "store-program-refused", &ended);
    assert!(Path::new(&program).exists());
    // Nor is such a program approved.
    let ended = test.cli(&["grant", "fake", "--yes"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(
        ended.stderr.contains("error[store-program-refused]"),
        "{ended}"
    );
}

/// A policy is for any machine; what this one lacks for it is a warning.
#[test]
fn lint_names_a_store_that_nothing_defines() {
    let test = Test::new();
    test.init();
    let text = "version = 1\ncommand = [\"/bin/true\"]\n[secrets.TOKEN]\nfrom = \"nowhere:a/b\"\n";
    test.write_policy("fake", text);
    let ended = test.ok(&["policy", "lint", "fake"]);
    assert!(ended.text().starts_with("fake: valid\n"), "{ended}");
    assert!(ended.stderr.contains("warning: fake: "), "{ended}");
    assert!(ended.stderr.contains("store-unknown"), "{ended}");
}

/// What the user sees above the prompt of a grant, in whole lines.
fn asked(test: &Test) -> String {
    let mut terminal = test.terminal(&["grant", "fake"]);
    terminal.expect("to confirm: ").enter("no");
    crate::grant::unwrapped(&terminal.end().1.replace('\r', ""))
}

#[test]
fn an_edited_store_is_a_change_for_the_next_grant() {
    let test = Test::new();
    own(&test, "echo V");
    serve(&test, "mine:web/token");
    let same = "nothing changed since the last grant";
    assert!(asked(&test).contains(same));
    let config = test.root().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"get\"", "\"other\"")).unwrap();
    let shown = asked(&test);
    assert!(!shown.contains(same), "{shown}");
    let line = "  changed    store `mine` has another definition\n";
    assert!(shown.contains(line), "{shown}");
    std::fs::write(&config, text).unwrap();
    test.program_file("store", "#!/bin/sh\necho W\n");
    let shown = asked(&test);
    assert!(!shown.contains(same), "{shown}");
    let (_, line) = shown.split_once("  changed    store `mine`: ").unwrap();
    assert!(line.contains("/store` has other content\n"), "{shown}");
}

#[test]
fn a_hint_about_a_value_names_a_command_that_can_follow_it() {
    let test = Test::new();
    own(&test, "[ \"$3\" = none ] || exit 1");
    serve(&test, "mine:none");
    let ended = test.run("fake").refused();
    assert!(ended.stderr.contains("`mine:none` is empty"), "{ended}");
    assert!(!ended.stderr.contains("secret rotate"), "{ended}");
    assert!(ended.stderr.contains("correct `from`"), "{ended}");
    // `store check` does not ask a program that can only read values.
    serve(&test, "mine:web/token");
    let ended = test.run("fake").refused();
    assert!(ended.stderr.contains("error[store-failed]"), "{ended}");
    assert!(!ended.stderr.contains("store check"), "{ended}");
    assert!(ended.stderr.contains("/store` yourself"), "{ended}");
}

#[test]
fn a_weak_value_of_a_program_is_said_once_in_a_session() {
    let test = Test::new();
    let value = test.dir.join("value");
    std::fs::write(&value, "12345678").unwrap();
    own(&test, &format!("cat '{}'", value.display()));
    serve(&test, "mine:web/pin");
    let said = "`mine:web/pin` is not masked, because its value has only digits";
    let mut run = test.run("fake");
    run.initialize();
    assert_eq!(run.peek("TOKEN"), b"12345678");
    let ended = run.finish();
    assert_eq!(ended.stderr.matches(said).count(), 1, "{ended}");
    std::fs::write(&value, "12345678-not-weak").unwrap();
    test.hide("12345678-not-weak");
    let mut run = test.run("fake");
    run.initialize();
    let ended = run.finish();
    assert!(!ended.stderr.contains("is not masked"), "{ended}");
}

#[test]
fn a_damaged_store_of_the_administrator_stops_only_what_refers_to_it() {
    let test = Test::new();
    test.hide(TOKEN);
    own(&test, &format!("echo {TOKEN}"));
    let stores = test.dir.join("etc/mcpwrap/stores");
    std::fs::create_dir_all(&stores).unwrap();
    std::fs::write(stores.join("mine.toml"), "type = ").unwrap();
    for path in stores.ancestors().take(3) {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, mode).unwrap();
    }
    serve(&test, "mine:web/token");
    test.serve("other", &[], "");
    let Some(mut status) = with_etc(&test, &["status"]) else {
        return skip("namespaces", "`unshare --mount` is not allowed here");
    };
    let status = test.start(&mut status).end();
    let file = "/etc/mcpwrap/stores/mine.toml:1:8";
    assert_eq!(status.code, 0, "{status}");
    assert!(
        status.stderr.contains("store `mine` cannot be used") && status.stderr.contains(file),
        "{status}"
    );
    // Not the store of the user with that name.
    let mut run = with_etc(&test, &["run", "fake"]).unwrap();
    let ended = test.start(&mut run).refused();
    assert!(
        ended.stderr.contains("error[config-invalid]")
            && ended.stderr.contains(file)
            && ended.stderr.contains("ask your administrator"),
        "{ended}"
    );
    let mut run = with_etc(&test, &["run", "other"]).unwrap();
    let mut run = test.start(&mut run);
    run.initialize();
    assert_eq!(run.finish().code, 0);
}
