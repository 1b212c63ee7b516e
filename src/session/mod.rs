//! One client's session, derived from the JSON-RPC lines that pass.
//!
//! Pure: no clock, pipe or process. It reads the envelope of each line and a few fields, and
//! remembers what a new server must be told to replace the old one, and open requests.
//! Invariants: a line is only rewritten to change the ID of a server's own request after a renewal
//! (every server numbers its requests from the start). The session follows the era of the client:
//! legacy (`initialize`) or modern (stateless, 2026-07-28).

pub mod answer;
mod batch;
mod client;
pub mod envelope;
pub mod fields;
mod question;
pub mod renewal;
mod server;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use self::answer::{RequestOutcome, Unavailable};
use self::envelope::{Envelope, Id, LineKind};
use self::fields::Fields;
pub use self::fields::{ClientName, FailureText};

/// The maximum number of open requests that are remembered.
const PENDING_MAX: usize = 65_536;

/// The generation of mcpwrap's own requests to the client; no server has it.
const OWN: u32 = 0;

/// Methods without side effects, which may be sent to a second server. `tools/call` is not one.
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

pub fn is_repeatable(method: &str) -> bool {
    REPEATABLE.contains(&method)
}

/// The protocol that the client speaks, as observed on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// `initialize`, revisions up to 2025-11-25.
    Legacy,
    /// Stateless, revision 2026-07-28: every request carries its version.
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
    /// Forward the line; it answers this request.
    Answers(Answered),
    /// Send this instead.
    Replace(Vec<u8>),
    /// Several messages. If `line` is set, send that instead; these requests are answered.
    Batch {
        line: Option<Vec<u8>>,
        answered: Vec<Answered>,
    },
    /// An answer to a request of mcpwrap itself.
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
    /// The tool reported a failure (`isError`).
    pub tool_error: bool,
    pub failure: Option<FailureText>,
}

/// A request that mcpwrap itself sends to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InternalRequest {
    /// `initialize` or `server/discover`: the new server is up.
    Handshake,
    /// A replayed `logging/setLevel` or `resources/subscribe`.
    Replay,
    /// A question of another command to the current server, by number.
    Question(u64),
}

#[derive(Debug)]
struct PendingRequest {
    /// The position among the requests of the session.
    order: u64,
    method: String,
    tool: Option<String>,
    since: Instant,
    /// The line, if it may be sent again.
    line: Option<Vec<u8>>,
}

/// The role of a server in the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionRole {
    /// Its lines go to the client.
    Current,
    /// It may take over.
    Candidate,
    /// It lost the session or never became a candidate.
    Gone,
}

/// The state that was replayed to the candidate.
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
    /// That server, from its loss of the session to the next one.
    lost: Option<u32>,
    /// The server that may take over.
    candidate: Option<u32>,
    replayed: ReplayedState,
    /// The candidate's answer to `initialize`.
    candidate_result: Option<Value>,
    initialize: Option<Vec<u8>>,
    initialize_result: Option<Value>,
    /// The replacement server answered `initialize`, so there is no server to compare with.
    stub_answered: bool,
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
    /// Requests of servers that the client has not answered: the ID that the client sees →
    /// generation and the ID that the server wrote.
    asked: HashMap<Id, (u32, Id)>,
    internal: HashMap<Id, (u32, InternalRequest)>,
    /// Subscriptions whose second acknowledgement answers mcpwrap, not the client.
    acknowledged_again: BTreeSet<Id>,
    batch_was_seen: bool,
    counter: u64,
    /// What the user of a client with this name does after a failed start.
    reconnect: fn(Option<&str>) -> &'static str,
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
            stub_answered: false,
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
            reconnect: |_| "reconnect it in the client",
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

    /// Whether all requests are answered, except those that stay open by design.
    pub fn is_drained(&self) -> bool {
        self.pending.keys().all(|id| self.listens.contains_key(id))
    }

    /// Whether the client waits for an answer to anything.
    pub fn has_open_requests(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether the client has finished its handshake, so the server can be replaced.
    pub const fn is_established(&self) -> bool {
        match self.era {
            Some(Era::Legacy) => self.initialize_result.is_some(),
            Some(Era::Modern) => self.modern_answered,
            None => false,
        }
    }

    /// The current role of a server.
    pub fn role(&self, generation: u32) -> SessionRole {
        if generation == self.generation && self.lost != Some(generation) {
            SessionRole::Current
        } else if self.candidate == Some(generation) {
            SessionRole::Candidate
        } else {
            SessionRole::Gone
        }
    }

    /// Sets who knows what the user of a client does after a failed start.
    pub fn set_reconnect(&mut self, reconnect: fn(Option<&str>) -> &'static str) {
        self.reconnect = reconnect;
    }

    /// Makes this server the candidate.
    pub fn nominate(&mut self, generation: u32) {
        self.candidate = Some(generation);
        self.replayed = ReplayedState::default();
        self.candidate_result = None;
    }

    /// Whether the client sees a request of the server under another ID than the server, so that
    /// its answer must be rewritten.
    pub fn rewrites_answers(&self) -> bool {
        self.asked
            .iter()
            .any(|(shown, (_, written))| shown != written)
    }

    /// Whether the client waits for an answer to this request.
    pub fn is_open(&self, id: &Id) -> bool {
        self.pending.contains_key(id)
    }

    /// Answers all open requests with an error, because the server is gone. Later output of that
    /// server is dropped, so no request is answered twice. `refused` has the requests that the server
    /// is known not to have carried out.
    pub fn fail_pending(&mut self, trouble: &Unavailable, refused: &HashSet<Id>) -> Vec<u8> {
        self.lost = Some(self.generation);
        let mut lines = self.cancel_asked(self.generation + 1, &trouble.text);
        for (id, _) in self.take_pending() {
            let outcome = if refused.contains(&id) {
                RequestOutcome::NotSent
            } else {
                RequestOutcome::Unknown
            };
            lines.extend(answer::error(&id, trouble, outcome));
        }
        self.listens.clear();
        lines
    }

    /// The open requests, in the order of their arrival.
    fn take_pending(&mut self) -> Vec<(Id, PendingRequest)> {
        let mut open: Vec<_> = self.pending.drain().collect();
        open.sort_by_key(|(_, pending)| pending.order);
        open
    }

    /// A `ping` for the client, whose answer no server gets. `None` if the client cannot be asked: the
    /// modern era has no requests of servers, and before the handshake none is allowed.
    pub fn ping(&mut self) -> Option<Vec<u8>> {
        if self.era != Some(Era::Legacy) || self.initialized.is_none() {
            return None;
        }
        self.counter += 1;
        let id = Id::text(&format!("mcpwrap-{OWN}-own-{}", self.counter));
        self.asked.insert(id.clone(), (OWN, id.clone()));
        Some(answer::ping(&id))
    }

    /// Forgets the requests of servers, because one of their IDs must not be written again.
    pub fn forget_asked(&mut self) {
        self.asked.clear();
    }

    /// Cancels the requests of servers before this one.
    fn cancel_asked(&mut self, generation: u32, reason: &str) -> Vec<u8> {
        let mut stale: Vec<_> = self
            .asked
            .extract_if(|_, (of, _)| *of < generation && *of != OWN)
            .map(|(shown, _)| shown)
            .collect();
        stale.sort();
        let cancel = |id| answer::cancelled(id, reason);
        stale.iter().flat_map(cancel).collect()
    }

    /// The answer to a line of the client while no server runs, if it is a request.
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
            // The next server needs it too.
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
                    self.keep_stub_handshake(line, &answer);
                } else {
                    self.note_meta(fields.meta);
                }
                answer
            }
            // After an error in the handshake the client gives the server up: what the hint says does not
            // bring it back alone.
            None if !self.is_established() => {
                let then = (self.reconnect)(self.client.name.as_deref());
                answer::error(id, &trouble.then(then), RequestOutcome::NotSent)
            }
            None => answer::error(id, trouble, RequestOutcome::NotSent),
        })
    }

    /// Remembers a handshake that the replacement server answered, for the next server.
    fn keep_stub_handshake(&mut self, initialize: Option<&[u8]>, answer: &[u8]) {
        self.era = Some(Era::Legacy);
        self.initialize = initialize.map(<[u8]>::to_vec);
        self.initialize_result = fields::Outcome::read(answer).result;
        self.stub_answered = true;
    }
}

/// The line with another ID at this offset and everything else unchanged.
fn replace(line: &[u8], at: usize, old: &Id, new: &Id) -> Vec<u8> {
    let (before, rest) = line.split_at(at.min(line.len()));
    let after = rest.get(old.as_bytes().len()..).unwrap_or_default();
    [before, new.as_bytes(), after].concat()
}

#[cfg(test)]
mod tests;
