//! The last part of `mcpwrap adopt`: pins the adopted servers one by one.
//!
//! Invariants: a failed pin does not undo the adoption, and the user is told how the server starts
//! instead. A registry that does not answer is waited for once.

use std::collections::BTreeSet;

use super::interrupts::Interrupts;
use crate::cli::{Context, print};
use crate::config::Config;
use crate::error::{CauseKind, Code, Result};
use crate::ops::actor::Actor;
use crate::ops::pin::{self, PinDialog, PinOptions, Pinned, Unpinnable};
use crate::package::{self, Registry};
use crate::policy::{self, Policy};
use crate::secret::{Keys, ServerName};

/// The result of pinning.
#[derive(Debug, Default)]
pub(super) struct Pins {
    pub(super) is_interrupted: bool,
    /// The servers that are not pinned, as the user was told.
    pub(super) told: BTreeSet<ServerName>,
}

/// Pins the servers that can be pinned, until an interrupt.
pub(super) fn adopted(
    cx: &Context,
    config: &Config,
    servers: &BTreeSet<ServerName>,
    actor: Actor,
    keys: &Keys,
    interrupts: &Interrupts,
) -> Result<Pins> {
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
    let mut pins = Pins::default();
    if !wanted.is_empty() {
        print::note(&format!(
            "installing {}; Ctrl-C stops after the current one, and `mcpwrap adopt` continues",
            print::count(wanted.len(), "package")
        ));
    }
    let mut progress = print::Progress::new(wanted.len());
    let mut dialog = PinDialog {
        begin: &mut |_| {},
        agree: &mut |_| Ok(()),
    };
    for (n, policy) in wanted.iter().enumerate() {
        if interrupts.any() {
            return Ok(interrupted(pins, &wanted, n));
        }
        let registry = package::parse(&policy.command).registry;
        progress.next(&format!("pinning server `{}`", policy.server));
        if silent.contains(&registry) {
            print::note(&fallback(policy));
            pins.told.insert(policy.server.clone());
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
            // The package client got the interrupt, too.
            Err(_) if interrupts.any() => return Ok(interrupted(pins, &wanted, n)),
            Err(error) if matches!(error.code, Code::PackageFailed | Code::PackageChanged) => {
                print::error(&error);
                print::note(&fallback(policy));
                pins.told.insert(policy.server.clone());
                if error.is(CauseKind::Unreachable) {
                    silent.push(registry);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(pins)
}

/// Says what is done and what is not. `at`: the first policy that is not pinned.
fn interrupted(mut pins: Pins, wanted: &[Policy], at: usize) -> Pins {
    let left = wanted.get(at..).unwrap_or_default();
    let names: Vec<_> = left
        .iter()
        .map(|policy| format!("`{}`", policy.server))
        .collect();
    print::warning(&format!(
        "interrupted: the entries are adopted, {} of {} pinned; not pinned: {}; run `mcpwrap adopt` \
         to continue",
        at.saturating_sub(pins.told.len()),
        print::count(wanted.len(), "package"),
        names.join(", ")
    ));
    pins.told
        .extend(left.iter().map(|policy| policy.server.clone()));
    pins.is_interrupted = true;
    pins
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
