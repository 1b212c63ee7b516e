//! The programs and habits of the user in a terminal.

use std::ffi::OsString;

use super::variable::variable;

/// The user's editor: `VISUAL`, then `EDITOR`.
pub fn editor() -> Option<OsString> {
    variable("VISUAL").or_else(|| variable("EDITOR"))
}

/// The user's pager with its arguments (`PAGER`, or `less`; `None` for `cat`), and whether `LESS` is
/// set.
pub fn pager() -> Option<(Vec<String>, bool)> {
    let text = variable("PAGER").unwrap_or_else(|| OsString::from("less"));
    let words: Vec<_> = text
        .to_str()?
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let wanted = words.first().is_some_and(|program| program != "cat");
    wanted.then(|| (words, variable("LESS").is_some()))
}

/// Whether colours are disabled: `NO_COLOR`, or a terminal without colours.
pub fn no_colour() -> bool {
    variable("NO_COLOR").is_some() || variable("TERM").is_none_or(|term| term == "dumb")
}

/// The user's browser: one program, without arguments.
pub fn browser() -> Option<OsString> {
    variable("BROWSER")
}
