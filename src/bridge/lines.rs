//! The lines of the session: those of the client on stdin, and messages for it on stdout.
//!
//! Invariants: a message is written as a whole, whoever is cancelled; at most one waits, so a client
//! that does not read stops whoever produces messages.

use std::io;

use memchr::memchr;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use crate::session::envelope::{Envelope, Scanner};

/// The longest message, of the client or the server (bytes).
pub const MESSAGE_BYTES_MAX: usize = 256 << 20;
/// How much is read at a time (bytes).
const READ_BYTES: usize = 64 << 10;

/// What stands on stdin.
#[derive(Debug)]
pub enum StdinLine {
    /// A line without its end.
    Line(Vec<u8>),
    /// A line over the limit: only its envelope was kept.
    TooLong(Box<Envelope>),
}

/// The lines of the client.
#[derive(Debug)]
pub struct ClientLines(BufReader<pipe::Receiver>);

impl ClientLines {
    /// # Errors
    /// The descriptor is not a pipe.
    pub fn new(pipe: std::fs::File) -> io::Result<Self> {
        let pipe = pipe::Receiver::from_owned_fd(pipe.into())?;
        Ok(Self(BufReader::with_capacity(READ_BYTES, pipe)))
    }

    /// The next line; `None` at the end. A last line without its end counts.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn next(&mut self) -> io::Result<Option<StdinLine>> {
        let mut line = Vec::new();
        let mut long: Option<Scanner> = None;
        loop {
            let bytes = self.0.fill_buf().await?;
            let end = memchr(b'\n', bytes);
            let (part, _) = bytes.split_at(end.unwrap_or(bytes.len()));
            if bytes.is_empty() && line.is_empty() && long.is_none() {
                return Ok(None);
            }
            let is_last = end.is_some() || bytes.is_empty();
            if line.len() + part.len() > MESSAGE_BYTES_MAX && long.is_none() {
                let mut scanner = Scanner::default();
                scanner.feed(&line);
                line = Vec::new();
                long = Some(scanner);
            }
            match &mut long {
                Some(scanner) => scanner.feed(part),
                None => line.extend_from_slice(part),
            }
            let used = part.len() + usize::from(end.is_some());
            self.0.consume(used);
            if is_last {
                return Ok(Some(match long {
                    Some(mut scanner) => StdinLine::TooLong(Box::new(scanner.finish())),
                    None => StdinLine::Line(line),
                }));
            }
        }
    }
}

/// Where messages for the client go.
#[derive(Clone, Debug)]
pub struct ClientOutput(mpsc::Sender<Vec<u8>>);

impl ClientOutput {
    /// The output, and what writes it until all others are gone or the client no longer reads.
    ///
    /// # Errors
    /// The descriptor is not a pipe.
    pub fn new(pipe: std::fs::File) -> io::Result<(Self, impl Future<Output = ()>)> {
        let mut pipe = pipe::Sender::from_owned_fd(pipe.into())?;
        let (sender, mut messages) = mpsc::channel::<Vec<u8>>(1);
        let write = async move {
            while let Some(message) = messages.recv().await {
                if pipe.write_all(&message).await.is_err() {
                    return;
                }
            }
        };
        Ok((Self(sender), write))
    }

    /// Writes one message, whose end is added if it has none. Nothing happens once the client is gone.
    pub async fn write(&self, mut message: Vec<u8>) {
        if !message.ends_with(b"\n") {
            message.push(b'\n');
        }
        crate::sys::ignore(self.0.send(message).await);
    }
}
