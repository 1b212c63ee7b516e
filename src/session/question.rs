//! Asks the current server for its tools, beside the client.

use super::envelope::Id;
use super::{Era, InternalRequest, Session, SessionRole, answer};

impl Session {
    /// The line that asks for a page of the tools, and the number of the question. `None` before the client
    /// has finished its handshake.
    pub fn ask_for_tools(&mut self, cursor: Option<&str>) -> Option<(u64, Vec<u8>)> {
        if !self.is_established() || self.lost == Some(self.generation) {
            return None;
        }
        let meta = match self.era? {
            Era::Legacy => None,
            Era::Modern => Some(self.meta.clone()?),
        };
        self.counter += 1;
        let (number, generation) = (self.counter, self.generation);
        let id = Id::text(&format!("mcpwrap-{generation}-own-{number}"));
        let line = answer::list_tools(&id, cursor, meta.as_ref());
        let internal = InternalRequest::Question(number);
        self.internal.insert(id, (generation, internal));
        Some((number, line))
    }

    /// Whether the server that was asked may still answer.
    pub fn waits_for(&self, number: u64) -> bool {
        let is_open = |(of, internal): &(u32, InternalRequest)| {
            *internal == InternalRequest::Question(number) && self.role(*of) == SessionRole::Current
        };
        self.internal.values().any(is_open)
    }

    /// Forgets a question that is not answered.
    pub fn forget_question(&mut self, number: u64) {
        self.internal
            .retain(|_, (_, internal)| *internal != InternalRequest::Question(number));
    }

    /// Whether this server has a question that is not answered.
    pub fn has_question(&self, generation: u32) -> bool {
        let is_question = |(of, internal): &(u32, InternalRequest)| {
            *of == generation && matches!(internal, InternalRequest::Question(_))
        };
        self.internal.values().any(is_question)
    }

    /// The protocol revision that was agreed in the handshake, if there was one.
    pub fn revision(&self) -> Option<String> {
        let version = match self.era? {
            Era::Legacy => self
                .initialize_result
                .as_ref()?
                .get("protocolVersion")?
                .as_str()?,
            Era::Modern => super::fields::version_of(self.meta.as_ref()?)?,
        };
        Some(version.to_owned())
    }
}
