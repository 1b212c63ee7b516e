//! The last steps of a preparation for a server on this machine: its program, directory and environment.

use std::sync::atomic::Ordering;

use super::LaunchPipeline;
use super::known::LocalLaunch;
use crate::error::Result;
use crate::grant;
use crate::invocation::Ran;
use crate::launch::resolve;
use crate::launch::secret_files::SecretFiles;
use crate::launch::start;
use crate::supervise::{Prepared, Target};

impl LaunchPipeline {
    /// # Errors
    /// Those of [`resolve::resolve`]; `grant-broken` if the grant names no program.
    pub(super) fn prepare_local(&self, launch: LocalLaunch) -> Result<Prepared> {
        let LocalLaunch {
            mut policy,
            installed,
            invocation,
            mut program,
            values,
            mints,
            network,
            proxies,
            workspace,
            keys,
        } = launch;
        let mut inherited = start::inherited(&policy.env.pass);
        inherited.extend(invocation.variables());
        let mut directory = self.directory(&policy, &invocation)?;
        if let Some(installed) = installed {
            let pinned = installed.program(&policy);
            program = pinned
                .map(|(path, digest)| Ran { path, digest })
                .or(program);
            directory = installed.directory(&directory);
            policy = installed.into_policy(policy, &mut inherited);
        }
        let program = program.ok_or_else(|| grant::incomplete(&self.dirs, &policy.server))?;
        let sources = resolve::Sources {
            inherited,
            values,
            network: network.variables(),
            proxies,
            workspace,
        };
        let number = self.launches.fetch_add(1, Ordering::Relaxed);
        let mut files = SecretFiles::new(&self.dirs, &self.run, number);
        let container = format!("container-{}-{number}", self.run);
        let env = resolve::resolve(&policy, sources, &keys, &mut files)?
            .marked(self.mark(&keys))
            .contained(&policy, &self.dirs.runtime().join(container));
        self.locks().extend(files.into_locks());
        Ok(Prepared {
            policy,
            env,
            mints,
            poll: None,
            target: Target::Program { program, directory },
        })
    }
}
