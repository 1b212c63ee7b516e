//! The keychain of Linux: the Secret Service on the session bus, and what its failures mean.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keyring_core::Error as CoreError;

use super::OpenedKeychain;
use super::secret_service::{
    BusFault, Provider, SecretServiceStore, ServiceError, ServiceFailure, ServiceOptions,
};
use crate::dirs;
use crate::error::{Code, Error, printable};
use crate::store::{ANSWER_MS, Prompt};

/// How long a prompt of the keychain may stay open (seconds).
const PROMPT_S: u64 = 60;

pub(super) fn open(prompt: Prompt) -> Result<OpenedKeychain, CoreError> {
    let store = connect(prompt)?;
    Ok(OpenedKeychain {
        batch: Box::new(store.clone()),
        store: Arc::new(store),
    })
}

/// Checks that the keychain exists and is unlocked. Accesses no item.
pub(super) fn probe() -> Result<(), CoreError> {
    connect(Prompt::Never)?.check()
}

fn connect(prompt: Prompt) -> Result<SecretServiceStore, CoreError> {
    SecretServiceStore::connect(ServiceOptions {
        addresses: addresses(),
        wait: Duration::from_millis(ANSWER_MS),
        prompt: match prompt {
            Prompt::Never => None,
            Prompt::Allowed => Some(Duration::from_secs(PROMPT_S)),
        },
    })
}

/// The possible addresses of the session bus: the one in the environment, or else the socket in the
/// session's directory, where all current systems have it.
fn addresses() -> Vec<String> {
    if let Some(address) = dirs::session_bus() {
        return vec![address.to_string_lossy().into_owned()];
    }
    let sockets = dirs::session_directories()
        .into_iter()
        .map(|dir| dir.join("bus"));
    sockets
        .filter(|path| path.exists())
        .map(|path| address_of(&path))
        .collect()
}

/// A path as an address, escaped as the specification requires.
fn address_of(path: &Path) -> String {
    let mut address = String::from("unix:path=");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'/' | b'.' => {
                address.push(char::from(*byte));
            }
            other => {
                address.push('%');
                address.push_str(&crate::secret::hex(&[*other]));
            }
        }
    }
    address
}

/// The message for each kind of failure.
pub(super) fn explain(error: &CoreError) -> Error {
    let failure = match error {
        CoreError::PlatformFailure(inner) | CoreError::NoStorageAccess(inner) => {
            inner.downcast_ref::<ServiceFailure>()
        }
        _ => None,
    };
    match failure {
        Some(failure) => described(&failure.error, failure.provider.as_ref()),
        // The other variants may contain the value itself.
        None => {
            Error::new(Code::StoreFailed, "cannot use the keychain").cause("unknown item format")
        }
    }
}

fn described(error: &ServiceError, provider: Option<&Provider>) -> Error {
    let what = "cannot use the keychain";
    match error {
        ServiceError::Locked => Error::new(Code::StoreLocked, "the keychain is locked")
            .cause(format!(
                "{} is locked, and prompting is disabled here",
                words(provider).place
            ))
            .hint(words(provider).unlock),
        ServiceError::Unconfirmed => Error::new(Code::StoreLocked, "the keychain is locked")
            .cause("KeePassXC asks before each access, and prompting is disabled here")
            .hint(
                "in KeePassXC, turn off `Settings > Secret Service Integration > Confirm when passwords are \
                 retrieved by clients`",
            ),
        ServiceError::Dismissed => Error::new(Code::StoreDenied, "the keychain was not unlocked")
            .cause("its prompt was dismissed, or there is no display")
            .hint(words(provider).unlock),
        ServiceError::Unanswered(limit) => {
            Error::new(Code::StoreTimeout, "the keychain was not unlocked")
                .cause(format!(
                    "its prompt was not answered within {} s",
                    limit.as_secs()
                ))
                .hint("run the command again, and answer the prompt that the desktop shows")
        }
        ServiceError::NoCollection => Error::new(Code::StoreAbsent, what)
            .cause("no default collection to store secrets in")
            .hint(words(provider).create)
            .hint(WITHOUT_DESKTOP),
        ServiceError::Fault(fault) => faulty(fault, provider),
        ServiceError::NoItem | ServiceError::Ambiguous(_) => {
            Error::new(Code::StoreFailed, what).cause("another program changed the item meanwhile")
        }
    }
}

const WITHOUT_DESKTOP: &str =
    "without a desktop, run `mcpwrap init --store file` to use the vault file";

fn faulty(fault: &BusFault, provider: Option<&Provider>) -> Error {
    let what = "cannot use the keychain";
    match fault {
        BusFault::Absent(fact) => Error::new(Code::StoreAbsent, what)
            .cause(fact)
            .hint(WITHOUT_DESKTOP),
        BusFault::Hanging(who) => {
            let words = words(provider);
            let who = provider.map_or((*who).to_owned(), |_| words.name);
            Error::new(Code::StoreTimeout, what)
                .cause(format!(
                    "{who} did not answer within {} s",
                    ANSWER_MS / 1000
                ))
                .hint(words.wake)
        }
        BusFault::Gone(fact) => Error::new(Code::StoreFailed, what)
            .cause(format!("{fact}, again after a reconnect"))
            .hint("run the command again; `mcpwrap status` shows whether the keychain works"),
        BusFault::Refused(name, text) => {
            let denied = name.ends_with(".AccessDenied");
            let code = if denied {
                Code::StoreDenied
            } else {
                Code::StoreFailed
            };
            Error::new(code, what).cause(format!("the keychain answered `{name}`: {text}"))
        }
    }
}

/// How to speak of a program.
struct ProviderWords {
    name: String,
    /// What is locked.
    place: String,
    unlock: String,
    /// How to get a default collection.
    create: String,
    /// What to do if it does not answer.
    wake: String,
}

fn words(provider: Option<&Provider>) -> ProviderWords {
    let of = |[name, place, unlock, create, wake]: [&str; 5]| ProviderWords {
        name: name.to_owned(),
        place: place.to_owned(),
        unlock: unlock.to_owned(),
        create: create.to_owned(),
        wake: wake.to_owned(),
    };
    let look = "run `busctl --user status org.freedesktop.secrets` to see which program hangs";
    match provider {
        Some(Provider::GnomeKeyring) => of([
            "gnome-keyring",
            "the login keyring of gnome-keyring",
            "log in on the desktop once, or run `gnome-keyring-daemon --replace --unlock`",
            "log in on the desktop once, or create one in Seahorse",
            "run `gnome-keyring-daemon --replace --unlock` to replace it",
        ]),
        Some(Provider::KWallet(_)) => of([
            "KWallet",
            "the wallet of KWallet",
            "open the wallet in KWalletManager, or log in on the desktop with its password",
            "create a wallet in KWalletManager",
            "answer the dialog that KWallet shows",
        ]),
        Some(Provider::KeePassXc) => of([
            "KeePassXC",
            "the database of KeePassXC",
            "unlock the database in KeePassXC",
            "open a database in KeePassXC, and expose a group under `Database Settings > Secret Service \
             Integration`",
            "answer the dialog that KeePassXC shows",
        ]),
        Some(Provider::Other(name)) => {
            let name = printable(name);
            let unlock = format!("unlock it in `{name}`, which is the keychain here");
            let create = format!("create one in `{name}`, which is the keychain here");
            of([&name, "the default collection", &unlock, &create, look])
        }
        None => of([
            "the keychain",
            "the default collection",
            "log in on the desktop once",
            "log in on the desktop once",
            look,
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_in_addresses() {
        let case = |path: &str, address: &str| assert_eq!(address_of(Path::new(path)), address);
        case("/run/user/1000/bus", "unix:path=/run/user/1000/bus");
        case("/tmp/a b,c=d;e/bus", "unix:path=/tmp/a%20b%2cc%3dd%3be/bus");
    }

    #[test]
    fn a_message_names_the_program_that_is_there() {
        let other = Provider::Other("oo7-daemon\u{1b}[31m".to_owned());
        for (provider, name) in [
            (Provider::GnomeKeyring, "gnome-keyring"),
            (Provider::KWallet("kwalletd6".to_owned()), "KWallet"),
            (Provider::KeePassXc, "KeePassXC"),
            (other, "oo7-daemon"),
        ] {
            for error in [
                ServiceError::Locked,
                ServiceError::Fault(BusFault::Hanging("the keychain")),
            ] {
                let text = described(&error, Some(&provider)).to_string();
                assert!(text.contains(name) && !text.contains('\u{1b}'), "{text}");
                let other = name != "gnome-keyring" && text.contains("gnome-keyring");
                assert!(!other, "{text}");
            }
        }
    }
}
