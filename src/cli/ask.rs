//! Questions to the person at the terminal.
//!
//! Invariants: questions use `/dev/tty`, never stdin; a typed value is not shown; no question has a
//! default answer. This deters programs that run as the user, but does not prevent them: see
//! `docs/threat-model.md`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::sync::mpsc::Sender;

use zeroize::Zeroizing;

use super::hidden_input::{self, Entered};
use crate::error::{Code, Error, Result, printable};
use crate::files::io_text;
use crate::secret::Secret;

/// The longest value from a script or the clipboard (bytes).
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// The longest pasted line (bytes).
const LINE_BYTES_MAX: u64 = 16 * 1024;
/// The longest answer (bytes).
const ANSWER_BYTES_MAX: u64 = 1024;

/// Asks for a value without showing it: one line, or a whole PEM or JSON text, without the last newline.
///
/// # Errors
/// `no-terminal`; `declined` if nothing was typed, or several lines of another text.
pub fn hidden(prompt: &str) -> Result<Secret> {
    let terminal = open()?;
    let entered = hidden_input::read(&terminal, prompt).map_err(|error| no_terminal(&error))?;
    let declined = |what: &str| Error::new(Code::Declined, what);
    match entered {
        Entered::Value(value) if value.is_empty() => Err(declined("nothing was typed")),
        Entered::Value(value) => Ok(Secret::new(value.to_vec())),
        Entered::Lines => Err(declined("nothing was stored")
            .cause("several lines were pasted, and the value is one line, or a PEM or JSON text")
            .hint("pipe the value from a file with `--from-stdin`")),
        Entered::TooLong => Err(declined("nothing was stored")
            .cause("larger than 64 KiB")
            .hint("pipe the value from a file with `--from-stdin`")),
    }
}

/// Shows a text and asks the user to type a name, so that they do not confirm by habit.
///
/// # Errors
/// `no-terminal`; `declined` if something else was typed.
pub fn type_name(text: &str, name: &str) -> Result<()> {
    let answer = answer(&format!("{text}type `{name}` to confirm: "))?;
    if answer == name {
        return Ok(());
    }
    Err(Error::new(
        Code::Declined,
        format!("nothing was changed: `{name}` was not typed"),
    ))
}

/// Shows a text and asks yes or no.
///
/// # Errors
/// `no-terminal`.
pub fn confirm(text: &str) -> Result<bool> {
    let answer = answer(&format!("{text} [y/n] "))?;
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Shows a text and asks for a short answer, as typed.
///
/// # Errors
/// `no-terminal`.
pub fn choice(text: &str) -> Result<String> {
    answer(text)
}

/// Shows a text and asks for one of these words. Returns which.
///
/// # Errors
/// `no-terminal`; `declined` if something else was typed.
pub fn choose(text: &str, words: &[&str]) -> Result<usize> {
    let named: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    let named = named.join(" or ");
    let answer = answer(&format!("{text}type {named}: "))?;
    words
        .iter()
        .position(|word| *word == answer)
        .ok_or_else(|| {
            Error::new(Code::Declined, "nothing was changed").cause(format!("expected {named}"))
        })
}

/// Shows a text and asks for words, with spaces or commas between them.
///
/// # Errors
/// `no-terminal`.
pub fn words(text: &str) -> Result<Vec<String>> {
    let answer = answer(&format!("{text}> "))?;
    let words = answer.split([' ', ',']).filter(|word| !word.is_empty());
    Ok(words.map(str::to_owned).collect())
}

/// Whether a person runs this: a terminal is the input, and can be asked at.
pub fn is_person() -> bool {
    io::stdin().is_terminal() && is_possible()
}

/// Whether there is a terminal to ask at.
pub fn is_possible() -> bool {
    open().is_ok()
}

/// Expects a terminal to ask at, before something that takes long.
///
/// # Errors
/// `no-terminal`.
pub fn must_be_possible() -> Result<()> {
    open().map(drop)
}

/// Sends the lines that the user types or pastes from now on, and `None` at their end (Ctrl-D). Nothing else may
/// ask afterwards.
///
/// # Errors
/// `no-terminal`.
pub fn send_lines(sender: Sender<Option<String>>) -> Result<()> {
    let terminal = open()?;
    std::thread::spawn(move || {
        let mut reader = BufReader::new(terminal);
        loop {
            let mut line = Vec::new();
            // Without the terminal a browser can still answer.
            let Ok(count) = (&mut reader)
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut line)
            else {
                return;
            };
            let line = (count > 0).then(|| String::from_utf8_lossy(&line).into_owned());
            if sender.send(line).is_err() || count == 0 {
                return;
            }
        }
    });
    Ok(())
}

/// The passphrase of an existing vault file, typed or from a script.
///
/// # Errors
/// As [`hidden`] and [`piped`].
pub fn passphrase(from_stdin: bool) -> Result<Secret> {
    if from_stdin {
        return piped();
    }
    hidden("passphrase of the vault file (not shown): ")
}

/// A new passphrase, typed twice.
///
/// # Errors
/// `secret-weak`; `declined` if the two differ; as [`passphrase`].
pub fn new_passphrase(from_stdin: bool) -> Result<Secret> {
    let again = "run `mcpwrap init --store file` to try again";
    let first = passphrase(from_stdin)?;
    if let Some(weakness) = first.weakness() {
        return Err(Error::new(Code::SecretWeak, "cannot create the vault file")
            .cause(format!("the passphrase {}", weakness.text()))
            .hint(again));
    }
    if !from_stdin && first != hidden("once more: ")? {
        return Err(Error::new(Code::Declined, "cannot create the vault file")
            .cause("the two passphrases differ")
            .hint(again));
    }
    Ok(first)
}

/// A value that a script gives on stdin, without its last newline.
///
/// # Errors
/// `file-unusable`; `secret-unusable` if it is larger than 1 MiB.
pub fn piped() -> Result<Secret> {
    value_from(io::stdin().lock(), "stdin")
}

/// A value that a script gives on an open file, without its last newline.
///
/// # Errors
/// As [`piped`].
pub fn value_from(file: impl io::Read, name: &str) -> Result<Secret> {
    // Allocated at its maximum: a buffer that grows would leave copies in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(VALUE_BYTES_MAX + 2));
    let limit = u64::try_from(VALUE_BYTES_MAX + 2).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes).map_err(|error| {
        Error::new(
            Code::FileUnusable,
            format!("cannot read the value from {name}"),
        )
        .cause(io_text(&error))
    })?;
    let value = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    if value.len() > VALUE_BYTES_MAX {
        return Err(
            Error::new(Code::SecretUnusable, "cannot store the value").cause("larger than 1 MiB")
        );
    }
    Ok(Secret::new(value.to_vec()))
}

fn answer(question: &str) -> Result<String> {
    let mut terminal = open()?;
    let question: Vec<_> = question.split('\n').map(printable).collect();
    let unusable = |error: io::Error| no_terminal(&error);
    terminal
        .write_all(question.join("\n").as_bytes())
        .map_err(unusable)?;
    let mut line = String::new();
    let mut reader = BufReader::new(terminal.take(ANSWER_BYTES_MAX));
    reader.read_line(&mut line).map_err(unusable)?;
    Ok(line.trim().to_owned())
}

fn open() -> Result<File> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    terminal.map_err(|error| no_terminal(&error))
}

fn no_terminal(error: &io::Error) -> Error {
    Error::new(Code::NoTerminal, "cannot ask without a terminal")
        .cause(format!("`/dev/tty`: {}", io_text(error)))
        .hint("run the command in a terminal, or see its `--help` for what a script can do")
}

/// Whether a path leads to what this process has open, e.g. its stdin.
pub fn is_open_already(path: &Path) -> bool {
    let places = ["/dev/stdin", "/dev/fd", "/proc/self/fd"];
    places.iter().any(|place| path.starts_with(place))
}
