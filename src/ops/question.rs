//! What the user reads before approving a policy.
//!
//! Invariants: no text of a policy can look like a line of mcpwrap, or push what matters off the screen.
//! Everything is bounded (`policy::bounds`), escaped, and wrapped behind the column of names; what the
//! server gets and what runs stands last, right above the prompt; only that it will not start is said
//! below. A difference is shown against a text that a seal proves, and against nothing else.

use similar::TextDiff;

use super::notes::{notes, refused};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::printable;
use crate::grant::{self, GrantState, LastPolicy};
use crate::invocation::{Invocation, Resolved};
use crate::policy::{Policy, summary};
use crate::secret::Keys;

/// The width of a terminal that is narrow, but not too narrow to read (characters).
const WIDTH: usize = 78;
/// Where the facts begin; the lines that continue one begin there too.
const INDENT: usize = 13;
/// A longer difference is not read line by line.
const DIFF_LINES_MAX: usize = 60;
/// The longest line of a difference, and reason of a revocation (characters).
const LINE_MAX: usize = 300;

/// All that the user approves, and the changes since the last grant.
pub fn question(dirs: &Dirs, policy: &Policy, resolved: &Resolved, keys: &Keys) -> String {
    let server = &policy.server;
    let parts = summary::parts(dirs, policy, &notes);
    let runs = resolved.rows(dirs).into_iter();
    let runs: Vec<_> = runs
        .map(|(name, fact)| (name, summary::ascii_line(&fact)))
        .collect();
    let gets = match &policy.remote {
        Some(remote) => format!(
            "server `{server}` at {} gets these secrets:\n",
            summary::ascii(&remote.host())
        ),
        None => format!("server `{server}` gets these secrets and starts this command:\n"),
    };
    let lines = [
        format!("this policy allows server `{server}`:\n"),
        parts.rest,
        history(dirs, policy, &resolved.invocation, keys),
        gets,
        summary::rows(&runs),
        parts.last,
    ];
    wrapped(&lines.concat())
}

/// The same for a grant alone: below what starts, that it will not start without a pin.
pub fn of_grant(
    dirs: &Dirs,
    config: &Config,
    policy: &Policy,
    resolved: &Resolved,
    keys: &Keys,
) -> String {
    let mut text = question(dirs, policy, resolved, keys);
    if let Some(why) = refused(policy, config) {
        let note = ("note", format!("server `{}` {why}", policy.server));
        text.push_str(&wrapped(&summary::rows(&[note])));
    }
    text
}

/// When it was revoked, and what changed since the last grant.
fn history(dirs: &Dirs, policy: &Policy, invocation: &Invocation, keys: &Keys) -> String {
    // An unreadable grant is replaced by the new one.
    let record = grant::record(dirs, &policy.server, Some(keys))
        .ok()
        .flatten();
    let Some(record) = record else {
        return "not granted before\n".to_owned();
    };
    let revoked = if record.state == GrantState::Revoked {
        let reason = record.reason.as_deref();
        let reason = reason.map_or_else(String::new, |r| format!(": {}", shortened(r)));
        format!("revoked on {}{reason}\n", grant::day(record.at))
    } else {
        String::new()
    };
    let changes = match record.policy {
        LastPolicy::Unknown => {
            "what was granted last is not known: no seal proves it, so read everything\n".to_owned()
        }
        LastPolicy::Sealed(old, before) => {
            let mut lines = String::new();
            for line in invocation.differences(&before, dirs) {
                lines.extend(["  changed    ", &shortened(&line), "\n"]);
            }
            match (old == policy.text, lines.is_empty()) {
                (true, true) => "nothing changed since the last grant\n".to_owned(),
                (true, false) => {
                    format!(
                        "the policy is that of the last grant, but not all that it leads to:\n{lines}"
                    )
                }
                (false, _) => {
                    let text = difference(&old, &policy.text);
                    format!("changed since the last grant:\n{text}{lines}")
                }
            }
        }
    };
    format!("{revoked}{changes}")
}

fn difference(old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let diff = diff.unified_diff().header("as granted", "now").to_string();
    let count = diff.lines().count();
    let mut text = String::new();
    for line in diff.lines().take(DIFF_LINES_MAX) {
        text.push_str(&shortened(line));
        text.push('\n');
    }
    if count > DIFF_LINES_MAX {
        let more = count - DIFF_LINES_MAX;
        text.extend([
            "and ",
            &more.to_string(),
            " more lines: read the policy before you approve it\n",
        ]);
    }
    text
}

/// One line, escaped and cut.
fn shortened(line: &str) -> String {
    let escaped = summary::ascii_line(line);
    if escaped.len() <= LINE_MAX {
        return escaped;
    }
    let start = escaped.get(..LINE_MAX).unwrap_or_default();
    format!("{start}... ({} more characters)", escaped.len() - LINE_MAX)
}

/// The text in lines that fit, so that the terminal does not begin a line with a part of another.
fn wrapped(text: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    for line in text.lines() {
        let line: Vec<char> = printable(line).chars().collect();
        let (first, rest) = line.split_at(line.len().min(WIDTH));
        lines.extend(first);
        for part in rest.chunks(WIDTH - INDENT) {
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', INDENT));
            lines.extend(part);
        }
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_long_line_begins_a_line() {
        let text = format!("  about      {}  command    safe\n", "x".repeat(65));
        let shown = wrapped(&text);
        for line in shown.lines().skip(1) {
            assert!(line.starts_with(&" ".repeat(INDENT)), "{shown}");
        }
        assert!(shown.lines().all(|line| line.len() <= WIDTH), "{shown}");
    }

    #[test]
    fn a_long_difference_is_cut() {
        let new = "line\n".repeat(500);
        let shown = difference("", &new);
        assert!(shown.lines().count() <= DIFF_LINES_MAX + 1, "{shown}");
        assert!(shown.contains("more lines: read the policy"), "{shown}");
        let shown = difference("", &"x".repeat(5000));
        assert!(
            shown.len() < 1000 && shown.contains("more characters)"),
            "{shown}"
        );
    }
}
