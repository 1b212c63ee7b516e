//! Processes the lines of servers: answers, and requests to the client.
//!
//! Invariant: the role of the server decides. Lines of the current server pass, a candidate only
//! answers mcpwrap, and lines of a server that lost the session are dropped.

use std::time::Instant;

use super::envelope::{Envelope, Id, LineKind};
use super::fields::{self, Fields};
use super::{Answered, FromServer, Session, SessionRole, replace};

impl Session {
    /// Processes a line of a server.
    pub fn server_line(
        &mut self,
        generation: u32,
        envelope: &Envelope,
        line: Option<&[u8]>,
        now: Instant,
    ) -> FromServer {
        let role = self.role(generation);
        if role == SessionRole::Gone {
            return FromServer::Drop;
        }
        if let Some(id) = envelope.answer() {
            return self.server_answer(generation, id, line, now);
        }
        if let Some((id, _)) = envelope.request() {
            return self.server_request(generation, id, envelope.id_at, line);
        }
        if let (LineKind::Array, Some(line)) = (envelope.shape, line) {
            return self.server_batch(generation, line, now);
        }
        match envelope.notification() {
            Some("notifications/subscriptions/acknowledged") if role == SessionRole::Current => {
                let id = line
                    .map(Fields::read)
                    .and_then(|fields| fields.subscription);
                if id.is_some_and(|id| self.acknowledged_again.remove(&id)) {
                    return FromServer::Drop;
                }
            }
            Some("notifications/cancelled") => return self.server_cancelled(generation, line),
            _ => {}
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
        if self
            .internal
            .get(id)
            .is_some_and(|(of, _)| *of == generation)
            && let Some((_, internal)) = self.internal.remove(id)
        {
            return FromServer::Internal(internal);
        }
        if self.role(generation) == SessionRole::Candidate {
            // Only mcpwrap itself sends requests to a candidate.
            return FromServer::Drop;
        }
        let Some(pending) = self.pending.remove(id) else {
            return FromServer::Forward;
        };
        self.listens.remove(id);
        let outcome = line.map(fields::Outcome::read).unwrap_or_default();
        match pending.method.as_str() {
            "initialize" => self.initialize_result = outcome.result,
            // After an error here, a client of both eras falls back to `initialize`.
            "server/discover" if outcome.error.is_some() => {
                self.era = None;
                self.meta = None;
            }
            _ => self.modern_answered |= outcome.error.is_none(),
        }
        FromServer::Answers(Answered {
            id: id.clone(),
            took: now.saturating_duration_since(pending.since),
            method: pending.method,
            tool: pending.tool,
            error: outcome.error,
            tool_error: outcome.tool_error,
            failure: outcome.failure,
        })
    }

    fn server_request(
        &mut self,
        generation: u32,
        id: &Id,
        id_at: usize,
        line: Option<&[u8]>,
    ) -> FromServer {
        // A line that is too long to keep has passed unchanged.
        let Some(line) = line.filter(|_| generation > 1) else {
            self.asked.insert(id.clone(), (generation, id.clone()));
            return FromServer::Forward;
        };
        self.counter += 1;
        let shown = Id::text(&format!("mcpwrap-{generation}-{}", self.counter));
        let replaced = replace(line, id_at, id, &shown);
        self.asked.insert(shown, (generation, id.clone()));
        FromServer::Replace(replaced)
    }

    /// The server cancels its request, which the client knows under our ID.
    fn server_cancelled(&mut self, generation: u32, line: Option<&[u8]>) -> FromServer {
        let found = line.and_then(|line| Some((line, fields::request_id(line)?)));
        let Some((line, (at, id))) = found else {
            return FromServer::Forward;
        };
        let shown = self
            .asked
            .extract_if(|_, (of, written)| *of == generation && *written == id)
            .map(|(shown, _)| shown)
            .next();
        match shown {
            Some(shown) if shown != id => FromServer::Replace(replace(line, at, &id, &shown)),
            None if generation > 1 => FromServer::Drop,
            _ => FromServer::Forward,
        }
    }
}
