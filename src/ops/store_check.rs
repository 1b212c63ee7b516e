//! Asks a store whether it can be used now.
//!
//! Invariant: what the store needs of the local one leaves mcpwrap only if a verified grant covers the
//! definition of the store, or if the user agrees; each secret is recorded first.

use std::time::{Duration, Instant};

use super::actor::Actor;
use crate::audit::{Destination, Log, NewRecord, SecretUse};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::grant;
use crate::network::{self, NetworkRecord};
use crate::policy;
use crate::secret::{Keys, StoreName};
use crate::store::source::{StoreNetwork, StoreSetup};
use crate::store::types::{LocalValues, NamedStore, own_secrets};
use crate::store::{self, Index, Prompt};

/// How long a store may take while the user waits for its dialog.
const INTERACTIVE: Duration = Duration::from_secs(60);

/// What a store said of itself.
#[derive(Debug)]
pub struct StoreReport {
    /// Lines of a name and a fact.
    pub facts: Vec<(&'static str, String)>,
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
    let setup = StoreSetup {
        name,
        definition: store.definition,
        secrets: &own_secrets(&store, &needs.secrets)?,
        dirs,
        network: &needs.network,
        is_interactive,
    };
    let limit = if is_interactive {
        INTERACTIVE
    } else {
        store.definition.deadline()
    };
    let facts = store.open(&setup)?.check(Instant::now() + limit)?;
    // Suspended sessions watch the index.
    Index::update(dirs, |_| ())?;
    Ok(StoreReport { facts })
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
    let batch = local.get_all(&names)?;
    let mut needs = StoreNeeds {
        secrets: names.into_iter().zip(batch.items).collect(),
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
