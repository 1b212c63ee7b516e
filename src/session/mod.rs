//! One client's session, as it shows in the JSON-RPC lines that pass.
//!
//! Pure: no clock, no pipe, no process. It reads the envelope of each line and a few fields more,
//! and *never* re-writes a line, but for the id of a server's own request once a server was renewed
//! (every server counts its ids from the start). *Always* follows the era of the client: legacy
//! (`initialize`) or modern (stateless, 2026-07-28). What it remembers is what a new server must be
//! told to stand in for the old one, and what must be answered when there is none.

pub mod answer;
mod batch;
mod client;
pub mod envelope;
pub mod fields;
pub mod renewal;
mod server;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use serde_json::Value;

use self::answer::Unavailable;
use self::envelope::{Envelope, Id, LineKind};
pub use self::fields::ClientName;
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
    /// It has several messages. Send this instead, if anything; it answers these requests.
    Batch {
        line: Option<Vec<u8>>,
        answered: Vec<Answered>,
    },
    /// It is an answer to us.
    Internal(InternalRequest),
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

/// A request of mcpwrap itself to a new server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InternalRequest {
    /// `initialize` or `server/discover`: the new server is up.
    Handshake,
    /// A replayed `logging/setLevel` or `resources/subscribe`.
    Replay,
}

#[derive(Debug)]
struct PendingRequest {
    /// The requests of a session are in this order.
    order: u64,
    method: String,
    tool: Option<String>,
    since: Instant,
    /// The line, if it may be sent a second time.
    line: Option<Vec<u8>>,
}

/// What a server is to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionRole {
    /// Its lines go to the client.
    Current,
    /// It may take over.
    Candidate,
    /// It has lost the session, or never had a chance to get it.
    Gone,
}

/// The state that a candidate was told of.
#[derive(Debug, Default)]
struct ReplayedState {
    initialized: bool,
    set_level: Option<Vec<u8>>,
    subscriptions: BTreeMap<String, Vec<u8>>,
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    era: Option<Era>,
    client: ClientName,
    /// The server whose lines go to the client, counted from 1.
    generation: u32,
    /// That server, when it has lost the session and no other has it yet.
    lost: Option<u32>,
    /// The server that may take over.
    candidate: Option<u32>,
    replayed: ReplayedState,
    /// The candidate's answer to `initialize`.
    candidate_result: Option<Value>,
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
    /// A server has answered a request without an error.
    modern_answered: bool,
    pending: HashMap<Id, PendingRequest>,
    /// Requests of the server that the client has not answered: what the client sees → generation
    /// and what the server wrote.
    asked: HashMap<Id, (u32, Id)>,
    internal: HashMap<Id, (u32, InternalRequest)>,
    /// Subscriptions whose second acknowledgement answers mcpwrap, not the client.
    acknowledged_again: BTreeSet<Id>,
    batch_was_seen: bool,
    counter: u64,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            era: None,
            client: ClientName::default(),
            generation: 1,
            lost: None,
            candidate: None,
            replayed: ReplayedState::default(),
            candidate_result: None,
            initialize: None,
            initialize_result: None,
            stand_in_answered: false,
            initialized: None,
            set_level: None,
            subscriptions: BTreeMap::new(),
            listens: BTreeMap::new(),
            meta: None,
            modern_answered: false,
            pending: HashMap::new(),
            asked: HashMap::new(),
            internal: HashMap::new(),
            acknowledged_again: BTreeSet::new(),
            batch_was_seen: false,
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

    /// Whether every request is answered but those that stay open by design.
    pub fn is_drained(&self) -> bool {
        self.pending.keys().all(|id| self.listens.contains_key(id))
    }

    /// Whether the client waits for an answer to anything.
    pub fn has_open_requests(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether the client has what it needs to work: from now on a server can be replaced.
    pub const fn is_established(&self) -> bool {
        match self.era {
            Some(Era::Legacy) => self.initialize_result.is_some(),
            Some(Era::Modern) => self.modern_answered,
            None => false,
        }
    }

    /// What a server is to the session now.
    pub fn standing(&self, generation: u32) -> SessionRole {
        if generation == self.generation && self.lost != Some(generation) {
            SessionRole::Current
        } else if self.candidate == Some(generation) {
            SessionRole::Candidate
        } else {
            SessionRole::Gone
        }
    }

    /// From now on this server may take over.
    pub fn nominate(&mut self, generation: u32) {
        self.candidate = Some(generation);
        self.replayed = ReplayedState::default();
        self.candidate_result = None;
    }

    /// Whether the client knows a request of the server by another id than the server: then its
    /// answer has to be changed.
    pub fn rewrites_answers(&self) -> bool {
        self.asked
            .iter()
            .any(|(shown, (_, written))| shown != written)
    }

    /// Whether the client waits for an answer to this request.
    pub fn is_open(&self, id: &Id) -> bool {
        self.pending.contains_key(id)
    }

    /// Answers to everything that is open, when the server is gone for good or for now. What it may
    /// still say is dropped: the client would have two answers to one request.
    pub fn fail_pending(&mut self, trouble: &Unavailable) -> Vec<u8> {
        self.lost = Some(self.generation);
        let mut lines = self.cancel_asked(self.generation + 1);
        for (id, _) in self.take_pending() {
            lines.extend(answer::error(&id, trouble, answer::RequestOutcome::Unknown));
        }
        self.listens.clear();
        lines
    }

    /// What is open, in the order in which it was asked.
    fn take_pending(&mut self) -> Vec<(Id, PendingRequest)> {
        let mut open: Vec<_> = self.pending.drain().collect();
        open.sort_by_key(|(_, pending)| pending.order);
        open
    }

    /// Forgets what servers have asked: an id of theirs must not be written again.
    pub fn forget_asked(&mut self) {
        self.asked.clear();
    }

    /// Tells the client that servers before this one no longer wait for its answers.
    fn cancel_asked(&mut self, generation: u32) -> Vec<u8> {
        let mut stale: Vec<_> = self
            .asked
            .extract_if(|_, (of, _)| *of < generation)
            .map(|(shown, _)| shown)
            .collect();
        stale.sort();
        stale.iter().flat_map(answer::cancelled).collect()
    }

    /// The answer to a line of the client while no server runs, if it wants one.
    pub fn answer_suspended(
        &mut self,
        envelope: &Envelope,
        line: Option<&[u8]>,
        trouble: &Unavailable,
        stub: bool,
    ) -> Option<Vec<u8>> {
        if let (LineKind::Array, Some(line)) = (envelope.shape, line) {
            return self.batch_suspended(line, trouble, stub);
        }
        if envelope.notification() == Some("notifications/initialized") {
            // The next server has to be told, too.
            self.initialized = line.map(<[u8]>::to_vec);
        }
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
                } else {
                    self.note_meta(fields.meta);
                }
                answer
            }
            None => answer::error(id, trouble, answer::RequestOutcome::NotSent),
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
    pub fn renewed(server: &ServerName) -> Unavailable {
        Unavailable {
            code: "renewed".to_owned(),
            server: server.clone(),
            text: format!(
                "mcpwrap: server `{server}` was restarted before it answered, so the outcome is unknown"
            ),
            hint: None,
        }
    }
}

/// The line with another id at this place; everything else as it was.
fn replace(line: &[u8], at: usize, old: &Id, new: &Id) -> Vec<u8> {
    let (before, rest) = line.split_at(at.min(line.len()));
    let after = rest.get(old.as_bytes().len()..).unwrap_or_default();
    [before, new.as_bytes(), after].concat()
}

#[cfg(test)]
mod tests;
