//! What reads values from a store other than the local one, and what makes short-lived credentials.
//!
//! Invariants: a source never prompts unless its definition says so, answers by the deadline, and gives a
//! value as a whole or an error. An error names the store (`Error::store`) and repeats no output of a
//! program, which may contain values.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use crate::config::stores::StoreDefinition;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::https::WebRoute;
use crate::reference::StorePlace;
use crate::secret::{Secret, SecretName, StoreName};
use crate::store::waits::StoreWaits;

/// A line about a store: a name and a fact.
pub type StoreFact = (&'static str, String);

/// The PATH of the programs of stores.
pub const PROGRAM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A store that values are read from.
pub trait SecretSource: Send {
    /// Values in the order of `wanted`, with as few requests as the store allows. An error concerns one
    /// value, or is repeated for each.
    ///
    /// # Errors
    /// Of one value: `secret-not-found`, `secret-deleted`, `secret-ambiguous`, `reference-invalid`,
    /// `reference-is-mint`, `store-…`.
    fn get_many(&self, wanted: &[StorePlace], deadline: Instant) -> Vec<Result<SourceValue>>;

    /// Whether the store can be used now, without reading a value.
    ///
    /// # Errors
    /// `store-…`.
    fn check(&self, deadline: Instant) -> Result<StoreCheck>;

    /// The end of what the program of the store wrote to stderr in its last run, unmasked: it may contain
    /// values, and is only for `store check`, masked and escaped. `None` for a store without a program.
    fn diagnostics(&self) -> Option<String> {
        None
    }

    /// The same store as one that makes short-lived credentials, if it does.
    fn minter(&self) -> Option<&dyn Minter> {
        None
    }
}

/// What a store that was checked says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreCheck {
    /// Whether the store was asked. Otherwise its program, at most: it can do nothing without a value.
    pub is_asked: bool,
    /// E.g. the account, as lines of a name and a fact.
    pub facts: Vec<StoreFact>,
}

impl StoreCheck {
    /// A store that answered.
    pub const fn asked(facts: Vec<StoreFact>) -> Self {
        Self {
            is_asked: true,
            facts,
        }
    }
}

/// A value that a store gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceValue {
    pub value: Secret,
    /// The version in the store, if it counts versions.
    pub version: Option<String>,
    /// When the value ends, if the store knows.
    pub expires: Option<Timestamp>,
}

/// What makes short-lived credentials by roles.
pub trait Minter: MintIssuer {
    /// Makes a credential. All its fields belong together.
    ///
    /// # Errors
    /// `mint-refused`, `store-…`.
    fn mint(&self, request: &MintRequest, deadline: Instant) -> Result<Minted>;
}

/// What extends and withdraws credentials that it made.
pub trait MintIssuer {
    /// Makes a credential live longer, with the same values. Returns its new end, or `None` if it can
    /// no longer be extended, or never could: then it is replaced.
    ///
    /// # Errors
    /// `store-…`.
    fn extend(&self, handle: &MintHandle, deadline: Instant) -> Result<Option<MintLife>>;

    /// Withdraws a credential at its issuer. One that no longer exists is not an error.
    ///
    /// # Errors
    /// `store-…`.
    fn revoke(&self, handle: &MintHandle, deadline: Instant) -> Result<()>;
}

/// What a minted credential is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MintRequest {
    /// The path of a role in the store.
    pub path: String,
    /// The life that is asked for (seconds), if the issuer lets one choose.
    pub life: Option<u64>,
}

/// A short-lived credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minted {
    /// By name; a credential of one part has the name `value`.
    pub fields: BTreeMap<String, Secret>,
    pub life: MintLife,
    /// What is needed to extend and to withdraw it; `None` if neither is possible.
    pub handle: Option<MintHandle>,
    /// What the issuer granted, as lines of a name and a fact, e.g. permissions.
    pub granted: Vec<(String, String)>,
}

/// How long a credential lives, counted from when the request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MintLife {
    /// `None` if the issuer does not say.
    pub seconds: Option<u64>,
    pub is_extendable: bool,
}

/// What extends and withdraws a credential: a secret of its issuer, kept in the local store while the
/// credential lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MintHandle(pub Secret);

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct StoreSetup<'a> {
    pub name: &'a StoreName,
    pub definition: &'a StoreDefinition,
    /// The secrets that the definition names, from the local store.
    pub secrets: &'a BTreeMap<SecretName, Secret>,
    pub dirs: &'a Dirs,
    pub network: &'a StoreNetwork,
    /// Whether the store's own dialogs may appear now, whatever its definition says: for `store check`.
    pub is_interactive: bool,
    /// Where a session notes what it waits for; `None` for a command, which waits less long.
    pub waits: Option<&'a Arc<StoreWaits>>,
}

/// The approved network settings, as a store uses them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreNetwork {
    /// How hosts are reached.
    pub route: WebRoute,
    /// Variables for programs: the approved settings, with the secrets in their place.
    pub variables: Vec<(String, Secret)>,
}

/// One type of store, and how to reach it.
#[derive(Debug)]
pub struct SourceType {
    /// The field `type`.
    pub id: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// What a reference to it looks like after `NAME:`.
    pub example: &'static str,
    /// What it needs: programs and settings, in one line.
    pub needs: &'static str,
    /// What the tests run against.
    pub tested: &'static str,
    /// The names of its program: `store add` takes the first one on the user's PATH. Empty for a type
    /// without a program, and for programs of the user's own.
    pub programs: &'static [&'static str],
    /// Settings, each with the variables of the user's terminal that `store add` takes it from.
    pub variables: &'static [(&'static str, &'static [&'static str])],
    /// The arguments with which the program signs the user in on a terminal, if it can.
    pub sign_in: fn(&StoreDefinition) -> Option<Vec<String>>,
    /// How to sign in otherwise, e.g. "unlock it with `gpg-agent`".
    pub sign_in_hint: &'static str,
    /// Checks the settings without using the store: the message says which setting is wrong.
    pub check: fn(&StoreDefinition) -> Result<(), String>,
    /// Checks that a place can exist in a store of this type.
    pub check_place: fn(&StoreDefinition, &StorePlace) -> Result<(), String>,
    /// The absolute path of the program that it starts.
    pub program: fn(&StoreDefinition) -> Option<PathBuf>,
    /// What the user approves, as lines of a name and a fact; without the program.
    pub shown: fn(&StoreDefinition) -> Vec<StoreFact>,
    pub open: fn(&StoreSetup<'_>) -> Result<Box<dyn SecretSource>>,
}
