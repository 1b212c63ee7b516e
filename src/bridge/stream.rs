//! The messages of an answer's body, of either media type.

use bytes::{Buf as _, Bytes};

use super::fault::BridgeFault;
use super::http::HttpReply;
use super::lines::MESSAGE_BYTES_MAX;
use super::meter::{Meter, MeterShare};
use super::server_text::ServerText;
use super::sse::{SseEvent, SseReader};

/// A stream of events.
pub struct EventStream {
    reply: HttpReply,
    reader: SseReader,
    rest: Bytes,
    share: MeterShare,
}

impl EventStream {
    pub fn new(reply: HttpReply, meter: &Meter) -> Self {
        Self {
            reply,
            reader: SseReader::new(MESSAGE_BYTES_MAX),
            rest: Bytes::new(),
            share: meter.share(),
        }
    }

    /// The ID of the last event.
    pub fn last_id(&self) -> Option<&[u8]> {
        self.reader.last_id()
    }

    /// How long to wait before the next connection (milliseconds).
    pub const fn retry(&self) -> Option<u64> {
        self.reader.retry()
    }

    fn too_long(&self) -> BridgeFault {
        self.reply.too_long("an event", MESSAGE_BYTES_MAX)
    }

    /// The next event with data; `None` at the end of the stream.
    ///
    /// # Errors
    /// The connection's, or an event is too long.
    pub async fn next(&mut self) -> Result<Option<SseEvent>, BridgeFault> {
        loop {
            if !self.rest.is_empty() {
                let mut input: &[u8] = &self.rest;
                let event = self.reader.next(&mut input);
                let Ok(event) = event else {
                    return Err(self.too_long());
                };
                let used = self.rest.len() - input.len();
                self.rest.advance(used);
                if !self.share.set(self.reader.buffered()) {
                    return Err(self.too_long());
                }
                if let Some(event) = event {
                    return Ok(Some(event));
                }
            }
            match self.reply.chunk().await? {
                Some(chunk) => self.rest = chunk,
                None => return Ok(None),
            }
        }
    }
}

/// The whole body of an answer that is one JSON text.
///
/// # Errors
/// The connection's, or it is too long.
pub async fn json_body(reply: &mut HttpReply, meter: &Meter) -> Result<ServerText, BridgeFault> {
    let mut share = meter.share();
    let mut body = ServerText::default();
    while let Some(piece) = reply.chunk().await? {
        body.push(&piece, reply.announced_bytes());
        if !share.set(body.len()) {
            return Err(reply.too_long("an answer", MESSAGE_BYTES_MAX));
        }
    }
    Ok(body)
}
