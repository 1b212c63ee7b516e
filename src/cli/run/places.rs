//! Where a server runs, and what the end of its session leaves.

use std::path::PathBuf;
use std::sync::PoisonError;

use super::LaunchPipeline;
use crate::cli::print;
use crate::error::{Code, Error, Result};
use crate::invocation::Invocation;
use crate::launch::work::{self, WorkDirectory};
use crate::policy::{Cwd, Policy};

impl LaunchPipeline {
    /// The working directory of the server.
    pub(super) fn directory(&self, policy: &Policy, invocation: &Invocation) -> Result<PathBuf> {
        let failed = |what: &str, cause: String| {
            Error::new(Code::LaunchFailed, what)
                .not_started(&self.server)
                .cause(cause)
        };
        match (&policy.cwd, &invocation.directory) {
            (_, Some(directory)) => Ok(directory.clone()),
            (Cwd::Path(text), None) => Ok(self.dirs.expand(text)),
            (Cwd::Client, None) => std::env::current_dir().map_err(|error| {
                let what = "cannot determine the client's working directory";
                failed(what, crate::files::io_text(&error))
            }),
            (Cwd::Private, None) => {
                let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(work) = &*work {
                    return Ok(work.path().to_path_buf());
                }
                let new = WorkDirectory::create(&self.dirs, &self.server, &self.run).map_err(
                    |problem| {
                        let what = "cannot create its private working directory";
                        failed(what, problem.to_string())
                    },
                )?;
                Ok(work.insert(new).path().to_path_buf())
            }
        }
    }

    /// Removes the private working directory, unless the server wrote into it.
    pub(super) fn leave_work(&self) {
        let work = self
            .work
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(kept) = work.and_then(WorkDirectory::finish) {
            print::note(&format!(
                "server `{}` wrote files into its private directory; they are kept for {} days in `{}`",
                self.server,
                work::KEPT_DAYS,
                kept.display()
            ));
        }
        work::sweep(&self.dirs);
    }
}
