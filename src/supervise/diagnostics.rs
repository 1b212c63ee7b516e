//! Relays a server's stderr to ours, masked, and keeps its last lines for error messages. A client that
//! does not read stderr does not stop the server.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};
use std::sync::{Arc, Mutex, PoisonError};

use super::shared::Shared;
use super::state::KeeperEvent;
use crate::mask::TextMask;
use crate::policy::{Limits, Stream};
use crate::sys::stderr;

const CHUNK_BYTES: usize = 16 << 10;
/// How much of stderr is kept for the message about a crash.
const TAIL_LINES: usize = 5;
const TAIL_LINE_CHARS: usize = 300;

/// The last lines of a server's stderr, masked.
#[derive(Debug, Default)]
pub(super) struct StderrTail(Mutex<VecDeque<String>>);

impl StderrTail {
    fn note(&self, text: &[u8]) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in String::from_utf8_lossy(text)
            .lines()
            .filter(|line| !line.trim().is_empty())
        {
            if lines.len() == TAIL_LINES {
                lines.pop_front();
            }
            lines.push_back(line.chars().take(TAIL_LINE_CHARS).collect());
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}

/// Our stderr for the masked text of a server.
#[derive(Debug)]
pub(super) struct Diagnostics {
    mask: Option<TextMask>,
    version: u64,
    shared: Arc<Shared>,
    tail: Arc<StderrTail>,
    out: Vec<u8>,
}

impl Diagnostics {
    pub(super) fn new(shared: &Arc<Shared>, limits: &Limits, tail: &Arc<StderrTail>) -> Self {
        let (masker, version) = {
            let inner = shared.lock();
            (Arc::clone(&inner.masker), inner.masker_version)
        };
        let mask = limits
            .mask
            .contains(&Stream::Stderr)
            .then(|| TextMask::new(masker));
        Self {
            mask,
            version,
            shared: Arc::clone(shared),
            tail: Arc::clone(tail),
            out: Vec::new(),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8], end: bool) {
        self.out.clear();
        match &mut self.mask {
            None => self.out.extend(bytes),
            Some(mask) => {
                let inner = self.shared.lock();
                if inner.masker_version != self.version {
                    self.version = inner.masker_version;
                    mask.set_masker(Arc::clone(&inner.masker));
                }
                drop(inner);
                mask.write(bytes, &mut self.out);
                if end {
                    mask.flush(&mut self.out);
                }
            }
        }
        self.tail.note(&self.out);
        stderr::write(&self.out, stderr::RELAY_PATIENCE);
    }
}

/// The thread of a server's stderr.
pub(super) fn relay_stderr(mut from: File, generation: u32, mut to: Diagnostics) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
            Ok(count) => to.write(chunk.get(..count).unwrap_or_default(), false),
        }
    }
    to.write(b"", true);
    to.shared
        .post_event(KeeperEvent::StreamEnded { generation });
}
