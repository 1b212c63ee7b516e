//! The part of a launch that gets the values: from the local store, from others, and newly made ones.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

use super::LaunchPipeline;
use crate::cli::print_weak;
use crate::config::Config;
use crate::error::Result;
use crate::grant::Grant;
use crate::invocation::{self, Invocation};
use crate::launch::values::{ValueMemory, ValuePlan};
use crate::mint::access::MintAccess;
use crate::mint::{LiveMints, MintedValues};
use crate::network::{self, Network};
use crate::policy::Policy;
use crate::store::source::StoreNetwork;
use crate::store::types::LocalValues;
use crate::store::{SecretItem, Store};
use crate::weak::Weakness;

impl LaunchPipeline {
    /// The values of the policy's variables in their order, and the credentials that were made for them.
    pub(super) fn values(
        &self,
        (policy, plan): (&Policy, &ValuePlan<'_>),
        (config, network): (&Config, &Network),
        local: &LocalValues,
        (store, is_fresh): (&dyn Store, bool),
    ) -> Result<(Vec<Result<SecretItem>>, LiveMints)> {
        let nothing = MintedValues::default();
        let memory = ValueMemory {
            cache: &self.cache,
            is_fresh,
            waits: Some(&self.waits),
        };
        if !plan.asks_others() {
            let values = plan.read(
                local,
                &nothing,
                (&self.dirs, &StoreNetwork::default()),
                memory,
            );
            return Ok((values, nothing.live));
        }
        let network =
            network::for_stores(network, local).map_err(|error| error.not_started(&self.server))?;
        let access = MintAccess {
            dirs: &self.dirs,
            config,
            local,
            network: &network,
            waits: Some(&self.waits),
        };
        let minted = self.mints.make(policy, &access, store)?;
        let values = plan.read(local, &minted, (&self.dirs, &network), memory);
        self.say_unmasked(policy, &values);
        Ok((values, minted.live))
    }

    /// What the policy means on this machine, with programs of stores that are as they were approved.
    ///
    /// # Errors
    /// Those of [`invocation::managed`] and of [`Invocation::verify_store_programs`].
    pub(super) fn invocation(&self, grant: &Grant, policy: &Policy) -> Result<Invocation> {
        let invocation = match grant.invocation() {
            Some(invocation) => invocation.clone(),
            None => invocation::managed(policy, &self.dirs)?,
        };
        invocation.verify_store_programs(policy)?;
        Ok(invocation)
    }

    /// Warns once of each weak value that another store gave. Of one in the local store, who stored it was warned.
    fn say_unmasked(&self, policy: &Policy, values: &[Result<SecretItem>]) {
        for (slot, value) in policy.secrets.values().zip(values) {
            let label = slot.from.label();
            let Ok(value) = value.as_ref().map(|item| &item.value) else {
                continue;
            };
            let Some(weakness) = value.weakness().filter(|_| label.local().is_none()) else {
                continue;
            };
            // An empty value is no value.
            if !value.is_empty() {
                self.say_weak(&format!("`{label}`"), weakness);
            }
        }
    }

    /// Warns of a weak value, once in a session.
    pub(super) fn say_weak(&self, secret: &str, weakness: Weakness) {
        if self.said_unmasked().insert(secret.to_owned()) {
            print_weak::not_masked(secret, weakness);
        }
    }

    fn said_unmasked(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.said_unmasked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
