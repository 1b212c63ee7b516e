//! What the help and the manual page of a command say beyond its arguments.

use std::fmt::Write as _;

/// The longest line (characters).
const WIDTH: usize = 78;

/// Of a command that changes nothing.
pub(super) const READS: &str = "Reads only: running servers notice nothing.";

pub(super) const POLICIES: (&str, &str) = (
    "~/.config/mcpwrap/policies/SERVER.toml",
    "policies, without secrets",
);
pub(super) const AUDIT: (&str, &str) = ("~/.local/state/mcpwrap/audit/", "the audit log");

/// One command.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Page {
    /// Without `mcpwrap`.
    pub(in crate::cli) path: &'static str,
    /// What it does to servers that run.
    pub(in crate::cli) running: &'static str,
    /// Commands, and what each is for.
    pub(in crate::cli) examples: &'static [(&'static str, &'static str)],
    /// When the exit code is 1; empty if it never is.
    pub(in crate::cli) one: &'static str,
    pub(in crate::cli) files: &'static [(&'static str, &'static str)],
}

pub(super) const fn page(
    path: &'static str,
    running: &'static str,
    examples: &'static [(&'static str, &'static str)],
) -> Page {
    Page {
        path,
        running,
        examples,
        one: "",
        files: &[],
    }
}

impl Page {
    pub(super) const fn one(mut self, when: &'static str) -> Self {
        self.one = when;
        self
    }

    pub(super) const fn files(mut self, files: &'static [(&'static str, &'static str)]) -> Self {
        self.files = files;
        self
    }

    /// The end of its help.
    pub(super) fn text(&self) -> String {
        let running = wrapped(self.running);
        let title = title("Running servers");
        format!("{title}  {running}\n\n{}", self.examples_text())
    }

    pub(super) fn examples_text(&self) -> String {
        let mut text = title("Examples");
        let widths = self.examples.iter().map(|(command, _)| command.len());
        let width = widths.max().unwrap_or_default();
        for (command, about) in self.examples {
            _ = writeln!(text, "  {command:width$}  # {about}");
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// The exit codes, with what each means.
    pub(in crate::cli) fn exits(&self) -> Vec<(&'static str, &'static str)> {
        if self.path == "run" {
            return RUN_EXITS.to_vec();
        }
        let mut exits = vec![("0", "success")];
        if !self.one.is_empty() {
            exits.push(("1", self.one));
        }
        exits.push((
            "2",
            "an error, which is on stderr: what, why, and what to do",
        ));
        exits
    }
}

/// `run` is a launcher.
const RUN_EXITS: &[(&str, &str)] = &[
    ("N", "the server's own exit code"),
    ("125", "refused, or failed before the server started"),
    ("126", "the program was found and cannot be executed"),
    ("127", "the program was not found"),
    ("128+N", "the server died of signal N"),
];

fn title(text: &str) -> String {
    format!("\u{1b}[1;4m{text}:\u{1b}[0m\n")
}

/// In lines that are indented like the first.
fn wrapped(text: &str) -> String {
    let mut wrapped = String::new();
    let mut width = 2;
    for word in text.split_whitespace() {
        if width + 1 + word.len() > WIDTH {
            wrapped.push_str("\n  ");
            width = 2;
        } else if !wrapped.is_empty() {
            wrapped.push(' ');
            width += 1;
        }
        wrapped.push_str(word);
        width += word.len();
    }
    wrapped
}
