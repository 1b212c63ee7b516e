//! Classifies lines of a server's stdout: which pass, which go to stderr, which cause events.

use serde_json::value::RawValue;

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
    /// Answers to questions of other commands, not masked.
    pub questions: Vec<(u64, Vec<u8>)>,
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
            FromServer::Internal(InternalRequest::Question(number)) => {
                self.leave_out(bytes, start);
                self.questions.push((number, line.to_vec()));
            }
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

/// Whether a line is an MCP message. One that has the members of a message needs only the right
/// structure; a batch must consist of messages. Anything else, such as the records of a JSON logger,
/// is something that clients fail on.
pub(super) fn triage(line: &[u8]) -> LineRoute {
    let envelope = Scanner::scan(line);
    let is_text = || std::str::from_utf8(line).is_ok();
    match envelope.shape {
        LineKind::Blank => LineRoute::Blank,
        LineKind::Object if envelope.is_message && is_text() => LineRoute::Message(envelope),
        LineKind::Array if is_text() && is_batch(line) => LineRoute::Message(envelope),
        LineKind::Object | LineKind::Array | LineKind::Other => LineRoute::Divert,
    }
}

fn is_batch(line: &[u8]) -> bool {
    let parts: Vec<&RawValue> = serde_json::from_slice(line).unwrap_or_default();
    let is_message = |part: &&RawValue| {
        let envelope = Scanner::scan(part.get().as_bytes());
        envelope.shape == LineKind::Object && envelope.is_message
    };
    !parts.is_empty() && parts.iter().all(is_message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_pass() {
        let passes = |line: &str| matches!(triage(line.as_bytes()), LineRoute::Message(_));
        for line in [
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#"{ "result" : {"level":30}, "id":"a", "jsonrpc" : "2.0" }"#,
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}"#,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"x":NaN,"y":"\ud800"}}"#,
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\r\n",
            r#"[{"jsonrpc":"2.0","method":"a"},{"id":1,"result":0,"jsonrpc":"2.0"}]"#,
        ] {
            assert!(passes(line), "{line}");
        }
        for line in [
            r#"{"level":30,"time":1,"msg":"server started"}"#,
            r#"{"level":"info","method":"GET","path":"/","id":7}"#,
            r#"{"id":7,"error":"no such user"}"#,
            r#"{"event":"x","jsonrpc":"2.0"}"#,
            r#"{"jsonrpc":"2.0"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"1.0","id":1,"result":{}}"#,
            r#"{"jsonrpc":2.0,"id":1,"result":{}}"#,
            r#"{"message":{"jsonrpc":"2.0","id":1,"result":{}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{}} trailing"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{}"#,
            "{}",
            "[]",
            "[1,2]",
            "[[]]",
            "[INFO] ready",
            r#"[{"level":30}]"#,
            r#"[{"jsonrpc":"2.0","method":"a"},1]"#,
            r#"["info", {"jsonrpc":"2.0","method":"a"}]"#,
            "\"quoted\"",
            "null",
            "42",
            "true",
        ] {
            assert!(!passes(line), "{line}");
        }
    }

    #[test]
    fn a_long_line_is_judged_by_its_first_member() {
        let may_be = |head: &str| {
            let mut scanner = Scanner::default();
            scanner.feed(head.as_bytes());
            scanner.may_be_message()
        };
        assert!(may_be(r#"{"result":{"level":"#));
        assert!(may_be(r#"{"id":1,"other":"#));
        assert!(!may_be(r#"{"level":30,"id":"#));
        assert!(!may_be(r#"[{"jsonrpc":"2.0","#));
        assert!(!may_be("progress"));
    }
}
