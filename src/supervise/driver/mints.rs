//! Keeps the short-lived credentials of the current server current.
//!
//! Extending changes nothing for the server. Replacing renews it, or the credentials of a bridge, by the
//! session's own rule. A credential that has ended ends the server, and the session tries again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Driver;
use crate::error::{Code, Error};
use crate::mint::clock::{LOOK, MintPause, random};
use crate::mint::live::{Extension, MintTask};
use crate::secret::MintName;
use crate::supervise::pipeline::Fact;
use crate::supervise::shared::{Notice, spawn_detached};
use crate::supervise::state::KeeperEvent;
use crate::sys::clock;

impl Driver {
    /// Does what is due for the credentials of the current server. Returns when to look again.
    pub(super) fn mind_mints(&mut self) -> Option<Instant> {
        let now = clock::since_boot();
        let Some(current) = self.state.current() else {
            return self.wake_suspended(now);
        };
        self.waking = MintPause::default();
        if self.state.is_renewing() {
            // Its end is an event.
            return None;
        }
        let task = self.generation_mut(current)?.mints.task(now, random());
        let next = match task {
            MintTask::Wait(next) => next,
            MintTask::Extend(owner, mints) => {
                let shared = Arc::clone(&self.shared);
                spawn_detached(move || {
                    let answers = owner.extend(&mints);
                    shared.post(Notice::Extended {
                        generation: current,
                        answers,
                    });
                });
                Some(now + LOOK)
            }
            MintTask::Replace => {
                self.replace_credentials(current);
                Some(now + LOOK)
            }
            MintTask::Over(name) => {
                let error = self.ended(current, &name);
                self.handle(KeeperEvent::CredentialsReplaced {
                    generation: current,
                    result: Err(error),
                });
                Some(now + Duration::from_secs(1))
            }
        };
        Some(Instant::now() + next?.saturating_sub(now))
    }

    /// Gets new credentials: for a bridge while it runs, otherwise with a new server.
    pub(super) fn replace_credentials(&mut self, generation: u32) {
        let updating = self.refresh(generation, None);
        self.handle(KeeperEvent::FilesSeen {
            grant: self.pipeline.may_run(),
            outdated: Some(generation).filter(|_| !updating),
            updating,
        });
    }

    /// Keeps why a renewal failed, for the time when the credentials end.
    pub(super) fn note_trouble(&mut self, fact: &Fact) {
        let (Fact::NotRenewed { error }, Some(current)) = (fact, self.state.current()) else {
            return;
        };
        if let Some(server) = self.generation_mut(current)
            && !server.mints.is_empty()
        {
            server.mints.trouble = Some(error.clone());
        }
    }

    /// Takes the answers of the makers.
    pub(super) fn extended(&mut self, generation: u32, answers: Vec<Extension>) {
        let is_current = self.state.current() == Some(generation);
        for answer in &answers {
            if let Err(error) = &answer.result {
                tracing::warn!("cannot extend `mint:{}`: {}", answer.name, error.text());
            }
        }
        let Some(server) = self.generation_mut(generation) else {
            return;
        };
        if server.mints.extended(answers, random()) && is_current {
            self.replace_credentials(generation);
        }
    }

    fn ended(&self, generation: u32, name: &MintName) -> Error {
        let what = format!(
            "the credential `mint:{name}` of server `{}` has ended",
            self.label.server
        );
        let error = Error::new(Code::CredentialEnded, what);
        let server = self.generation(generation);
        match server.and_then(|server| server.mints.trouble.clone()) {
            // Only the user can go on.
            Some(trouble) if trouble.code == Code::LoginNeeded => return trouble,
            Some(trouble) => error.caused_by(trouble),
            None => error.cause("it could not be replaced in time"),
        }
        .hint(format!(
            "the session tries again by itself; run `mcpwrap renew {}` to try now",
            self.label.server
        ))
    }

    /// A session without a server because of something that passes by itself tries again, less and less
    /// often.
    fn wake_suspended(&mut self, now: Duration) -> Option<Instant> {
        let may_pass = |error: &Error| passes(error.code) && !self.pipeline.asks_user(error);
        if self.state.is_renewing() || !self.state.why_suspended().is_some_and(may_pass) {
            return None;
        }
        match self.waking.may_begin(now) {
            Ok(()) => {
                let is_first = self.waking == MintPause::default();
                self.waking.begin(now, random());
                if !is_first {
                    self.handle(KeeperEvent::FilesSeen {
                        grant: self.pipeline.may_run(),
                        outdated: None,
                        updating: false,
                    });
                }
                let until = self.waking.may_begin(now).err()?;
                Some(Instant::now() + until.saturating_sub(now))
            }
            Err(until) => Some(Instant::now() + until.saturating_sub(now)),
        }
    }
}

/// Whether this may be over without the user. What only the user can change is not asked again: stores
/// count what they are asked, and some lock an account.
const fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::CredentialEnded
            | Code::OAuthUnreachable
            | Code::StoreUnavailable
            | Code::StoreTimeout
            | Code::StoreThrottled
            | Code::StoreLocked
    )
}
