//! Everything that the rules judge, gathered by the caller.
//!
//! Plain facts without judgement: files, the index of secrets, the state of supervisors. Holds no
//! value of the store.

use jiff::Timestamp;
use jiff::civil::Date;

use super::file::ConfigFile;
use super::finding::Location;
use crate::catalog::{BroadKey, KnownScopes};
use crate::config::Config;
use crate::error::Error;
use crate::expiry::Expiry;
use crate::oauth::index::OAuthIndex;
use crate::package::PackageNews;
use crate::policy::Policy;
use crate::secret::{Fingerprint, SecretName, ServerName};
use crate::store::Index;
use crate::suspects::SuspectIndex;

/// All facts.
#[derive(Debug)]
pub struct Facts {
    pub files: Vec<ConfigFile>,
    /// Absent when paths are checked instead of this machine.
    pub machine: Option<Machine>,
    pub today: Date,
    /// Answers of services; empty without `--verify`.
    pub probes: Vec<ProbeRecord>,
    /// Locations of stored secrets in files, with their names; empty without `--verify`.
    pub copies: Vec<(Location, String)>,
    /// Stored secrets of which the catalog knows several kinds; empty without `--verify`.
    pub kinds: Vec<KeyKind>,
    /// What the caller did not look into, for the user.
    pub not_checked: Vec<String>,
}

impl Facts {
    /// No facts yet.
    pub const fn new(today: Date) -> Self {
        Self {
            files: Vec::new(),
            machine: None,
            today,
            probes: Vec::new(),
            copies: Vec::new(),
            kinds: Vec::new(),
            not_checked: Vec::new(),
        }
    }
}

/// Facts about this user's machine besides client configs.
#[derive(Debug)]
pub struct Machine {
    pub policies: Vec<LoadedPolicy>,
    pub config: Result<Config, Error>,
    pub index: Result<Index, Error>,
    /// The path of the index, for locations.
    pub index_shown: String,
    pub logins: LoginFacts,
    pub suspects: SuspectFacts,
    pub audit: AuditLog,
    pub supervisors: Vec<SupervisorState>,
    pub drill: Option<LastDrill>,
    /// The path of the result of a drill, for locations.
    pub drill_shown: String,
    /// Copies of secrets in files that no client reads.
    pub leftovers: Vec<Leftover>,
    /// Lines of client logs that contain a secret.
    pub logged: Vec<Leftover>,
}

/// What is known about the OAuth tokens of remote servers.
#[derive(Debug)]
pub struct LoginFacts {
    pub index: Result<OAuthIndex, Error>,
    /// The path of the index, for locations.
    pub shown: String,
    /// Seconds of Unix time.
    pub now: i64,
}

/// What running servers said about their credentials.
#[derive(Debug)]
pub struct SuspectFacts {
    pub index: Result<SuspectIndex, Error>,
    /// The path of the index, for locations.
    pub shown: String,
}

/// One policy.
#[derive(Debug)]
pub struct LoadedPolicy {
    pub server: ServerName,
    pub shown: String,
    pub policy: Result<Policy, Error>,
    /// Whether a grant of it exists.
    pub is_granted: bool,
    /// The policy again, with each of its profiles.
    pub profiles: Vec<Policy>,
    /// Whether the installed package equals the pin.
    pub installed: Result<(), Error>,
    /// What became of the pinned package; empty unless somebody was asked.
    pub news: PackageNews,
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
    /// The damage: each with its file and a description.
    Read(Vec<(String, String)>),
}

/// One running supervisor, or what is left of one that was killed.
#[derive(Debug)]
pub struct SupervisorState {
    pub server: ServerName,
    pub pid: Option<i32>,
    pub socket: String,
    /// Name and fingerprint of the secrets that its server holds; `None` if it does not answer.
    pub holds: Option<Vec<(String, String)>>,
}

/// The last drill.
#[derive(Debug)]
pub struct LastDrill {
    pub time: Timestamp,
    pub ok: bool,
}

/// A remaining copy of a secret.
#[derive(Debug)]
pub struct Leftover {
    pub shown: String,
    pub line: usize,
    /// The value, masked.
    pub value: String,
    pub kind: LeftoverKind,
}

/// Where a secret remains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftoverKind {
    /// In a copy of a client config.
    Copy,
    /// In a history or a log.
    Line,
    /// In a file in which this program keeps the tokens of its logins.
    Tokens(&'static str),
}

/// What a service said about a secret.
#[derive(Clone, Debug)]
pub struct ProbeRecord {
    pub location: Location,
    pub server: ServerName,
    pub secret: SecretName,
    pub host: String,
    /// What the catalog knows about scopes of this service.
    pub known: Option<&'static KnownScopes>,
    pub fingerprint: Fingerprint,
    pub result: ProbeResult,
    /// The end that the value itself names.
    pub own_end: Option<Expiry>,
}

impl ProbeRecord {
    /// When the value ends, as its provider or the value itself says.
    pub fn end(&self) -> Option<Expiry> {
        match &self.result {
            ProbeResult::Good { ends, .. } => ends.or(self.own_end),
            ProbeResult::Refused(_) | ProbeResult::Unclear(_) => None,
        }
    }
}

/// The kind of a stored secret.
#[derive(Clone, Debug)]
pub struct KeyKind {
    pub location: Location,
    pub server: ServerName,
    pub secret: SecretName,
    /// If it allows more than another kind.
    pub broad: Option<&'static BroadKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// Valid; with scopes and expiry date, where the service reports them.
    Good {
        /// `None` if the service did not say.
        scopes: Option<Vec<String>>,
        ends: Option<Expiry>,
    },
    /// Rejected, with this HTTP status.
    Refused(u16),
    /// No usable answer, and why.
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
