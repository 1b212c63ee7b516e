//! The values that a policy refers to: which secrets of the local store are needed for them, and how
//! they are read from the other stores.
//!
//! Invariants: each store is asked once, all stores at the same time, and each by its deadline. The result is in the
//! order of the policy's variables. What a store needs itself reaches no server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::value_cache::ValueCache;
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::expiry::{self, Expiry};
use crate::mint::MintedValues;
use crate::mint::access;
use crate::policy::Policy;
use crate::reference::{Reference, StorePlace, StoreRef};
use crate::secret::SecretName;
use crate::store::SecretItem;
use crate::store::source::{SourceValue, StoreNetwork, StoreSetup};
use crate::store::types::{LocalValues, NamedStore, own_secrets};
use crate::store::waits::StoreWaits;

/// Where the values of a policy come from.
#[derive(Debug)]
pub struct ValuePlan<'a> {
    policy: &'a Policy,
    /// By the name of the store: the positions of its values among the policy's, and their places.
    stores: Vec<AskedStore<'a>>,
    /// What making its short-lived credentials needs.
    of_mints: BTreeSet<SecretName>,
}

/// The session that values are read for: those that it knows, and what it waits for.
#[derive(Clone, Copy, Debug)]
pub struct ValueMemory<'a> {
    pub cache: &'a ValueCache,
    /// They are not used: the user or another session wants those of the store.
    pub is_fresh: bool,
    /// Where the session notes what it waits for.
    pub waits: Option<&'a Arc<StoreWaits>>,
}

/// What is wanted of one store.
#[derive(Debug)]
struct AskedStore<'a> {
    store: NamedStore<'a>,
    places: Vec<(usize, StorePlace)>,
}

impl<'a> ValuePlan<'a> {
    /// # Errors
    /// `store-unknown`, `reference-invalid`.
    pub fn new(policy: &'a Policy, config: &'a Config) -> Result<Self> {
        let mut stores: Vec<AskedStore<'a>> = Vec::new();
        for (n, slot) in policy.secrets.values().enumerate() {
            let Reference::Store(reference) = &slot.from else {
                continue;
            };
            let store = NamedStore::of(config, reference).map_err(|error| {
                error
                    .not_started(&policy.server)
                    .required_by(policy.place(slot.line))
            })?;
            let place = (n, reference.place.clone());
            match stores.iter_mut().find(|wish| wish.store.name == store.name) {
                Some(wish) => wish.places.push(place),
                None => stores.push(AskedStore {
                    store,
                    places: vec![place],
                }),
            }
        }
        let mints: Vec<_> = policy.used_mints().map(|(_, rules)| rules).collect();
        let of_mints = access::needed(&mints, config)?;
        Ok(Self {
            policy,
            stores,
            of_mints,
        })
    }

    /// The secrets of the local store that are read for it.
    pub fn local(&self) -> Vec<SecretName> {
        let own = self.policy.secrets.values();
        let own = own.filter_map(|slot| slot.from.local().cloned());
        let of_stores = self.stores.iter();
        let of_stores = of_stores.flat_map(|wish| wish.store.definition.secrets());
        let of_mints = self.of_mints.iter().cloned();
        let all: BTreeSet<_> = own.chain(of_stores).chain(of_mints).collect();
        all.into_iter().collect()
    }

    /// The same, for the stores alone that are asked again and again whether their values have changed.
    pub fn polled(mut self) -> Self {
        self.stores
            .retain(|wish| wish.store.definition.poll.is_some());
        self.of_mints.clear();
        self
    }

    /// How often these stores are asked again; `None`: never.
    pub fn poll(&self) -> Option<Duration> {
        let stores = self.stores.iter();
        stores.filter_map(|wish| wish.store.definition.poll).min()
    }

    /// Whether anything but the local store is asked.
    pub fn asks_others(&self) -> bool {
        !self.stores.is_empty() || self.policy.used_mints().next().is_some()
    }

    /// The values, in the order of the policy's variables. An error concerns one value.
    pub fn read(
        &self,
        local: &LocalValues,
        minted: &MintedValues,
        around: (&Dirs, &StoreNetwork),
        memory: ValueMemory<'_>,
    ) -> Vec<Result<SecretItem>> {
        let mut found: Vec<Option<Result<SecretItem>>> = Vec::new();
        for slot in self.policy.secrets.values() {
            found.push(match &slot.from {
                Reference::Local(name) => local.get(name).cloned(),
                // The session watches the age of what was minted.
                Reference::Mint(reference) => Some(minted.get(reference).map(SecretItem::plain)),
                Reference::Store(_) => None,
            });
        }
        let answers = thread::scope(|scope| {
            let ask = |wish| scope.spawn(move || answer_with(wish, local, around, memory));
            let asked: Vec<_> = self.stores.iter().map(|wish| (wish, ask(wish))).collect();
            let joined = asked.into_iter().map(|(wish, thread)| {
                let answer = thread.join();
                let broken = |_| vec![Err(broken(&wish.store)); wish.places.len()];
                (wish, answer.unwrap_or_else(broken))
            });
            joined.collect::<Vec<_>>()
        });
        for (wish, answers) in answers {
            for ((n, place), answer) in wish.places.iter().zip(answers) {
                if let Some(slot) = found.get_mut(*n) {
                    *slot = Some(answer.map(item).map_err(|error| named(wish, place, error)));
                }
            }
        }
        let all = found.into_iter().zip(self.policy.secrets.values());
        all.map(|(found, slot)| {
            found.unwrap_or_else(|| {
                let what = format!("`{}` has no value", slot.from);
                Err(Error::new(Code::SecretNotFound, what))
            })
        })
        .collect()
    }
}

/// The values of one store: those that the session still knows, and else what the store says.
fn answer_with(
    wish: &AskedStore<'_>,
    local: &LocalValues,
    around: (&Dirs, &StoreNetwork),
    memory: ValueMemory<'_>,
) -> Vec<Result<SourceValue>> {
    let ValueMemory {
        cache, is_fresh, ..
    } = memory;
    let store = &wish.store;
    let Some(limit) = store.definition.cache else {
        return answer(store, &wish.places, local, around, memory.waits);
    };
    let known = |place: &StorePlace| cache.get(store.name, place, limit).filter(|_| !is_fresh);
    let mut found: Vec<_> = wish.places.iter().map(|(_, place)| known(place)).collect();
    let missing = wish
        .places
        .iter()
        .zip(&found)
        .filter(|(_, one)| one.is_none());
    let missing: Vec<_> = missing.map(|(place, _)| place.clone()).collect();
    let asked = if missing.is_empty() {
        Vec::new()
    } else {
        answer(store, &missing, local, around, memory.waits)
    };
    for ((_, place), value) in missing.iter().zip(&asked) {
        if let Ok(value) = value {
            cache.put(store.name, place, value);
        }
    }
    let mut asked = asked.into_iter();
    let next = |one: &mut Option<SourceValue>| match one.take() {
        Some(value) => Some(Ok(value)),
        None => asked.next(),
    };
    found.iter_mut().filter_map(next).collect()
}

fn answer(
    store: &NamedStore<'_>,
    places: &[(usize, StorePlace)],
    local: &LocalValues,
    (dirs, network): (&Dirs, &StoreNetwork),
    waits: Option<&Arc<StoreWaits>>,
) -> Vec<Result<SourceValue>> {
    let deadline = Instant::now() + store.definition.deadline();
    let all = |error: Error| vec![Err(error); places.len()];
    let secrets = match own_secrets(store, local) {
        Ok(secrets) => secrets,
        Err(error) => return all(error),
    };
    let setup = StoreSetup {
        name: store.name,
        definition: store.definition,
        secrets: &secrets,
        dirs,
        network,
        is_interactive: false,
        waits,
    };
    let places: Vec<_> = places.iter().map(|(_, place)| place.clone()).collect();
    match store.open(&setup) {
        Ok(source) => {
            let mut answers = source.get_many(&places, deadline);
            // A source that gives too few values is not asked about the rest.
            let missing = || Err(incomplete(store));
            answers.resize_with(places.len(), missing);
            answers
        }
        Err(error) => all(error),
    }
}

fn item(value: SourceValue) -> SecretItem {
    SecretItem {
        expires: value
            .expires
            .map(Expiry::At)
            .or_else(|| expiry::of_secret(&value.value)),
        value: value.value,
        profile: None,
    }
}

/// An error says which reference it is about.
fn named(wish: &AskedStore<'_>, place: &StorePlace, error: Error) -> Error {
    let name = wish.store.name;
    // 1Password's own form is named as it is written.
    let reference = StoreRef {
        store: Some(name.clone()).filter(|_| !place.path.contains("://")),
        place: place.clone(),
    };
    error
        .of_store(name)
        .cause(format!("read from `{reference}`"))
}

fn broken(store: &NamedStore<'_>) -> Error {
    let what = format!("cannot use store `{}`", store.name);
    Error::new(Code::StoreFailed, what).of_store(store.name)
}

fn incomplete(store: &NamedStore<'_>) -> Error {
    let what = format!("store `{}` gave no value", store.name);
    Error::new(Code::StoreAnswerInvalid, what).of_store(store.name)
}
