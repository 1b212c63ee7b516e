//! One reading of the files, and the plan made from it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::approval::{AdoptApproval, Withheld};
use super::builder;
use super::names::{Names, NewPolicy};
use super::plan::{AdoptPlan, EntryFilter, FilePlan, LoginChoice};
use super::redact::Cut;
use super::store_plan::{NewStore, StorePlan};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::ops::actor::Actor;
use crate::scan::clients::{self, ClientFile, ClientFiles};
use crate::scan::history::SearchedSecret;
use crate::secret::{Keys, ServerName};
use crate::store::Index;

/// Which files and entries the user selected; all without a selector.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// IDs of clients.
    pub clients: Vec<String>,
    /// Files, of any client.
    pub configs: Vec<PathBuf>,
    /// Names of entries.
    pub servers: Vec<String>,
    pub logins: LoginChoice,
}

/// The files as read, and their plan.
#[derive(Debug)]
pub struct Round {
    pub files: ClientFiles,
    pub plan: AdoptPlan,
    pub names: Names,
    filter: EntryFilter,
}

impl Round {
    /// Reads the files and plans. `program` is the absolute path of mcpwrap. Without `keys`, a
    /// secret with a used name counts as having the same value.
    ///
    /// # Errors
    /// Those of [`clients::scan`] and of the index.
    pub fn new(
        dirs: &Dirs,
        selection: &Selection,
        keys: Option<Keys>,
        program: &str,
    ) -> Result<Self> {
        let files = clients::scan(dirs, &selection.clients, &selection.configs)?;
        let filter = EntryFilter {
            servers: selection.servers.clone(),
            logins: selection.logins.clone(),
        };
        Self::plan(dirs, files, filter, keys, program)
    }

    /// Plans the same files again with the keys, on which the final names of secrets depend if the store
    /// has any.
    ///
    /// # Errors
    /// Those of the index.
    pub fn with_keys(self, dirs: &Dirs, keys: Keys, program: &str) -> Result<Self> {
        // Read again: the user may have been asked for a passphrase since.
        if Index::load(dirs)?.secrets.is_empty() {
            return Ok(self);
        }
        Self::plan(dirs, self.files, self.filter, Some(keys), program)
    }

    fn plan(
        dirs: &Dirs,
        files: ClientFiles,
        filter: EntryFilter,
        keys: Option<Keys>,
        program: &str,
    ) -> Result<Self> {
        let mut names = Names::new(dirs, &Index::load(dirs)?, keys);
        names.stores = StorePlan::new(Config::load(dirs)?);
        let plan = builder::build(&files.found, &filter, &mut names, program);
        let servers = plan
            .files
            .iter()
            .flat_map(|file| file.entries.iter().map(|entry| entry.server.clone()))
            .collect();
        names.keep_only(&servers, &plan.secrets());
        Ok(Self {
            files,
            plan,
            names,
            filter,
        })
    }

    /// Whether these changes, or more, were shown to the user and approved.
    pub fn is_covered_by(&self, shown: &Self, actor: Actor) -> bool {
        let texts = |round: &Self| -> Vec<(PathBuf, Vec<u8>)> {
            let file = |plan: &FilePlan| {
                let found = round.files.found.get(plan.found)?;
                Some((found.target.clone(), found.bytes.clone()))
            };
            round.plan.files.iter().filter_map(file).collect()
        };
        let approved = |round: &Self| -> Vec<(ServerName, String)> {
            let new = round.names.policies.iter();
            let new = new.filter(|new| new.approval == AdoptApproval::New);
            new.map(|new| (new.server.clone(), new.policy.text.clone()))
                .collect()
        };
        let (agreed, allowed) = (texts(shown), approved(shown));
        let is_shown = |store: &NewStore| shown.names.stores.new.contains(store);
        !actor.is_asked()
            || (texts(self).iter().all(|file| agreed.contains(file))
                && self.names.stores.new.iter().all(is_shown)
                && approved(self).iter().all(|one| allowed.contains(one)))
    }

    /// The policies that are not approved, with the reason.
    pub fn withheld(&self) -> impl Iterator<Item = (&ServerName, &Withheld)> {
        let policies = self.names.policies.iter();
        policies.filter_map(|new| match &new.approval {
            AdoptApproval::Withheld(withheld) => Some((&new.server, withheld)),
            AdoptApproval::New | AdoptApproval::Granted => None,
        })
    }

    /// Whether something that the user asked for is not done.
    pub fn is_incomplete(&self) -> bool {
        self.plan.left.iter().any(|left| left.counts) || self.withheld().next().is_some()
    }

    /// Whether the user selected the entries with this name.
    pub fn takes(&self, entry: &String) -> bool {
        self.filter.takes(entry)
    }

    /// The policies of the plan to whose servers the user has to log in.
    pub fn logins(&self) -> impl Iterator<Item = &NewPolicy> {
        let policies = self.names.policies.iter();
        policies.filter(|new| new.needs_login())
    }

    /// All values to cut out.
    pub fn cuts(&self) -> impl Iterator<Item = &Cut> {
        self.plan.files.iter().flat_map(|file| &file.cuts)
    }

    /// The servers of the changed files.
    pub fn servers(&self, done: &[usize]) -> BTreeSet<ServerName> {
        let files = self.plan.files.iter();
        let changed = files.filter(|file| done.contains(&file.found));
        changed
            .flat_map(|file| file.entries.iter().map(|entry| entry.server.clone()))
            .collect()
    }

    /// The changed files.
    pub fn changed(&self, done: &[usize]) -> Vec<&ClientFile> {
        done.iter()
            .filter_map(|n| self.files.found.get(*n))
            .collect()
    }

    /// The values that are or were in a file.
    pub fn searched(&self, n: usize) -> Vec<SearchedSecret> {
        let files = self.plan.files.iter().filter(|file| file.found == n);
        let cuts = files.flat_map(|file| &file.cuts).map(|cut| SearchedSecret {
            name: format!("`{}`", cut.name),
            text: cut.text.clone(),
        });
        let tracked = self.plan.tracked.iter().filter(|(found, _)| *found == n);
        cuts.chain(tracked.map(|(_, secret)| secret.clone()))
            .collect()
    }
}
