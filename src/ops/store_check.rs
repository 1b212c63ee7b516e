//! Asks a store whether it can be used now.
//!
//! Invariant: what the store needs of the local one leaves mcpwrap only if a verified grant covers the
//! definition of the store, or if the user agrees; each secret is recorded first.

use std::sync::Arc;
use std::time::Instant;

use super::actor::Actor;
use crate::audit::{Destination, Log, NewRecord, SecretUse};
use crate::config::Config;
use crate::config::stores::DIALOG_LIMIT;
use crate::detect;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::grant;
use crate::mask::{Masker, TextMask};
use crate::network::{self, NetworkRecord};
use crate::policy;
use crate::secret::{Keys, Secret, SecretName, StoreName};
use crate::store::source::{StoreCheck, StoreNetwork, StoreSetup};
use crate::store::types::{LocalValues, NamedStore, own_secrets};
use crate::store::{self, Index, Prompt};

/// The most of what a program wrote to stderr that is shown (bytes).
const SAID_MAX: usize = 400;

/// What a store answered.
#[derive(Debug)]
pub struct StoreReport {
    /// Why it cannot be used, if it cannot.
    pub answer: Result<StoreCheck>,
    /// The end of what its program wrote to stderr, if it failed: masked, but not escaped.
    pub said: Option<String>,
}

/// What a store needs besides its definition.
#[derive(Default)]
struct StoreNeeds {
    secrets: LocalValues,
    network: StoreNetwork,
}

/// Asks a store whether it can be used now. Then wakes the sessions that wait for it. `may_use` is
/// called for a store that gets secrets and that no granted policy covers.
///
/// # Errors
/// `store-…`, `network-changed`, those of `may_use`, and those of the local store.
pub fn check(
    dirs: &Dirs,
    config: &Config,
    name: &StoreName,
    is_interactive: bool,
    may_use: &dyn Fn(&NamedStore<'_>) -> Result<()>,
) -> Result<StoreReport> {
    let store = NamedStore::find(config, name)?;
    let needs = needs(dirs, config, &store, may_use)?;
    let secrets = own_secrets(&store, &needs.secrets)?;
    let setup = StoreSetup {
        name,
        definition: store.definition,
        secrets: &secrets,
        dirs,
        network: &needs.network,
        is_interactive,
        waits: None,
    };
    let limit = if is_interactive {
        DIALOG_LIMIT
    } else {
        store.definition.deadline()
    };
    let source = store.open(&setup)?;
    let mut answer = source.check(Instant::now() + limit);
    let Err(error) = &mut answer else {
        // Suspended sessions watch the index.
        Index::update(dirs, |_| ())?;
        return Ok(StoreReport { answer, said: None });
    };
    let own: Vec<_> = secrets.iter().collect();
    let said = source.diagnostics().map(|text| masked(&text, &own));
    // What this is.
    let this = format!("run `mcpwrap store check {name}`");
    error.hints.retain(|hint| !hint.starts_with(&this));
    let has_told = said.as_ref().is_some_and(|text| !text.is_empty());
    if let Some(program) = (store.kind.program)(store.definition)
        && error.hints.is_empty()
        && !has_told
    {
        let hint = format!("run `{}` yourself to see what it does", program.display());
        error.hints.push(hint);
    }
    Ok(StoreReport { answer, said })
}

/// The end of a text without these secrets, and without what looks like one.
fn masked(text: &str, secrets: &[(&SecretName, &Secret)]) -> String {
    let labelled: Vec<_> = secrets
        .iter()
        .map(|(name, secret)| (name.to_string(), *secret))
        .collect();
    let mut mask = TextMask::new(Arc::new(Masker::new(&labelled)));
    let mut out = Vec::new();
    mask.write(text.as_bytes(), &mut out);
    mask.flush(&mut out);
    let text = String::from_utf8_lossy(&out);
    let words: Vec<&str> = text.split_whitespace().collect();
    let verdicts = detect::arguments(&words);
    let words = words.iter().zip(verdicts).map(|(word, verdict)| {
        if verdict.secrets().is_empty() {
            *word
        } else {
            "[masked]"
        }
    });
    let text = words.collect::<Vec<_>>().join(" ");
    let start = text.len().saturating_sub(SAID_MAX);
    let start = (start..=text.len()).find(|at| text.is_char_boundary(*at));
    text.get(start.unwrap_or_default()..)
        .unwrap_or_default()
        .to_owned()
}

fn needs(
    dirs: &Dirs,
    config: &Config,
    store: &NamedStore<'_>,
    may_use: &dyn Fn(&NamedStore<'_>) -> Result<()>,
) -> Result<StoreNeeds> {
    let record = network::find(dirs)?;
    let of_network: Vec<_> = record.iter().flat_map(NetworkRecord::secrets).collect();
    let own: Vec<_> = store.definition.secrets().into_iter().collect();
    // A store that needs nothing of the local one can be checked while that is locked.
    if record.is_none() && own.is_empty() {
        return Ok(StoreNeeds::default());
    }
    let local = store::open(dirs, config, Prompt::Allowed)?;
    let keys = store::keys(&*local)?;
    if !own.is_empty() && !is_granted(dirs, config, store, &keys) {
        may_use(store)?;
    }
    let names: Vec<_> = own.iter().chain(&of_network).cloned().collect();
    let items = local.get_all(&names)?.items;
    let mut needs = StoreNeeds {
        secrets: names.into_iter().zip(items).collect(),
        ..StoreNeeds::default()
    };
    if record.is_some() {
        let network = network::verify(dirs, record, &keys)?;
        needs.network = network::for_stores(&network, &needs.secrets)?;
    }
    needs.secrets.retain(|name, _| own.contains(name));
    record_release(dirs, store.name, &needs.secrets, &keys)?;
    Ok(needs)
}

/// Whether a granted policy covers the store as it is defined now, with its program.
fn is_granted(dirs: &Dirs, config: &Config, store: &NamedStore<'_>, keys: &Keys) -> bool {
    let users = super::stores::users(dirs, config, store.name);
    users.iter().any(|server| {
        let Ok(policy) = policy::load(dirs, server, None) else {
            return false;
        };
        // This compares the definitions of the stores too.
        let Ok(grant) = grant::find(dirs, &policy) else {
            return false;
        };
        let Some(invocation) = grant.invocation() else {
            return config.managed_stores.contains(store.name);
        };
        grant.verify(keys).is_ok() && invocation.verify_store_programs(&policy).is_ok()
    })
}

fn record_release(dirs: &Dirs, name: &StoreName, secrets: &LocalValues, keys: &Keys) -> Result<()> {
    let records: Vec<_> = secrets
        .iter()
        .filter_map(|(secret, item)| {
            let secret = SecretUse {
                name: secret.clone().into(),
                variable: None,
                fingerprint: Some(keys.fingerprint(&item.as_ref().ok()?.value)),
            };
            let to = Destination::Store(name.as_str());
            Some(NewRecord::release(secret, to, Actor::unasked().detail()))
        })
        .collect();
    Log::open(dirs, Some(keys))?.append(&records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_says_is_masked_and_short() {
        let name = SecretName::new("op/token").unwrap();
        let value = Secret::new(b"an own value 1".to_vec());
        let token = format!("ghp_{}", "a1B2".repeat(9));
        let said = format!(
            "{} bad token: {token}, or an own value 1?\n",
            "é ".repeat(400)
        );
        let shown = masked(&said, &[(&name, &value)]);
        assert!(shown.ends_with("or [secret op/token]?"), "{shown}");
        assert!(
            shown.contains("bad token: [masked]") && shown.len() <= SAID_MAX,
            "{shown}"
        );
    }
}
