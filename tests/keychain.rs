//! The keychain store with the real gnome-keyring, and its failures: each has its own message
//! within 8 s.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::desktop::{Desktop, probe, probed};
use crate::harness::{Ended, TOKEN, Test, fake_server, policy_text, slot};
use crate::messages::message;

/// The time limit of every failure.
pub(crate) const ANSWER: Duration = Duration::from_secs(8);

/// A desktop on which mcpwrap is set up and `github/token` is stored.
fn set_up(test: &Test) -> Option<Desktop<'_>> {
    let desktop = Desktop::start(test)?;
    test.ok(&["init"]);
    set(test, "github/token", TOKEN.as_bytes());
    Some(desktop)
}

pub(crate) fn set(test: &Test, name: &str, value: &[u8]) {
    test.hide(value);
    let ended = test.feed(&["secret", "set", name, "--from-stdin"], value);
    assert_eq!(ended.code, 0, "{ended}");
}

/// Grants a server that needs `github/token`.
pub(crate) fn grant(test: &Test) {
    let program = fake_server().display().to_string();
    test.write_policy(
        "github",
        &policy_text(&[&program], &slot("TOKEN", "github/token")),
    );
    test.ok(&["grant", "github", "--yes"]);
}

/// Starts that server like a client.
pub(crate) fn started(test: &Test) {
    let mut run = test.run("github");
    let answer = run.initialize();
    assert!(answer.get("result").is_some(), "{answer}");
    assert_eq!(run.finish().code, 0);
}

/// Starts that server, which must fail.
pub(crate) fn not_started(test: &Test) -> Ended {
    let mut run = test.run("github");
    assert!(run.initialize().get("error").is_some());
    run.finish()
}

#[track_caller]
pub(crate) fn refused(ended: &Ended, code: &str) {
    assert!(ended.stderr.contains(&format!("error[{code}]")), "{ended}");
}

#[test]
fn the_contract_of_every_store_holds_for_the_keychain() {
    let test = Test::new();
    let Some(_desktop) = Desktop::start(&test) else {
        return;
    };
    let ended = probed(&test, &["contract"], b"");
    assert_eq!((ended.code, ended.text()), (0, "contract: ok\n"), "{ended}");
}

#[test]
fn the_contract_of_keyring_core_holds() {
    let test = Test::new();
    let Some(_desktop) = Desktop::start(&test) else {
        return;
    };
    let ended = probed(&test, &["keyring"], b"");
    assert_eq!((ended.code, ended.text()), (0, "keyring: ok\n"), "{ended}");
}

#[test]
fn secret_tool_sees_what_mcpwrap_stores_and_mcpwrap_what_it_stores() {
    let test = Test::new();
    let Some(desktop) = set_up(&test) else { return };
    // Without the harness, because the value is printed on purpose.
    let lookup = test
        .command("/usr/bin/secret-tool")
        .args(["lookup", "service", "mcpwrap", "username", "github/token"])
        .output()
        .unwrap();
    assert_eq!(lookup.stdout, TOKEN.as_bytes());
    let found = test
        .command("/usr/bin/secret-tool")
        .args(["search", "service", "mcpwrap"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&found.stdout).contains("label = mcpwrap: github/token"));

    let store = [
        "store",
        "--label=by hand",
        "service",
        "mcpwrap",
        "username",
        "by/hand",
    ];
    assert_eq!(desktop.secret_tool(&store, b"value by hand").code, 0);
    let ended = probed(&test, &["get", "by/hand"], b"");
    assert_eq!(ended.stdout, b"value by hand", "{ended}");
}

#[test]
fn values_survive_a_restart_of_the_keyring() {
    let test = Test::new();
    let Some(desktop) = Desktop::start(&test) else {
        return;
    };
    let odd: Vec<u8> = (0..=255_u8).cycle().take(65_536).collect();
    assert_eq!(probed(&test, &["put", "odd"], &odd).code, 0);
    desktop.kill_keyring();
    desktop.start_keyring();
    let ended = probed(&test, &["get", "odd"], b"");
    assert!(ended.stdout == odd, "{}", ended.stderr);
}

#[test]
fn a_missing_secret_is_not_a_locked_keychain() {
    let test = Test::new();
    let Some(_desktop) = set_up(&test) else {
        return;
    };
    refused(&probed(&test, &["get", "other"], b""), "secret-not-found");
    refused(
        &test.cli(&["secret", "rotate", "other", "--from-stdin"]),
        "secret-not-found",
    );
}

#[test]
fn a_locked_keychain_fails_immediately_without_a_prompt() {
    let test = Test::new();
    let Some(desktop) = set_up(&test) else { return };
    grant(&test);
    desktop.lock();
    let start = Instant::now();
    message(&test, "store-locked", &not_started(&test));
    refused(
        &probed(&test, &["get", "github/token"], b""),
        "store-locked",
    );
    refused(&probed(&test, &["get", "other"], b""), "store-locked");
    refused(&probed(&test, &["put", "other"], b"value"), "store-locked");
    assert!(start.elapsed() < ANSWER);

    let status = test.cli(&["status", "--json"]);
    assert_eq!(status.code, 1, "{status}");
    assert_eq!(status.json()["store"]["error"], "store-locked");
    test.ok(&["secret", "list"]);
    // Follow the hint.
    desktop.replace_keyring();
    test.ok(&["status"]);
}

/// There is no display here, so gnome-keyring's prompter exits, which dismisses the prompt.
#[test]
fn a_dismissed_prompt_is_a_denial() {
    let test = Test::new();
    let Some(desktop) = set_up(&test) else { return };
    desktop.lock();
    let ended = test.feed(
        &["secret", "set", "other", "--from-stdin"],
        b"value-of-other",
    );
    assert_eq!(ended.code, 2, "{ended}");
    message(&test, "store-denied", &ended);
}

#[test]
fn without_a_bus_or_a_keyring_on_it_the_keychain_is_absent() {
    let test = Test::new();
    refused(&test.cli(&["init"]), "store-absent");
    assert!(!test.root().join("config.toml").exists());
    let standard = format!("/run/user/{}/bus", nix::unistd::geteuid());
    if !Path::new(&standard).exists() {
        test.unset("DBUS_SESSION_BUS_ADDRESS");
        let ended = test.cli(&["init"]);
        refused(&ended, "store-absent");
        assert!(ended.stderr.contains("no session bus"), "{ended}");
    }
    test.set("DBUS_SESSION_BUS_ADDRESS", "autolaunch:");
    assert_eq!(
        test.cli(&["status", "--json"]).json()["store"]["error"],
        "store-absent"
    );

    let Some(_desktop) = Desktop::bare(&test) else {
        return;
    };
    let ended = test.cli(&["init"]);
    refused(&ended, "store-absent");
    assert!(
        ended.stderr.contains("no program on the session bus"),
        "{ended}"
    );
}

#[test]
fn waiting_for_a_hanging_keychain_is_bounded() {
    let test = Test::new();
    let Some(desktop) = set_up(&test) else { return };
    grant(&test);
    desktop.signal_keyring(Signal::SIGSTOP);
    let start = Instant::now();
    let mut run = test.run("github");
    let answer = run.initialize();
    assert!(start.elapsed() < ANSWER, "{:?}", start.elapsed());
    assert_eq!(
        answer["error"]["data"]["mcpwrap"]["code"], "store-timeout",
        "{answer}"
    );
    refused(&run.finish(), "store-timeout");
    let ended = test.feed(
        &["secret", "rotate", "github/token", "--from-stdin"],
        b"new-value-1",
    );
    message(&test, "store-timeout", &ended);
    desktop.signal_keyring(Signal::SIGCONT);
    started(&test);
}

#[test]
fn a_keychain_that_exits_during_a_request_is_asked_again() {
    let test = Test::new();
    let Some(desktop) = set_up(&test) else { return };
    let mut run = test.start(probe(&test).args(["again", "github/token"]));
    run.send_raw(b"\n");
    assert_eq!(run.line().unwrap(), b"ok\n");
    // The bus starts a new one, which is locked.
    desktop.kill_keyring();
    run.send_raw(b"\n");
    assert_eq!(run.line().unwrap(), b"store-locked\n");
    // Then the user unlocks it.
    desktop.start_keyring();
    run.send_raw(b"\n");
    assert_eq!(run.line().unwrap(), b"ok\n");
    assert_eq!(run.finish().code, 0);
}

#[test]
fn two_items_of_one_name_are_ambiguous_until_both_are_removed() {
    let test = Test::new();
    let Some(desktop) = set_up(&test) else { return };
    let double = [
        "store",
        "--label=double",
        "service",
        "mcpwrap",
        "username",
        "github/token",
        "more",
        "1",
    ];
    assert_eq!(desktop.secret_tool(&double, b"another value").code, 0);
    let ended = test.feed(
        &["secret", "rotate", "github/token", "--from-stdin"],
        b"new-value-1",
    );
    message(&test, "secret-ambiguous", &ended);
    test.ok(&["secret", "rm", "github/token", "--yes"]);
    refused(
        &probed(&test, &["get", "github/token"], b""),
        "secret-not-found",
    );
}

/// An invalid attribute could be a restriction, so it must not be ignored.
#[test]
fn an_invalid_attribute_is_an_error() {
    let test = Test::new();
    let Some(desktop) = set_up(&test) else { return };
    let odd = [
        "store",
        "--label=odd",
        "service",
        "mcpwrap",
        "username",
        "odd",
        "profile",
        "a profile",
    ];
    assert_eq!(desktop.secret_tool(&odd, b"value of odd").code, 0);
    let ended = test.feed(&["secret", "rotate", "odd", "--from-stdin"], b"new-value-1");
    message(&test, "store-failed", &ended);
}

/// Clients start servers with six variables, which do not include the address of the bus.
#[test]
fn the_bus_is_found_without_its_variable() {
    let test = Test::new();
    let Some(_desktop) = set_up(&test) else {
        return;
    };
    grant(&test);
    test.unset("DBUS_SESSION_BUS_ADDRESS");
    started(&test);

    // Also without `XDG_RUNTIME_DIR`, if no user is logged in and the directory can be created.
    let standard = format!("/run/user/{}", nix::unistd::geteuid());
    let standard = Path::new(&standard);
    let free = !standard.exists() && std::fs::create_dir_all(standard).is_ok();
    if free {
        let other = Test::new();
        let desktop = Desktop::without_keyring(&other, standard, &[]).unwrap();
        desktop.start_keyring();
        other.unset("DBUS_SESSION_BUS_ADDRESS");
        other.unset("XDG_RUNTIME_DIR");
        let status = other.cli(&["init"]);
        drop(desktop);
        std::fs::remove_dir_all(standard).unwrap();
        assert_eq!(status.code, 0, "{status}");
    }
}

#[test]
fn many_at_once_lose_nothing() {
    let test = Test::new();
    let Some(_desktop) = set_up(&test) else {
        return;
    };
    let names: Vec<_> = (0..8).map(|n| format!("parallel/{n}")).collect();
    let mut runs: Vec<_> = names
        .iter()
        .map(|name| {
            let mut command = test.command(test.program());
            test.start(command.args(["secret", "set", name, "--from-stdin"]))
        })
        .collect();
    for run in &mut runs {
        run.send_raw(TOKEN.as_bytes());
    }
    for run in runs {
        let ended = run.finish();
        assert_eq!(ended.code, 0, "{ended}");
    }
    let list = test.ok(&["secret", "list", "--json"]).json();
    assert_eq!(list.as_array().unwrap().len(), names.len() + 1);
    for name in &names {
        let ended = probed(&test, &["time", "1", name], b"");
        assert_eq!(ended.code, 0, "{name}: {ended}");
    }
}
