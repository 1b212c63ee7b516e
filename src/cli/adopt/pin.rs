//! The last part of `mcpwrap adopt`: pins the adopted servers one by one.
//!
//! Invariants: a failed pin does not undo the adoption, and the user is told how the server starts
//! instead. A registry that does not answer is waited for once.

use std::collections::BTreeSet;

use crate::cli::{Context, print};
use crate::config::Config;
use crate::error::{CauseKind, Code, Result};
use crate::ops::actor::Actor;
use crate::ops::pin::{self, PinDialog, PinOptions, Pinned, Unpinnable};
use crate::package::{self, Registry};
use crate::policy::{self, Policy};
use crate::secret::{Keys, ServerName};

/// Pins the servers that can be pinned.
pub(super) fn adopted(
    cx: &Context,
    config: &Config,
    servers: &BTreeSet<ServerName>,
    actor: Actor,
    keys: &Keys,
) -> Result<()> {
    let mut wanted = Vec::new();
    for server in servers {
        let policy = policy::load(&cx.dirs, server, None)?;
        if pin::is_wanted(&policy) {
            wanted.push(policy);
        }
    }
    let options = PinOptions {
        adopting: true,
        ..PinOptions::default()
    };
    // The store is open already: no passphrase prompt appears while the bar is drawn.
    let mut keys = Some(keys.clone());
    let mut silent: Vec<Registry> = Vec::new();
    let mut progress = print::Progress::new(wanted.len());
    let mut dialog = PinDialog {
        begin: &mut |_| {},
        agree: &mut |_| Ok(()),
    };
    for policy in &wanted {
        let registry = package::parse(&policy.command).registry;
        progress.next(&format!("pinning server `{}`", policy.server));
        if silent.contains(&registry) {
            print::note(&fallback(policy));
            continue;
        }
        match pin::pin(
            &cx.dirs,
            config,
            policy,
            options,
            actor,
            &mut keys,
            &mut dialog,
        ) {
            Ok(done) => say(&policy.server, &done),
            Err(error) if matches!(error.code, Code::PackageFailed | Code::PackageChanged) => {
                print::error(&error);
                print::note(&fallback(policy));
                if error.is(CauseKind::Unreachable) {
                    silent.push(registry);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn say(server: &ServerName, done: &Pinned) {
    let (Pinned::Already(package) | Pinned::Repaired(package) | Pinned::New { package, .. }) = done;
    print::line(&format!("pinned: {server}, {package}"));
    if matches!(
        done,
        Pinned::New {
            scripts_skipped: true,
            ..
        }
    ) {
        print::note(&format!(
            "server `{server}`: install scripts were not run; if it needs them, run \
             `mcpwrap pin {server} --allow-scripts`"
        ));
    }
}

/// How the server starts instead.
fn fallback(policy: &Policy) -> String {
    let server = &policy.server;
    let how = match Unpinnable::of(policy) {
        Unpinnable::ExactVersion => "its launcher starts the exact version",
        Unpinnable::AnyVersion => "its launcher starts whatever version is current",
        Unpinnable::NotAtAll => "it does not start until then",
    };
    format!(
        "server `{server}` is adopted but not pinned: {how}; run `mcpwrap pin {server}` to try again"
    )
}
