//! Batches: one line with several messages, part of MCP before revision 2025-06-18.
//!
//! Invariants: each message is handled as if it had its own line; a batch without a changed message
//! passes unchanged.

use std::time::Instant;

use serde_json::value::RawValue;

use super::answer::Unavailable;
use super::envelope::{LineKind, Scanner};
use super::{FromClient, FromServer, Session};

impl Session {
    /// Processes a batch of the client.
    pub(super) fn client_batch(&mut self, line: &[u8], now: Instant) -> FromClient {
        self.warn_of_batches();
        let mut batch = Rebuilt::default();
        for message in messages(line) {
            match self.client_line(&Scanner::scan(&message), Some(&message), now) {
                FromClient::Forward => batch.keep(message),
                FromClient::Replace(new) => batch.change(Some(new)),
                FromClient::Drop => batch.change(None),
            }
        }
        match batch.end() {
            None => FromClient::Forward,
            Some(line) if line.is_empty() => FromClient::Drop,
            Some(line) => FromClient::Replace(line),
        }
    }

    /// Processes a batch of a server.
    pub(super) fn server_batch(
        &mut self,
        generation: u32,
        line: &[u8],
        now: Instant,
    ) -> FromServer {
        self.warn_of_batches();
        let mut batch = Rebuilt::default();
        let mut answered = Vec::new();
        for message in messages(line) {
            match self.server_line(generation, &Scanner::scan(&message), Some(&message), now) {
                FromServer::Forward => batch.keep(message),
                FromServer::Answers(one) => {
                    answered.push(one);
                    batch.keep(message);
                }
                FromServer::Replace(new) => batch.change(Some(new)),
                // Our own requests are not batched, and neither are their answers.
                FromServer::Drop | FromServer::Internal(_) | FromServer::Batch { .. } => {
                    batch.change(None);
                }
            }
        }
        let line = batch.end();
        FromServer::Batch { line, answered }
    }

    /// The answers to a batch while no server runs, as one batch.
    pub(super) fn batch_suspended(
        &mut self,
        line: &[u8],
        trouble: &Unavailable,
        stub: bool,
    ) -> Option<Vec<u8>> {
        let mut batch = Rebuilt::default();
        for message in messages(line) {
            let envelope = Scanner::scan(&message);
            batch.change(self.answer_suspended(&envelope, Some(&message), trouble, stub));
        }
        batch.end().filter(|line| !line.is_empty())
    }

    fn warn_of_batches(&mut self) {
        if !std::mem::replace(&mut self.batch_was_seen, true) {
            tracing::warn!(
                "a JSON-RPC batch: MCP has had none since 2025-06-18, and most programs fail on it"
            );
        }
    }
}

/// The messages of a batch, each as its own line. A nested batch is not a message.
fn messages(line: &[u8]) -> Vec<Vec<u8>> {
    let parts: Vec<&RawValue> = serde_json::from_slice(line).unwrap_or_default();
    let lines = parts
        .into_iter()
        .map(|part| [part.get().as_bytes(), b"\n"].concat());
    lines
        .filter(|line| Scanner::scan(line).shape != LineKind::Array)
        .collect()
}

/// A batch with some of its messages changed.
#[derive(Default)]
struct Rebuilt {
    messages: Vec<Vec<u8>>,
    is_changed: bool,
}

impl Rebuilt {
    fn keep(&mut self, message: Vec<u8>) {
        self.messages.push(message);
    }

    fn change(&mut self, message: Option<Vec<u8>>) {
        self.is_changed = true;
        self.messages.extend(message);
    }

    /// The changed batch, if it changed; empty if no message is left.
    fn end(self) -> Option<Vec<u8>> {
        if !self.is_changed {
            return None;
        }
        if self.messages.is_empty() {
            return Some(Vec::new());
        }
        let parts: Vec<_> = self.messages.iter().map(|line| line.trim_ascii()).collect();
        Some([b"[", parts.join(&b',').as_slice(), b"]\n"].concat())
    }
}
