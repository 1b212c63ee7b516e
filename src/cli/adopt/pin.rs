//! The last part of `mcpwrap adopt`: pins the adopted servers, several at once.
//!
//! Invariants: a failed pin does not undo the adoption, and the user is told how the server starts
//! instead. A registry that does not answer is waited for once.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::cli::installing::Installing;
use crate::cli::interrupts::Interrupts;
use crate::cli::{Context, print};
use crate::config::Config;
use crate::error::{Code, Error, Result, printable};
use crate::ops::actor::Actor;
use crate::ops::pin::{self, Installation, PinOptions, Pinned, Unpinnable};
use crate::ops::pin_several::{self, PinEvent, stop_if};
use crate::policy::{self, Policy};
use crate::secret::{Keys, ServerName};

/// The result of pinning.
#[derive(Debug, Default)]
pub(super) struct Pins {
    pub(super) is_interrupted: bool,
    /// The servers that are not pinned, as the user was told.
    pub(super) told: BTreeSet<ServerName>,
}

impl Pins {
    fn not_pinned(&mut self, policy: &Policy) {
        print::note(&fallback(policy));
        self.told.insert(policy.server.clone());
    }
}

/// Pins the servers that can be pinned, until an interrupt.
pub(super) fn adopted(
    cx: &Context,
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
        set_age: Config::load(&cx.dirs)?.min_age(None)?,
        ..PinOptions::default()
    };
    let mut pins = Pins::default();
    if wanted.is_empty() {
        return Ok(pins);
    }
    print::note(&format!(
        "installing {}; Ctrl-C stops when those that have begun are done, and `mcpwrap adopt` continues",
        print::count(wanted.len(), "package")
    ));
    let mut installing = Installing::new(&wanted);
    let mut left: BTreeSet<usize> = (0..wanted.len()).collect();
    let mut failure = None;
    pin_several::install_all(&cx.dirs, &wanted, options, &mut |event| {
        let (at, result) = match event {
            PinEvent::Done(at, result) => (at, result),
            PinEvent::Tick(progress) => {
                installing.tick(progress);
                return stop_if(interrupts.any());
            }
        };
        let Some(policy) = wanted.get(at) else {
            return ControlFlow::Continue(());
        };
        installing.done(at);
        let finish = |candidate| {
            let agree = &mut |_: &Installation<'_>| Ok(());
            pin::finish(&cx.dirs, policy, candidate, options, (actor, keys), agree)
        };
        let result = result.map(|result| result.and_then(finish));
        match result {
            Some(Ok(done)) => say(&policy.server, &done),
            // The package client got the interrupt, too.
            Some(Err(_)) if interrupts.any() => return ControlFlow::Break(()),
            Some(Err(error)) if is_of_package(&error) => {
                print::error(&error);
                pins.not_pinned(policy);
            }
            // Another command was faster: undo, or another pin.
            Some(Err(error)) if is_of_policy(&error) => {
                print::error(&error);
                pins.told.insert(policy.server.clone());
            }
            Some(Err(error)) => drop(failure.get_or_insert(error)),
            None => pins.not_pinned(policy),
        }
        left.remove(&at);
        stop_if(failure.is_some() || interrupts.any())
    });
    drop(installing);
    if let Some(error) = failure {
        return Err(error);
    }
    let left: Vec<_> = left.iter().filter_map(|at| wanted.get(*at)).collect();
    if left.is_empty() {
        return Ok(pins);
    }
    Ok(interrupted(pins, wanted.len(), &left))
}

fn is_of_package(error: &Error) -> bool {
    matches!(error.code, Code::PackageFailed | Code::PackageChanged)
}

fn is_of_policy(error: &Error) -> bool {
    matches!(error.code, Code::PolicyChanged | Code::PolicyNotFound)
}

/// Says what is done and what is not.
fn interrupted(mut pins: Pins, wanted: usize, left: &[&Policy]) -> Pins {
    print::warning(&format!(
        "interrupted: the entries are adopted, {} of {} pinned; not pinned: {}; run `mcpwrap adopt` \
         to continue",
        wanted - left.len() - pins.told.len(),
        print::count(wanted, "package"),
        print::names(left.iter().map(|policy| &policy.server))
    ));
    pins.told
        .extend(left.iter().map(|policy| policy.server.clone()));
    pins.is_interrupted = true;
    pins
}

fn say(server: &ServerName, done: &Pinned) {
    let (Pinned::Already(package) | Pinned::Repaired(package) | Pinned::New { package, .. }) = done;
    print::line(&format!("pinned: {server}, {package}"));
    let Pinned::New {
        scripts_skipped,
        remarks,
        ..
    } = done
    else {
        return;
    };
    for remark in remarks {
        print::note(&format!("server `{server}`: {}", printable(remark)));
    }
    if *scripts_skipped {
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
