//! What the files say of a session: whether its server may run, and whether its values are current.

use super::LaunchPipeline;
use crate::error::{Code, Error, Result};
use crate::grant;
use crate::launch::injected::Injected;
use crate::policy;
use crate::store::Index;

impl LaunchPipeline {
    /// Whether the server may run, according to the files alone.
    pub(super) fn allowed(&self) -> Result<()> {
        let path = policy::load::path(&self.dirs, &self.server);
        if path
            .metadata()
            .is_ok_and(|meta| meta.is_file() && meta.len() == 0)
        {
            // An empty policy allows nothing, like a removed one. Like a removed one, it may be about
            // to be written by an editor.
            return Err(Error::new(Code::PolicyNotFound, "the policy is empty")
                .not_started(&self.server)
                .cause(format!("`{}` has no content", self.dirs.tilde(&path)))
                .hint(format!(
                    "restore the policy, then run `mcpwrap grant {}`",
                    self.server
                )));
        }
        let policy = self.load()?;
        let _grant = grant::find(&self.dirs, &policy)?;
        policy.check_command(&self.command, self.dirs.home())?;
        self.mints.check_tokens(&policy)
    }

    /// Whether an injected value is no longer the current one, according to the indexes alone.
    pub(super) fn outdated(&self, injected: &[Injected]) -> bool {
        if self.is_token_outdated() || self.mints.is_outdated() {
            return true;
        }
        let seen = self.seen();
        Index::load(&self.dirs).is_ok_and(|index| {
            injected.iter().any(|one| {
                let Some(name) = one.name.local() else {
                    return false;
                };
                index.secrets.get(name).is_some_and(|entry| {
                    entry.fingerprint != one.fingerprint
                        && seen.secrets.get(name).map(|row| &row.fingerprint)
                            != Some(&entry.fingerprint)
                })
            })
        })
    }
}
