//! Compares the client's command with the command in the policy.
//!
//! Invariants: arguments are compared byte by byte, without patterns or base names. An argument of the
//! client that could be a secret is not repeated, because configs often contain `--api-key sk-…`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use super::Policy;
use crate::error::{Code, Error, Result};

impl Policy {
    /// Checks the client's command. If it is empty, the policy's command runs; otherwise it must be equal.
    ///
    /// # Errors
    /// `command-not-allowed`, with the first argument that differs if it is safe to show.
    pub fn check_command(&self, asked: &[OsString]) -> Result<()> {
        if asked.is_empty() {
            return Ok(());
        }
        let equal = |(ours, asked): (&String, &OsString)| ours.as_bytes() == asked.as_bytes();
        let same = self
            .command
            .iter()
            .zip(asked)
            .take_while(|pair| equal(*pair))
            .count();
        if same == self.command.len() && same == asked.len() {
            return Ok(());
        }
        let what = if same == 0 {
            "the command in the client config differs from the policy"
        } else {
            "the client's command differs from the policy"
        };
        Err(Error::new(Code::CommandNotAllowed, what)
            .not_started(&self.server)
            .cause(format!(
                "{} allows `{}`; got `{}`",
                self.place(self.command_line),
                self.command.join(" "),
                shown(asked, same),
            ))
            .hint(format!(
                "if you changed it, update `command` with `mcpwrap policy edit {}`; otherwise find out who \
                 edited the client config",
                self.server,
            )))
    }
}

/// The client's command up to the first argument that must not be shown.
fn shown(asked: &[OsString], same: usize) -> String {
    let mut parts = Vec::new();
    let mut before = String::new();
    for (n, arg) in asked.iter().enumerate() {
        let text = arg.to_string_lossy().into_owned();
        let is_flag_value = before.starts_with('-') && !matches!(before.as_str(), "-y" | "--yes");
        if n >= same && (is_flag_value || !is_harmless(&text)) {
            parts.push("…".to_owned());
            break;
        }
        before.clone_from(&text);
        parts.push(text);
    }
    parts.join(" ")
}

/// Whether an argument is clearly a path, a package or a flag, not a value: its words are short or
/// letters only, and nothing in it assigns a value or authenticates.
fn is_harmless(text: &str) -> bool {
    let letters = |word: &str| word.len() < 24 && word.bytes().all(|b| b.is_ascii_lowercase());
    let words = || text.split(['/', '.', '-', '@', '_']);
    text.len() <= 100
        && !text.contains(['=', ':', ' '])
        && words().all(|word| word.len() < 8 || letters(word))
        && (words().count() > 1 || letters(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::load::parse_text;

    fn refusal(asked: &[&str]) -> Option<String> {
        let policy =
            parse_text("version = 1\ncommand = [\"npx\", \"-y\", \"server@1.2.3\"]\n").unwrap();
        let asked: Vec<OsString> = asked.iter().map(OsString::from).collect();
        policy
            .check_command(&asked)
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn only_the_same_arguments_are_allowed() {
        assert_eq!(refusal(&[]), None);
        assert_eq!(refusal(&["npx", "-y", "server@1.2.3"]), None);
        for other in [
            &["npx"][..],
            &["npx", "-y", "server@1.2.4"],
            &["npx", "-y", "server@1.2.3", "x"],
            &["/usr/bin/npx", "-y", "server@1.2.3"],
            &["npx -y server@1.2.3"],
            &["env"],
            &[""],
        ] {
            assert!(
                refusal(other).unwrap().contains("command-not-allowed"),
                "{other:?}"
            );
        }
    }

    #[test]
    fn possible_secrets_are_not_repeated() {
        let shown = |asked: &[&str]| refusal(asked).unwrap();
        assert!(shown(&["node", "./index.js"]).contains("got `node ./index.js`"));
        assert!(shown(&["npx", "-y", "evil-server@2"]).contains("got `npx -y evil-server@2`"));
        for value in [
            "sk-proj4711abcdef",
            "--key=hunter2",
            "postgres://u:p@h",
            "Zq3xYp9Lw2",
            "hunter2",
        ] {
            assert!(!shown(&["npx", "-y", value]).contains(value), "{value}");
            assert!(
                !shown(&["node", "--api-key", value]).contains(value),
                "{value}"
            );
            assert!(!shown(&["npx", "-p", value]).contains(value), "{value}");
            assert!(!shown(&[value]).contains(value), "{value}");
        }
    }
}
