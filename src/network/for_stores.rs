//! The approved network settings in the form that stores use.

use super::verified::{Network, NetworkVariable};
use crate::error::{Code, Error, Result};
use crate::secret::{Secret, SecretName};
use crate::store::source::StoreNetwork;
use crate::store::types::LocalValues;

/// The approved settings for stores. `local` has the secrets of the settings.
///
/// # Errors
/// Without the approved proxy nothing is asked: the error of a proxy that cannot be read.
pub fn for_stores(network: &Network, local: &LocalValues) -> Result<StoreNetwork> {
    for name in network.secrets() {
        let found = local.get(&name);
        if let Some(Ok(_)) = found {
            continue;
        }
        let what = "the proxy of the network settings has no value";
        let hint = "run `mcpwrap config network` to approve them again";
        return Err(match found {
            Some(Err(error)) => Error::new(error.code, what).caused_by(error.clone()),
            _ => Error::new(Code::SecretNotFound, what),
        }
        .hint(hint));
    }
    let secret = |name: &SecretName| Some(local.get(name)?.as_ref().ok()?.value.clone());
    let variables = network.variables().into_iter();
    let variables = variables.filter_map(|variable| match variable {
        NetworkVariable::Plain(name, value) => Some((name, Secret::new(value.into_bytes()))),
        NetworkVariable::Secret(name, from) => Some((name, secret(&from)?)),
    });
    Ok(StoreNetwork {
        route: network.route(&secret),
        variables: variables.collect(),
    })
}
