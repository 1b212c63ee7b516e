//! The only code that writes to the terminal. What `mcpwrap run` relays is not here.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this module is where it is allowed"
)]

use crate::error::{Error, printable};

/// One line of an answer, on stdout.
pub fn line(text: &str) {
    println!("{text}");
}

/// An answer of several lines, or machine-readable text, as it is, on stdout.
pub fn text(text: &str) {
    print!("{text}");
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
