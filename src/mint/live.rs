//! The credentials that one server has: their ages, and their withdrawal when it is gone.
//!
//! Invariant: whoever drops the credentials of a server withdraws them: a server that exited, one that
//! never took over, a launch that was given up.

use std::sync::Arc;
use std::time::Duration;

use super::clock::{LOOK, MintClock, MintDue, MintPause};
use super::kept::KeptMint;
use crate::error::Error;
use crate::secret::MintName;
use crate::store::source::MintLife;

/// One credential of a server.
#[derive(Clone, Debug)]
pub struct LiveMint {
    pub name: MintName,
    pub clock: MintClock,
    /// When it ends: seconds of Unix time.
    pub ends: Option<i64>,
    /// What extends and withdraws it, if that is possible.
    pub kept: Option<KeptMint>,
    /// Says that a server has it.
    pub holder: Arc<()>,
}

/// Who extends and withdraws the credentials of a run.
pub trait MintOwner: Send + Sync {
    /// Makes credentials live longer. Waits for their makers.
    fn extend(&self, mints: &[LiveMint]) -> Vec<Extension>;
    /// Begins to withdraw credentials of servers that are gone.
    fn withdraw(self: Arc<Self>, kept: Vec<KeptMint>);
}

impl std::fmt::Debug for dyn MintOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MintOwner")
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct LiveMints {
    mints: Vec<LiveMint>,
    owner: Option<Arc<dyn MintOwner>>,
    pause: MintPause,
    /// An extension is on its way.
    extending: bool,
    /// Why the last attempt to extend or replace failed.
    pub trouble: Option<Error>,
}

/// What the session has to do.
#[derive(Debug)]
pub enum MintTask {
    /// Nothing, until this time since boot at the latest.
    Wait(Option<Duration>),
    /// Extend these, in a thread.
    Extend(Arc<dyn MintOwner>, Vec<LiveMint>),
    /// Replace the server, or the credentials of its bridge.
    Replace,
    /// This one has ended.
    Over(MintName),
}

/// The answer to an extension: a later end, or nothing if the credential has to be replaced.
#[derive(Debug)]
pub struct Extension {
    pub name: MintName,
    pub result: Result<Option<(Duration, MintLife)>, Error>,
}

impl LiveMints {
    pub(super) fn new(mints: Vec<LiveMint>, owner: Arc<dyn MintOwner>) -> Self {
        let mut live = Self::default();
        live.mints = mints;
        live.owner = Some(owner);
        live
    }

    pub fn is_empty(&self) -> bool {
        self.mints.is_empty()
    }

    /// When the first of them ends: seconds of Unix time.
    pub fn ends(&self) -> Option<i64> {
        self.mints.iter().filter_map(|mint| mint.ends).min()
    }

    /// What is due at this time since boot. A task is given once, and again after a pause.
    pub fn task(&mut self, now: Duration, random: u8) -> MintTask {
        let mut next = None;
        let mut extend = Vec::new();
        let mut replace = false;
        for mint in &self.mints {
            match mint.clock.due(now) {
                MintDue::Over => return MintTask::Over(mint.name.clone()),
                MintDue::Replace => replace = true,
                MintDue::Extend => extend.push(mint.clone()),
                MintDue::Later(at) => next = next.into_iter().chain(at).min(),
            }
        }
        let Some(owner) = self.owner.as_ref().filter(|_| !self.mints.is_empty()) else {
            return MintTask::Wait(None);
        };
        let is_due = replace || !extend.is_empty();
        if !is_due {
            return MintTask::Wait(next.map(|at: Duration| at.min(now + LOOK)));
        }
        if let Err(until) = self.pause.may_begin(now) {
            let ends = self.mints.iter().filter_map(|mint| mint.clock.end());
            return MintTask::Wait(ends.chain([until]).min());
        }
        if !replace && self.extending {
            return MintTask::Wait(Some(now + LOOK));
        }
        self.pause.begin(now, random);
        if replace {
            return MintTask::Replace;
        }
        self.extending = true;
        MintTask::Extend(Arc::clone(owner), extend)
    }

    /// Takes the answers to an extension. Returns whether one of them has to be replaced now.
    pub fn extended(&mut self, answers: Vec<Extension>, random: u8) -> bool {
        self.extending = false;
        let mut replace = false;
        for Extension { name, result } in answers {
            let Some(mint) = self.mints.iter_mut().find(|mint| mint.name == name) else {
                continue;
            };
            match result {
                Ok(Some((sent, life))) => {
                    mint.clock = MintClock::new(sent, life, random);
                    let seconds = life.seconds.and_then(|life| i64::try_from(life).ok());
                    let now = jiff::Timestamp::now().as_second();
                    mint.ends = seconds.map(|life| now.saturating_add(life));
                    self.pause = MintPause::default();
                    self.trouble = None;
                }
                Ok(None) => replace = true,
                Err(error) => self.trouble = Some(error),
            }
        }
        replace
    }
}

impl Drop for LiveMints {
    fn drop(&mut self) {
        let left = self.mints.drain(..).filter_map(|mint| {
            // Now no server has it.
            drop(mint.holder);
            mint.kept
        });
        let kept: Vec<_> = left.collect();
        if let Some(owner) = self.owner.take()
            && !kept.is_empty()
        {
            owner.withdraw(kept);
        }
    }
}
