//! Installs what several policies start, several at once.

use std::ops::ControlFlow;

use super::pin::{self, PinCandidate, PinOptions};
use super::registries::{self, JobEvent, RegistryJob};
use crate::dirs::Dirs;
use crate::error::Result;
use crate::package::{self, InstallProgress, ParsedCommand, Registry};
use crate::policy::Policy;

/// What the caller is told.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "few and short-lived")]
pub enum PinEvent<'a> {
    /// The policy at this index is ready, or could not be installed. `None`: it was not tried,
    /// because its registry did not answer for another one.
    Done(usize, Option<Result<PinCandidate>>),
    /// Time has passed. The progress of each policy.
    Tick(&'a [InstallProgress]),
}

/// Installs the packages of these policies and calls `each` in this thread. After `Break` no other
/// one begins; those that have begun end first.
pub fn install_all(
    dirs: &Dirs,
    policies: &[Policy],
    options: PinOptions<'_>,
    each: &mut dyn FnMut(PinEvent<'_>) -> ControlFlow<()>,
) {
    let progress: Vec<_> = policies
        .iter()
        .map(|_| InstallProgress::default())
        .collect();
    let both: Vec<_> = policies.iter().zip(&progress).collect();
    let install = |(policy, progress): &(&Policy, &InstallProgress)| {
        pin::install(dirs, policy, options, progress)
    };
    registries::for_each(
        &both,
        |(policy, _)| job(policy),
        install,
        &mut |event| match event {
            JobEvent::Done(at, result) => each(PinEvent::Done(at, result)),
            JobEvent::Tick => each(PinEvent::Tick(&progress)),
        },
    );
}

/// The answer of `each`.
pub const fn stop_if(stop: bool) -> ControlFlow<()> {
    if stop {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

/// What decides which tree is installed, and from where.
fn job(policy: &Policy) -> RegistryJob {
    let launch = package::parse(&policy.command);
    let ParsedCommand {
        registry,
        spec,
        with,
        entry,
        options,
        ..
    } = &launch;
    let own = match registry {
        // What its content is depends on the whole command.
        Registry::Local => policy.server.as_str(),
        _ => "",
    };
    let known = &policy.package;
    let key = format!("{registry:?} {spec:?} {with:?} {entry:?} {options:?} {known:?} {own}");
    RegistryJob::new(key, &policy.command)
}
