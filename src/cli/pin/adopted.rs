//! Pinning as the last part of `mcpwrap adopt`: what was adopted is installed and pinned, server by
//! server.
//!
//! *Never* undoes an adoption: what cannot be pinned starts as its policy allows, and that is said.
//! *Never* waits for a registry that does not answer more than once.

use std::collections::BTreeSet;

use super::{Args, Consent, Context, print};
use crate::config::Config;
use crate::error::{CauseKind, Code, Result};
use crate::grant::By;
use crate::package::{self, Pin, Registry};
use crate::policy::{self, Policy, Unpinned};
use crate::secret::{Keys, ServerName};

/// Pins the servers that can be.
pub fn adopted(
    cx: &Context,
    config: &Config,
    servers: &BTreeSet<ServerName>,
    by: By,
    keys: &Keys,
) -> Result<()> {
    let mut wanted = Vec::new();
    for server in servers {
        let policy = policy::load(&cx.dirs, server, None)?;
        if is_wanted(&policy) {
            wanted.push(policy);
        }
    }
    let args = Args::for_adopt();
    // The store is open already: nobody is asked for a passphrase while the bar is drawn.
    let mut keys = Some(keys.clone());
    let mut silent: Vec<Registry> = Vec::new();
    let mut progress = print::Progress::new(wanted.len());
    for policy in &wanted {
        let registry = package::parse(&policy.command).registry;
        progress.next(&format!("pinning server `{}`", policy.server));
        if silent.contains(&registry) {
            print::note(&fallback(policy));
            continue;
        }
        if let Err(error) = super::pin(&args, cx, config, policy, Consent::Given(by), &mut keys) {
            if error.code != Code::PackageFailed && error.code != Code::PackageChanged {
                return Err(error);
            }
            print::error(&error);
            print::note(&fallback(policy));
            if error.is(CauseKind::Unreachable) {
                silent.push(registry);
            }
        }
    }
    Ok(())
}

/// Whether `adopt` installs what a policy starts.
pub fn is_wanted(policy: &Policy) -> bool {
    let launch = package::parse(&policy.command);
    let installable = matches!(
        launch.registry,
        Registry::Npm | Registry::Pypi | Registry::Image
    );
    policy.package.is_none()
        && installable
        && launch.obstacle.is_none()
        && launch.pin != Pin::Digest
}

/// What happens at the next start instead.
fn fallback(policy: &Policy) -> String {
    let server = &policy.server;
    let how = match (
        package::parse(&policy.command).pin.holds(),
        policy.limits.unpinned,
    ) {
        (true, _) => "starts in its exact version, through its launcher",
        (false, Unpinned::Allow) => "starts whatever version is there on that day",
        (false, Unpinned::Refuse) => "does not start until it is pinned",
    };
    format!(
        "server `{server}` is adopted and not pinned: it {how}; `mcpwrap pin {server}` tries again"
    )
}
