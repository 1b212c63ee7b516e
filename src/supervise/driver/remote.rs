//! Keeps the credentials of a bridge current. Nothing is restarted for it.
//!
//! Invariants: credentials are recorded on disk before a bridge gets them, and none are sent after the
//! grant is gone. One refresh runs at a time; a change during it starts another.

use std::sync::Arc;
use std::time::Instant;

use super::Driver;
use crate::bridge::channel::{Rejection, Up};
use crate::error::{Code, Result};
use crate::supervise::bridge::Refresh;
use crate::supervise::credentials::Refreshed;
use crate::supervise::generation::Suspicion;
use crate::supervise::pipeline::{Prepared, Target};
use crate::supervise::shared::{Notice, spawn_detached};
use crate::supervise::state::KeeperEvent;

impl Driver {
    /// Handles what a bridge says.
    pub(super) fn bridge_said(&mut self, generation: u32, up: Up) {
        let link = self
            .generation_mut(generation)
            .and_then(|one| one.bridge.as_mut());
        match up {
            Up::State(state) => {
                if let Some(link) = link {
                    link.state = state;
                }
            }
            Up::RequestRefused { generation, id } => {
                if let Some(link) = link {
                    link.note_refused(generation, &id);
                }
            }
            Up::Rejected(rejection) => {
                self.refresh(generation, Some(rejection));
            }
        }
    }

    /// Begins to fetch new credentials, if this generation is a bridge.
    pub(super) fn refresh(&mut self, generation: u32, rejection: Option<Rejection>) -> bool {
        let since = Instant::now();
        let (pipeline, shared) = (Arc::clone(&self.pipeline), Arc::clone(&self.shared));
        let Some(server) = self.generation_mut(generation) else {
            return false;
        };
        let injected = server.injected.clone();
        let Some(link) = &mut server.bridge else {
            return false;
        };
        if let Some(rejection) = &rejection
            && rejection.generation < link.credentials()
        {
            // Newer ones are on their way already.
            return true;
        }
        if let Refresh::Running { again } = &mut link.refresh {
            *again = true;
            return true;
        }
        link.refresh = Refresh::Running { again: false };
        spawn_detached(move || {
            let result = match &rejection {
                Some(rejection) => pipeline.prepare_again(rejection, &injected),
                None => pipeline.prepare(true),
            };
            shared.post(Notice::Refreshed(Box::new(Refreshed {
                generation,
                rejection,
                since,
                result: result.map(Box::new),
            })));
        });
        true
    }

    /// Whether new credentials are being fetched for this bridge.
    pub(super) fn is_refreshing(&self, generation: u32) -> bool {
        let server = self.generation(generation);
        let link = server.and_then(|server| server.bridge.as_ref());
        link.is_some_and(|link| matches!(link.refresh, Refresh::Running { .. }))
    }

    /// Asks for a new OAuth token shortly before the one in use ends. Returns when the next is due.
    pub(super) fn refresh_token(&mut self) -> Option<Instant> {
        let current = self.state.current()?;
        let heard = self.shared.heard();
        let link = self.generation_mut(current)?.bridge.as_mut()?;
        let is_wanted = link.take_due(Instant::now(), heard);
        let next = link.token_due();
        if is_wanted {
            self.refresh(current, None);
        }
        next
    }

    /// Passes new credentials to the bridge, or the reason why there are none.
    pub(super) fn refreshed(&mut self, refreshed: Refreshed) -> Option<KeeperEvent> {
        let Refreshed {
            generation,
            rejection,
            since,
            result,
        } = refreshed;
        let is_current = self.state.current() == Some(generation);
        let link = self.generation_mut(generation)?.bridge.as_mut()?;
        let again = matches!(
            std::mem::take(&mut link.refresh),
            Refresh::Running { again: true }
        );
        if !is_current {
            return None;
        }
        let result = result.and_then(|prepared| self.replace(generation, *prepared));
        let differs = matches!(result, Ok(false));
        if let (Err(error), Some(rejection)) = (&result, &rejection)
            && let Some(link) = &mut self.generation_mut(generation)?.bridge
        {
            link.refuse(rejection.generation, error);
            if error.code != Code::CredentialsRefused {
                link.renumber();
            }
        }
        if again {
            self.refresh(generation, None);
        }
        if differs {
            // The policy was changed and granted: another bridge is needed.
            return Some(KeeperEvent::FilesSeen {
                grant: Ok(()),
                outdated: Some(generation),
                updating: false,
            });
        }
        if again {
            // Whoever waits for the change that came in between is answered after it.
            return None;
        }
        Some(KeeperEvent::CredentialsReplaced {
            generation,
            result: result.map(|_| since.elapsed()),
        })
    }

    /// Records and sends new credentials. `false` if more than the credentials changed.
    fn replace(&mut self, generation: u32, mut prepared: Prepared) -> Result<bool> {
        let Target::Remote {
            settings,
            token_expires,
        } = &prepared.target
        else {
            return Ok(false);
        };
        let fits = |driver: &Self| {
            let server = driver.generation(generation);
            let link = server.and_then(|server| server.bridge.as_ref());
            link.is_some_and(|link| link.accepts(settings))
        };
        if !fits(self) {
            return Ok(false);
        }
        self.pipeline.may_run()?;
        self.pipeline.record_injections(&prepared, generation)?;
        // The new values are masked before the server can send them back.
        self.use_masker(self.masker(prepared.env.values()));
        let heard = self.shared.heard();
        let Some(server) = self.generation_mut(generation) else {
            return Ok(true);
        };
        if let Some(link) = &mut server.bridge {
            link.replace(settings.credentials.clone());
            link.set_token(*token_expires, heard);
        }
        server.injected = prepared.env.injected().to_vec();
        server.suspicion = Suspicion::None;
        // The old ones are withdrawn: only requests that were sent still use them.
        server.mints = std::mem::take(&mut prepared.mints);
        let old = std::mem::replace(&mut server.values, prepared.env.values().to_vec());
        self.retire(old);
        Ok(true)
    }
}
