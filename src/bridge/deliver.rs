//! Messages of the server on their way to the client.
//!
//! Invariants: only JSON-RPC messages pass; an answer passes only to a request that waits for it on this
//! stream; a message stays as it is but for raw line ends and the IDs named here. IDs of the server's
//! own requests are replaced once it started a second session: it counts from the start again, and the
//! client may still be answering a request of the first.

use serde_json::value::RawValue;

use super::fault::error_for;
use super::server_text::ServerText;
use super::state::{Bridge, RequestKey};
use crate::session::Era;
use crate::session::answer;
use crate::session::envelope::{Envelope, Id, LineKind, Scanner};
use crate::session::fields::{self, Fields};

/// Which answers may come on a stream.
#[derive(Clone, Debug)]
pub enum ExpectedAnswers {
    /// The one to the request that opened the stream.
    One(Id),
    /// Those to all requests that wait for it.
    Waiting,
}

/// What a stream is to the session.
#[derive(Clone, Debug)]
pub struct StreamRole {
    /// The session in which it was opened.
    pub epoch: u32,
    pub expected: ExpectedAnswers,
    /// The acknowledgement of a subscription was passed on before.
    pub is_acknowledged: bool,
}

impl Bridge {
    /// Passes a message on, or several in an array. Returns the answer to the stream's own request instead
    /// of passing it.
    pub async fn deliver(&self, role: &mut StreamRole, text: ServerText) -> Option<Vec<u8>> {
        let Some((text, envelope)) = text.finish() else {
            self.note_dropped("not UTF-8");
            return None;
        };
        match envelope.shape {
            LineKind::Object => self.deliver_one(role, &envelope, text).await,
            LineKind::Array => {
                let messages = serde_json::from_slice::<Vec<Box<RawValue>>>(&text);
                let mut found = None;
                for message in messages.unwrap_or_default() {
                    let message = message.get().as_bytes().to_vec();
                    let envelope = Scanner::scan(&message);
                    let answer = self.deliver_one(role, &envelope, message).await;
                    found = found.or(answer);
                }
                found
            }
            LineKind::Blank => None,
            LineKind::Other => {
                self.note_dropped("not JSON");
                None
            }
        }
    }

    async fn deliver_one(
        &self,
        role: &mut StreamRole,
        envelope: &Envelope,
        message: Vec<u8>,
    ) -> Option<Vec<u8>> {
        if !envelope.is_message || envelope.shape != LineKind::Object {
            self.note_dropped("not a JSON-RPC message");
            return None;
        }
        if envelope.method.is_none() {
            return self.deliver_answer(role, envelope, message);
        }
        let line = if envelope.id.is_some() {
            self.server_request(role, envelope, message)
        } else {
            self.server_notification(role, envelope, message)
        };
        if let Some(line) = line {
            self.output.write(line).await;
        }
        None
    }

    fn deliver_answer(
        &self,
        role: &StreamRole,
        envelope: &Envelope,
        message: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let written = envelope.id.as_ref();
        match (&role.expected, written) {
            (ExpectedAnswers::One(id), Some(written)) => {
                if RequestKey::of(written) == RequestKey::of(id) {
                    return Some(with_id(message, envelope, id));
                }
                self.note_dropped("an answer to another request");
            }
            (ExpectedAnswers::One(id), None) => {
                let answer = error_for(id, &message);
                if answer.is_none() {
                    self.note_dropped("an answer without an ID");
                }
                return answer;
            }
            (ExpectedAnswers::Waiting, Some(written)) => {
                let key = RequestKey::of(written);
                let waiting = self
                    .open
                    .borrow_mut()
                    .get_mut(&key)
                    .and_then(|open| open.answer.take());
                match waiting {
                    // Whoever waited may just have been cancelled.
                    Some(waiting) => crate::sys::ignore(waiting.send(message)),
                    None => self.note_dropped("an answer that nobody waits for"),
                }
            }
            (ExpectedAnswers::Waiting, None) => self.note_dropped("an answer without an ID"),
        }
        None
    }

    fn server_request(
        &self,
        role: &StreamRole,
        envelope: &Envelope,
        message: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let written = envelope.id.clone()?;
        if self.era.get() == Some(Era::Modern) {
            self.note_dropped("a request, which this revision of MCP forbids");
            return None;
        }
        if role.epoch != self.legacy.borrow().epoch {
            return None;
        }
        if role.epoch <= 1 {
            self.note_asked(&written, role.epoch, written.clone());
            return Some(message);
        }
        let shown = self.own_id();
        self.note_asked(&shown, role.epoch, written);
        Some(with_id(message, envelope, &shown))
    }

    fn server_notification(
        &self,
        role: &mut StreamRole,
        envelope: &Envelope,
        message: Vec<u8>,
    ) -> Option<Vec<u8>> {
        match envelope.method.as_deref() {
            Some("notifications/cancelled") => self.server_cancelled(role, message),
            Some("notifications/subscriptions/acknowledged") => {
                let is_second = std::mem::replace(&mut role.is_acknowledged, true);
                (!is_second).then_some(message)
            }
            Some("notifications/tools/list_changed") => {
                self.tools.borrow_mut().clear();
                Some(message)
            }
            _ => Some(message),
        }
    }

    /// The server cancels its request, which the client may know under another ID.
    fn server_cancelled(&self, role: &StreamRole, message: Vec<u8>) -> Option<Vec<u8>> {
        let Some((at, id)) = fields::request_id(&message) else {
            return Some(message);
        };
        let key = RequestKey::of(&id);
        let mut asked = self.asked.borrow_mut();
        let shown = asked
            .iter()
            .find(|(_, (epoch, written))| *epoch == role.epoch && RequestKey::of(written) == key)
            .map(|(shown, _)| shown.clone());
        match shown {
            Some(shown) => {
                asked.remove(&shown);
                Some(replaced(&message, at, &id, shown.as_bytes()))
            }
            None if role.epoch > 1 => None,
            None => Some(message),
        }
    }

    /// Cancels the requests of servers that a new session does not know.
    pub fn cancel_asked(&self, reason: &str) -> Vec<Vec<u8>> {
        let mut stale: Vec<RequestKey> = self
            .asked
            .borrow_mut()
            .drain()
            .map(|(key, _)| key)
            .collect();
        stale.sort();
        let line = |key: &RequestKey| answer::cancelled(&Id::new(key.as_bytes()), reason);
        stale.iter().map(line).collect()
    }

    /// The client's answer to a request of the server, as the server expects it.
    pub fn for_server(&self, envelope: &Envelope, line: Vec<u8>) -> Option<Vec<u8>> {
        let id = envelope.id.as_ref()?;
        let epoch = self.legacy.borrow().epoch;
        match self.asked.borrow_mut().remove(&RequestKey::of(id)) {
            Some((of, written)) if of == epoch => Some(with_id(line, envelope, &written)),
            Some(_) => None,
            // The server asked too much to remember, or judges a stray answer itself.
            None => (epoch <= 1).then_some(line),
        }
    }
}

/// The message under another ID, everything else unchanged.
pub fn with_id(message: Vec<u8>, envelope: &Envelope, id: &Id) -> Vec<u8> {
    match &envelope.id {
        Some(old) if old != id => replaced(&message, envelope.id_at, old, id.as_bytes()),
        _ => message,
    }
}

fn replaced(message: &[u8], at: usize, old: &Id, new: &[u8]) -> Vec<u8> {
    let (before, rest) = message.split_at(at.min(message.len()));
    let after = rest.get(old.as_bytes().len()..).unwrap_or_default();
    [before, new, after].concat()
}

/// A request of the client, with the fields that decide how it is sent.
#[derive(Clone, Debug)]
pub struct ClientRequest {
    pub id: Id,
    pub method: String,
    pub line: bytes::Bytes,
    pub name: Option<String>,
    pub uri: Option<String>,
    /// The revision and `_meta` of a request of the modern era.
    pub modern: Option<(String, serde_json::Value)>,
}

impl ClientRequest {
    /// Reads a request; `None` if it is none.
    pub fn read(envelope: &Envelope, line: bytes::Bytes, era: Option<Era>) -> Option<Self> {
        let (id, method) = envelope.request()?;
        let wanted = matches!(method, "resources/subscribe" | "resources/unsubscribe");
        let fields = if wanted || era != Some(Era::Legacy) {
            Fields::read(&line)
        } else {
            Fields::default()
        };
        let version = |meta: &serde_json::Value| fields::version_of(meta).map(str::to_owned);
        let modern = fields
            .meta
            .filter(|_| era != Some(Era::Legacy) && method != "initialize")
            .and_then(|meta| Some((version(&meta)?, meta)));
        Some(Self {
            id: id.clone(),
            method: method.to_owned(),
            line,
            name: fields.name,
            uri: fields.uri,
            modern,
        })
    }

    pub fn key(&self) -> RequestKey {
        RequestKey::of(&self.id)
    }
}
