//! The plan as data: for every file, which entries change how, and what stays as it is and why.

use std::collections::BTreeSet;

use super::redact::{Cut, RedactedPiece};
use crate::client::tree::PathStep;
use crate::scan::history::SearchedSecret;
use crate::secret::{SecretName, ServerName};

/// Everything that would be done.
#[derive(Debug, Default)]
pub struct AdoptPlan {
    pub files: Vec<FilePlan>,
    pub left: Vec<Left>,
    /// The values in files that git tracks and that stay as they are, by the file's number.
    pub tracked: Vec<(usize, SearchedSecret)>,
    /// Entries that run through mcpwrap already.
    pub adopted: usize,
    /// Entries without a secret, which stay as they are.
    pub without: usize,
}

impl AdoptPlan {
    /// The secrets that the files name.
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
        let pieces = pieces.filter_map(|piece| match piece {
            RedactedPiece::Secret(name) | RedactedPiece::Escaped(name) => Some(name.clone()),
            RedactedPiece::Text(_) => None,
        });
        cuts.chain(pieces).collect()
    }
}

/// What happens to one file.
#[derive(Debug)]
pub struct FilePlan {
    /// Its place among the files that were found.
    pub found: usize,
    pub text: String,
    pub entries: Vec<EntryPlan>,
    /// All values that are cut out of it.
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

/// A secret that stays where it is, and why; or a file that was not looked into.
#[derive(Debug)]
pub struct Left {
    pub found: usize,
    pub entry: Option<String>,
    pub reason: String,
    /// Whether it is a failure: something of the user's was asked for and not done.
    pub counts: bool,
}

/// Which entries the user asked for.
#[derive(Debug, Default)]
pub struct EntryFilter {
    pub servers: Vec<String>,
}

impl EntryFilter {
    pub fn takes(&self, name: &String) -> bool {
        self.servers.is_empty() || self.servers.contains(name)
    }
}
