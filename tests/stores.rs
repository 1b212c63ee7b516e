//! The vault file: the contract of stores, its three kinds of key, locking, and damage.
//! The contract for the keychain is in `keychain.rs`.

use std::os::unix::fs::PermissionsExt as _;

use crate::desktop::probed;
use crate::harness::{Ended, TOKEN, Test, skip};
use crate::messages::message_in;

const PASSPHRASE: &[u8] = b"correct horse battery";

/// A vault whose key a passphrase opens; false if the kernel keyring cannot be used.
fn with_passphrase(test: &Test) -> bool {
    test.hide(PASSPHRASE);
    let ended = test.feed(&["init", "--store", "file", "--from-stdin"], PASSPHRASE);
    let forbidden = ended.stderr.contains("cannot use the kernel keyring");
    if forbidden {
        skip("keyring", "cannot use the kernel keyring");
    } else {
        assert_eq!(ended.code, 0, "{ended}");
    }
    !forbidden
}

fn vault(test: &Test) -> std::path::PathBuf {
    test.root().join("data/vault.age")
}

#[track_caller]
fn refused(ended: &Ended, code: &str) {
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains(&format!("error[{code}]")), "{ended}");
    // The store is a file here.
    assert!(!ended.stderr.contains("keychain"), "{ended}");
}

#[test]
fn the_contract_of_every_store_holds_for_the_vault_file() {
    let test = Test::new();
    // Without `init`, which creates the master key that must be missing at first.
    let key = test.home.join("vault.key");
    test.init();
    std::fs::remove_file(vault(&test)).unwrap();
    let ended = probed(&test, &["create"], b"");
    assert_eq!(ended.code, 0, "{ended}");
    let ended = probed(&test, &["contract"], b"");
    assert_eq!((ended.code, ended.text()), (0, "contract: ok\n"), "{ended}");
    assert_eq!(
        std::fs::metadata(key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        std::fs::metadata(vault(&test))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
}

#[test]
fn a_passphrase_opens_the_vault_for_every_process_until_lock() {
    let test = Test::new();
    if !with_passphrase(&test) {
        return;
    }
    test.hide(TOKEN);
    let set = |name| test.feed(&["secret", "set", name, "--from-stdin"], TOKEN.as_bytes());
    assert_eq!(set("github/token").code, 0);
    assert!(test.ok(&["status"]).text().contains("kernel keyring"));

    assert_eq!(test.ok(&["lock"]).text(), "locked\n");
    let locked = set("other");
    assert_eq!(locked.code, 2);
    message_in(&test, "store-locked", "store-locked-file", &locked);
    let status = test.cli(&["status", "--json"]);
    assert_eq!(
        (status.code, &status.json()["store"]["error"]),
        (1, &"store-locked".into())
    );
    test.ok(&["secret", "list"]);

    let wrong = test.feed(&["unlock", "--from-stdin"], b"another passphrase\n");
    assert!(wrong.stderr.contains("wrong passphrase"), "{wrong}");
    let right = test.feed(&["unlock", "--from-stdin"], &[PASSPHRASE, b"\n"].concat());
    assert_eq!(right.code, 0, "{right}");
    assert_eq!(set("other").code, 0);
    assert_eq!(probed(&test, &["time", "1", "github/token"], b"").code, 0);
    // A second setup changes nothing and asks nothing.
    test.ok(&["init"]);
    test.ok(&["lock"]);
}

#[test]
fn the_passphrase_is_asked_twice_on_a_terminal() {
    let test = Test::new();
    test.hide(PASSPHRASE);
    let typed = std::str::from_utf8(PASSPHRASE).unwrap();
    let mut terminal = test.terminal(&["init", "--store", "file"]);
    terminal
        .expect("passphrase")
        .enter_hidden(typed)
        .expect("once more")
        .enter_hidden("something else");
    let (code, screen) = terminal.end();
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("the two passphrases differ"), "{screen}");
    assert!(!vault(&test).exists());
    let mut terminal = test.terminal(&["init", "--store", "file"]);
    terminal.expect("passphrase").enter_hidden("1234567890");
    let (code, screen) = terminal.end();
    assert!(code == 2 && screen.contains("secret-weak"), "{screen}");
}

/// `LoadCredentialEncrypted=mcpwrap-key:…` of a systemd unit.
#[test]
fn a_systemd_credential_opens_the_vault() {
    let test = Test::new();
    test.init();
    test.secret("github/token", TOKEN);
    let credentials = test.dir.join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    let key = credentials.join("mcpwrap-key");
    std::fs::rename(test.home.join("vault.key"), &key).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o400)).unwrap();
    // As on a machine where `config.toml` names no key file.
    std::fs::write(test.root().join("config.toml"), "store = \"file\"\n").unwrap();
    refused(
        &test.feed(&["secret", "rotate", "github/token", "--from-stdin"], b""),
        "store-absent",
    );
    test.set("CREDENTIALS_DIRECTORY", &credentials);
    let status = test.ok(&["status"]);
    assert!(status.text().contains("systemd credential"), "{status}");
    assert_eq!(probed(&test, &["time", "1", "github/token"], b"").code, 0);
}

#[test]
fn the_key_file_must_be_private_and_must_fit() {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    let key = test.home.join("vault.key");
    let rotate = || {
        test.feed(
            &["secret", "rotate", "github/token", "--from-stdin"],
            b"value-two",
        )
    };
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&rotate(), "file-not-private");
    std::fs::remove_file(&key).unwrap();
    assert!(rotate().stderr.contains("error[store-broken]"));
    // Another key does not silently create another vault.
    let key = key.display().to_string();
    let again = test.cli(&["init", "--store", "file", "--key-file", &key]);
    assert_eq!(again.code, 2);
    refused(&again, "store-broken");
}

#[test]
fn a_damaged_vault_is_not_overwritten() {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    let mut bytes = std::fs::read(vault(&test)).unwrap();
    bytes.truncate(bytes.len() - 1);
    std::fs::write(vault(&test), &bytes).unwrap();
    for args in [&["secret", "set", "x", "--from-stdin"][..], &["init"]] {
        let ended = test.feed(args, b"value-of-x");
        assert!(ended.stderr.contains("damaged"), "{ended}");
    }
    assert_eq!(std::fs::read(vault(&test)).unwrap(), bytes);
}

#[test]
fn changing_the_store_moves_the_secrets_or_fails() {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    let refused = test.cli(&["init", "--store", "keychain"]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("`mcpwrap secret move keychain`"),
        "{refused}"
    );
    // There is no keychain here: nothing is moved, and nothing is lost.
    let refused = test.cli(&["secret", "move", "keychain", "--yes"]);
    assert!(refused.stderr.contains("error[store-absent]"), "{refused}");
    assert_eq!(probed(&test, &["time", "1", "github/token"], b"").code, 0);
}

/// `MCPWRAP_HOME` on a machine without a setup.
#[test]
fn before_init_the_hint_is_init() {
    let test = Test::new();
    std::fs::create_dir(test.root()).unwrap();
    std::fs::write(test.root().join("config.toml"), "store = \"file\"\n").unwrap();
    let ended = test.feed(&["secret", "set", "x", "--from-stdin"], b"value-of-x");
    assert!(ended.stderr.contains("error[store-absent]"), "{ended}");
    assert!(
        ended.stderr.contains("`mcpwrap init --store file`"),
        "{ended}"
    );
}

#[test]
fn twenty_at_once_lose_nothing() {
    let test = Test::new();
    test.init();
    test.hide(TOKEN);
    let names: Vec<_> = (0..20).map(|n| format!("parallel/{n}")).collect();
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
    assert_eq!(list.as_array().unwrap().len(), 20);
    let mut words = vec!["time", "1"];
    words.extend(names.iter().map(String::as_str));
    assert_eq!(probed(&test, &words, b"").code, 0);
}
