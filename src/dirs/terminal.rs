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

/// How wide the output should be, as shells say it (`COLUMNS`).
pub fn columns() -> Option<u16> {
    variable("COLUMNS")?.to_str()?.parse().ok()
}

/// The user's browser: one program, without arguments.
pub fn browser() -> Option<OsString> {
    variable("BROWSER")
}

/// The road to the user's desktop, for a program that reads its clipboard.
pub fn desktop_variables() -> Vec<(&'static str, OsString)> {
    let names = [
        "WAYLAND_DISPLAY",
        "DISPLAY",
        "XAUTHORITY",
        "XDG_RUNTIME_DIR",
        "HOME",
    ];
    let found = names.into_iter().map(|name| Some((name, variable(name)?)));
    found.flatten().collect()
}
