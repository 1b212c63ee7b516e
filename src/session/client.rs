//! Processes the client's lines: its identity and era, its open requests, the server state it set.

use std::time::Instant;

use serde_json::Value;

use super::envelope::{Envelope, Id, LineKind};
use super::fields::{self, Fields};
use super::{Era, FromClient, PENDING_MAX, PendingRequest, REPEATABLE, Session, replace};

impl Session {
    /// Processes a line of the client. `line` is `None` if it was too long to keep.
    pub fn client_line(
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
        match (envelope.answer(), envelope.shape, line) {
            (Some(id), ..) => self.client_answer(id, envelope.id_at, line),
            (None, LineKind::Array, Some(line)) => self.client_batch(line, now),
            _ => FromClient::Forward,
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
                // A client that first tried the modern era without an answer: that request is not
                // sent to a server of this era.
                self.pending
                    .retain(|_, pending| pending.method != "server/discover");
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
            // A handshake without an answer is repeated to the next server.
            let line = if method == "initialize" || REPEATABLE.contains(&method) {
                kept()
            } else {
                None
            };
            self.counter += 1;
            let pending = PendingRequest {
                order: self.counter,
                method: method.to_owned(),
                tool: fields.name,
                since: now,
                line,
            };
            self.pending.insert(id.clone(), pending);
        }
    }

    /// Reads the parameters of a request, if any of them are needed.
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

    pub(super) fn note_meta(&mut self, meta: Option<Value>) {
        let Some(meta) = meta else { return };
        if self.era == Some(Era::Legacy) || !fields::is_modern(&meta) {
            return;
        }
        self.era = Some(Era::Modern);
        self.client = fields::client_of(&meta);
        self.meta = Some(meta);
    }

    /// Whether a line is for the server that is about to be replaced, which may need it to finish
    /// its requests. New requests are for the next server.
    pub fn is_for_current(&self, envelope: &Envelope, line: &[u8]) -> bool {
        if envelope.notification() == Some("notifications/cancelled") {
            let id = Fields::read(line).request_id;
            return id.is_some_and(|id| self.is_open(&id));
        }
        envelope.answer().is_some()
    }

    fn client_notification(&mut self, method: &str, line: Option<&[u8]>) -> FromClient {
        match method {
            "notifications/initialized" => self.initialized = line.map(<[u8]>::to_vec),
            "notifications/cancelled" => {
                let Some(id) = line.map(Fields::read).and_then(|fields| fields.request_id) else {
                    return FromClient::Forward;
                };
                self.listens.remove(&id);
                // The server after a renewal never saw the request.
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
            // Before the first renewal nothing is dropped; the server handles a stray answer.
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
            FromClient::Replace(replace(line, id_at, id, &written))
        })
    }
}
