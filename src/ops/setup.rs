//! Sets up a store: its key, its file, and the configuration that names it.
//!
//! Invariant: only the requested store is used, without a fallback.

use super::actor::Actor;
use crate::audit::{Detail, Event, Log, NewRecord, Outcome};
use crate::config::{Config, StoreKind};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files;
use crate::store::{self, Index, NewKey, Prompt, StoreKey};

/// A store that was set up.
#[derive(Debug)]
pub struct SetUp {
    pub kind: StoreKind,
    /// Whether it already had a master key.
    pub known: bool,
    /// The key that mcpwrap must have to read it, if there is one.
    pub key: Option<StoreKey>,
}

/// Sets up the store `kind`, or the configured one, and saves the configuration. Running it again
/// changes nothing.
///
/// # Errors
/// `usage` if secrets would be left behind in another store, and those of [`store::set_up`].
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
    let config = store::set_up(dirs, &old, kind, key)?;
    let store = store::open(dirs, &config, Prompt::Allowed)?;
    let known = store.master()?.is_some();
    store::keys_or_create(&*store)?;
    // Last, so that the configuration never names a store that does not work.
    if config != old || !dirs.config_file().exists() {
        config.save(dirs)?;
    }
    let key = store::key(dirs, &config)?;
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
