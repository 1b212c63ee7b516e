//! Names for new policies and secrets. Equal values share one name, and equal policies too.
//!
//! Invariant: a name in use for something else (in the plan, in the secret index or among the
//! policies) is not chosen.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::approval::AdoptApproval;
use super::drafts::{draft, same, same_target};
use super::extracted::Extracted;
use super::redact::Cut;
use super::store_plan::StorePlan;
use super::store_wish::AdoptWish;
use super::wishes::{plain, wish};
use crate::catalog;
use crate::dirs::Dirs;
use crate::policy::{self, Policy};
use crate::reference::Reference;
use crate::secret::{Fingerprint, Keys, Secret, SecretName, ServerName};
use crate::store::Index;

/// The reason for storing a value that no policy names.
pub const FOR_UNDO: &str = "kept for undo";

/// How many values of a plan are compared with the stored ones. Further ones count as new.
const COMPARED_MAX: usize = 1000;

/// One secret of the plan.
#[derive(Debug)]
pub struct NewSecret {
    pub name: SecretName,
    pub text: String,
    /// How it was recognized, and where.
    pub why: &'static str,
    pub place: String,
    /// Where to create a new one, if known.
    pub rotate: Option<String>,
    /// The store already has it, with that value.
    pub known: bool,
}

/// One policy of the plan.
#[derive(Debug)]
pub struct NewPolicy {
    pub server: ServerName,
    pub policy: Policy,
    /// An equal policy exists.
    pub known: bool,
    pub approval: AdoptApproval,
}

impl NewPolicy {
    /// Whether the user has to log in to its server.
    pub fn needs_login(&self) -> bool {
        let remote = self.policy.remote.as_ref();
        remote.is_some_and(|remote| remote.oauth.is_some())
    }
}

/// A policy for one entry, and the values that are cut out.
#[derive(Debug)]
pub struct Planned {
    pub server: ServerName,
    pub cuts: Vec<Cut>,
}

/// The names in use, and the new ones.
#[derive(Debug)]
pub struct Names {
    dirs: Dirs,
    /// Without them (in a dry run) a secret with a used name counts as having the same value.
    keys: Option<Keys>,
    stored: BTreeMap<SecretName, Fingerprint>,
    existing: BTreeSet<ServerName>,
    /// How many values were compared with the stored ones.
    compared: Cell<usize>,
    secrets: Vec<NewSecret>,
    /// Where a text and a name are among them: a plan may have thousands.
    texts: HashMap<String, usize>,
    taken: HashSet<SecretName>,
    pub policies: Vec<NewPolicy>,
    servers: HashMap<ServerName, usize>,
    pub stores: StorePlan,
}

impl Names {
    pub fn new(dirs: &Dirs, index: &Index, keys: Option<Keys>) -> Self {
        let stored = index
            .secrets
            .iter()
            .map(|(name, entry)| (name.clone(), entry.fingerprint.clone()));
        Self {
            dirs: dirs.clone(),
            keys,
            stored: stored.collect(),
            existing: policy::names(dirs),
            compared: Cell::new(0),
            secrets: Vec::new(),
            texts: HashMap::new(),
            taken: HashSet::new(),
            policies: Vec::new(),
            servers: HashMap::new(),
            stores: StorePlan::default(),
        }
    }

    /// The references of an entry to another store, and the secrets that the store itself needs.
    pub(super) fn references(
        &mut self,
        wish: &AdoptWish,
    ) -> Result<(BTreeMap<String, Reference>, Vec<Cut>), String> {
        let mut cuts = Vec::new();
        let mut logins = BTreeMap::new();
        for (variable, text) in &wish.logins {
            let place = format!("env {variable}");
            let name = super::wishes::wish(wish.kind, variable);
            let cut = self.loose(&name, text, ("for the store itself", place));
            logins.insert(variable.clone(), cut.name.clone());
            cuts.push(cut);
        }
        let references = self.stores.references(&self.dirs, wish, &logins)?;
        Ok((references, cuts))
    }

    pub(super) const fn dirs(&self) -> &Dirs {
        &self.dirs
    }

    /// The user's home directory.
    pub fn home(&self) -> &Path {
        self.dirs.home()
    }

    /// The policy of the plan for a server.
    pub(super) fn planned(&self, server: &ServerName) -> Option<&NewPolicy> {
        self.policies.get(*self.servers.get(server)?)
    }

    /// A policy for an entry: an equal existing one, or a new one.
    pub fn policy(&mut self, entry: &str, extracted: &Extracted) -> Result<Planned, String> {
        let base = plain(entry);
        let (secrets, added) = self.name_values(&base, extracted);
        let mut n = 1;
        let mut withheld = None;
        let server = loop {
            let name = if n == 1 {
                base.clone()
            } else {
                format!("{base}-{n}")
            };
            let server = ServerName::new(&name)
                .map_err(|_| "cannot make a policy name from its name".to_owned())?;
            let draft = draft(entry, extracted, &secrets);
            let policy = draft
                .check(&self.dirs, &server)
                .map_err(|error| format!("its policy would be invalid: {}", error.reasons()))?;
            let planned = self.planned(&server);
            if planned.is_some_and(|known| same(&known.policy, &policy)) {
                break server;
            }
            let planned = planned.is_some();
            let existing = self.existing.contains(&server);
            let old = existing.then(|| policy::load(&self.dirs, &server, None).ok());
            let old = old.flatten();
            let known = old.as_ref().is_some_and(|old| same(old, &policy));
            let approval = AdoptApproval::of(&self.dirs, &policy, old.as_ref());
            if !planned && (!existing || known) {
                self.servers.insert(server.clone(), self.policies.len());
                self.policies.push(NewPolicy {
                    server: server.clone(),
                    policy,
                    known,
                    approval: withheld.unwrap_or(approval),
                });
                break server;
            }
            // The same command under another name is not approved either.
            let is_twin = old.is_some_and(|old| same_target(&old, &policy));
            if is_twin && matches!(approval, AdoptApproval::Withheld(_)) {
                withheld.get_or_insert(approval);
            }
            n += 1;
        };
        for secret in added {
            self.add(secret);
        }
        let cuts = secrets
            .iter()
            .map(|(_, name, text)| Cut {
                name: name.clone(),
                text: text.clone(),
            })
            .collect();
        Ok(Planned { server, cuts })
    }

    /// Names a piece of text that only undo needs.
    pub fn as_written(&mut self, server: &ServerName, text: &str) -> Cut {
        let place = "in a comment, or in an unusual spelling".to_owned();
        self.loose(&format!("{server}/as-written"), text, (FOR_UNDO, place))
    }

    /// Names a secret that no policy has.
    fn loose(&mut self, wish: &str, text: &str, (why, place): (&'static str, String)) -> Cut {
        let name = self.name(&[], wish, text);
        if !self.taken.contains(&name) {
            let known = self.stored.contains_key(&name);
            let (text, rotate) = (text.to_owned(), None);
            self.add(NewSecret {
                name: name.clone(),
                text,
                why,
                place,
                rotate,
                known,
            });
        }
        Cut {
            name,
            text: text.to_owned(),
        }
    }

    /// The secrets of the plan.
    pub fn secrets(&self) -> &[NewSecret] {
        &self.secrets
    }

    fn add(&mut self, secret: NewSecret) {
        let number = self.secrets.len();
        self.texts.entry(secret.text.clone()).or_insert(number);
        self.taken.insert(secret.name.clone());
        self.secrets.push(secret);
    }

    /// Keeps only the policies and secrets that the plan needs after some changes were left out.
    pub fn keep_only(&mut self, servers: &BTreeSet<ServerName>, names: &BTreeSet<SecretName>) {
        self.policies
            .retain(|policy| servers.contains(&policy.server));
        let numbered = self.policies.iter().enumerate();
        self.servers = numbered.map(|(n, new)| (new.server.clone(), n)).collect();
        self.texts.clear();
        self.taken.clear();
        for secret in std::mem::take(&mut self.secrets) {
            if names.contains(&secret.name) {
                self.add(secret);
            }
        }
        let policies = self.policies.iter();
        let references = policies.flat_map(|new| new.policy.store_references());
        self.stores.keep_only(&references.collect::<Vec<_>>());
    }

    /// How many values were compared with the stored ones.
    pub fn compared(&self) -> usize {
        self.compared.get()
    }

    /// The name of a stored secret with this value. Who sees the plan learns whether there is one, so
    /// the comparisons are bounded and recorded.
    fn stored_name(&self, text: &str) -> Option<SecretName> {
        let keys = self.keys.as_ref()?;
        if self.stored.is_empty() || self.compared.get() == COMPARED_MAX {
            return None;
        }
        self.compared.set(self.compared.get() + 1);
        let print = keys.fingerprint(&Secret::new(text.as_bytes().to_vec()));
        let mut stored = self.stored.iter();
        let (name, _) = stored.find(|(_, known)| **known == print)?;
        Some(name.clone())
    }

    fn is_free(&self, name: &SecretName) -> bool {
        self.keys.is_none() || !self.stored.contains_key(name)
    }

    fn name_values(
        &self,
        base: &str,
        extracted: &Extracted,
    ) -> (Vec<(String, SecretName, String)>, Vec<NewSecret>) {
        let mut secrets = Vec::new();
        let mut added: Vec<NewSecret> = Vec::new();
        for value in &extracted.values {
            let slot = extracted
                .shipped
                .and_then(|shipped: &catalog::KnownServer| shipped.secrets.get(&value.variable));
            let wish =
                slot.map_or_else(|| wish(base, &value.variable), |slot| slot.name.to_string());
            let name = self.name(&added, &wish, &value.text);
            let is_planned =
                self.taken.contains(&name) || added.iter().any(|secret| secret.name == name);
            if !is_planned {
                added.push(NewSecret {
                    name: name.clone(),
                    text: value.text.clone(),
                    why: value.why,
                    place: format!("{base}: {}", value.place),
                    rotate: slot.and_then(|slot| slot.rotate.clone()),
                    known: self.stored.contains_key(&name),
                });
            }
            secrets.push((value.variable.clone(), name, value.text.clone()));
        }
        (secrets, added)
    }

    /// The name of a value: its existing one, or the first free one.
    fn name(&self, added: &[NewSecret], wish: &str, text: &str) -> SecretName {
        let planned = self.texts.get(text).and_then(|n| self.secrets.get(*n));
        let planned = planned.or_else(|| added.iter().find(|secret| secret.text == text));
        if let Some(secret) = planned {
            return secret.name.clone();
        }
        let is_taken = |name: &SecretName| {
            self.taken.contains(name) || added.iter().any(|secret| secret.name == *name)
        };
        if let Some(name) = self.stored_name(text) {
            return name;
        }
        let mut n = 1;
        loop {
            let text = if n == 1 {
                wish.to_owned()
            } else {
                format!("{wish}-{n}")
            };
            match SecretName::new(&text) {
                Ok(name) if self.is_free(&name) && !is_taken(&name) => {
                    return name;
                }
                Ok(_) => n += 1,
                Err(_) => {
                    return SecretName::new(&format!("adopted/{n}"))
                        .expect("a plain name is valid");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_values_are_compared_with_stored_ones() {
        let home = tempfile::tempdir().unwrap();
        let keys = Keys::from_master(&Secret::new(b"a key".to_vec()));
        let stored = SecretName::new("db/password").unwrap();
        let print = keys.fingerprint(&Secret::new(b"right guess".to_vec()));
        let mut index = Index::default();
        index.note(&stored, print, None, None, false);
        let names = Names::new(&Dirs::under(home.path()), &index, Some(keys));
        for n in 1..COMPARED_MAX {
            names.stored_name(&format!("wrong guess {n}"));
        }
        assert_eq!(names.stored_name("right guess"), Some(stored));
        assert_eq!(names.stored_name("right guess"), None);
        assert_eq!(names.compared(), COMPARED_MAX);
    }
}
