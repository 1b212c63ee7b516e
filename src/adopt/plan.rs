//! The plan as data: for each file which entries change and how, and what is skipped and why.

use std::collections::BTreeSet;

use super::redact::{Cut, RedactedPiece};
use crate::client::tree::PathStep;
use crate::scan::history::SearchedSecret;
use crate::secret::{SecretName, ServerName};

/// All planned changes.
#[derive(Debug, Default)]
pub struct AdoptPlan {
    pub files: Vec<FilePlan>,
    pub left: Vec<Left>,
    /// The values in skipped files that git tracks, by the file's number.
    pub tracked: Vec<(usize, SearchedSecret)>,
    /// Entries that are already adopted.
    pub adopted: usize,
    /// Entries without a secret, which do not change.
    pub without: usize,
    /// Those of them whose client can log in by itself, by their names.
    pub of_client: BTreeSet<String>,
}

impl AdoptPlan {
    /// The secrets that the changes need.
    pub fn secrets(&self) -> BTreeSet<SecretName> {
        let cuts = self
            .files
            .iter()
            .flat_map(|file| file.cuts.iter().map(|cut| cut.name.clone()));
        let pieces = self
            .files
            .iter()
            .flat_map(|file| &file.entries)
            .flat_map(|entry| entry.before.iter().flatten());
        let pieces = pieces.filter_map(RedactedPiece::secret).cloned();
        cuts.chain(pieces).collect()
    }
}

/// What happens to one file.
#[derive(Debug)]
pub struct FilePlan {
    /// Its number among the files found.
    pub found: usize,
    pub text: String,
    pub entries: Vec<EntryPlan>,
    /// All values to cut out of it.
    pub cuts: Vec<Cut>,
}

/// What happens to one entry.
#[derive(Debug)]
pub struct EntryPlan {
    pub name: String,
    pub server: ServerName,
    pub path: Vec<PathStep>,
    pub before: Vec<Vec<RedactedPiece>>,
    pub after: Vec<Vec<RedactedPiece>>,
    pub notes: Vec<String>,
}

/// A secret that is not moved, and why; or a file that was skipped.
#[derive(Debug)]
pub struct Left {
    pub found: usize,
    pub entry: Option<String>,
    pub reason: String,
    /// Whether it is a failure: something that the user asked for was not done.
    pub counts: bool,
}

/// Which entries the user asked for.
#[derive(Debug, Default)]
pub struct EntryFilter {
    pub servers: Vec<String>,
    pub logins: LoginChoice,
}

/// What happens to entries whose client logs in by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LoginChoice {
    /// They stay.
    #[default]
    OfClient,
    /// They change, if a login succeeds.
    OfMcpwrap,
    /// They change, if they are of these servers, to which the user logged in.
    Done(BTreeSet<ServerName>),
}

impl EntryFilter {
    pub fn takes(&self, name: &String) -> bool {
        self.servers.is_empty() || self.servers.contains(name)
    }
}
