//! The identity of mcpwrap's directories, sealed with the master key of their store.
//!
//! Whoever can read the key of a vault could put the vault into directories of their own, and approve
//! there what they like, unseen by the user's audit log. So a store opens only for the directories that
//! were sealed with its master key.
//!
//! Invariant: every way to a value or a key goes through [`HomeStore`], except for `open_anywhere`, which seals.

use std::cell::OnceCell;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{KeyStore, SecretBatch, SecretItem, SecretStore, Store};
use crate::config::StoreKind;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem};
use crate::secret::{Keys, Secret, SecretName, hex};

/// A store that opens only for its own directories.
pub(super) struct HomeStore {
    inner: Box<dyn Store>,
    dirs: Dirs,
    checked: OnceCell<()>,
}

impl HomeStore {
    pub(super) fn new(inner: Box<dyn Store>, dirs: &Dirs) -> Self {
        Self {
            inner,
            dirs: dirs.clone(),
            checked: OnceCell::new(),
        }
    }

    /// Before the first setup there is nothing to check.
    fn check(&self) -> Result<&dyn Store> {
        if self.checked.get().is_none()
            && let Some(master) = self.inner.master()?
        {
            self.check_with(&master)?;
        }
        Ok(&*self.inner)
    }

    fn check_with(&self, master: &Secret) -> Result<()> {
        if self.checked.get().is_none() {
            verify(&self.dirs, &Keys::from_master(master))?;
            self.checked.get_or_init(|| ());
        }
        Ok(())
    }
}

impl SecretStore for HomeStore {
    fn kind(&self) -> StoreKind {
        self.inner.kind()
    }

    fn get(&self, name: &SecretName) -> Result<SecretItem> {
        self.check()?.get(name)
    }

    fn put(&self, name: &SecretName, item: &SecretItem) -> Result<()> {
        self.check()?.put(name, item)
    }

    fn put_all(&self, items: &[(&SecretName, &SecretItem)]) -> (usize, Result<()>) {
        match self.check() {
            Ok(store) => store.put_all(items),
            Err(error) => (0, Err(error)),
        }
    }

    fn remove(&self, name: &SecretName) -> Result<()> {
        self.check()?.remove(name)
    }

    fn names(&self) -> Result<Vec<SecretName>> {
        self.check()?.names()
    }

    fn clear(&self) -> Result<()> {
        self.check()?.clear()
    }
}

impl KeyStore for HomeStore {
    fn master(&self) -> Result<Option<Secret>> {
        let master = self.inner.master()?;
        if let Some(master) = &master {
            self.check_with(master)?;
        }
        Ok(master)
    }

    fn set_master(&self, master: &Secret) -> Result<()> {
        self.inner.set_master(master)?;
        // Read again: if another process was faster, its key is the valid one.
        match self.inner.master()? {
            Some(master) => seal(&self.dirs, &Keys::from_master(&master)),
            None => Ok(()),
        }
    }

    fn audit_head(&self) -> Result<Option<String>> {
        self.check()?.audit_head()
    }

    fn set_audit_head(&self, head: &str) -> Result<()> {
        self.check()?.set_audit_head(head)
    }
}

impl Store for HomeStore {
    fn get_all(&self, names: &[SecretName]) -> Result<SecretBatch> {
        let batch = self.inner.get_all(names)?;
        if let Some(master) = &batch.master {
            self.check_with(master)?;
        }
        Ok(batch)
    }
}

/// The content of the file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct HomeFile {
    version: u32,
    /// For the user; the seal covers the bytes of the paths.
    config: String,
    state: String,
    at: Timestamp,
    seal: String,
}

/// Seals these directories as the home of the store with these keys.
///
/// # Errors
/// `file-unusable`, `file-not-private`.
pub fn seal(dirs: &Dirs, keys: &Keys) -> Result<()> {
    let now = Timestamp::now();
    let at = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let (config, state) = named(dirs);
    let file = HomeFile {
        version: 1,
        seal: hex(&mac(keys, (&config, &state), at).finalize().into_bytes()),
        config: config.display().to_string(),
        state: state.display().to_string(),
        at,
    };
    let text = toml::to_string(&file).expect("a home file has plain fields only");
    let path = dirs.home_file();
    files::replace_own(&path, &dirs.tilde(&path), &text)
}

/// Checks the directories without the keys: those that the file names are these. A forged file passes.
///
/// # Errors
/// `home-moved`, `file-unusable`. Before the first setup there is nothing to check.
pub fn check_named(dirs: &Dirs) -> Result<()> {
    let is_set_up = [dirs.home_file(), dirs.secrets_index(), dirs.vault_file()];
    if !is_set_up.iter().any(|file| file.exists()) {
        return Ok(());
    }
    let (config, state) = named(dirs);
    let file = read(dirs)?;
    // The text of the file has no other paths.
    let are_text = [&config, &state].iter().all(|path| path.to_str().is_some());
    if are_text {
        elsewhere(dirs, &file)?;
    }
    Ok(())
}

fn verify(dirs: &Dirs, keys: &Keys) -> Result<()> {
    let file = read(dirs)?;
    let found = base16ct::mixed::decode_vec(&file.seal).unwrap_or_default();
    let is_sealed = |config: &Path, state: &Path| {
        let mac = mac(keys, (config, state), file.at);
        mac.verify_slice(&found).is_ok()
    };
    let (config, state) = named(dirs);
    // A path that is not UTF-8 is in the seal, but not in the text of the file.
    if is_sealed(&config, &state) {
        return Ok(());
    }
    if !is_sealed(Path::new(&file.config), Path::new(&file.state)) {
        let shown = dirs.tilde(&dirs.home_file());
        return Err(moved(&format!(
            "`{shown}` was sealed with the key of another store"
        )));
    }
    elsewhere(dirs, &file)
}

/// What the file says.
fn read(dirs: &Dirs) -> Result<HomeFile> {
    let path = dirs.home_file();
    let shown = dirs.tilde(&path);
    let bytes = match files::read_private(&path) {
        Ok(bytes) => bytes,
        Err(Problem::Missing) => {
            return Err(moved(&format!(
                "`{shown}`, which mcpwrap 0.1 did not write, does not exist"
            )));
        }
        Err(problem) => {
            let what = format!("cannot use `{shown}`");
            return Err(problem.explain(Code::FileUnusable, what, &shown));
        }
    };
    let file = str::from_utf8(&bytes).ok();
    let file = file.and_then(|text| toml::from_str::<HomeFile>(text).ok());
    file.filter(|file| file.version == 1)
        .ok_or_else(|| moved(&format!("`{shown}` is not readable")))
}

/// Whether the directories have other names than these.
fn elsewhere(dirs: &Dirs, file: &HomeFile) -> Result<()> {
    let (config, state) = named(dirs);
    for (was, is) in [(&file.config, config), (&file.state, state)] {
        let was = Path::new(was);
        // Two paths of one directory, e.g. a link into the user's dotfiles.
        if was != is && real(was) != real(&is) {
            let (was, is) = (was.display(), is.display());
            return Err(moved(&format!("sealed for `{was}`, used in `{is}`")));
        }
    }
    Ok(())
}

fn moved(cause: &str) -> Error {
    let what = "the store does not belong to these directories";
    Error::new(Code::HomeMoved, what).cause(cause).hint(
        "if you moved them, or mcpwrap 0.1 created them, run `mcpwrap init --moved` in a terminal",
    )
}

/// The MAC over the sealed message. Hex digits contain no newline.
fn mac(keys: &Keys, (config, state): (&Path, &Path), at: Timestamp) -> Hmac<Sha256> {
    let bytes = |path: &Path| hex(path.as_os_str().as_bytes());
    let mut mac = Hmac::<Sha256>::new_from_slice(&*keys.seal).expect("HMAC takes any key");
    let message = format!("home v1\n{}\n{}\n{at}\n", bytes(config), bytes(state));
    mac.update(message.as_bytes());
    mac
}

/// The directories of the configuration and of the state, as they are named: the links that lead
/// there may change.
fn named(dirs: &Dirs) -> (PathBuf, PathBuf) {
    let config = dirs.config_file();
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    (
        absolute(config.parent().unwrap_or(&config)),
        absolute(dirs.state()),
    )
}

/// The path without links, also if its last parts do not exist yet.
fn real(path: &Path) -> PathBuf {
    let there = path
        .ancestors()
        .find_map(|dir| Some((dir, dir.canonicalize().ok()?)));
    let Some((dir, found)) = there else {
        return path.to_path_buf();
    };
    match path.strip_prefix(dir) {
        Ok(rest) if !rest.as_os_str().is_empty() => found.join(rest),
        _ => found,
    }
}
