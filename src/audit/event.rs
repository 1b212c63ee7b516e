//! The closed list of events and their fields.
//!
//! Invariants: there is no field for a value, for arguments or for a result. External texts (names of
//! clients and tools) are truncated; `record` escapes their control characters.

use std::fmt;
use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Code, Error};
use crate::files;
use crate::reference::SecretLabel;
use crate::secret::{Fingerprint, ProfileName, ServerName};

macro_rules! words {
    ($(#[$about:meta])* $type:ident { $($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $type { $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+ }

        impl $type {
            /// All events, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in the record.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Its meaning in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+),)+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                Self::ALL.iter().copied().find(|word| word.name() == text).ok_or_else(|| {
                    let names: Vec<_> = Self::ALL.iter().map(|word| word.name()).collect();
                    let near = crate::suggest::nearest(text, names.iter().copied()).map(|near| format!("did you mean `{near}`?"));
                    let error = Error::new(Code::Usage, "unknown event");
                    let error = error.cause(format!("expected one of: {}", names.join(", ")));
                    near.into_iter().fold(error, Error::hint).hint("run `mcpwrap help log` to see all filters")
                })
            }
        }
    };
}

words! {
    /// What happened. `docs/audit.md` describes each.
    Event {
        /// A server is about to start (`intent`, synced before the start), or was started (`ok`).
        Launch = "launch",
        /// A secret is put into the environment of the server that is about to start.
        Inject = "inject",
        /// A secret is about to leave mcpwrap without a server: to a provider, to another store, or back into a client config.
        Release = "release",
        /// A start was refused; `reason` is the error code.
        Refuse = "refuse",
        /// A server exited, by itself or because mcpwrap ended it.
        Exit = "exit",
        /// The client's session was kept while no server runs; `reason` is the error code.
        Suspend = "suspend",
        /// A server was restarted behind a live session; `reason` says what asked for it.
        Renew = "renew",
        /// A policy was approved in its current form.
        Grant = "grant",
        /// The approval of a policy was revoked.
        Revoke = "revoke",
        /// A secret was stored under a new name.
        SecretSet = "secret-set",
        /// The value of a secret was replaced.
        SecretRotate = "secret-rotate",
        /// A secret was removed from the store.
        SecretRm = "secret-rm",
        /// A server entry of a client config was adopted or added.
        Adopt = "adopt",
        /// A server entry of a client config was restored or removed.
        Undo = "undo",
        /// A setting that widens what is allowed was changed; `reason` names it.
        Config = "config",
        /// A server's package was resolved, locked and installed.
        Pin = "pin",
        /// The network settings of servers were approved or removed.
        Network = "network",
        /// A login at an authorization server began (`intent`), and a token for a server was granted (`ok`).
        Login = "login",
        /// The token of a server was refreshed.
        Refresh = "refresh",
        /// The token of a server was removed; `reason` says why it may still be valid at its issuer.
        Logout = "logout",
        /// A short-lived credential was made, extended or withdrawn; `reason` says which.
        Mint = "mint",
        /// A request of the client to the server was answered.
        Call = "call",
        /// Something about the log itself: a repair, a break that was found, old records removed.
        Log = "log",
    }
}

words! {
    /// The outcome of an event.
    Outcome {
        /// About to be done; the record is synced first.
        Intent = "intent",
        /// Done.
        Ok = "ok",
        /// Not allowed by mcpwrap.
        Refused = "refused",
        /// Tried without success.
        Failed = "failed",
    }
}

/// Identifies the records of one `mcpwrap run`: 16 random hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// # Errors
    /// If the kernel returns no random bytes.
    pub fn random() -> io::Result<Self> {
        files::random_hex().map(Self)
    }

    /// An ID in the form of [`Self::random`].
    ///
    /// # Errors
    /// `name-invalid`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::new(Code::NameInvalid, "not the ID of a run"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The MCP client, or the process that ran a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientIdentity {
    /// The name that it gives in `initialize`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The path of its executable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
}

/// A secret: its name, its variable, and the fingerprint of its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretUse {
    pub name: SecretLabel,
    /// The variable of the server's environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
}

/// Fields that only some events have. `docs/audit.md` describes each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Detail {
    /// launch: the program of the command, without its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// launch: the path of the program that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// launch: SHA-256 of that program, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// launch, renew: the server's process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// launch: when the kernel started that process, in its own unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
    /// launch: the fence around the server: `full`, `partial`, `none` or `off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence: Option<String>,
    /// launch: `true` if the server has a control group of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<bool>,
    /// launch: the MAC of the run's mark, which is in the server's environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// launch: the supervisor's process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<u32>,
    /// launch: when the kernel started the supervisor, in its own unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supervisor_started: Option<u64>,
    /// launch, renew: the number of the server in this session, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// release: the provider's host. launch, inject: the host of a remote server. login, logout: the
    /// authorization server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// inject: `env`, `file`, `disk-file`, `header` or `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// exit: the server's exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// exit: the signal that ended the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// exit, call, renew: how long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// grant, revoke, adopt, secret-*, release: how it was approved, `terminal` or `yes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// grant, revoke, adopt, secret-*, release: the variable that shows that an AI agent ran the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// revoke: the user's `--reason`. config: the new value. login: the scopes. release: the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// adopt, undo, release: the client's configuration file. log: the file of the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// pin, launch: the package and its exact version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// call: the JSON-RPC method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// call: the name of the tool, for `tools/call`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// call: the JSON-RPC id, as the client wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// call: the JSON-RPC error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<i64>,
    /// log: how many records are missing, were dropped or removed. adopt: how many values were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// log: how many bytes of a torn record were removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// log: the first affected sequence number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// log: the last affected sequence number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
    /// log: the hash of the record with the last sequence number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

impl Detail {
    /// About a server of a session.
    pub fn of_process(generation: u32, pid: i32) -> Self {
        Self {
            generation: Some(generation),
            pid: u32::try_from(pid).ok(),
            ..Self::default()
        }
    }

    /// About a server that was started: when, in the kernel's unit, and whether it has a control group.
    pub fn of_start(generation: u32, pid: i32, started: Option<u64>, has_group: bool) -> Self {
        Self {
            started,
            group: has_group.then_some(true),
            ..Self::of_process(generation, pid)
        }
    }
}

/// An event before it has a position in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// When it happened, if earlier than it is written.
    pub at: Option<Timestamp>,
    pub event: Event,
    pub outcome: Outcome,
    pub server: Option<ServerName>,
    pub run: Option<RunId>,
    /// The digest of the policy.
    pub policy: Option<String>,
    pub profile: Option<ProfileName>,
    pub client: Option<ClientIdentity>,
    pub secret: Option<SecretUse>,
    /// An error code, or a fixed word.
    pub reason: Option<String>,
    pub detail: Detail,
}

impl NewRecord {
    pub fn new(event: Event, outcome: Outcome) -> Self {
        Self {
            at: None,
            event,
            outcome,
            server: None,
            run: None,
            policy: None,
            profile: None,
            client: None,
            secret: None,
            reason: None,
            detail: Detail::default(),
        }
    }

    #[must_use]
    pub fn server(mut self, server: &ServerName) -> Self {
        self.server = Some(server.clone());
        self
    }

    #[must_use]
    pub fn run(mut self, run: &RunId) -> Self {
        self.run = Some(run.clone());
        self
    }

    #[must_use]
    pub fn policy(mut self, digest: &str) -> Self {
        self.policy = Some(digest.to_owned());
        self
    }

    #[must_use]
    pub fn profile(mut self, profile: Option<&ProfileName>) -> Self {
        self.profile = profile.cloned();
        self
    }

    #[must_use]
    pub fn client(mut self, client: &ClientIdentity) -> Self {
        self.client = Some(client.clone());
        self
    }

    #[must_use]
    pub fn secret(mut self, secret: SecretUse) -> Self {
        self.secret = Some(secret);
        self
    }

    /// An error code or a fixed word, never free text.
    #[must_use]
    pub fn reason(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    #[must_use]
    pub fn detail(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }
}
