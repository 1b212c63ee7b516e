//! The only code that writes to the terminal, except what `mcpwrap run` relays.
//!
//! Invariant: a closed pipe (`mcpwrap log | head`) is not an error, and any other failed write is.
#![expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "this module is where it is allowed"
)]

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write as _};
use std::ops::ControlFlow;
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};

use comfy_table::{ContentArrangement, Table, presets};
use nix::sys::signal::Signal;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr};

use crate::dirs;
use crate::error::{Code, EXIT_ERROR, Error, is_shown, printable};
use crate::files::io_text;
use crate::sys::{signal, spawn, stderr};

/// Columns of what is no terminal, or does not tell its size.
const COLUMNS_USUAL: u16 = 80;
/// Lines of a terminal that does not tell its size.
const LINES_USUAL: usize = 40;

/// Why an answer could not be written, e.g. a full disk.
static FAILURE: Mutex<Option<String>> = Mutex::new(None);

/// Remembers a failure. A closed pipe is none.
fn written(done: &io::Result<()>) {
    if let Err(error) = done
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        let mut failure = FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert_with(|| io_text(error));
    }
}

/// Writes out what is buffered. The exit code is that of an error if an answer was not written completely.
pub fn finish(code: u8) -> u8 {
    written(&io::stdout().flush());
    let failure = FAILURE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let Some(cause) = failure else {
        return code;
    };
    error(
        &Error::new(Code::FileUnusable, "the output is not complete")
            .cause(cause)
            .hint("free some space, or write it to another file"),
    );
    code.max(EXIT_ERROR)
}

/// One line of an answer, on stdout.
pub fn line(text: &str) {
    let _hidden = hide();
    written(&writeln!(io::stdout(), "{text}"));
}

/// Several lines, or machine-readable text, unchanged, on stdout.
pub fn text(text: &str) {
    let _hidden = hide();
    written(&io::stdout().write_all(text.as_bytes()));
}

/// Lines that are written at once.
#[derive(Debug, Default)]
pub struct Lines(String);

impl Lines {
    pub fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    pub fn text(&mut self, text: &str) {
        self.0.push_str(text);
    }

    pub fn print(self) {
        text(&self.0);
    }
}

/// A number and its noun: "1 file", "2 files", "3 processes". The noun is given in the singular.
pub fn count<N: std::fmt::Display + PartialEq + From<u8> + Copy>(number: N, noun: &str) -> String {
    if number == N::from(1) {
        return format!("{number} {noun}");
    }
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{number} {stem}ies"),
        _ if noun.ends_with('s') => format!("{number} {noun}es"),
        _ => format!("{number} {noun}s"),
    }
}

/// Names in backticks: "`a`, `b`".
pub fn names<N: std::fmt::Display>(names: impl IntoIterator<Item = N>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// JSON for scripts, on stdout. It has the same meaning with what a terminal does not show escaped.
pub fn json(value: &serde_json::Value) {
    let mut shown = String::new();
    for c in format!("{value:#}").chars() {
        if c == '\n' || is_shown(c) {
            shown.push(c);
        } else {
            let mut units = [0; 2];
            let escape = |unit: &u16| format!("\\u{unit:04x}");
            shown.extend(c.encode_utf16(&mut units).iter().map(escape));
        }
    }
    line(&shown);
}

/// A table without borders, on stdout, as wide as the terminal. Long cells are wrapped; where a word would be
/// broken, each row is a paragraph instead.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    if narrowest(head, &rows) > usize::from(columns()) {
        paragraphs(head, &rows);
    } else {
        columned(head, &rows);
    }
}

fn columned(head: &[&str], rows: &[Vec<String>]) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(columns());
    for row in table.lines() {
        line(row.trim_end());
    }
}

/// The width of a table in which no word is broken.
fn narrowest(head: &[&str], rows: &[Vec<String>]) -> usize {
    let longest = |text: &str| {
        text.split_whitespace()
            .map(UnicodeWidthStr::width)
            .max()
            .unwrap_or(0)
    };
    let column = |(number, title): (usize, &&str)| {
        let cells = rows.iter().filter_map(|row| row.get(number));
        let longest = cells.map(|cell| longest(&printable(cell))).max();
        longest.unwrap_or(0).max(title.width()) + 2
    };
    head.iter().enumerate().map(column).sum()
}

/// The first cell of each row on a line of its own, and what the others say below it.
fn paragraphs(head: &[&str], rows: &[Vec<String>]) {
    let width = head.iter().map(|title| title.width()).max().unwrap_or(0);
    for row in rows {
        let mut cells = head.iter().zip(row);
        if let Some((_, first)) = cells.next() {
            line(&printable(first));
        }
        for (title, cell) in cells.filter(|(_, cell)| !matches!(cell.as_str(), "" | "-")) {
            line(&format!(
                "  {:width$}  {}",
                title.to_lowercase(),
                printable(cell)
            ));
        }
    }
}

/// How wide the output is: as the terminal on stdout, or as `COLUMNS` says.
fn columns() -> u16 {
    let size = rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| size.ws_col);
    match size {
        0 => dirs::columns().unwrap_or(COLUMNS_USUAL),
        columns => columns,
    }
}

/// How many lines the screen has, if stdout goes to one.
pub fn screen_lines() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok();
    let lines = size.map_or(0, |size| usize::from(size.ws_row));
    Some(if lines == 0 { LINES_USUAL } else { lines })
}

/// Something the user should know but not act on, on stderr.
pub fn note(text: &str) {
    let _hidden = hide();
    stderr::say(&format!("mcpwrap: {}\n", printable(text)));
}

/// Something the user can act on, on stderr.
pub fn warning(text: &str) {
    let _hidden = hide();
    stderr::say(&format!("mcpwrap: warning: {}\n", printable(text)));
}

/// Help or version from clap: on stdout, or on stderr if it was not requested. Coloured on a terminal.
pub fn help(error: &clap::Error) {
    drop(error.print());
}

/// An error in its lines, on stderr.
pub fn error(error: &Error) {
    let _hidden = hide();
    stderr::say(&error.to_string());
}

/// How many lines of progress are drawn at the end of the terminal.
static DRAWN: Mutex<usize> = Mutex::new(0);

/// Clears the progress while something else is written.
fn hide() -> MutexGuard<'static, usize> {
    let mut drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    if *drawn > 0 {
        eprint!("{CLEAR}{}", CLEAR_ABOVE.repeat(*drawn - 1));
        *drawn = 0;
    }
    drawn
}

/// Moves to the start of the line and clears it.
const CLEAR: &str = "\r\u{1b}[2K";
/// Moves to the line above and clears it.
const CLEAR_ABOVE: &str = "\u{1b}[1A\u{1b}[2K";

/// Whether progress can be drawn: stderr is a terminal.
pub fn draws_progress() -> bool {
    io::stderr().is_terminal()
}

/// Draws these lines in place of those before, until something else is written. Without lines it
/// only clears.
pub fn progress(lines: &[String]) {
    let width = rustix::termios::tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col);
    let width = if width == 0 { 80 } else { usize::from(width) };
    // A line that wraps could not be cleared.
    let shown: Vec<_> = lines
        .iter()
        .map(|line| cut(&printable(line), width - 1))
        .collect();
    let mut drawn = hide();
    if !shown.is_empty() {
        eprint!("{}", shown.join("\n"));
    }
    *drawn = shown.len();
}

/// How many columns a text takes. A wide character takes two.
pub fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The start of a line, in at most this many columns.
pub fn cut(line: &str, columns: usize) -> String {
    let mut left = columns;
    let fits = |c: &char| {
        let width = c.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    line.chars().take_while(fits).collect()
}

/// A long answer on stdout, line by line. When the reader closes the pipe, it ends without an error.
#[derive(Debug)]
pub struct PagedOutput {
    to: BufWriter<To>,
    /// While a pager runs, Ctrl-C is for the pager: the signal is collected and ignored.
    _interrupts: Option<File>,
}

#[derive(Debug)]
enum To {
    Stdout(StdoutLock<'static>),
    Pager(Child),
}

impl PagedOutput {
    /// For other programs, or short answers.
    pub fn new() -> Self {
        Self::to(To::Stdout(io::stdout().lock()), None)
    }

    /// For people: through their pager, if stdout is a terminal and there is a pager.
    pub fn paged() -> Self {
        let pager = || {
            let (words, has_options) = dirs::pager()?;
            // As git does: short answers are printed at once, colours stay, the screen stays.
            let options: &[_] = if has_options { &[] } else { &[("LESS", "FRX")] };
            spawn::pager(&words, options).ok()
        };
        match io::stdout().is_terminal().then(pager).flatten() {
            Some(pager) => Self::to(To::Pager(pager), signal::collect(&[Signal::SIGINT]).ok()),
            None => Self::new(),
        }
    }

    fn to(to: To, interrupts: Option<File>) -> Self {
        Self {
            to: BufWriter::with_capacity(64 << 10, to),
            _interrupts: interrupts,
        }
    }

    /// One line; `Break` if the reader has closed the pipe.
    pub fn line(&mut self, text: &str) -> ControlFlow<()> {
        self.bytes(text.as_bytes())
    }

    /// One line of bytes.
    pub fn bytes(&mut self, line: &[u8]) -> ControlFlow<()> {
        let written = self
            .to
            .write_all(line)
            .and_then(|()| self.to.write_all(b"\n"));
        flow(&written)
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> ControlFlow<()> {
        flow(&self.to.flush())
    }

    /// Ends the answer: waits until the user has left the pager.
    pub fn end(self) {
        drop(self);
    }
}

impl Drop for PagedOutput {
    fn drop(&mut self) {
        written(&self.to.flush());
        if let To::Pager(pager) = self.to.get_mut() {
            drop(pager.stdin.take());
            drop(pager.wait());
        }
    }
}

impl io::Write for To {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::Pager(pager) => match &mut pager.stdin {
                Some(stdin) => stdin.write(bytes),
                None => Err(io::ErrorKind::BrokenPipe.into()),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::Pager(_) => Ok(()),
        }
    }
}

impl Default for PagedOutput {
    fn default() -> Self {
        Self::new()
    }
}

fn flow(done: &io::Result<()>) -> ControlFlow<()> {
    written(done);
    if done.is_ok() {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

#[cfg(test)]
mod tests;
