//! What one server may have and run.
//!
//! Invariants: a `Policy` was read from one file that only its owner (or root) can change, has no
//! unknown fields, and is consistent, so it need not be checked again. It contains references to
//! secrets, never a secret. Whether the user approved it is recorded in `grant`.

pub mod draft;
pub mod inherit;
pub mod load;
mod known_issuer;
pub mod mint;
mod mint_github;
mod mint_oauth;
mod mint_table;
pub mod package;
pub mod remote;
pub mod schema;
pub mod summary;
pub mod template;
pub mod ambient;
pub mod argument;
mod bounds;
mod check;
mod check_mint;
mod check_remote;
mod command;
mod destination;
mod document;
mod explain;
mod plain;
mod remote_text;
mod source;
pub mod web;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;

use crate::reference::{Reference, StoreRef};
use crate::secret::{MintName, ProfileName, ServerName, StoreName};

pub use self::known_issuer::KnownIssuer;
pub use self::load::{list, load, names};
pub use self::mint::MintRules;
pub use self::mint_github::GithubApp;
pub use self::mint_oauth::OAuthMint;
pub use self::package::Package;
use self::remote::OAuthTable;
pub use self::remote::Remote;
pub use self::schema::{
    Delivery, Limits, OnFailure, Renew, Restart, SessionRules, StdoutRule, Stream, Unpinned,
};

/// Who wrote the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// The user.
    User,
    /// The administrator, in `/etc/mcpwrap/policies`. The policy needs no grant.
    Managed,
}

/// A checked policy with one profile merged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub server: ServerName,
    pub tier: Tier,
    pub path: PathBuf,
    /// SHA-256 of the file, in hex. A grant approves this digest.
    pub digest: String,
    /// The content of the file.
    pub text: String,
    pub description: Option<String>,
    /// Empty for a remote server, and only then.
    pub command: Vec<String>,
    pub remote: Option<Remote>,
    pub argv_secrets: bool,
    pub cwd: Cwd,
    /// Whether the server starts inside the fence (see `sys::fence`).
    pub fence: bool,
    pub env: EnvRules,
    /// Keyed by variable.
    pub secrets: BTreeMap<String, SecretBinding>,
    /// Where values come from, with and without each profile.
    pub references: BTreeSet<Reference>,
    /// The short-lived credentials that secrets can be parts of.
    pub mints: BTreeMap<MintName, MintRules>,
    /// The profile that was merged in.
    pub profile: Option<ProfileName>,
    /// The profiles in the file.
    pub profiles: Vec<ProfileName>,
    pub session: SessionRules,
    pub limits: Limits,
    /// The pinned package that is started instead of `command`.
    pub package: Option<Package>,
    /// The line of `command` or `url` in the file, for messages.
    pub command_line: usize,
}

/// The working directory of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cwd {
    /// An empty private directory for each run.
    #[default]
    Private,
    /// That of the client.
    Client,
    /// Absolute, or starting with `~/`.
    Path(String),
}

impl Cwd {
    /// Reads the field of a policy.
    pub fn new(text: Option<&str>) -> Self {
        match text {
            None => Self::Private,
            Some(Self::CLIENT) => Self::Client,
            Some(path) => Self::Path(path.to_owned()),
        }
    }

    /// The value of the field; `None` for the default.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Private => None,
            Self::Client => Some(Self::CLIENT),
            Self::Path(path) => Some(path),
        }
    }

    const CLIENT: &str = "client";
}

/// The environment in addition to the base list and the network list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EnvRules {
    pub pass: Vec<String>,
    /// Values are templates: see [`template`].
    pub set: BTreeMap<String, String>,
}

/// Where one variable's value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretBinding {
    pub from: Reference,
    pub to: Delivery,
    pub optional: bool,
    /// The line of `from` in the file, for messages.
    #[serde(skip)]
    pub line: usize,
}

impl Policy {
    /// The references to stores other than the local one, with and without each profile.
    pub fn store_references(&self) -> impl Iterator<Item = &StoreRef> {
        self.references.iter().filter_map(|from| match from {
            Reference::Store(reference) => Some(reference),
            Reference::Local(_) | Reference::Mint(_) => None,
        })
    }

    /// The stores that make short-lived credentials.
    pub fn mint_stores(&self) -> impl Iterator<Item = &StoreName> {
        self.mints.values().filter_map(MintRules::store)
    }

    /// The mints that a variable takes a credential of.
    pub fn used_mints(&self) -> impl Iterator<Item = (&MintName, &MintRules)> {
        let is_used = |name: &MintName| {
            let mut slots = self.secrets.values();
            slots.any(|slot| matches!(&slot.from, Reference::Mint(mint) if mint.mint == *name))
        };
        self.mints.iter().filter(move |(name, _)| is_used(name))
    }

    /// Those whose credentials are tokens of accounts.
    pub fn oauth_mints(&self) -> impl Iterator<Item = (&MintName, &OAuthMint)> {
        self.used_mints()
            .filter_map(|(name, rules)| Some((name, rules.oauth()?)))
    }

    /// Whether only the user can obtain the first token: of a remote server, or of a mint.
    pub fn needs_login(&self) -> bool {
        let remote = self.remote.iter();
        remote
            .filter_map(|remote| remote.oauth.as_ref())
            .chain(self.oauth_mints().map(|(_, oauth)| &oauth.rules))
            .any(OAuthTable::needs_user)
    }

    /// The file and the line for messages, e.g. `github.toml:9`.
    pub fn place(&self, line: usize) -> String {
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        format!("{file}:{line}")
    }
}
