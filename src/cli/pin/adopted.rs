//! Pinning as the last part of `mcpwrap adopt`: what was adopted is installed and pinned, server by
//! server. *Never* undoes an adoption: what cannot be pinned starts as its policy allows, and that
//! is said.

use std::collections::BTreeSet;

use super::{Args, Context, print};
use crate::config::Config;
use crate::error::Result;
use crate::grant::By;
use crate::package::{self, Pin, Registry};
use crate::policy::{self, Policy, Unpinned};
use crate::secret::ServerName;

/// Pins the servers that can be; returns how many of these were not pinned.
pub fn adopted(
    cx: &Context,
    config: &Config,
    servers: &BTreeSet<ServerName>,
    by: By,
) -> Result<usize> {
    let mut wanted = Vec::new();
    for server in servers {
        let policy = policy::load(&cx.dirs, server, None)?;
        if policy.package.is_none() && is_package(&policy) {
            wanted.push(policy);
        }
    }
    let args = Args {
        server: Vec::new(),
        to: None,
        before: None,
        allow_scripts: false,
        outdated: false,
        prune: false,
        json: false,
        yes: by == By::Yes,
    };
    let (mut keys, mut left) = (None, 0);
    for (n, policy) in wanted.iter().enumerate() {
        print::note(&format!(
            "[{}/{}] pinning server `{}`",
            n + 1,
            wanted.len(),
            policy.server
        ));
        if let Err(error) = super::pin(&args, cx, config, policy, &mut keys) {
            print::error(&error);
            print::note(&fallback(policy));
            left += 1;
        }
    }
    Ok(left)
}

fn is_package(policy: &Policy) -> bool {
    let launch = package::parse(&policy.command);
    let installable = matches!(
        launch.registry,
        Registry::Npm | Registry::Pypi | Registry::Image
    );
    installable && launch.obstacle.is_none() && launch.pin != Pin::Digest
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
