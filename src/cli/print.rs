//! The only code that writes to the terminal. What `mcpwrap run` relays is not here.
//!
//! *Never* fails because nobody reads: a closed pipe (`mcpwrap log | head`) is no error.
#![expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "this module is where it is allowed"
)]

use std::io::Write as _;

use comfy_table::{Table, presets};

use crate::error::{Error, printable};

/// One line of an answer, on stdout.
pub fn line(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// An answer of several lines, or machine-readable text, as it is, on stdout.
pub fn text(text: &str) {
    drop(std::io::stdout().write_all(text.as_bytes()));
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
