//! Asks stores whether their values have changed, for a server that runs.

use super::LaunchPipeline;
use crate::config::Config;
use crate::error::Result;
use crate::grant;
use crate::launch::injected::Injected;
use crate::launch::values::{ValueMemory, ValuePlan};
use crate::mint::MintedValues;
use crate::network::{self, NetworkRecord};
use crate::reference::Reference;
use crate::store::types::LocalValues;
use crate::store::{self, Prompt};

impl LaunchPipeline {
    /// Whether a store with `poll` has another value now than the server got.
    ///
    /// # Errors
    /// Those of a launch, as far as it reads values. A value that cannot be read is no change.
    pub(super) fn changed(&self, injected: &[Injected]) -> Result<bool> {
        let policy = self.load()?;
        let config = Config::load(&self.dirs)?;
        let grant = grant::find(&self.dirs, &policy)?;
        let plan = ValuePlan::new(&policy, &config)?.polled();
        let record = network::find(&self.dirs)?;
        let mut names = plan.local();
        names.extend(record.iter().flat_map(NetworkRecord::secrets));
        let store = store::open(&self.dirs, &config, Prompt::Never)?;
        let batch = store.get_all(&names)?;
        let keys = batch.keys()?;
        grant.verify(&keys)?;
        self.invocation(&grant, &policy)?;
        let network = network::verify(&self.dirs, record, &keys)?;
        let local: LocalValues = names.into_iter().zip(batch.items).collect();
        let network = network::for_stores(&network, &local)?;
        let memory = ValueMemory {
            cache: &self.cache,
            is_fresh: true,
            // A look waits as briefly as a command.
            waits: None,
        };
        let values = plan.read(
            &local,
            &MintedValues::default(),
            (&self.dirs, &network),
            memory,
        );
        let differs = |from: &Reference, item: &store::SecretItem| {
            let (label, found) = (from.label(), keys.fingerprint(&item.value));
            let mut injected = injected.iter();
            injected.any(|one| one.name == label && one.fingerprint != found)
        };
        let slots = policy.secrets.values().zip(values);
        Ok(slots
            .filter_map(|(slot, value)| Some((&slot.from, value.ok()?)))
            .any(|(from, item)| matches!(from, Reference::Store(_)) && differs(from, &item)))
    }
}
