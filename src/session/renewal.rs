//! Brings a new server to the state of the old one, so that the client does not notice the change.
//!
//! Legacy: `initialize` again under an internal ID, then `initialized`, the log level and the
//! subscriptions. Modern: a probe, then the open subscriptions again. The old server loses the
//! session only after the first answer of the new one.

use std::time::Instant;

use serde_json::Value;

use super::answer::{self, RequestOutcome};
use super::envelope::{Id, Scanner};
use super::fields::{self, Outcome};
use super::{Era, InternalRequest, ReplayedState, Session, replace};
use crate::secret::ServerName;

/// What is written to each side when a new server takes over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Takeover {
    pub to_server: Vec<u8>,
    pub to_client: Vec<u8>,
}

/// Capabilities of the legacy era whose lists may differ in the new server.
pub const LISTS: &[(&str, &str)] = &[
    ("tools", "notifications/tools/list_changed"),
    ("resources", "notifications/resources/list_changed"),
    ("prompts", "notifications/prompts/list_changed"),
];

impl Session {
    /// The first line for a new server; `None` if the client has not sent a handshake yet.
    pub fn handshake(&mut self, generation: u32) -> Option<Vec<u8>> {
        match self.era? {
            Era::Legacy => {
                self.initialize_result.as_ref()?;
                let line = self.initialize.clone()?;
                Some(self.with_internal_id(&line, generation, InternalRequest::Handshake))
            }
            Era::Modern => {
                // Before the first answer the era is only the client's guess.
                let meta = self.meta.clone().filter(|_| self.modern_answered)?;
                let id = self.internal_id(generation, InternalRequest::Handshake);
                Some(answer::discover(&id, &meta))
            }
        }
    }

    /// Whether a new server's answer to the handshake is compatible with the session.
    ///
    /// # Errors
    /// A description of the difference.
    pub fn judge_handshake(&mut self, line: &[u8]) -> Result<(), String> {
        let outcome = Outcome::read(line);
        if let Some(code) = outcome.error {
            let own = fields::own_error(line).map(|own| format!(" (`{}`)", own.name()));
            let own = own.unwrap_or_default();
            return Err(format!("it answered the handshake with error {code}{own}"));
        }
        if self.era != Some(Era::Legacy) {
            return self.judge_versions(line);
        }
        self.candidate_result.clone_from(&outcome.result);
        let (Some(old), Some(new)) = (&self.initialize_result, &outcome.result) else {
            return Err("its answer to `initialize` is invalid".to_owned());
        };
        // If the replacement server answered the client, any server is accepted.
        if self.stub_answered {
            return Ok(());
        }
        let version = |result: &Value| result.get("protocolVersion").cloned().unwrap_or_default();
        if version(old) != version(new) {
            return Err(format!(
                "it speaks protocol version {}, the session {}",
                version(new),
                version(old)
            ));
        }
        missing_capability(old, new).map_or(Ok(()), |name| {
            Err(format!("it no longer has the capability `{name}`"))
        })
    }

    fn judge_versions(&self, line: &[u8]) -> Result<(), String> {
        let wanted = self.meta.as_ref().and_then(fields::version_of);
        match (wanted, fields::supported_versions(line)) {
            (Some(wanted), Some(known)) if !known.iter().any(|version| version == wanted) => {
                Err(format!("it does not support protocol version {wanted}"))
            }
            _ => Ok(()),
        }
    }

    /// The lines after the handshake: `initialized` and the state that the client built up.
    pub fn after_handshake(&mut self, generation: u32) -> Vec<u8> {
        if self.era != Some(Era::Legacy) {
            return Vec::new();
        }
        self.replay_changes(generation)
    }

    /// The state that the client built up and that was not replayed to the candidate yet.
    fn replay_changes(&mut self, generation: u32) -> Vec<u8> {
        let before = std::mem::replace(
            &mut self.replayed,
            ReplayedState {
                initialized: self.initialized.is_some(),
                set_level: self.set_level.clone(),
                subscriptions: self.subscriptions.clone(),
            },
        );
        let mut lines = Vec::new();
        if !before.initialized {
            lines.extend(self.initialized.clone().unwrap_or_default());
        }
        let mut state: Vec<Vec<u8>> = Vec::new();
        state.extend(
            self.set_level
                .clone()
                .filter(|_| self.set_level != before.set_level),
        );
        for (uri, line) in &self.subscriptions {
            if !before.subscriptions.contains_key(uri) {
                state.push(line.clone());
            }
        }
        for line in state {
            lines.extend(self.with_internal_id(&line, generation, InternalRequest::Replay));
        }
        for uri in before.subscriptions.keys() {
            if !self.subscriptions.contains_key(uri) {
                let id = self.internal_id(generation, InternalRequest::Replay);
                lines.extend(answer::unsubscribe(&id, uri));
            }
        }
        lines
    }

    /// Whether a new server has answered all replayed requests.
    pub fn is_replayed(&self, generation: u32) -> bool {
        !self.internal.values().any(|(of, _)| *of == generation)
    }

    /// Forgets a candidate that failed.
    pub fn abandon(&mut self, generation: u32) {
        self.internal.retain(|_, (of, _)| *of != generation);
        self.asked.retain(|_, (of, _)| *of != generation);
        self.candidate = self.candidate.filter(|of| *of != generation);
    }

    /// Makes a new server the current one.
    pub fn take_over(&mut self, generation: u32, server: &ServerName, now: Instant) -> Takeover {
        let mut takeover = Takeover {
            to_client: self.cancel_asked(
                generation,
                &format!("mcpwrap: server `{server}` was restarted"),
            ),
            ..Takeover::default()
        };
        let trouble = answer::Unavailable::renewed(server);
        // What the client changed since the replay, or everything without a replay.
        if self.era == Some(Era::Legacy) && self.candidate_result.is_some() {
            takeover.to_server = self.replay_changes(generation);
        }
        for (id, mut pending) in self.take_pending() {
            let listen = self.listens.get(&id).cloned();
            if listen.is_some() {
                self.acknowledged_again.insert(id.clone());
            }
            match pending.line.clone().or(listen) {
                Some(line) => {
                    takeover.to_server.extend(line);
                    pending.since = now;
                    self.pending.insert(id, pending);
                }
                None => {
                    takeover.to_client.extend(answer::error(
                        &id,
                        &trouble,
                        RequestOutcome::Unknown,
                    ));
                }
            }
        }
        self.generation = generation;
        self.lost = None;
        self.candidate = None;
        takeover.to_client.extend(self.lists_changed());
        if std::mem::take(&mut self.stub_answered) {
            // From now on there is a server to compare the next one with.
            self.initialize_result = self
                .candidate_result
                .take()
                .or_else(|| self.initialize_result.take());
        }
        takeover
    }

    fn lists_changed(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        match self.era {
            Some(Era::Legacy) if self.initialized.is_some() => {
                for (capability, method) in LISTS {
                    let pointer = format!("/capabilities/{capability}/listChanged");
                    let result = self.initialize_result.as_ref();
                    if result.and_then(|r| r.pointer(&pointer)) == Some(&Value::Bool(true)) {
                        lines.extend(answer::notification(method));
                    }
                }
            }
            Some(Era::Modern) => {
                for (id, line) in &self.listens {
                    for (wish, method) in MODERN_LISTS {
                        if wants(line, wish) {
                            lines.extend(answer::changed_for(method, id));
                        }
                    }
                }
            }
            _ => {}
        }
        lines
    }

    fn internal_id(&mut self, generation: u32, internal: InternalRequest) -> Id {
        self.counter += 1;
        let id = Id::text(&format!("mcpwrap-{generation}-own-{}", self.counter));
        self.internal.insert(id.clone(), (generation, internal));
        id
    }

    fn with_internal_id(
        &mut self,
        line: &[u8],
        generation: u32,
        internal: InternalRequest,
    ) -> Vec<u8> {
        let envelope = Scanner::scan(line);
        let id = self.internal_id(generation, internal);
        match &envelope.id {
            Some(old) => replace(line, envelope.id_at, old, &id),
            None => line.to_vec(),
        }
    }
}

/// The filters of `subscriptions/listen` and their notifications (2026-07-28).
const MODERN_LISTS: &[(&str, &str)] = &[
    ("toolsListChanged", "notifications/tools/list_changed"),
    (
        "resourcesListChanged",
        "notifications/resources/list_changed",
    ),
    ("promptsListChanged", "notifications/prompts/list_changed"),
];

fn wants(listen: &[u8], wish: &str) -> bool {
    serde_json::from_slice::<Value>(listen)
        .ok()
        .and_then(|line| {
            line.pointer(&format!("/params/notifications/{wish}"))
                .cloned()
        })
        == Some(Value::Bool(true))
}

/// The first capability that the old server has and the new one lacks.
pub fn missing_capability(old: &Value, new: &Value) -> Option<String> {
    let capabilities = |result: &Value| result.get("capabilities").cloned().unwrap_or_default();
    let (old, new) = (capabilities(old), capabilities(new));
    let had = old.as_object()?;
    had.iter().find_map(|(name, value)| {
        let Some(now) = new.get(name) else {
            return Some(name.clone());
        };
        let flags = value.as_object()?;
        flags
            .iter()
            .find(|(flag, value)| **value == Value::Bool(true) && now.get(*flag) != Some(value))
            .map(|(flag, _)| format!("{name}.{flag}"))
    })
}
