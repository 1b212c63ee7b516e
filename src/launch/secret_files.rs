//! Where values that a server gets as files are kept: in memory, unless the policy says otherwise.
//!
//! Each launch has a directory of its own, with a lock while its run lives. The guard removes the files
//! with the server; what a killed guard left, any later command of mcpwrap removes.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use super::owned;
use crate::audit::RunId;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem};
use crate::policy::{Delivery, Policy};
use crate::secret::Secret;
use crate::sys::files::is_in_memory;

/// The start of a directory's name.
const PREFIX: &str = "files-";

/// The directories of one launch, created when the first file needs one.
#[derive(Debug)]
pub struct SecretFiles<'a> {
    dirs: &'a Dirs,
    name: String,
    made: Vec<(Delivery, PathBuf)>,
    /// Held while the run lives.
    locks: Vec<File>,
}

impl<'a> SecretFiles<'a> {
    /// For the launch with this number in its run.
    pub fn new(dirs: &'a Dirs, run: &RunId, number: u32) -> Self {
        Self {
            dirs,
            name: format!("{PREFIX}{run}-{number}"),
            made: Vec::new(),
            locks: Vec::new(),
        }
    }

    /// Writes a value; returns the path of its file, which only this user can read.
    ///
    /// # Errors
    /// `no-memory-filesystem`, `file-unusable`.
    pub fn write(
        &mut self,
        policy: &Policy,
        variable: &str,
        to: Delivery,
        secret: &Secret,
    ) -> Result<PathBuf> {
        let unwritten = |problem: Problem| {
            Error::new(
                Code::FileUnusable,
                format!("cannot write the file for `{variable}`"),
            )
            .not_started(&policy.server)
            .cause(problem)
        };
        let known = self.made.iter().find(|(kind, _)| *kind == to);
        let dir = match known {
            Some((_, dir)) => dir.clone(),
            None => self.make(policy, variable, to)?,
        };
        let path = dir.join(variable);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o400);
        let written = options
            .open(&path)
            .and_then(|mut file| file.write_all(secret.expose()));
        written.map_err(|error| unwritten(error.into()))?;
        Ok(path)
    }

    fn make(&mut self, policy: &Policy, variable: &str, to: Delivery) -> Result<PathBuf> {
        let parent = if to == Delivery::DiskFile {
            Some(self.dirs.runtime().to_path_buf())
        } else {
            places(self.dirs)
                .into_iter()
                .find(|place| files::ensure_dir(place).is_ok() && is_in_memory(place))
        };
        let Some(parent) = parent else {
            return Err(Error::new(
                Code::NoMemoryFilesystem,
                format!("cannot keep the file for `{variable}` in memory"),
            )
            .not_started(&policy.server)
            .cause("neither the runtime directory nor `/dev/shm` is a file system in memory")
            .hint(format!(
                "pass it in a variable, or accept a file on disk: set `to = \"disk-file\"` for `{variable}`"
            )));
        };
        let made = owned::create(&parent, &self.name);
        let (dir, lock) = made.map_err(|problem| {
            Error::new(
                Code::FileUnusable,
                format!("cannot create a directory for the file of `{variable}`"),
            )
            .not_started(&policy.server)
            .cause(format!("`{}`: {problem}", parent.display()))
        })?;
        self.locks.push(lock);
        self.made.push((to, dir.clone()));
        Ok(dir)
    }

    /// The locks, to be held while the run lives.
    pub fn into_locks(self) -> Vec<File> {
        self.locks
    }
}

/// The directories in which files may be kept in memory.
fn places(dirs: &Dirs) -> Vec<PathBuf> {
    let mut places = dirs.runtimes().to_vec();
    let user = nix::unistd::geteuid();
    places.push(PathBuf::from(format!("/dev/shm/mcpwrap-{user}")));
    places
}

/// Removes the files of runs that were killed together with their guard.
pub fn sweep(dirs: &Dirs) {
    for place in places(dirs) {
        // A directory of another user has nothing of ours.
        if files::check_dir(&place).is_err() {
            continue;
        }
        for dir in owned::abandoned(&place) {
            let name = dir.file_name().unwrap_or_default().to_string_lossy();
            if name.trim_start_matches('.').starts_with(PREFIX) {
                drop(fs::remove_dir_all(&dir));
            }
        }
    }
}
