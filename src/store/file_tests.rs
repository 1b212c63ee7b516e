//! The vault file: keys, damage, locking, writers at the same time.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

fn vault(home: &std::path::Path) -> (Dirs, Config) {
    let dirs = Dirs::under(home);
    let config = Config {
        key_file: Some("~/key".into()),
        ..Config::default()
    };
    assert!(vault_key::prepare_key_file(&dirs, &home.join("key")).unwrap());
    create_vault(&dirs, &config).unwrap();
    (dirs, config)
}

fn item(value: &[u8]) -> SecretItem {
    SecretItem::plain(Secret::new(value.to_vec()))
}

#[test]
fn the_key_must_match_the_vault() {
    let home = tempfile::tempdir().unwrap();
    let (dirs, config) = vault(home.path());
    let name: SecretName = "a/b".parse().unwrap();
    open(&dirs, &config, Prompt::Never)
        .unwrap()
        .put(&name, &item(b"value-one"))
        .unwrap();
    // A second setup changes nothing.
    assert!(!vault_key::prepare_key_file(&dirs, &home.path().join("key")).unwrap());
    create_vault(&dirs, &config).unwrap();
    let store = open(&dirs, &config, Prompt::Never).unwrap();
    assert_eq!(store.get(&name).unwrap(), item(b"value-one"));

    let other = Config {
        key_file: Some("~/other".into()),
        ..Config::default()
    };
    let missing = open(&dirs, &other, Prompt::Never).unwrap_err();
    assert_eq!(missing.code, Code::StoreBroken);
    let path = home.path().join("other");
    assert!(
        vault_key::prepare_key_file(&dirs, &path).is_err(),
        "a new key cannot fit"
    );
    vault_key::prepare_key_file(&Dirs::under(&home.path().join("else")), &path).unwrap();
    let store = open(&dirs, &other, Prompt::Never).unwrap();
    let error = store.get(&name).unwrap_err();
    assert_eq!(error.code, Code::StoreBroken);
    assert!(error.to_string().contains("another key"), "{error}");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let (dirs, config) = vault(home.path());
    let readable = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(home.path().join("key"), readable).unwrap();
    let error = open(&dirs, &config, Prompt::Never).unwrap_err();
    assert_eq!(error.code, Code::FileNotPrivate);
    assert!(error.to_string().contains("0640"), "{error}");
}

#[test]
fn a_damaged_vault_is_an_error_and_is_not_overwritten() {
    let home = tempfile::tempdir().unwrap();
    let (dirs, config) = vault(home.path());
    let name: SecretName = "a".parse().unwrap();
    open(&dirs, &config, Prompt::Never)
        .unwrap()
        .put(&name, &item(b"value-one"))
        .unwrap();
    let whole = std::fs::read(dirs.vault_file()).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for bytes in [
        &whole[..0],
        &whole[..whole.len() / 2],
        &whole[..whole.len() - 1],
        &flipped,
    ] {
        files::replace(&dirs.vault_file(), bytes).unwrap();
        let store = open(&dirs, &config, Prompt::Never).unwrap();
        assert_eq!(store.get(&name).unwrap_err().code, Code::StoreBroken);
        assert_eq!(
            store.put(&name, &item(b"x")).unwrap_err().code,
            Code::StoreBroken
        );
        assert!(create_vault(&dirs, &config).is_err());
        assert_eq!(std::fs::read(dirs.vault_file()).unwrap(), bytes);
    }
}

#[test]
fn without_a_vault_the_hint_is_init() {
    let home = tempfile::tempdir().unwrap();
    let dirs = Dirs::under(home.path());
    let error = open(&dirs, &Config::default(), Prompt::Never).unwrap_err();
    assert_eq!(error.code, Code::StoreAbsent);
}

#[test]
fn twenty_writers_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (dirs, config) = vault(home.path());
    std::thread::scope(|scope| {
        for n in 0..20 {
            let (dirs, config) = (&dirs, &config);
            scope.spawn(move || {
                let name = SecretName::new(&format!("n{n}")).unwrap();
                let store = open(dirs, config, Prompt::Never).unwrap();
                store.put(&name, &item(b"value-one")).unwrap();
            });
        }
    });
    assert_eq!(
        open(&dirs, &config, Prompt::Never)
            .unwrap()
            .names()
            .unwrap()
            .len(),
        20
    );
}

#[test]
fn a_passphrase_opens_the_vault_until_it_is_locked() {
    let home = tempfile::tempdir().unwrap();
    let (dirs, config) = (Dirs::under(home.path()), Config::default());
    let passphrase = Secret::new(b"correct horse".to_vec());
    if vault_key::prepare_passphrase(&dirs, &passphrase).is_err() {
        return; // A container without access to the kernel keyring: the error is tested elsewhere.
    }
    create_vault(&dirs, &config).unwrap();
    assert!(
        vault_key::prepare_passphrase(&dirs, &passphrase).is_err(),
        "not twice"
    );
    assert!(vault_key::lock(&dirs).unwrap());
    let locked = open(&dirs, &config, Prompt::Never).unwrap_err();
    assert_eq!(locked.code, Code::StoreLocked);
    let wrong = vault_key::unlock(&dirs, &Secret::new(b"wrong".to_vec())).unwrap_err();
    assert!(wrong.to_string().contains("wrong passphrase"), "{wrong}");
    vault_key::unlock(&dirs, &passphrase).unwrap();
    assert_eq!(
        open(&dirs, &config, Prompt::Never)
            .unwrap()
            .master()
            .unwrap(),
        None
    );
    assert!(vault_key::lock(&dirs).unwrap());
}
