//! What the parts of a bridge share: the client's open requests, the server's session, the transport.
//!
//! Invariant: whoever removes a request from the open ones answers it, so it is answered once.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use bytes::Bytes;
use hyper::header::HeaderValue;
use serde_json::Value;
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::channel::{RemoteState, Up};
use super::credentials::CredentialHolder;
use super::http::HttpClient;
use super::lines::ClientOutput;
use super::meter::Meter;
use super::tools::ToolHeaders;
use crate::policy::remote::RemoteTransport;
use crate::secret::ServerName;
use crate::session::Era;
use crate::session::envelope::Id;

/// How many requests of servers are remembered.
const ASKED_MAX: usize = 4096;

/// An ID by its meaning: a server may write it differently than the client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey(String);

impl RequestKey {
    pub fn of(id: &Id) -> Self {
        let value: Value = serde_json::from_slice(id.as_bytes()).unwrap_or_default();
        let whole = value.as_f64().filter(|number| number.fract() == 0.0);
        let text = match (&value, value.as_i64(), value.as_u64(), whole) {
            (Value::Number(_), None, None, Some(whole)) => format!("{whole:.0}"),
            _ => value.to_string(),
        };
        Self(text)
    }

    /// The ID in JSON.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A request of the client that has no answer yet.
#[derive(Debug, Default)]
pub struct OpenRequest {
    /// Takes the answer if it comes on a stream of its own.
    pub answer: Option<oneshot::Sender<Vec<u8>>>,
    /// Ends its work.
    pub abort: Option<AbortHandle>,
    /// It belongs to the modern era, in which closing the response is the cancellation.
    pub is_modern: bool,
    pub is_cancelled: bool,
    pub is_subscription: bool,
}

/// How the server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Not known yet; begins as Streamable HTTP.
    Unknown,
    Streamable,
    Sse,
}

/// The session of a server of the legacy era, and what starts it again.
#[derive(Debug, Default)]
pub struct LegacySession {
    /// Counted from 1; 0 before the first one.
    pub epoch: u32,
    pub id: Option<HeaderValue>,
    /// The revision that was agreed.
    pub version: Option<String>,
    /// Version and capabilities of the server's answer to `initialize`.
    pub result: Option<Value>,
    pub initialize: Option<Bytes>,
    pub initialized: Option<Bytes>,
    pub set_level: Option<Bytes>,
    pub subscriptions: BTreeMap<String, Bytes>,
    /// Where messages are sent in HTTP+SSE: path and query.
    pub endpoint: Option<String>,
}

/// See the module.
pub struct Bridge {
    pub server: ServerName,
    pub transport: RemoteTransport,
    pub http: Rc<HttpClient>,
    pub credentials: CredentialHolder,
    pub output: ClientOutput,
    pub meter: Meter,
    pub wire: Cell<Wire>,
    pub era: Cell<Option<Era>>,
    /// A request of the modern era was answered.
    pub modern_works: Cell<bool>,
    pub open: RefCell<HashMap<RequestKey, OpenRequest>>,
    /// Notified when a request was answered.
    pub closed: Notify,
    pub legacy: RefCell<LegacySession>,
    /// Held while a session is started again.
    pub renewing: Mutex<()>,
    /// Requests of the server that the client has not answered: what the client sees → epoch, and what
    /// the server wrote.
    pub asked: RefCell<HashMap<RequestKey, (u32, Id)>>,
    /// The task that reads the server's own stream.
    pub push: RefCell<Option<AbortHandle>>,
    pub tools: RefCell<ToolHeaders>,
    /// The machine slept, or the network may be another one.
    pub woke: Notify,
    pub dropped: Cell<u64>,
    pub counter: Cell<u64>,
    state: RefCell<RemoteState>,
    up: mpsc::UnboundedSender<Up>,
}

/// What a bridge is made of.
pub struct BridgeParts {
    pub server: ServerName,
    pub transport: RemoteTransport,
    pub http: Rc<HttpClient>,
    pub credentials: CredentialHolder,
    pub output: ClientOutput,
    pub up: mpsc::UnboundedSender<Up>,
}

impl Bridge {
    pub fn new(parts: BridgeParts) -> Rc<Self> {
        let wire = match parts.transport {
            RemoteTransport::Auto => Wire::Unknown,
            RemoteTransport::StreamableHttp => Wire::Streamable,
            RemoteTransport::Sse => Wire::Sse,
        };
        Rc::new(Self {
            server: parts.server,
            transport: parts.transport,
            http: parts.http,
            credentials: parts.credentials,
            output: parts.output,
            meter: Meter::default(),
            wire: Cell::new(wire),
            era: Cell::new(None),
            modern_works: Cell::new(false),
            open: RefCell::default(),
            closed: Notify::new(),
            legacy: RefCell::default(),
            renewing: Mutex::default(),
            asked: RefCell::default(),
            push: RefCell::default(),
            tools: RefCell::default(),
            woke: Notify::new(),
            dropped: Cell::new(0),
            counter: Cell::new(0),
            state: RefCell::default(),
            up: parts.up,
        })
    }

    /// Host and port, for messages.
    pub fn host(&self) -> String {
        self.http.connector.origin.host_and_port()
    }

    /// Tells the supervisor how the connection is, if that changed.
    pub fn report(&self, paused_until: Option<i64>) {
        let legacy = self.legacy.borrow();
        let is_sse = self.wire.get() == Wire::Sse;
        let new = RemoteState {
            transport: if is_sse { "sse" } else { "streamable-http" }.to_owned(),
            protocol: legacy.version.clone(),
            has_session: legacy.id.is_some() || (is_sse && legacy.endpoint.is_some()),
            paused_until,
        };
        let old = self.state.replace(new.clone());
        if old != new {
            // Without a supervisor this process is about to exit.
            crate::sys::ignore(self.up.send(Up::State(new)));
        }
    }

    /// Until when the server asked for a pause, as reported last.
    pub fn paused_until(&self) -> Option<i64> {
        self.state.borrow().paused_until
    }

    /// A number that was not used before.
    pub fn next_number(&self) -> u64 {
        let next = self.counter.get() + 1;
        self.counter.set(next);
        next
    }

    /// An ID for a request of the bridge itself.
    pub fn own_id(&self) -> Id {
        Id::text(&format!("mcpwrap-bridge-{}", self.next_number()))
    }

    /// Answers a request of the client, unless it was answered or cancelled.
    pub async fn answer(&self, key: &RequestKey, line: Vec<u8>) {
        let was_open = self.open.borrow_mut().remove(key).is_some();
        if was_open {
            self.output.write(line).await;
            self.closed.notify_waiters();
        }
    }

    /// Remembers a request of the server under the ID that the client sees.
    pub fn note_asked(&self, shown: &Id, epoch: u32, written: Id) {
        let mut asked = self.asked.borrow_mut();
        if asked.len() < ASKED_MAX {
            asked.insert(RequestKey::of(shown), (epoch, written));
        }
    }

    /// Counts a message that is not passed on, and says so once.
    pub fn note_dropped(&self, why: &str) {
        self.dropped.set(self.dropped.get() + 1);
        if self.dropped.get() == 1 {
            say(&format!(
                "mcpwrap: server `{}`: dropped a message from {}: {why} (more are dropped silently)",
                self.server,
                self.host()
            ));
        }
    }
}

/// Writes a line for the user's diagnostics.
pub fn say(text: &str) {
    use std::io::Write as _;
    // There is nobody else to tell.
    crate::sys::ignore(writeln!(std::io::stderr(), "{text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_compared_by_meaning() {
        let key = |raw: &str| RequestKey::of(&Id::new(raw.as_bytes()));
        for (a, b, same) in [
            ("1", "1", true),
            ("1", "1.0", true),
            ("1", "1e0", true),
            ("1", "\"1\"", false),
            ("\"a\"", "\"\\u0061\"", true),
            ("1", "2", false),
            ("1.5", "1.5", true),
        ] {
            assert_eq!(key(a) == key(b), same, "{a} {b}");
        }
    }
}
