//! Which working directory an adopted server gets.
//!
//! A private one by default. The servers of a project get that project, in which clients start them;
//! servers whose arguments name data by relative paths get the client's.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use crate::client::entry::ServerEntry;
use crate::client::places::project_of;
use crate::client::tree::PathStep;
use crate::invocation::{DirectoryUse, directory_use};
use crate::policy::Cwd;
use crate::scan::clients::ClientFile;

/// The projects that the entries of a file belong to.
#[derive(Debug)]
pub(super) struct EntryProjects<'a> {
    file: &'a Path,
    home: PathBuf,
    /// That of the file itself, which takes longer to find than an entry to read.
    own: OnceCell<Option<PathBuf>>,
}

impl<'a> EntryProjects<'a> {
    pub(super) fn new(file: &'a Path, home: &Path) -> Self {
        Self {
            file,
            home: home.to_path_buf(),
            own: OnceCell::new(),
        }
    }

    /// The project that an entry belongs to.
    pub(super) fn of(&self, entry: &ServerEntry) -> Option<PathBuf> {
        let named = entry.path.iter().find_map(|step| match step {
            PathStep::Key(key) if key.starts_with('/') => Some(Path::new(key).to_path_buf()),
            _ => None,
        });
        let own = || self.own.get_or_init(|| project_of(&self.home, self.file));
        named.or_else(|| own().clone())
    }
}

/// Chooses the working directory of an entry's server.
///
/// # Errors
/// The client's working directory decides which program runs, so that no policy can allow it.
pub(super) fn choose(
    file: &ClientFile,
    projects: &EntryProjects<'_>,
    entry: &ServerEntry,
    command: &[String],
) -> Result<Cwd, String> {
    // A project that was removed: what the entry names elsewhere still runs.
    let project = projects.of(entry).filter(|project| project.is_dir());
    if let Some(own) = &entry.cwd {
        if own.starts_with('/') || own.starts_with("~/") || own == "~" {
            return Ok(Cwd::Path(own.clone()));
        }
        // `${workspaceFolder}` is the directory in which the client starts the server.
        let is_plain = !own.contains(['$', '{', '%']);
        let inside = project.as_ref().filter(|_| is_plain);
        return Ok(inside.map_or(Cwd::Client, |project| {
            Cwd::Path(project.join(own).display().to_string())
        }));
    }
    if let Some(project) = &project {
        return Ok(Cwd::Path(project.display().to_string()));
    }
    match directory_use(command) {
        // A file of no known client, which the user named: what it names lies beside it, if anywhere.
        DirectoryUse::Code(_) if file.client.is_none() => {
            let directory = file.path.parent().unwrap_or(Path::new("/"));
            Ok(Cwd::Path(directory.display().to_string()))
        }
        DirectoryUse::Code(word) => Err(format!(
            "the client's working directory decides what `{word}` is: write its full path, or set \
             `cwd` in the entry"
        )),
        DirectoryUse::Data => Ok(Cwd::Client),
        DirectoryUse::Module | DirectoryUse::Unused => Ok(Cwd::Private),
    }
}
