//! The only code that writes to the terminal. What `mcpwrap run` relays is not here.
//!
//! *Never* fails because nobody reads: a closed pipe (`mcpwrap log | head`) is no error.
#![expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "this module is where it is allowed"
)]

use std::io::{self, BufWriter, StdoutLock, Write as _};
use std::ops::ControlFlow;

use comfy_table::{Table, presets};

use crate::error::{Error, printable};

/// One line of an answer, on stdout.
pub fn line(text: &str) {
    drop(writeln!(io::stdout(), "{text}"));
}

/// An answer of several lines, or machine-readable text, as it is, on stdout.
pub fn text(text: &str) {
    drop(io::stdout().write_all(text.as_bytes()));
}

/// JSON for scripts, on stdout.
pub fn json(value: &serde_json::Value) {
    line(&format!("{value:#}"));
}

/// Rows under a head, with no lines drawn, on stdout.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(head);
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for row in table.lines() {
        line(row.trim_end());
    }
}

/// Something the user should know but not act on, on stderr.
pub fn note(text: &str) {
    eprintln!("mcpwrap: {}", printable(text));
}

/// Something the user can act on, on stderr.
pub fn warning(text: &str) {
    eprintln!("mcpwrap: warning: {}", printable(text));
}

/// An error in its lines, on stderr.
pub fn error(error: &Error) {
    eprint!("{error}");
}

/// A long answer on stdout, a line at a time. A reader that is gone ends it without an error.
#[derive(Debug)]
pub struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    #[expect(
        clippy::disallowed_methods,
        reason = "this module is where it is allowed"
    )]
    pub fn new() -> Self {
        Self(BufWriter::with_capacity(64 << 10, io::stdout().lock()))
    }

    /// One line; `Break` if nobody reads any more.
    pub fn line(&mut self, text: &str) -> ControlFlow<()> {
        self.bytes(text.as_bytes())
    }

    /// One line of bytes.
    pub fn bytes(&mut self, line: &[u8]) -> ControlFlow<()> {
        let written = self
            .0
            .write_all(line)
            .and_then(|()| self.0.write_all(b"\n"));
        flow(&written)
    }

    /// Shows what was written so far.
    pub fn flush(&mut self) -> ControlFlow<()> {
        flow(&self.0.flush())
    }

    /// The end of the answer.
    pub fn end(mut self) {
        // Whether somebody reads the last lines makes no difference any more.
        drop(self.0.flush());
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

fn flow(written: &io::Result<()>) -> ControlFlow<()> {
    if written.is_ok() {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}
