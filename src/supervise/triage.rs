//! Classifies lines of a server's stdout: which pass, which go to stderr, which cause events.

use super::shared::Inner;
use super::state::KeeperEvent;
use crate::session::envelope::{Envelope, LineKind, Scanner};
use crate::session::{Answered, FromServer, InternalRequest};

/// What to do with a batch of lines.
#[derive(Default)]
pub(super) struct LineBatch {
    /// The lines for the client, if they differ from the input.
    pub replaced: Option<Vec<u8>>,
    pub diverted: Vec<u8>,
    pub events: Vec<KeeperEvent>,
    pub answered: Vec<Answered>,
}

impl LineBatch {
    /// Drops the line that starts here; from now on the passing lines are collected.
    pub(super) fn leave_out(&mut self, bytes: &[u8], start: usize) {
        self.collected(bytes, start);
    }

    fn collected(&mut self, bytes: &[u8], start: usize) -> &mut Vec<u8> {
        self.replaced
            .get_or_insert_with(|| bytes.get(..start).unwrap_or_default().to_vec())
    }

    pub(super) fn note(
        &mut self,
        verdict: FromServer,
        bytes: &[u8],
        (start, end): (usize, usize),
        generation: u32,
        inner: &mut Inner,
    ) {
        let line = bytes.get(start..end).unwrap_or_default();
        match verdict {
            FromServer::Forward => self.pass(line),
            FromServer::Answers(answered) => {
                self.pass(line);
                self.answered.push(answered);
            }
            FromServer::Replace(new) => self.collected(bytes, start).extend(new),
            FromServer::Batch {
                line: new,
                answered,
            } => {
                match new {
                    None => self.pass(line),
                    Some(new) => self.collected(bytes, start).extend(new),
                }
                self.answered.extend(answered);
            }
            FromServer::Drop => self.leave_out(bytes, start),
            FromServer::Internal(InternalRequest::Handshake) => {
                self.leave_out(bytes, start);
                let judgement = inner.session.judge_handshake(line);
                self.events.push(KeeperEvent::HandshakeDone {
                    generation,
                    judgement,
                });
            }
            FromServer::Internal(InternalRequest::Replay) => {
                self.leave_out(bytes, start);
                if inner.session.is_replayed(generation) {
                    self.events.push(KeeperEvent::Replayed { generation });
                }
            }
        }
    }

    fn pass(&mut self, line: &[u8]) {
        if let Some(lines) = &mut self.replaced {
            lines.extend(line);
        }
    }
}

pub(super) enum LineRoute {
    Message(Envelope),
    Divert,
    Blank,
}

/// Whether a line can be an MCP message. A line that begins like a message only needs the right
/// structure; one that may be a log line (`[INFO] …`, `{x}`) must be valid JSON.
pub(super) fn triage(line: &[u8]) -> LineRoute {
    let envelope = Scanner::scan(line);
    let sure = matches!(line, [b'{', b'"', ..]);
    match envelope.shape {
        LineKind::Blank => LineRoute::Blank,
        LineKind::Other => LineRoute::Divert,
        _ if std::str::from_utf8(line).is_err() => LineRoute::Divert,
        LineKind::Object | LineKind::Array
            if !sure && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err() =>
        {
            LineRoute::Divert
        }
        LineKind::Object | LineKind::Array => LineRoute::Message(envelope),
    }
}
