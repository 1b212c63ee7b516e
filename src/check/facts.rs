//! All that the checks look at, gathered beforehand.
//!
//! *Always* facts, no judgements: whoever gathers them (`cli::check`) reads files, the index of the
//! secrets, sockets; the checks only compare. *Never* holds a secret of the store.

use jiff::Timestamp;
use jiff::civil::Date;

use super::file::ConfigFile;
use super::finding::Location;
use crate::error::Error;
use crate::policy::Policy;
use crate::secret::{Fingerprint, ServerName};
use crate::store::Index;

/// What was looked at.
#[derive(Debug)]
pub struct Facts {
    pub files: Vec<ConfigFile>,
    /// Nothing if a directory was looked at, and not this machine.
    pub machine: Option<Machine>,
    pub today: Date,
    /// What services answered; empty without `--verify`.
    pub probes: Vec<ProbeRecord>,
    /// Where stored secrets stand in files, and their names; empty without `--verify`.
    pub copies: Vec<(Location, String)>,
}

/// What is known of this user's machine besides the clients' files.
#[derive(Debug)]
pub struct Machine {
    pub policies: Vec<LoadedPolicy>,
    pub index: Result<Index, Error>,
    /// The path of the index, for places.
    pub index_shown: String,
    pub audit: AuditLog,
    pub supervisors: Vec<SupervisorState>,
    pub drill: Option<LastDrill>,
    /// Where the result of a drill is kept, for places.
    pub drill_shown: String,
    /// Copies of secrets in files that nobody reads any more.
    pub leftovers: Vec<Leftover>,
    /// Lines of clients' logs with a secret in them.
    pub logged: Vec<Leftover>,
}

/// One policy.
#[derive(Debug)]
pub struct LoadedPolicy {
    pub server: ServerName,
    pub shown: String,
    pub policy: Result<Policy, Error>,
    /// The policy again, with each of its profiles.
    pub profiles: Vec<Policy>,
    /// Whether what is installed is what was pinned.
    pub installed: Result<(), Error>,
}

/// The audit log.
#[derive(Debug)]
pub struct AuditLog {
    pub shown: String,
    pub state: AuditState,
}

#[derive(Debug)]
pub enum AuditState {
    Absent,
    Unreadable(String),
    /// What is not as it was written: the file, and what it is.
    Read(Vec<(String, String)>),
}

/// One running supervisor.
#[derive(Debug)]
pub struct SupervisorState {
    pub server: ServerName,
    pub pid: i32,
    pub socket: String,
    /// The secrets that its server holds, by name; nothing if it does not answer.
    pub holds: Option<Vec<(String, String)>>,
}

/// The last time that the kill switch was tried.
#[derive(Debug)]
pub struct LastDrill {
    pub time: Timestamp,
    pub ok: bool,
}

/// A place where a secret lies around.
#[derive(Debug)]
pub struct Leftover {
    pub shown: String,
    pub line: usize,
    /// The value, masked.
    pub value: String,
    /// A copy of a client's file, and not a history of typed lines.
    pub is_copy: bool,
}

/// What a service said about a secret.
#[derive(Clone, Debug)]
pub struct ProbeRecord {
    pub location: Location,
    pub server: String,
    /// What is asked about: the name of a secret, or where it stands.
    pub secret: String,
    /// Whether the store keeps it under that name.
    pub stored: bool,
    pub host: String,
    pub said: ProbeResult,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// It is good; with what it may do and when it ends, where the service tells.
    Good {
        /// More than the server asks for.
        wide: Vec<String>,
        ends: Option<Date>,
    },
    /// It is refused.
    Refused(u16),
    /// No answer that tells.
    Unclear(String),
}

impl Machine {
    /// The policies that could be read.
    pub fn read_policies(&self) -> impl Iterator<Item = (&LoadedPolicy, &Policy)> {
        self.policies
            .iter()
            .filter_map(|file| Some((file, file.policy.as_ref().ok()?)))
    }

    /// The fingerprint of a stored secret.
    pub fn fingerprint(&self, name: &str) -> Option<&Fingerprint> {
        let index = self.index.as_ref().ok()?;
        let entry = index
            .secrets
            .iter()
            .find(|(known, _)| known.as_str() == name);
        entry.map(|(_, entry)| &entry.fingerprint)
    }
}
