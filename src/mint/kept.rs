//! What is needed to withdraw credentials, kept in the local store while they live.
//!
//! A supervisor that is killed cannot withdraw what it made. So the handle of each credential is in the
//! store before the credential is used: one item per run, `withdraw/RUN`. The index `withdraw.toml` says
//! which runs have items, so that nobody opens the store to learn that there is nothing.
//!
//! Invariants: the index contains no handle. An item is written and read back before its credentials are
//! used, and removed only after they are withdrawn or have ended.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::audit::RunId;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem};
use crate::host;
use crate::policy::mint::OnExit;
use crate::secret::{MintName, Secret, SecretName, ServerName, StoreName};
use crate::store::source::MintHandle;
use crate::store::{Store, own_items, read_facts, update_locked};

/// The version of the items.
const VERSION: u32 = 1;

/// One credential of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptMint {
    /// Identifies it among those of the run.
    pub id: String,
    pub mint: MintName,
    pub maker: KeptMaker,
    handle: HandleText,
    /// When it ends: seconds of Unix time.
    pub ends: Option<i64>,
    pub on_exit: OnExit,
}

/// Who made a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptMaker {
    /// A store of `config.toml`, with the digest of its definition: a handle goes nowhere else.
    Store { name: StoreName, definition: String },
    /// An API of GitHub, by its address.
    Github { api: String },
}

impl KeptMaker {
    /// The name for users.
    pub fn shown(&self) -> String {
        match self {
            Self::Store { name, .. } => format!("store `{name}`"),
            Self::Github { api } => format!("`{}`", host::of_url(api).unwrap_or(api)),
        }
    }
}

/// A handle in base64.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct HandleText(Zeroizing<String>);

impl std::fmt::Debug for HandleText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HandleText(…)")
    }
}

impl KeptMint {
    pub fn new(
        mint: &MintName,
        maker: KeptMaker,
        handle: &MintHandle,
        ends: Option<i64>,
        on_exit: OnExit,
    ) -> Result<Self> {
        let id = files::random_hex().map_err(|error| {
            Error::new(Code::FileUnusable, "cannot create a random number")
                .cause(files::io_text(&error))
        })?;
        Ok(Self {
            id,
            mint: mint.clone(),
            maker,
            handle: HandleText(Zeroizing::new(STANDARD.encode(handle.0.expose()))),
            ends,
            on_exit,
        })
    }

    /// What extends and withdraws it.
    pub fn handle(&self) -> MintHandle {
        let bytes = STANDARD.decode(self.handle.0.as_bytes());
        MintHandle(Secret::new(bytes.unwrap_or_default()))
    }
}

/// The item of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRun {
    version: u32,
    pub server: ServerName,
    pub mints: Vec<KeptMint>,
}

/// The name of the item of a run.
///
/// # Errors
/// None in practice: an ID is a valid name.
pub fn item_name(run: &RunId) -> Result<SecretName> {
    SecretName::new(&format!("withdraw/{run}"))
}

impl KeptRun {
    pub const fn new(server: ServerName) -> Self {
        Self {
            version: VERSION,
            server,
            mints: Vec::new(),
        }
    }

    /// Reads the item of a run; `None` if there is none.
    ///
    /// # Errors
    /// Those of the store; `store-broken` if another version of mcpwrap wrote it.
    pub fn read(store: &dyn Store, run: &RunId) -> Result<Option<Self>> {
        match store.get(&item_name(run)?) {
            Ok(item) => serde_json::from_slice::<Self>(item.value.expose())
                .ok()
                .filter(|kept| kept.version == VERSION)
                .map(Some)
                .ok_or_else(|| {
                    Error::new(Code::StoreBroken, "cannot withdraw credentials")
                        .cause(format!("another version of mcpwrap wrote `withdraw/{run}`"))
                }),
            Err(error) if error.code == Code::SecretNotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes credentials from the item of a run. It is read again: its run may have changed it since.
    /// Returns what is left; `None` if there is no item.
    ///
    /// # Errors
    /// Those of [`Self::read`] and [`Self::write`].
    pub fn forget(store: &dyn Store, run: &RunId, gone: &BTreeSet<String>) -> Result<Option<Self>> {
        let Some(mut kept) = Self::read(store, run)? else {
            return Ok(None);
        };
        kept.mints.retain(|mint| !gone.contains(&mint.id));
        kept.write(store, run)?;
        Ok(Some(kept))
    }

    /// Writes the item and reads it back; removes it if it has no credentials.
    ///
    /// # Errors
    /// Those of the store.
    pub fn write(&self, store: &dyn Store, run: &RunId) -> Result<()> {
        let name = item_name(run)?;
        if self.mints.is_empty() {
            return own_items::remove(store, &name);
        }
        let what = "cannot keep what withdraws a credential";
        own_items::write(store, &name, self, what)
    }
}

/// Which runs have credentials that can be withdrawn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WithdrawIndex {
    /// By the ID of the run.
    pub runs: BTreeMap<String, WithdrawRow>,
}

/// Facts about the credentials of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawRow {
    pub server: ServerName,
    /// The supervisor, and when it started, in the kernel's unit.
    pub supervisor: i32,
    pub started: Option<u64>,
    /// The credentials: `MINT` by whom.
    pub mints: Vec<String>,
    /// The code of the last failure to withdraw them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// When the last of them ends: seconds of Unix time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<i64>,
}

impl WithdrawIndex {
    /// Reads the index. A missing or damaged one is empty.
    ///
    /// # Errors
    /// `file-unusable`, `file-not-private`.
    pub fn load(dirs: &Dirs) -> Result<Self> {
        read_facts(&dirs.withdraw_index(), &|problem| failed(dirs, problem))
    }

    /// Changes the index under its lock.
    ///
    /// # Errors
    /// `file-unusable`, `file-not-private`.
    pub fn update<T>(dirs: &Dirs, change: impl FnOnce(&mut Self) -> T) -> Result<T> {
        let path = dirs.withdraw_index();
        let load = || Self::load(dirs);
        update_locked(&path, &|problem| failed(dirs, problem), load, change)
    }
}

/// Writes the row of a run, or removes it if the run no longer has credentials. `supervisor`: its PID
/// and when it started.
pub fn note(
    dirs: &Dirs,
    run: &RunId,
    kept: &KeptRun,
    failed: Option<Code>,
    (supervisor, started): (i32, Option<u64>),
) -> Result<()> {
    WithdrawIndex::update(dirs, |index| {
        if kept.mints.is_empty() {
            index.runs.remove(run.as_str());
            return;
        }
        let shown = |mint: &KeptMint| format!("`mint:{}` of {}", mint.mint, mint.maker.shown());
        let ends: Vec<_> = kept.mints.iter().map(|mint| mint.ends).collect();
        let row = WithdrawRow {
            server: kept.server.clone(),
            supervisor,
            started,
            mints: kept.mints.iter().map(shown).collect(),
            failed: failed.map(|code| code.name().to_owned()),
            ends: ends
                .into_iter()
                .collect::<Option<Vec<_>>>()
                .and_then(|ends| ends.into_iter().max()),
        };
        index.runs.insert(run.to_string(), row);
    })
}

/// The stores that made these credentials.
pub fn stores_of(kept: &[KeptMint]) -> BTreeSet<StoreName> {
    let kept = kept.iter();
    kept.filter_map(|one| match &one.maker {
        KeptMaker::Store { name, .. } => Some(name.clone()),
        KeptMaker::Github { .. } => None,
    })
    .collect()
}

fn failed(dirs: &Dirs, problem: Problem) -> Error {
    let shown = dirs.tilde(&dirs.withdraw_index());
    problem.explain(
        Code::FileUnusable,
        "cannot use the index of short-lived credentials",
        &shown,
    )
}
