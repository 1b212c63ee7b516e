//! A value that is typed or pasted at the terminal and not shown: a line, or the lines of a PEM or JSON text.
//!
//! Invariants: the terminal is as before when this returns, and when a signal ends or stops the process. What was
//! pasted and is not part of the value is discarded: a shell would run it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;

use nix::errno::Errno;
use nix::sys::select::{FdSet, select};
use nix::sys::signal::{Signal, raise};
use nix::sys::time::{TimeVal, TimeValLike as _};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::sys::signal::{self, Collecting};

/// The longest value (bytes).
const BYTES_MAX: usize = 64 * 1024;
/// What some terminals write after what is pasted.
const PASTE_END: &[u8] = b"\x1b[201~";
/// How long the rest of a paste may take (ms).
const PASTE_MS: i64 = 50;
/// What ends or stops the process; the keys for three of them work at the prompt.
const SIGNALS: &[Signal] = &[
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
];

/// What was entered.
#[derive(Debug)]
pub(super) enum Entered {
    Value(Zeroizing<Vec<u8>>),
    /// Several lines that are no PEM or JSON text.
    Lines,
    /// More than `BYTES_MAX`.
    TooLong,
}

/// Shows a prompt, and reads until Enter. Nothing was entered if the value is empty.
///
/// # Errors
/// The terminal cannot be used.
pub(super) fn read(mut terminal: &File, prompt: &str) -> io::Result<Entered> {
    loop {
        let signals = Collecting::start(SIGNALS)?;
        let silent = Silent::start(terminal)?;
        terminal.write_all(prompt.as_bytes())?;
        let found = lines(terminal, &signals);
        drop(silent);
        let keys = [Signal::SIGINT, Signal::SIGQUIT];
        let mut ignored = keys
            .into_iter()
            .filter(|key| signals.was_ignored(*key))
            .collect::<Vec<_>>();
        drop(signals);
        terminal.write_all(b"\n")?;
        match found? {
            PromptEnd::Entered(entered) => return Ok(entered),
            // Its former action ends or stops the process here. A shell that starts programs in the background
            // lets them ignore two keys, which somebody pressed at this prompt.
            PromptEnd::Signal(signal) => {
                ignored.retain(|key| *key == signal);
                signal::release(&ignored)?;
                raise(signal)?;
                if signal != Signal::SIGTSTP {
                    return Err(io::ErrorKind::Interrupted.into());
                }
            }
        }
    }
}

enum PromptEnd {
    Entered(Entered),
    Signal(Signal),
}

fn lines(terminal: &File, signals: &Collecting) -> io::Result<PromptEnd> {
    let mut input = HiddenInput {
        terminal,
        bytes: Zeroizing::new(Vec::with_capacity(BYTES_MAX + 1)),
    };
    loop {
        let key = match input.key(signals)? {
            Key::Signal(signal) => return Ok(PromptEnd::Signal(signal)),
            Key::Byte(byte) => byte,
            Key::End => return Ok(PromptEnd::Entered(Entered::Value(input.value()))),
        };
        match key {
            // Ctrl-D ends an empty line only.
            4 if input.bytes.is_empty() => {
                return Ok(PromptEnd::Entered(Entered::Value(input.value())));
            }
            4 => {}
            b'\r' | b'\n' => {
                if is_complete(&input.bytes) {
                    let is_all = input.only_blank_follows()?;
                    let value = Entered::Value(input.value());
                    let entered = if is_all { value } else { Entered::Lines };
                    return Ok(PromptEnd::Entered(entered));
                }
                input.bytes.push(b'\n');
            }
            // Backspace, and Ctrl-U.
            8 | 127 => input.erase(),
            21 => input.bytes.clear(),
            byte => input.bytes.push(byte),
        }
        if input.bytes.len() > BYTES_MAX {
            input.only_blank_follows()?;
            return Ok(PromptEnd::Entered(Entered::TooLong));
        }
    }
}

enum Key {
    Byte(u8),
    Signal(Signal),
    End,
}

struct HiddenInput<'a> {
    terminal: &'a File,
    bytes: Zeroizing<Vec<u8>>,
}

impl HiddenInput<'_> {
    fn key(&self, signals: &Collecting) -> io::Result<Key> {
        let mut terminal = self.terminal;
        loop {
            let mut ready = FdSet::new();
            ready.insert(terminal.as_fd());
            ready.insert(signals.pipe().as_fd());
            // Some systems cannot `poll` a terminal.
            let done = select(None, &mut ready, None, None, None);
            if let Some(signal) = signals.next() {
                return Ok(Key::Signal(signal));
            }
            match done {
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
                Ok(_) if !ready.contains(terminal.as_fd()) => continue,
                Ok(_) => {}
            }
            let mut read = Zeroizing::new([0]);
            let count = terminal.read(read.as_mut())?;
            let byte = read.first().filter(|_| count == 1);
            return Ok(byte.map_or(Key::End, |byte| Key::Byte(*byte)));
        }
    }

    /// Whether a paste goes on.
    fn has_more(&self) -> bool {
        let mut ready = FdSet::new();
        ready.insert(self.terminal.as_fd());
        let mut wait = TimeVal::milliseconds(PASTE_MS);
        select(None, &mut ready, None, None, &mut wait).is_ok_and(|count| count > 0)
    }

    /// Reads the rest of a paste, and tells whether it has only line ends.
    fn only_blank_follows(&self) -> io::Result<bool> {
        let mut terminal = self.terminal;
        let mut rest = Zeroizing::new([0; 1024]);
        let mut is_blank = true;
        while self.has_more() {
            let count = terminal.read(rest.as_mut())?;
            let bytes = rest.get(..count).unwrap_or_default();
            let bytes = bytes.trim_ascii();
            is_blank &= bytes.is_empty() || bytes == PASTE_END;
            if count == 0 {
                break;
            }
        }
        Ok(is_blank)
    }

    /// Removes the last character, which may have several bytes.
    fn erase(&mut self) {
        while let Some(byte) = self.bytes.pop() {
            if byte & 0xc0 != 0x80 {
                return;
            }
        }
    }

    /// The value.
    fn value(&mut self) -> Zeroizing<Vec<u8>> {
        let bytes = std::mem::take(&mut self.bytes);
        let inner = without_marks(&bytes);
        if inner.len() == bytes.len() {
            return bytes;
        }
        Zeroizing::new(inner.to_vec())
    }
}

/// A text without the marks that some terminals put around what is pasted.
fn without_marks(text: &[u8]) -> &[u8] {
    let text = text.strip_prefix(b"\x1b[200~").unwrap_or(text);
    text.strip_suffix(PASTE_END).unwrap_or(text)
}

/// Whether Enter ends the text.
fn is_complete(text: &[u8]) -> bool {
    let text = without_marks(text).trim_ascii();
    if text.starts_with(b"-----BEGIN ") {
        let last = text.rsplit(|byte| *byte == b'\n').next();
        return last.is_some_and(|line| line.starts_with(b"-----END "));
    }
    // One line may be any text, and a brace alone begins a JSON text.
    let is_open = text.starts_with(b"{") && (text.contains(&b'\n') || text == b"{");
    !is_open
        || text.ends_with(b"}") && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

/// Shows nothing of what is typed until this is dropped. A line may be longer than the 4,095 bytes that the kernel
/// collects, so each byte is read as it comes.
struct Silent<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Silent<'a> {
    fn start(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal.as_fd())?;
        let mut silent = before.clone();
        silent
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON);
        silent.local_modes.insert(LocalModes::ISIG);
        tcsetattr(terminal, OptionalActions::Now, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // Nothing more can be done for it.
        tcsetattr(self.terminal, OptionalActions::Now, &self.before).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_value_ends() {
        for (text, expected) in [
            ("", true),
            ("a token", true),
            ("-----BEGIN KEY-----", false),
            ("-----BEGIN KEY-----\nMII", false),
            ("-----BEGIN KEY-----\nMII\n-----END KEY-----", true),
            (
                "\x1b[200~-----BEGIN KEY-----\nMII\n-----END KEY-----\x1b[201~",
                true,
            ),
            ("{", false),
            ("{a", true),
            ("{\n\"a\": {}", false),
            ("{\n\"a\": {}\n}", true),
        ] {
            assert_eq!(is_complete(text.as_bytes()), expected, "{text}");
        }
    }
}
