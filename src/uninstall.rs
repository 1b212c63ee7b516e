//! Removes everything that mcpwrap keeps for a user, after the client configs are restored.
//!
//! Invariants: nothing that cannot be made again is removed while an entry of a client still needs it;
//! only files that mcpwrap made are removed, and a link is removed instead of what it leads to; a
//! failure leaves what is needed to run the command again.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::client::entry::entries;
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::policy;
use crate::scan::clients::{self, ClientFile};
use crate::secret::SecretName;
use crate::store::{self, Store};
use crate::{files, package};

/// An entry that starts through mcpwrap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub file: PathBuf,
    pub name: String,
    pub server: String,
}

/// Everything that mcpwrap keeps.
#[derive(Debug, Default)]
pub struct Inventory {
    pub entries: Vec<Entry>,
    pub policies: Vec<PathBuf>,
    pub packages: usize,
    /// The names in the store, or why it did not say.
    pub secrets: Vec<SecretName>,
    /// Files and directories that exist.
    pub paths: Vec<PathBuf>,
    /// A key of the vault file outside of mcpwrap's own directories, which stays.
    pub key_file: Option<PathBuf>,
}

impl Inventory {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.paths.is_empty() && self.secrets.is_empty()
    }
}

/// Lists what mcpwrap keeps. `adopted` are files with entries that no known client reads.
///
/// # Errors
/// As [`clients::scan`].
pub fn inventory(
    dirs: &Dirs,
    config: &Config,
    store: Option<&dyn Store>,
    adopted: &[PathBuf],
) -> Result<Inventory> {
    let index = store::Index::load(dirs).map(|index| index.secrets);
    let index: BTreeSet<SecretName> = index.unwrap_or_default().into_keys().collect();
    let secrets = store.and_then(|store| store.names().ok());
    let own = |path: &Path| own_paths(dirs).iter().any(|own| path.starts_with(own));
    Ok(Inventory {
        entries: wrapped(dirs, adopted)?,
        policies: policies(dirs),
        packages: package::installed_count(dirs),
        secrets: secrets.unwrap_or_else(|| index.into_iter().collect()),
        paths: own_paths(dirs)
            .into_iter()
            .filter(|path| path.symlink_metadata().is_ok())
            .collect(),
        key_file: store::key(dirs, config)
            .ok()
            .flatten()
            .and_then(|key| key.file)
            .filter(|path| path.exists() && !own(path)),
    })
}

/// The entries of all clients that start through mcpwrap.
///
/// # Errors
/// As [`clients::scan`].
pub fn wrapped(dirs: &Dirs, adopted: &[PathBuf]) -> Result<Vec<Entry>> {
    let there: Vec<_> = adopted
        .iter()
        .filter(|path| path.exists())
        .cloned()
        .collect();
    let mut found = clients::scan(dirs, &[], &[])?.found;
    if !there.is_empty() {
        found.extend(clients::scan(dirs, &[], &there)?.found);
    }
    let of = |file: &ClientFile| -> Vec<Entry> {
        let Ok(document) = &file.document else {
            return Vec::new();
        };
        let all = entries(document).into_iter();
        all.filter_map(|entry| {
            Some(Entry {
                file: file.target.clone(),
                server: entry.wrapped?,
                name: entry.name,
            })
        })
        .collect()
    };
    let all: BTreeSet<Entry> = found.iter().flat_map(of).collect();
    Ok(all.into_iter().collect())
}

fn policies(dirs: &Dirs) -> Vec<PathBuf> {
    let names = policy::names(dirs).into_iter();
    names
        .map(|server| policy::load::path(dirs, &server))
        .filter(|path| path.symlink_metadata().is_ok())
        .collect()
}

/// What only mcpwrap writes, except policies.
fn own_paths(dirs: &Dirs) -> Vec<PathBuf> {
    let vault = dirs.vault_file();
    let mut paths = vec![
        dirs.config_file(),
        dirs.check_list(),
        dirs.packages(),
        vault.with_extension("lock"),
        vault,
        dirs.vault_identity(),
        dirs.state().to_path_buf(),
    ];
    paths.extend(dirs.runtimes().iter().cloned());
    // Last: as long as anything else is there, entries may start it.
    paths.extend(dirs.program_copy().parent().map(Path::to_path_buf));
    paths
}

/// Removes the secrets and keys of a store outside of mcpwrap's directories, and the kernel's copy of
/// the vault's key.
///
/// # Errors
/// Those of the store.
pub fn remove_secrets(dirs: &Dirs, store: &dyn Store) -> Result<()> {
    store.clear()?;
    // There may be none.
    drop(store::lock(dirs));
    Ok(())
}

/// Removes the files, and returns what could not be removed, with the reason.
pub fn remove_files(dirs: &Dirs, inventory: &Inventory) -> Vec<(PathBuf, String)> {
    let mut failed = Vec::new();
    let paths = inventory.policies.iter().chain(&inventory.paths);
    for path in paths {
        if let Err(error) = package::remove_tree(path) {
            failed.push((path.clone(), files::io_text(&error)));
        }
    }
    // The directories that are empty now; what somebody else put there stays.
    let config = dirs.config_file();
    let data = dirs.vault_file();
    let above = [
        Some(dirs.policies()),
        data.parent().map(Path::to_path_buf),
        // With `MCPWRAP_HOME`, it is above the others.
        config.parent().map(Path::to_path_buf),
    ];
    for dir in above.into_iter().flatten() {
        let is_link = dir.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
        let is_empty = std::fs::read_dir(&dir).is_ok_and(|mut all| all.next().is_none());
        let done = match (is_link, is_empty) {
            (true, true) => std::fs::remove_file(&dir),
            (false, true) => std::fs::remove_dir(&dir),
            (_, false) => Ok(()),
        };
        match done {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                failed.push((dir, files::io_text(&error)));
            }
            _ => {}
        }
    }
    failed
}

/// What is left in mcpwrap's directories because mcpwrap did not make it.
pub fn left(dirs: &Dirs) -> Vec<PathBuf> {
    let config = dirs.config_file();
    let data = dirs.vault_file();
    let parents = [config.parent(), data.parent()];
    let mut left: Vec<_> = parents
        .into_iter()
        .flatten()
        .filter_map(|dir| std::fs::read_dir(dir).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    left.sort();
    left.dedup();
    left
}
