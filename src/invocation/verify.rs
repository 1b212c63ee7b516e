//! Compares what a grant sealed with what is there now, before each start.

use std::path::{Path, PathBuf};

use super::file::{FileChange, HASHED_BYTES_MAX, SealedFile};
use super::sealed::Invocation;
use crate::error::{Code, Error, Result};
use crate::package::lookup::search;
use crate::secret::ServerName;

/// The program that runs, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    pub path: PathBuf,
    /// SHA-256 of its content, in hex.
    pub digest: String,
}

impl Invocation {
    /// Compares all files. Returns the program, unless a pinned package runs.
    ///
    /// # Errors
    /// `program-changed`, with everything that changed.
    pub fn verify(&self, server: &ServerName) -> Result<Option<Ran>> {
        let mut left = HASHED_BYTES_MAX;
        let mut program = None;
        let mut changes = Vec::new();
        for file in &self.files {
            match self.compare(file, &mut left) {
                Ok(digest) => drop(program.get_or_insert(Ran {
                    path: file.found.clone(),
                    digest,
                })),
                Err(change) => changes.push((file, change)),
            }
        }
        if let Some(directory) = &self.directory {
            let now = directory.canonicalize();
            if now.as_ref().ok() != Some(directory) {
                return Err(changed(server).cause(format!(
                    "the working directory `{}` was moved",
                    directory.display()
                )));
            }
        }
        if changes.is_empty() {
            return Ok(program);
        }
        let mut error = changed(server);
        for (file, change) in changes {
            error = error.cause(format!("`{}` {change}", file.found.display()));
        }
        Err(error)
    }

    /// The files that changed, with how.
    pub fn changes(&self) -> Vec<(&SealedFile, FileChange)> {
        let mut left = HASHED_BYTES_MAX;
        let change = |file| Some((file, self.compare(file, &mut left).err()?));
        let of_stores = self.stores.iter().flat_map(|store| &store.files);
        let all = self.files.iter().chain(of_stores);
        all.filter_map(change).collect()
    }

    fn compare(
        &self,
        file: &SealedFile,
        left: &mut u64,
    ) -> std::result::Result<String, FileChange> {
        let name = file.name.as_deref().filter(|_| file.role.is_searched());
        if let Some(found) = name.and_then(|name| search(name, &self.path).ok())
            && found != file.found
            && found.canonicalize().ok().as_deref() != Some(Path::new(&file.real))
        {
            return Err(FileChange::Shadowed(found));
        }
        file.compare(left)
    }
}

fn changed(server: &ServerName) -> Error {
    Error::new(
        Code::ProgramChanged,
        "what the command runs changed since it was granted",
    )
    .not_started(server)
    .hint("run `mcpwrap grant --changed` to see the change and approve it")
}
