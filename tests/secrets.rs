//! `mcpwrap secret`: what is stored, refused, logged and shown.

use crate::desktop::{Desktop, probed};
use crate::harness::{Ended, TOKEN, Test, policy_text, slot};
use crate::messages::message;

/// The stored value, read without the harness, which would report a printed secret.
pub(crate) fn stored(test: &Test, name: &str) -> Vec<u8> {
    let output = crate::desktop::probe(test)
        .args(["get", name])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

#[track_caller]
pub(crate) fn refused(ended: &Ended, code: &str) {
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains(&format!("error[{code}]")), "{ended}");
}

#[test]
fn only_one_trailing_newline_is_removed_from_a_value() {
    let test = Test::new();
    test.init();
    for (input, value) in [
        ("value-one", "value-one"),
        ("value-one\n", "value-one"),
        ("value-one\n\n", "value-one\n"),
        ("value-one\r\n", "value-one\r"),
        (" value=\"one\" ", " value=\"one\" "),
        ("\n-----BEGIN\nKEY-----\n", "\n-----BEGIN\nKEY-----"),
    ] {
        let ended = test.feed(&["secret", "set", "x", "--from-stdin"], input.as_bytes());
        assert_eq!(ended.code, 0, "{ended}");
        assert_eq!(stored(&test, "x"), value.as_bytes());
    }
    let odd: Vec<u8> = (1..=255_u8).cycle().take(65_536).collect();
    assert_eq!(
        test.feed(&["secret", "set", "x", "--from-stdin"], &odd)
            .code,
        0
    );
    assert!(stored(&test, "x") == odd);
}

#[test]
fn a_value_is_typed_without_being_shown() {
    let test = Test::new();
    test.init();
    test.hide(TOKEN);
    let mut terminal = test.terminal(&["secret", "set", "github/token"]);
    terminal
        .expect("value of `github/token` (not shown): ")
        .enter_hidden(TOKEN);
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(
        screen.contains("stored: github/token (fingerprint "),
        "{screen}"
    );
    assert_eq!(stored(&test, "github/token"), TOKEN.as_bytes());
}

#[test]
fn weak_values_are_refused_without_the_flag() {
    let test = Test::new();
    test.init();
    let set = |input: &[u8], more: &[&str]| {
        test.feed(
            &[&["secret", "set", "pin", "--from-stdin"], more].concat(),
            input,
        )
    };
    refused(&set(b"1234567890", &[]), "secret-weak");
    assert!(set(b"short", &[]).stderr.contains("error[secret-weak]"));
    assert!(
        set(b"", &["--allow-weak"])
            .stderr
            .contains("the value is empty")
    );
    assert_eq!(set(b"1234567890", &["--allow-weak"]).code, 0);
    let nul = set(b"value\0with-nul", &[]);
    assert!(nul.code == 0 && nul.stderr.contains("NUL byte"), "{nul}");
    assert!(
        set(&vec![b'x'; (1 << 20) + 1], &[])
            .stderr
            .contains("larger than 1 MiB")
    );
}

#[test]
fn setting_keeps_the_profile_and_rotating_increments_the_generation() {
    let test = Test::new();
    test.init();
    let change = |verb: &str, more: &[&str], value: &str| {
        test.hide(value);
        let args = [&["secret", verb, "prod/token", "--from-stdin"], more].concat();
        let ended = test.feed(&args, value.as_bytes());
        assert_eq!(ended.code, 0, "{ended}");
        ended
    };
    let row = || test.ok(&["secret", "list", "--json"]).json()[0].clone();
    change(
        "set",
        &["--profile", "prod", "--expires", "2027-06-30"],
        "value-number-one",
    );
    let first = row();
    assert_eq!(
        (&first["profile"], &first["expires"]),
        (&"prod".into(), &"2027-06-30".into())
    );
    let again = change("set", &[], "value-number-two");
    assert!(again.stderr.contains("will be replaced"), "{again}");
    let second = row();
    assert_eq!(
        (&second["profile"], &second["expires"]),
        (&"prod".into(), &().into())
    );
    assert_ne!(first["fingerprint"], second["fingerprint"]);

    test.write_policy(
        "github",
        &policy_text(&["/bin/true"], &slot("TOKEN", "prod/token")),
    );
    let rotated = change("rotate", &["--expires", "2020-01-01"], "value-number-three");
    assert!(
        rotated.stderr.contains("used by server `github`"),
        "{rotated}"
    );
    assert!(rotated.stderr.contains("has passed"), "{rotated}");
    let third = row();
    assert!(third["generation"].as_u64() > second["generation"].as_u64());
    assert_eq!(
        (&third["profile"], &third["expired"]),
        (&"prod".into(), &true.into())
    );
    assert_eq!(third["created"], first["created"]);
    let table = test.ok(&["secret", "list"]);
    let is_row = |line: &str| line.contains("2020-01-01") && line.contains("expired");
    assert!(table.text().lines().any(is_row), "{table}");
    assert_eq!(test.events(), ["secret-set", "secret-set", "secret-rotate"]);
    crate::audit::verify_intact(&test);
}

#[test]
fn an_agent_may_not_store_values_and_is_logged() {
    let test = Test::new();
    test.init();
    test.set("CLAUDECODE", "1");
    let ended = test.feed(&["secret", "set", "x", "--from-stdin"], b"value-of-x");
    assert_eq!(ended.code, 2, "{ended}");
    let refused = "error[agent-refused]: `mcpwrap secret set` refused";
    assert!(ended.stderr.contains(refused), "{ended}");
    let record = &test.audit()[0];
    assert_eq!(
        (&record["event"], &record["outcome"]),
        (&"secret-set".into(), &"refused".into())
    );
    assert_eq!(record["reason"], "agent-refused");
    assert_eq!(record["detail"]["agent"], "CLAUDECODE");
    let import = test.dir.join(".env");
    std::fs::write(&import, "TOKEN=value-number-one\n").unwrap();
    let ended = test.cli(&["secret", "import", &import.display().to_string(), "--yes"]);
    assert!(ended.stderr.contains("error[agent-refused]"), "{ended}");
}

#[test]
fn removing_asks_and_shows_the_servers_that_use_it() {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    test.write_policy(
        "github",
        &policy_text(&["/bin/true"], &slot("TOKEN", "github/token")),
    );
    let mut terminal = test.terminal(&["secret", "rm", "github/token"]);
    terminal
        .expect("used by server `github`")
        .expect("[y/n]")
        .enter("n");
    assert_eq!(terminal.end().0, 1);
    assert_eq!(stored(&test, "github/token"), TOKEN.as_bytes());
    let mut terminal = test.terminal(&["secret", "rm", "github/token"]);
    terminal.expect("[y/n]").enter("y");
    assert_eq!(terminal.end().0, 0);
    assert_eq!(test.ok(&["secret", "list", "--json"]).text(), "[]\n");
    refused(
        &test.cli(&["secret", "rm", "github/token", "--yes"]),
        "secret-not-found",
    );
    assert_eq!(test.events(), ["secret-set", "secret-rm"]);
}

#[test]
fn a_file_is_imported_and_skipped_entries_are_reported() {
    let test = Test::new();
    test.init();
    let file = test.dir.join(".env");
    let text = "# mine\nexport TOKEN='value $one'\nPORT=3000\nREF=${TOKEN}\nOTHER=\"value two\"\n";
    std::fs::write(&file, text).unwrap();
    test.hide("value $one");
    test.hide("value two");
    let file = file.display().to_string();
    let mut terminal = test.terminal(&["secret", "import", &file]);
    terminal
        .expect("OTHER")
        .expect("TOKEN")
        .expect("store them? [y/n]")
        .enter("y");
    let (code, screen) = terminal.end();
    assert_eq!(code, 1, "{screen}");
    assert!(
        screen.contains("PORT (not masked: has fewer than 8 bytes)")
            && screen.contains("skipped `REF`"),
        "{screen}"
    );
    assert_eq!(stored(&test, "TOKEN"), b"value $one");
    assert_eq!(stored(&test, "OTHER"), b"value two");

    let file = test.dir.join("secrets.json");
    std::fs::write(&file, r#"{"github": {"token": "value-number-three"}}"#).unwrap();
    let file = file.display().to_string();
    test.ok(&["secret", "import", &file, "--profile", "dev", "--yes"]);
    assert_eq!(stored(&test, "github/token"), b"value-number-three");
    let missing = test.cli(&["secret", "import", "no/such/file", "--yes"]);
    assert!(missing.stderr.contains("error[file-unusable]"), "{missing}");
}

#[test]
fn secrets_move_to_the_keychain_and_back() {
    let test = Test::new();
    let Some(_desktop) = Desktop::start(&test) else {
        return;
    };
    test.init();
    test.hide(TOKEN);
    let args = [
        "secret",
        "set",
        "prod/token",
        "--profile",
        "prod",
        "--from-stdin",
    ];
    assert_eq!(test.feed(&args, TOKEN.as_bytes()).code, 0);
    test.serve("github", &[], "");
    let starts = || {
        let mut run = test.run("github");
        assert!(run.initialize().get("result").is_some());
        assert_eq!(run.finish().code, 0);
    };

    test.ok(&["secret", "move", "keychain", "--yes"]);
    assert!(test.ok(&["status"]).text().contains("keychain, works"));
    assert_eq!(stored(&test, "prod/token"), TOKEN.as_bytes());
    // The master key was moved too: the seal of the grant still matches.
    starts();
    let key = test.home.join("vault.key").display().to_string();
    test.ok(&["secret", "move", "file", "--key-file", &key, "--yes"]);
    assert_eq!(stored(&test, "prod/token"), TOKEN.as_bytes());
    assert_eq!(
        test.ok(&["secret", "list", "--json"]).json()[0]["profile"],
        "prod"
    );
    starts();
    crate::audit::verify_intact(&test);
}

/// Without a record nothing is changed.
#[test]
fn without_an_audit_log_nothing_is_stored() {
    let test = Test::new();
    test.init();
    let audit = test.root().join("state/audit");
    drop(std::fs::remove_dir_all(&audit));
    std::fs::write(&audit, "in the way").unwrap();
    let ended = test.feed(&["secret", "set", "x", "--from-stdin"], b"value-of-x");
    assert!(ended.stderr.contains("error[audit-unwritable]"), "{ended}");
    assert_eq!(test.ok(&["secret", "list", "--json"]).text(), "[]\n");
    assert!(
        probed(&test, &["get", "x"], b"")
            .stderr
            .contains("secret-not-found")
    );
}

#[test]
fn a_damaged_index_or_config_is_an_error() {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    let index = test.root().join("state/secrets.toml");
    std::fs::write(&index, "generation = 1\n[secrets").unwrap();
    refused(&test.cli(&["secret", "list"]), "file-unusable");
    let config = test.root().join("config.toml");
    std::fs::write(&config, "store = \"file\"\n\n[agents]\nallow_yess = true\n").unwrap();
    refused(&test.cli(&["status"]), "config-invalid");
}

/// Without a master key no seal can be verified.
#[test]
fn without_a_master_key_nothing_starts() {
    let test = Test::new();
    test.serve("github", &[], "");
    std::fs::remove_file(test.root().join("data/vault.age")).unwrap();
    assert_eq!(probed(&test, &["create"], b"").code, 0);
    let mut run = test.run("github");
    let answer = run.initialize();
    assert_eq!(
        answer["error"]["data"]["mcpwrap"]["code"], "not-set-up",
        "{answer}"
    );
    let ended = run.finish();
    assert!(ended.stderr.contains("error[not-set-up]"), "{ended}");
    message(&test, "not-set-up", &ended);
}

#[test]
fn an_expired_secret_reaches_no_server() {
    let test = Test::new();
    test.init();
    test.hide(TOKEN);
    let args = [
        "secret",
        "set",
        "github/token",
        "--expires",
        "2020-01-01",
        "--from-stdin",
    ];
    assert_eq!(test.feed(&args, TOKEN.as_bytes()).code, 0);
    test.serve("github", &[], &slot("TOKEN", "github/token"));
    let mut run = test.run("github");
    let answer = run.initialize();
    assert_eq!(
        answer["error"]["data"]["mcpwrap"]["code"], "secret-expired",
        "{answer}"
    );
    message(&test, "secret-expired", &run.finish());
}

#[test]
fn a_missing_secret_is_named_before_anything_is_asked() {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    // Without a terminal, a question is an error of its own.
    let ended = test.cli(&["secret", "rm", "github/tokn"]);
    refused(&ended, "secret-not-found");
    assert!(ended.stderr.contains("github/token"), "{ended}");
}

#[test]
fn what_withdraws_credentials_has_no_login() {
    let test = Test::new();
    test.init();
    for args in [
        &["secret", "set", "withdraw/x", "--from-stdin"][..],
        &["secret", "rm", "withdraw/x", "--yes"],
    ] {
        let ended = test.feed(args, b"some-value-of-x");
        refused(&ended, "name-invalid");
        assert!(ended.stderr.contains("mcpwrap revoke SERVER"), "{ended}");
        assert!(!ended.stderr.contains("mcpwrap login"), "{ended}");
    }
}

#[test]
fn an_import_waits_for_no_writer() {
    let test = Test::new();
    test.init();
    let fifo = test.dir.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for path in [fifo.as_path(), test.dir.as_path()] {
        let ended = test.cli(&["secret", "import", path.to_str().unwrap(), "--yes"]);
        refused(&ended, "file-unusable");
        assert!(ended.stderr.contains("not a regular file"), "{ended}");
    }
    test.hide(TOKEN);
    let text = format!("API_TOKEN={TOKEN}\n");
    let ended = test.feed(
        &["secret", "import", "/dev/stdin", "--yes"],
        text.as_bytes(),
    );
    assert_eq!(ended.code, 0, "{ended}");
    assert_eq!(stored(&test, "API_TOKEN"), TOKEN.as_bytes());
}
