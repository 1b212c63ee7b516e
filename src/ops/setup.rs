//! Sets up a store: its key, its file, and the configuration that names it.
//!
//! Invariant: only the requested store is used, without a fallback.

use std::fmt;
use std::path::Path;

use super::actor::Actor;
use crate::audit::{Detail, Event, Log, NewRecord, Outcome};
use crate::config::{Config, StoreKind};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files;
use crate::secret::Secret;
use crate::store::{self, Index, KeySource, Prompt};

/// A store that was set up.
#[derive(Debug)]
pub struct SetUp {
    pub kind: StoreKind,
    /// Whether it already had a master key.
    pub known: bool,
    /// The key of the vault file, if that is the store.
    pub key: Option<KeySource>,
}

/// The key of a vault file to create.
pub struct NewKey<'a> {
    /// The key file, created if missing. Without one, a passphrase is used.
    pub file: Option<&'a Path>,
    /// Whether a script provides the passphrase (`--from-stdin`).
    pub is_piped: bool,
    /// Asks for a new passphrase.
    pub passphrase: &'a mut dyn FnMut() -> Result<Secret>,
    /// Called with the path of a key file that was created.
    pub created: &'a mut dyn FnMut(&Path),
}

impl fmt::Debug for NewKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// Sets up the store `kind`, or the configured one, and saves the configuration. Running it again
/// changes nothing.
///
/// # Errors
/// `usage` if secrets would be left behind in another store, and those of [`prepare`].
pub fn init(dirs: &Dirs, kind: Option<StoreKind>, key: &mut NewKey<'_>) -> Result<SetUp> {
    let old = Config::load(dirs)?;
    let kind = kind.unwrap_or(old.store);
    if kind != old.store && !Index::load(dirs)?.secrets.is_empty() {
        return Err(Error::new(
            Code::Usage,
            format!("cannot change the store from `{}` to `{kind}`", old.store),
        )
        .cause("the store contains secrets")
        .hint(format!(
            "run `mcpwrap secret move {kind}` to change the store and move them"
        )));
    }
    for dir in [dirs.policies(), dirs.state().to_path_buf()] {
        let shown = dirs.tilde(&dir);
        files::ensure_dir(&dir).map_err(|problem| {
            problem.explain(
                Code::FileUnusable,
                format!("cannot create `{shown}`"),
                &shown,
            )
        })?;
    }
    let config = prepare(dirs, &old, kind, key)?;
    let store = store::open(dirs, &config, Prompt::Allowed)?;
    let known = store.master()?.is_some();
    store::keys_or_create(&*store)?;
    // Last, so that the configuration never names a store that does not work.
    if config != old || !dirs.config_file().exists() {
        config.save(dirs)?;
    }
    let key = match kind {
        StoreKind::File => Some(KeySource::find(dirs, &config)?),
        StoreKind::Keychain => None,
    };
    Ok(SetUp { kind, known, key })
}

/// Makes these directories the home of the existing store: writes the record, then the seal.
///
/// # Errors
/// `not-set-up` without a master key; those of the store and of the audit log.
pub fn move_home(dirs: &Dirs, actor: Actor) -> Result<()> {
    let config = Config::load(dirs)?;
    let store = store::open_anywhere(dirs, &config, Prompt::Allowed)?;
    let keys = store::keys(&*store)?;
    let detail = Detail {
        note: Some(dirs.state().display().to_string()),
        ..actor.detail()
    };
    let record = NewRecord::new(Event::Config, Outcome::Ok).reason("home");
    Log::open(dirs, Some(&keys))?.append(&[record.detail(detail)])?;
    store::seal_home(dirs, &keys)
}

/// Creates what the store needs, and returns the configuration that names it, not saved yet.
///
/// # Errors
/// `usage` for a key that the keychain does not need; those of the store.
pub fn prepare(dirs: &Dirs, old: &Config, kind: StoreKind, key: &mut NewKey<'_>) -> Result<Config> {
    let mut config = Config {
        store: kind,
        ..old.clone()
    };
    if kind == StoreKind::Keychain {
        if key.file.is_some() || key.is_piped {
            return Err(Error::new(Code::Usage, "the keychain needs no key")
                .hint("`--key-file` and `--from-stdin` belong to `--store file`"));
        }
        return Ok(config);
    }
    if let Some(path) = key.file {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        if store::prepare_key_file(dirs, &path)? {
            (key.created)(&path);
        }
        config.key_file = Some(dirs.tilde(&path));
    }
    match KeySource::find(dirs, &config) {
        Err(error) if error.code == Code::StoreAbsent => {
            store::prepare_passphrase(dirs, &(key.passphrase)()?)?;
        }
        other => drop(other?),
    }
    store::create_vault(dirs, &config)?;
    Ok(config)
}
