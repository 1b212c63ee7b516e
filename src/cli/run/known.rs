//! What is known of a launch on this machine before its environment is made.

use std::path::PathBuf;

use crate::error::Result;
use crate::invocation::{Invocation, Ran};
use crate::mint::LiveMints;
use crate::network::Network;
use crate::package::ResolvedCommand;
use crate::policy::Policy;
use crate::secret::{Keys, SecretName};
use crate::store::SecretItem;

/// See the module.
pub(super) struct LocalLaunch {
    pub(super) policy: Policy,
    /// The pinned package that is started instead of the command.
    pub(super) installed: Option<ResolvedCommand>,
    pub(super) invocation: Invocation,
    /// The program of the command.
    pub(super) program: Option<Ran>,
    /// In the order of the policy's variables.
    pub(super) values: Vec<Result<SecretItem>>,
    pub(super) mints: LiveMints,
    pub(super) network: Network,
    /// The secrets of the network settings.
    pub(super) proxies: Vec<(SecretName, Result<SecretItem>)>,
    pub(super) workspace: Option<PathBuf>,
    pub(super) keys: Keys,
}
