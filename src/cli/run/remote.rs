//! The part of a launch that is different for a remote server.

use super::LaunchPipeline;
use crate::error::{Code, Error, Result};
use crate::launch::remote::{self, BridgeSources};
use crate::network::Network;
use crate::policy::{Policy, Remote};
use crate::secret::{Keys, SecretName};
use crate::store::{SecretBatch, SecretItem};
use crate::supervise::{Prepared, Rejection, Target};

impl LaunchPipeline {
    /// The last steps of a preparation: the settings of the bridge.
    pub(super) fn prepare_remote(
        &self,
        policy: Policy,
        batch: SecretBatch,
        network: &Network,
        proxies: Vec<(SecretName, Result<SecretItem>)>,
        keys: &Keys,
    ) -> Result<Prepared> {
        let sources = BridgeSources {
            batch,
            network,
            proxies,
            token: None,
        };
        let (env, settings) = remote::resolve(&policy, sources, keys)?;
        Ok(Prepared {
            policy,
            env: env.marked(self.mark(keys)),
            target: Target::Remote(settings),
        })
    }
}

/// The remote server refused credentials that are the current ones.
pub(super) fn refused(prepared: &Prepared, rejection: &Rejection) -> Error {
    let server = &prepared.policy.server;
    let host = prepared
        .policy
        .remote
        .as_ref()
        .map(Remote::host)
        .unwrap_or_default();
    let error = Error::new(
        Code::CredentialsRefused,
        format!("server `{server}` refused the credentials"),
    )
    .cause(format!(
        "`{host}` answered with status {}",
        rejection.status
    ));
    let mut names: Vec<_> = prepared
        .env
        .injected()
        .iter()
        .map(|one| &one.name)
        .collect();
    names.dedup();
    names.into_iter().fold(error, |error, name| {
        error.hint(format!(
            "create a new one with the provider, then run `mcpwrap secret rotate {name}`"
        ))
    })
}
