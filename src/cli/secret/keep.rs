//! What the verbs share that store something: the value, the checks, the record, the index.
//!
//! *Always* writes the audit record before the store is changed: no record, no change. When the
//! change then fails, a second record says so.

use std::io::Read as _;

use zeroize::Zeroizing;

use crate::audit::{Detail, Entry, Event, Log, Outcome, SecretUse};
use crate::cli::{ask, print};
use crate::config::Config;
use crate::dirs::{self, Dirs};
use crate::error::{Code, Error, Result};
use crate::files::io_text;
use crate::grant::By;
use crate::policy;
use crate::secret::{Fingerprint, Keys, Secret, SecretName, ServerName};
use crate::store::{self, Index, Item, Prompt, Store};

/// Larger values are refused (bytes).
const VALUE_BYTES_MAX: usize = 1 << 20;

/// One secret that is to be stored.
pub(in crate::cli) struct Change {
    pub(in crate::cli) event: Event,
    pub(in crate::cli) name: SecretName,
    pub(in crate::cli) item: Item,
}

/// How the user is to be asked, and whether a script may answer.
///
/// # Errors
/// `yes-refused`, which is written down.
pub(super) fn approval(
    dirs: &Dirs,
    config: &Config,
    flag: Option<&str>,
    wanted: &[(Event, SecretName)],
) -> Result<By> {
    let Some(flag) = flag else {
        return Ok(By::Terminal);
    };
    let Err(refusal) = ask::yes_allowed(config, flag) else {
        return Ok(By::Yes);
    };
    // Whoever tried leaves a trace, also while the store is locked.
    let keys = store::open(dirs, config, Prompt::Never).and_then(|store| store::keys(&*store));
    let entries: Vec<_> = wanted
        .iter()
        .map(|(event, name)| {
            entry(*event, Outcome::Refused, name, None, By::Yes).reason(refusal.code.name())
        })
        .collect();
    Log::open(dirs, keys.as_ref().ok())?.append(&entries)?;
    Err(refusal)
}

/// Asks for a value, or reads it from stdin. There, one newline at the very end is no part of it.
pub(super) fn value(question: &str, from_stdin: bool) -> Result<Secret> {
    if !from_stdin {
        return ask::hidden(question);
    }
    // As large as it can get, so that it never grows, which would leave a copy in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(VALUE_BYTES_MAX + 2));
    let limit = u64::try_from(VALUE_BYTES_MAX + 2).unwrap_or(u64::MAX);
    std::io::stdin()
        .lock()
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| {
            Error::new(Code::FileUnusable, "no value read from stdin").cause(io_text(&error))
        })?;
    let value = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    if value.len() > VALUE_BYTES_MAX {
        return Err(Error::new(Code::SecretUnusable, "the value was not stored")
            .cause("it is larger than 1 MiB"));
    }
    Ok(Secret::new(value.to_vec()))
}

/// Whether a value can be a secret at all.
///
/// # Errors
/// `secret-weak`.
pub(super) fn check(name: &SecretName, value: &Secret, allow_weak: bool) -> Result<()> {
    let refused =
        |cause: &str| Error::new(Code::SecretWeak, format!("`{name}` was not stored")).cause(cause);
    if value.is_empty() {
        return Err(refused("the value is empty"));
    }
    if value.is_weak() && !allow_weak {
        return Err(refused(
            "the value has fewer than 8 bytes or is made of digits only: masking it would break \
             messages that hold the same characters by chance",
        )
        .hint("if it is a secret nevertheless, add `--allow-weak`"));
    }
    if value.has_nul() {
        print::warning(&format!(
            "the value of `{name}` has a NUL byte: only a slot with `to = \"file\"` can use it"
        ));
    }
    Ok(())
}

/// Writes the records, stores the secrets and notes them in the index.
pub(in crate::cli) fn keep(
    dirs: &Dirs,
    store: &dyn Store,
    by: By,
    changes: &[Change],
) -> Result<Vec<Fingerprint>> {
    let keys = store::keys_or_create(store)?;
    let prints: Vec<_> = changes
        .iter()
        .map(|c| keys.fingerprint(&c.item.value))
        .collect();
    let log = Log::open(dirs, Some(&keys))?;
    let entries: Vec<_> = changes
        .iter()
        .zip(&prints)
        .map(|(change, print)| {
            entry(change.event, Outcome::Ok, &change.name, Some(print), by)
                .profile(change.item.profile.as_ref())
        })
        .collect();
    log.append(&entries)?;
    let mut done = 0;
    let mut answer = Ok(());
    for change in changes {
        answer = store.put(&change.name, &change.item);
        if answer.is_err() {
            break;
        }
        done += 1;
    }
    Index::update(dirs, |index| {
        for (change, print) in changes.iter().zip(&prints).take(done) {
            let Item {
                profile, expires, ..
            } = &change.item;
            index.note(&change.name, print.clone(), profile.clone(), *expires);
        }
    })?;
    if let Err(error) = answer {
        let failed: Vec<_> = changes
            .iter()
            .skip(done)
            .map(|change| {
                entry(change.event, Outcome::Failed, &change.name, None, by)
                    .reason(error.code.name())
            })
            .collect();
        log.append(&failed)?;
        return Err(error);
    }
    Ok(prints)
}

/// A record about one secret.
pub(super) fn entry(
    event: Event,
    outcome: Outcome,
    name: &SecretName,
    fingerprint: Option<&Fingerprint>,
    by: By,
) -> Entry {
    let detail = Detail {
        by: Some(by.name().to_owned()),
        agent: dirs::agent_variable().map(str::to_owned),
        ..Detail::default()
    };
    let secret = SecretUse {
        name: name.clone(),
        variable: None,
        fingerprint: fingerprint.cloned(),
    };
    Entry::new(event, outcome).secret(secret).detail(detail)
}

/// The keys if the store can be used without asking, for records that are written anyway.
pub(super) fn keys_if_open(dirs: &Dirs, config: &Config) -> Option<Keys> {
    let store = store::open(dirs, config, Prompt::Never).ok()?;
    store::keys(&*store).ok()
}

/// The servers whose policies name a secret, in any profile.
pub(super) fn users(dirs: &Dirs, name: &SecretName) -> Vec<ServerName> {
    let quoted = [format!("\"secret:{name}\""), format!("'secret:{name}'")];
    policy::list(dirs)
        .into_iter()
        .filter(|(_, policy)| {
            policy
                .as_ref()
                .is_ok_and(|policy| quoted.iter().any(|q| policy.text.contains(q)))
        })
        .map(|(server, _)| server)
        .collect()
}

/// "server `a`" or "servers `a`, `b`".
pub(super) fn servers(servers: &[ServerName]) -> String {
    let names: Vec<_> = servers.iter().map(|server| format!("`{server}`")).collect();
    format!(
        "server{} {}",
        if names.len() == 1 { "" } else { "s" },
        names.join(", ")
    )
}

/// Today where the user is: expiry dates are days.
pub(super) fn today() -> jiff::civil::Date {
    jiff::ZonedDateTime::now().date()
}
