//! One client's session, as it shows in the JSON-RPC lines that pass.
//!
//! Pure: no clock, no pipe, no process. It reads the envelope of each line and a few fields more,
//! and *never* re-writes a line, but for the id of a server's own request once a server was renewed
//! (every server counts its ids from the start). *Always* follows the era of the client: legacy
//! (`initialize`) or modern (stateless, 2026-07-28). What it remembers is what a new server must be
//! told to stand in for the old one, and what must be answered when there is none.

pub mod answer;
pub mod envelope;
pub mod fields;
pub mod renewal;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use serde_json::Value;

use self::answer::Trouble;
use self::envelope::{Envelope, Id};
use self::fields::Fields;
use crate::secret::ServerName;

/// More requests than this are not remembered: a client that never gets answers.
const PENDING_MAX: usize = 65_536;

/// Methods without side effects: they may be sent to a second server. Never `tools/call`.
const REPEATABLE: &[&str] = &[
    "ping",
    "server/discover",
    "tools/list",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
    "prompts/get",
    "completion/complete",
];

/// Which protocol the client speaks. It is a property of the connection that we observe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// `initialize`, revisions up to 2025-11-25.
    Legacy,
    /// Stateless: every request carries its version. Revision 2026-07-28.
    Modern,
}

/// What to do with a line of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromClient {
    Forward,
    /// Send this instead.
    Replace(Vec<u8>),
    Drop,
}

/// What to do with a line of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromServer {
    Forward,
    /// Forward it; it answers this request.
    Answers(Answered),
    /// Send this instead.
    Replace(Vec<u8>),
    /// It is an answer to us.
    Ours(Ours),
    Drop,
}

/// A request that was answered, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub id: Id,
    pub method: String,
    pub tool: Option<String>,
    pub took: Duration,
    /// The JSON-RPC error code.
    pub error: Option<i64>,
    /// The tool itself said that it failed.
    pub tool_error: bool,
}

/// A request of ours to a new server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ours {
    /// `initialize` or `server/discover`: the new server is up.
    Handshake,
    /// A replayed `logging/setLevel` or `resources/subscribe`.
    Replay,
}

#[derive(Debug)]
struct Pending {
    method: String,
    tool: Option<String>,
    since: Instant,
    /// The line, if it may be sent a second time.
    line: Option<Vec<u8>>,
}

/// Who the client says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientName {
    pub name: Option<String>,
    pub version: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    era: Option<Era>,
    client: ClientName,
    /// The server whose lines go to the client, counted from 1.
    generation: u32,
    initialize: Option<Vec<u8>>,
    initialize_result: Option<Value>,
    /// The stand-in answered `initialize`, so there is no server to compare a new one with.
    stand_in_answered: bool,
    initialized: Option<Vec<u8>>,
    set_level: Option<Vec<u8>>,
    subscriptions: BTreeMap<String, Vec<u8>>,
    /// Open `subscriptions/listen` requests, by id.
    listens: BTreeMap<Id, Vec<u8>>,
    /// The `_meta` of the last modern request.
    meta: Option<Value>,
    pending: HashMap<Id, Pending>,
    /// Requests of the server that the client has not answered: what the client sees → generation
    /// and what the server wrote.
    asked: HashMap<Id, (u32, Id)>,
    ours: HashMap<Id, (u32, Ours)>,
    /// Subscriptions whose second acknowledgement is ours.
    acknowledged_again: BTreeSet<Id>,
    counter: u64,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            era: None,
            client: ClientName::default(),
            generation: 1,
            initialize: None,
            initialize_result: None,
            stand_in_answered: false,
            initialized: None,
            set_level: None,
            subscriptions: BTreeMap::new(),
            listens: BTreeMap::new(),
            meta: None,
            pending: HashMap::new(),
            asked: HashMap::new(),
            ours: HashMap::new(),
            acknowledged_again: BTreeSet::new(),
            counter: 0,
        }
    }
}

impl Session {
    pub const fn era(&self) -> Option<Era> {
        self.era
    }

    pub const fn client(&self) -> &ClientName {
        &self.client
    }

    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether every request is answered but those that stay open by design.
    pub fn is_drained(&self) -> bool {
        self.pending.keys().all(|id| self.listens.contains_key(id))
    }

    /// Whether the client has what it needs to work: from now on a server can be replaced.
    pub const fn is_established(&self) -> bool {
        match self.era {
            Some(Era::Legacy) => self.initialize_result.is_some(),
            Some(Era::Modern) => true,
            None => false,
        }
    }

    /// Whether the client waits for the answer to its `initialize`: no server can be put behind the
    /// session now.
    pub fn is_in_handshake(&self) -> bool {
        self.pending
            .values()
            .any(|pending| pending.method == "initialize")
    }

    /// Takes note of a line of the client. `line` is `None` if it was too long to be kept.
    pub fn from_client(
        &mut self,
        envelope: &Envelope,
        line: Option<&[u8]>,
        now: Instant,
    ) -> FromClient {
        if let Some((id, method)) = envelope.request() {
            self.client_request(id, method, line, now);
            return FromClient::Forward;
        }
        if let Some(method) = envelope.notification() {
            return self.client_notification(method, line);
        }
        match envelope.answer() {
            Some(id) => self.client_answer(id, envelope.id_at, line),
            None => FromClient::Forward,
        }
    }

    fn client_request(&mut self, id: &Id, method: &str, line: Option<&[u8]>, now: Instant) {
        let fields = self.fields_of(method, line);
        let kept = || line.map(<[u8]>::to_vec);
        match method {
            "initialize" => {
                self.era = Some(Era::Legacy);
                self.initialize = kept();
                self.initialize_result = None;
                self.client = fields.client();
            }
            "logging/setLevel" => self.set_level = kept(),
            "resources/subscribe" => {
                if let (Some(uri), Some(line)) = (fields.uri, kept()) {
                    self.subscriptions.insert(uri, line);
                }
            }
            "resources/unsubscribe" => {
                drop(fields.uri.and_then(|uri| self.subscriptions.remove(&uri)));
            }
            "subscriptions/listen" => {
                self.listens.extend(kept().map(|line| (id.clone(), line)));
                self.note_meta(fields.meta);
            }
            _ => self.note_meta(fields.meta),
        }
        if self.pending.len() < PENDING_MAX {
            let line = if REPEATABLE.contains(&method) {
                kept()
            } else {
                None
            };
            let pending = Pending {
                method: method.to_owned(),
                tool: fields.name,
                since: now,
                line,
            };
            self.pending.insert(id.clone(), pending);
        }
    }

    /// Reads the inside of a request only where something in it is needed.
    fn fields_of(&self, method: &str, line: Option<&[u8]>) -> Fields {
        let needed = self.era != Some(Era::Legacy)
            || matches!(
                method,
                "initialize" | "tools/call" | "resources/subscribe" | "resources/unsubscribe"
            );
        line.filter(|_| needed)
            .map(Fields::read)
            .unwrap_or_default()
    }

    fn note_meta(&mut self, meta: Option<Value>) {
        let Some(meta) = meta else { return };
        if self.era == Some(Era::Legacy) || !fields::is_modern(&meta) {
            return;
        }
        self.era = Some(Era::Modern);
        self.client = fields::client_of(&meta);
        self.meta = Some(meta);
    }

    fn client_notification(&mut self, method: &str, line: Option<&[u8]>) -> FromClient {
        match method {
            "notifications/initialized" => self.initialized = line.map(<[u8]>::to_vec),
            "notifications/cancelled" => {
                let Some(id) = line.map(Fields::read).and_then(|fields| fields.request_id) else {
                    return FromClient::Forward;
                };
                self.listens.remove(&id);
                // A server that was renewed never saw the request.
                if self.pending.remove(&id).is_none() && self.generation > 1 {
                    return FromClient::Drop;
                }
            }
            _ => {}
        }
        FromClient::Forward
    }

    fn client_answer(&mut self, id: &Id, id_at: usize, line: Option<&[u8]>) -> FromClient {
        let Some((generation, written)) = self.asked.remove(id) else {
            // Before the first renewal nothing is dropped: a stray answer is the server's affair.
            return if self.generation > 1 {
                FromClient::Drop
            } else {
                FromClient::Forward
            };
        };
        if generation != self.generation {
            return FromClient::Drop;
        }
        if written == *id {
            return FromClient::Forward;
        }
        line.map_or(FromClient::Drop, |line| {
            FromClient::Replace(replace_id(line, id_at, id, &written))
        })
    }

    /// Takes note of a line of a server.
    pub fn from_server(
        &mut self,
        generation: u32,
        envelope: &Envelope,
        line: Option<&[u8]>,
        now: Instant,
    ) -> FromServer {
        if let Some(id) = envelope.answer() {
            return self.server_answer(generation, id, line, now);
        }
        if let Some((id, _)) = envelope.request() {
            return self.server_request(generation, id, envelope.id_at, line);
        }
        if envelope.notification() == Some("notifications/subscriptions/acknowledged") {
            let id = line
                .map(Fields::read)
                .and_then(|fields| fields.subscription);
            if id.is_some_and(|id| self.acknowledged_again.remove(&id)) {
                return FromServer::Drop;
            }
        }
        FromServer::Forward
    }

    fn server_answer(
        &mut self,
        generation: u32,
        id: &Id,
        line: Option<&[u8]>,
        now: Instant,
    ) -> FromServer {
        if self.ours.get(id).is_some_and(|(of, _)| *of == generation)
            && let Some((_, ours)) = self.ours.remove(id)
        {
            return FromServer::Ours(ours);
        }
        let Some(pending) = self.pending.remove(id) else {
            return FromServer::Forward;
        };
        self.listens.remove(id);
        let outcome = line.map(fields::Outcome::read).unwrap_or_default();
        match pending.method.as_str() {
            "initialize" => self.initialize_result = outcome.result,
            // An error here sends a client of both eras back to `initialize`.
            "server/discover" if outcome.error.is_some() => {
                self.era = None;
                self.meta = None;
            }
            _ => {}
        }
        FromServer::Answers(Answered {
            id: id.clone(),
            took: now.saturating_duration_since(pending.since),
            method: pending.method,
            tool: pending.tool,
            error: outcome.error,
            tool_error: outcome.tool_error,
        })
    }

    fn server_request(
        &mut self,
        generation: u32,
        id: &Id,
        id_at: usize,
        line: Option<&[u8]>,
    ) -> FromServer {
        if generation == 1 {
            self.asked.insert(id.clone(), (1, id.clone()));
            return FromServer::Forward;
        }
        let Some(line) = line else {
            return FromServer::Drop;
        };
        self.counter += 1;
        let shown = Id::text(&format!("mcpwrap-{generation}-{}", self.counter));
        let replaced = replace_id(line, id_at, id, &shown);
        self.asked.insert(shown, (generation, id.clone()));
        FromServer::Replace(replaced)
    }

    /// Answers to everything that is open, when the server is gone for good or for now.
    pub fn fail_pending(&mut self, trouble: &Trouble) -> Vec<u8> {
        let mut lines = Vec::new();
        for id in self.asked.drain().map(|(shown, _)| shown) {
            lines.extend(answer::cancelled(&id));
        }
        let mut open: Vec<_> = self.pending.drain().collect();
        open.sort_by_key(|(_, pending)| pending.since);
        for (id, _) in open {
            lines.extend(answer::error(&id, trouble, answer::Fate::Unknown));
        }
        self.listens.clear();
        lines
    }

    /// The answer to a line of the client while no server runs, if it wants one.
    pub fn answer_suspended(
        &mut self,
        envelope: &Envelope,
        line: Option<&[u8]>,
        trouble: &Trouble,
        stub: bool,
    ) -> Option<Vec<u8>> {
        let (id, method) = envelope.request()?;
        if method == "ping" {
            return Some(answer::pong(id));
        }
        let fields = line.map(Fields::read).unwrap_or_default();
        if method == "initialize" {
            self.client = fields.client();
        }
        let stub = stub
            .then(|| answer::stub(id, method, &fields.params, trouble))
            .flatten();
        Some(match stub {
            Some(answer) => {
                if method == "initialize" {
                    self.stand_in(line, &answer);
                }
                answer
            }
            None => answer::error(id, trouble, answer::Fate::NotSent),
        })
    }

    /// Remembers a handshake that the stand-in answered, so that a server can follow it.
    fn stand_in(&mut self, initialize: Option<&[u8]>, answer: &[u8]) {
        self.era = Some(Era::Legacy);
        self.initialize = initialize.map(<[u8]>::to_vec);
        self.initialize_result = fields::Outcome::read(answer).result;
        self.stand_in_answered = true;
    }

    /// The trouble of a request that was in flight when its server was renewed.
    fn renewed(server: &ServerName) -> Trouble {
        Trouble {
            code: "renewed".to_owned(),
            server: server.clone(),
            text: format!(
                "mcpwrap: server `{server}` was renewed before it answered: the outcome is unknown"
            ),
            hint: None,
        }
    }
}

/// The line with another id in the place of its own; everything else as it was.
fn replace_id(line: &[u8], id_at: usize, old: &Id, new: &Id) -> Vec<u8> {
    let (before, rest) = line.split_at(id_at.min(line.len()));
    let after = rest.get(old.as_bytes().len()..).unwrap_or_default();
    [before, new.as_bytes(), after].concat()
}

#[cfg(test)]
mod tests;
