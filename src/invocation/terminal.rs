//! What the user's terminal says about every command: its PATH, and who the user is.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;

use super::search_path::SearchPath;
use super::{account, shim};
use crate::dirs::{self, Dirs};
use crate::package::lookup::search;

/// The user's terminal, read once for all commands that are resolved in it.
#[derive(Clone, Debug)]
pub struct Terminal {
    pub(super) path: SearchPath,
    /// Its TMPDIR.
    pub(super) temporary: Option<PathBuf>,
    /// The variables of the account.
    pub(super) account: BTreeMap<String, String>,
    /// Those of the terminal, which replace them.
    pub(super) own: BTreeMap<String, String>,
}

impl Terminal {
    /// The terminal of this process.
    pub fn new(dirs: &Dirs) -> Self {
        let path = dirs::server_variable("PATH").unwrap_or_default();
        Self {
            own: account::of_terminal(),
            ..Self::with_path(dirs, &path)
        }
    }

    /// Another PATH, and nothing else of the terminal's: a managed policy gets no more, at each start.
    pub(super) fn with_path(dirs: &Dirs, path: &OsStr) -> Self {
        let temporary = dirs::server_variable("TMPDIR").map(PathBuf::from);
        Self {
            path: SearchPath::new(path, temporary.as_deref()),
            temporary,
            account: account::variables(dirs),
            own: BTreeMap::new(),
        }
    }
}

/// The program that a name starts in the user's terminal, without links and shims.
pub fn locate(name: &str, dirs: &Dirs) -> Option<PathBuf> {
    let path = SearchPath::new(&dirs::server_variable("PATH")?, None).entries;
    let found = search(name, &path).ok()?;
    let target = match shim::of(&found) {
        None => found,
        Some(shim) => shim.target(name, dirs.home(), &path)?,
    };
    target.canonicalize().ok()
}
