//! The approved network settings, as exchanges and bridges use them.

use std::cell::Cell;

use super::item;
use crate::bridge::channel::BridgeNetwork;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::network;
use crate::secret::{Keys, SecretName};
use crate::store::Store;

/// The approved network settings of exchanges and bridges.
///
/// # Errors
/// `network-changed`; those of the store.
pub fn network(dirs: &Dirs, store: &dyn Store, keys: &Keys) -> Result<BridgeNetwork> {
    let found = network::verify(dirs, network::find(dirs)?, keys)?;
    let failed = Cell::new(None);
    let secret = |name: &SecretName| match store.get(name) {
        Ok(item) => Some(item.value),
        Err(error) => {
            failed.set(Some(error));
            None
        }
    };
    let proxy = match found.https_proxy(&secret) {
        None => None,
        Some(url) => Some(item::text_of(
            &SecretName::new("network/https-proxy")?,
            &url,
        )?),
    };
    // Without the approved proxy, the authorization server would be reached directly.
    match failed.take() {
        Some(error) => Err(error.hint("run `mcpwrap config network` to approve them again")),
        None => Ok(BridgeNetwork::new(&found, proxy)),
    }
}
