//! Accesses a store like the modules of mcpwrap, for tests: no command of mcpwrap prints a value.
//!
//! `store-probe contract` checks the contract of every store on the one in `config.toml`. `create`
//! creates an empty vault. `get NAME` prints a value, `put NAME` reads one from stdin, `unlock`
//! lets the keychain prompt. `time N NAME…` prints how long it takes to open the store and read all
//! (µs). `keyring` checks the contract of `keyring-core` on the keychain.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a program for tests, which may fail loudly"
)]

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use keyring_core::{CredentialStore, Error as CoreError};
use mcpwrap::testing::config::Config;
use mcpwrap::testing::dirs::Dirs;
use mcpwrap::testing::error::{Code, Error, Result};
use mcpwrap::testing::secret::{Secret, SecretName};
use mcpwrap::testing::store::{self, Prompt, SecretItem, Store};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match act(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{error}");
            ExitCode::from(2)
        }
    }
}

fn act(words: &[&str]) -> Result<()> {
    let dirs = Dirs::from_env()?;
    let config = Config::load(&dirs)?;
    let open = |prompt| store::open(&dirs, &config, prompt);
    match words {
        ["keyring"] => {
            keyring(&store::credential_store(Prompt::Never)?);
            println!("keyring: ok");
            Ok(())
        }
        ["contract"] => contract(&*open(Prompt::Never)?),
        ["get", name] => {
            let item = open(Prompt::Never)?.get(&name.parse()?)?;
            std::io::stdout().write_all(item.value.expose()).unwrap();
            Ok(())
        }
        // An empty vault, without the master key that `init` creates.
        ["create"] => store::create_vault(&dirs, &config),
        ["unlock", name] => open(Prompt::Allowed)?.get(&name.parse()?).map(drop),
        ["put", name] => {
            let mut value = Vec::new();
            std::io::stdin().read_to_end(&mut value).unwrap();
            open(Prompt::Never)?.put(&name.parse()?, &item(&value))
        }
        // Reads once per line of stdin, with one open store, so that a test can act in between.
        ["again", name] => {
            let store = open(Prompt::Never)?;
            for line in std::io::stdin().lines() {
                drop(line.unwrap());
                match store.get(&name.parse()?) {
                    Ok(_) => println!("ok"),
                    Err(error) => println!("{}", error.code),
                }
            }
            Ok(())
        }
        ["time", rounds, names @ ..] => {
            let names: Vec<SecretName> = names.iter().map(|name| name.parse().unwrap()).collect();
            for _ in 0..rounds.parse().unwrap() {
                let start = Instant::now();
                let batch = open(Prompt::Never)?.get_all(&names)?;
                println!("{}", start.elapsed().as_micros());
                for item in batch.items {
                    item?;
                }
            }
            Ok(())
        }
        _ => Err(Error::new(
            Code::Usage,
            "store-probe: contract | keyring | get | put | again | time",
        )),
    }
}

fn item(value: &[u8]) -> SecretItem {
    SecretItem {
        value: Secret::new(value.to_vec()),
        profile: None,
        expires: None,
    }
}

/// The contract of every store. The store is empty before and after.
fn contract(store: &dyn Store) -> Result<()> {
    let name = |text: &str| SecretName::new(text).unwrap();
    let (one, two) = (name("contract/one"), name("contract/two"));
    assert_eq!(store.names()?, []);
    assert_eq!(store.get(&one).unwrap_err().code, Code::SecretNotFound);
    assert_eq!(store.remove(&one).unwrap_err().code, Code::SecretNotFound);

    // The master key is stored, but not listed among the secrets.
    assert_eq!(store.master()?, None);
    assert_eq!(store::keys(store).unwrap_err().code, Code::NotSetUp);
    let keys = store::keys_or_create(store)?;
    assert_eq!(*store::keys(store)?.seal, *keys.seal);
    assert_eq!(*store::keys_or_create(store)?.audit, *keys.audit);
    assert_eq!(store.names()?, []);

    // Values are bytes.
    for value in values() {
        store.put(&one, &item(&value))?;
        assert!(store.get(&one)? == item(&value), "a value did not survive");
    }

    // A second secret, replacement, and metadata.
    let full = SecretItem {
        profile: Some("prod".parse().unwrap()),
        expires: Some("2027-02-28".parse().unwrap()),
        ..item(b"another value")
    };
    store.put(&two, &full)?;
    assert_eq!(store.get(&two)?, full);
    store.put(&two, &item(b"third value"))?;
    assert_eq!(store.get(&two)?, item(b"third value"));
    store.put(&two, &full)?;
    assert_eq!(store.get(&two)?, full);
    assert_eq!(store.names()?, [one.clone(), two.clone()]);

    // Several at once: in order, with an error only for the missing one.
    let three = name("contract/three");
    let batch = store.get_all(&[two.clone(), three.clone(), one.clone()])?;
    assert_eq!(*batch.keys()?.seal, *keys.seal);
    assert_eq!(batch.items[0].as_ref().unwrap(), &full);
    assert_eq!(
        batch.items[1].as_ref().unwrap_err().code,
        Code::SecretNotFound
    );
    assert_eq!(batch.items[2].as_ref().unwrap(), &store.get(&one)?);
    assert!(store.get_all(&[])?.items.is_empty());

    store.remove(&one)?;
    assert_eq!(store.names()?, std::slice::from_ref(&two));
    assert_eq!(store.get(&one).unwrap_err().code, Code::SecretNotFound);
    store.remove(&two)?;
    assert_eq!(store.names()?, []);
    println!("contract: ok");
    Ok(())
}

/// The contract of `keyring-core`, which other programs would rely on.
fn keyring(store: &Arc<CredentialStore>) {
    let service = "mcpwrap-probe";
    let entry = |modifiers: &[(&str, &str)]| {
        let modifiers: HashMap<_, _> = modifiers.iter().copied().collect();
        store.build(service, "user", Some(&modifiers))
    };
    let plain = entry(&[]).unwrap();
    assert!(matches!(entry(&[("x", "y")]), Err(CoreError::Invalid(..))));
    assert!(matches!(plain.get_secret(), Err(CoreError::NoEntry)));
    assert!(matches!(plain.delete_credential(), Err(CoreError::NoEntry)));
    plain.set_password("first").unwrap();
    plain.set_password("second").unwrap();
    assert_eq!(plain.get_password().unwrap(), "second");

    // Attributes are added; those that name the credential stay.
    let color = HashMap::from([("color", "red")]);
    plain.update_attributes(&color).unwrap();
    let all = plain.get_attributes().unwrap();
    assert_eq!((&*all["color"], &*all["username"]), ("red", "user"));
    let naming = HashMap::from([("username", "other")]);
    let refused = plain.update_attributes(&naming);
    assert!(matches!(refused, Err(CoreError::Invalid(..))));
    plain.set_secret(&[0xff, 0xfe, 0]).unwrap();
    assert!(matches!(
        plain.get_password(),
        Err(CoreError::BadEncoding(_))
    ));
    assert_eq!(plain.get_attributes().unwrap()["color"], "red");

    // A found credential is the same one.
    let found = store.search(&HashMap::from([("color", "red")])).unwrap();
    assert_eq!(found.len(), 1);
    let names = found[0].get_specifiers().unwrap();
    assert_eq!((&*names.0, &*names.1), (service, "user"));
    found[0].set_password("third").unwrap();
    assert_eq!(
        plain.get_credential().unwrap().get_password().unwrap(),
        "third"
    );

    // Another item of the same names.
    let other = entry(&[("target", "elsewhere"), ("label", "a label")]).unwrap();
    other.set_password("other").unwrap();
    assert_eq!(other.get_password().unwrap(), "other");
    let Err(CoreError::Ambiguous(both)) = plain.get_secret() else {
        panic!("two items are ambiguous");
    };
    assert_eq!(both.len(), 2);
    other.delete_credential().unwrap();
    assert_eq!(plain.get_password().unwrap(), "third");
    plain.delete_credential().unwrap();
    for gone in found.iter().chain(&both) {
        assert!(matches!(gone.get_secret(), Err(CoreError::NoEntry)));
    }
    let left = store.search(&HashMap::from([("service", service)]));
    assert!(left.unwrap().is_empty());
}

fn values() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = [
        "plain-value",
        "a=b=c",
        " spaces around ",
        "\"quotes\" and 'more'",
        "line\nline\n",
        "ü€😀",
        "\t\r\u{7f}\\",
        "",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    values.push(vec![0xff, 0xfe, 0x00, 0x80, 0x0a]);
    values.push((0..=255).collect());
    values.push(
        (0..65_536_u32)
            .map(|n| u8::try_from(n * 7 % 251).unwrap())
            .collect(),
    );
    values
}
