//! References that a client expands before it starts a server, and what a policy has in their place.
//!
//! A policy needs the exact command, so what never changes on this machine is written out. The folder
//! that the client has open stays the client's: it becomes `{client.workspace}`. A variable that the
//! entry itself sets is left to the server, as in mcp-remote's `--header Authorization:${AUTH}`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::extracted::shown;
use crate::detect::{self, ValueSite};
use crate::policy::argument::{self, WORKSPACE};
use crate::policy::template::is_variable_name;

/// What references can refer to.
pub(super) struct References<'a> {
    /// Whether the client expands references at all.
    pub fills_in: bool,
    pub home: &'a Path,
    /// The project that the file belongs to.
    pub project: Option<PathBuf>,
    /// A variable of the user's terminal.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

/// An argument with its references resolved.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expanded {
    /// Nothing in it changes.
    Same,
    /// The client's file and the policy have this text.
    Text(String),
    /// The client's file keeps the reference; the policy has this word.
    Workspace(String),
    /// A secret of the terminal: the text before it, its variable, its value, and the text after it.
    Secret(String, String, String, String),
}

/// One piece of a text.
enum ReferencePiece<'a> {
    Text(&'a str),
    /// As written, and what is inside.
    Reference(&'a str, &'a str),
}

/// What clients call the folder that is open.
const FOLDERS: &[&str] = &[
    "workspaceFolder",
    "workspaceRoot",
    "CLAUDE_PROJECT_DIR",
    "env:CLAUDE_PROJECT_DIR",
];

/// What clients call the home directory.
const HOMES: &[&str] = &["userHome", "HOME", "env:HOME"];

impl References<'_> {
    /// An argument. `own` are the variables of the entry.
    ///
    /// # Errors
    /// Why the argument cannot be written into a policy.
    pub(super) fn argument(&self, text: &str, own: &BTreeSet<String>) -> Result<Expanded, String> {
        if !self.fills_in || !is_filled_in(text) {
            return Ok(Expanded::Same);
        }
        let pieces = pieces(text);
        let folder = pieces.iter().find_map(|piece| match piece {
            ReferencePiece::Reference(whole, inside) if is_folder(inside) => Some(*whole),
            _ => None,
        });
        if let Some(whole) = folder {
            let word = text.replacen(whole, WORKSPACE, 1);
            if argument::workspace(&word).is_some() {
                return Ok(Expanded::Workspace(word));
            }
        }
        if let Some(secret) = self.secret(&pieces, own)? {
            return Ok(secret);
        }
        let new = self.expanded(&pieces, own)?;
        Ok(if new == text {
            Expanded::Same
        } else {
            Expanded::Text(new)
        })
    }

    /// A value of the environment.
    ///
    /// # Errors
    /// Why the value cannot be written into a policy.
    pub(super) fn value(&self, text: &str) -> Result<String, String> {
        if !self.fills_in || !is_filled_in(text) {
            return Ok(text.to_owned());
        }
        self.expanded(&pieces(text), &BTreeSet::new())
    }

    /// The one reference to a secret of the terminal, if there is one.
    fn secret(
        &self,
        pieces: &[ReferencePiece<'_>],
        own: &BTreeSet<String>,
    ) -> Result<Option<Expanded>, String> {
        let found = pieces
            .iter()
            .enumerate()
            .find_map(|(n, piece)| match piece {
                ReferencePiece::Reference(_, inside) if !own.contains(*inside) => {
                    let (name, value) = self.of_terminal(inside)?;
                    is_secret(name, &value).then(|| (n, name.to_owned(), value))
                }
                _ => None,
            });
        let Some((n, name, value)) = found else {
            return Ok(None);
        };
        let (before, after) = pieces.split_at(n);
        let before = self.expanded(before, own)?;
        let after = self.expanded(after.get(1..).unwrap_or_default(), own)?;
        Ok(Some(Expanded::Secret(before, name, value, after)))
    }

    /// The name in a reference to a variable, and its value in the terminal.
    fn of_terminal<'t>(&self, inside: &'t str) -> Option<(&'t str, String)> {
        let name = inside.split_once(":-").map_or(inside, |(name, _)| name);
        let name = name.strip_prefix("env:").unwrap_or(name);
        let value = (self.variable)(name).filter(|_| is_variable_name(name))?;
        Some((name, value))
    }

    fn expanded(
        &self,
        pieces: &[ReferencePiece<'_>],
        own: &BTreeSet<String>,
    ) -> Result<String, String> {
        let mut out = String::new();
        for piece in pieces {
            match piece {
                ReferencePiece::Text(text) => out.push_str(text),
                ReferencePiece::Reference(whole, inside) if own.contains(*inside) => {
                    // Only `${NAME}`: clients do not look into the entry for it.
                    out.push_str(whole);
                }
                ReferencePiece::Reference(whole, inside) => {
                    out.push_str(&self.target(whole, inside)?);
                }
            }
        }
        Ok(out)
    }

    fn target(&self, whole: &str, inside: &str) -> Result<String, String> {
        if HOMES.contains(&inside) {
            return Ok(self.home.display().to_string());
        }
        if matches!(inside, "pathSeparator" | "/") {
            return Ok("/".to_owned());
        }
        let whole = shown(whole);
        if is_folder(inside) {
            let project = self.project.as_ref().map(|path| path.display().to_string());
            return project.ok_or_else(|| {
                format!(
                    "the client expands `{whole}` inside an argument, and a policy can have the folder only alone or \
                     after `--name=`: write the path, then adopt it"
                )
            });
        }
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let name = name.strip_prefix("env:").unwrap_or(name);
        if !is_variable_name(name) {
            return Err(format!(
                "the client expands `{whole}`, but a policy needs the exact text: write the value, then adopt it"
            ));
        }
        let value = (self.variable)(name).or_else(|| default.map(str::to_owned));
        let value = value.ok_or_else(|| {
            format!(
                "the client expands `{whole}`, which is not set in this terminal: set it here or write its value, then \
                 adopt it"
            )
        })?;
        if is_secret(name, &value) || value.contains("{secret.") {
            return Err(format!(
                "the client expands `{whole}` to a secret of your environment: store it with `mcpwrap secret set`, and \
                 name it in a policy (`mcpwrap policy new`)"
            ));
        }
        Ok(value)
    }
}

/// Whether a text has references that clients expand in arguments. `$X` without braces is shell
/// syntax.
fn is_filled_in(text: &str) -> bool {
    ["${", "{env:", "{file:"]
        .iter()
        .any(|open| text.contains(open))
}

fn is_secret(name: &str, value: &str) -> bool {
    let verdict = detect::value(ValueSite::Env(name), value);
    !verdict.secrets().is_empty()
}

/// `workspaceFolder`, and `workspaceFolder:name` of a workspace with several.
fn is_folder(inside: &str) -> bool {
    FOLDERS.contains(&inside) || inside.starts_with("workspaceFolder:")
}

/// The names in the `${NAME}` of a text, which some programs fill in from their environment.
pub(super) fn of_environment(text: &str) -> Vec<&str> {
    let name = |piece| match piece {
        ReferencePiece::Reference(whole, inside) if whole.starts_with('$') => Some(inside),
        _ => None,
    };
    let names = pieces(text).into_iter().filter_map(name);
    names.filter(|name| is_variable_name(name)).collect()
}

fn pieces(text: &str) -> Vec<ReferencePiece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((at, whole, inside)) = next(rest) {
        pieces.extend(
            rest.get(..at)
                .filter(|text| !text.is_empty())
                .map(ReferencePiece::Text),
        );
        pieces.push(ReferencePiece::Reference(whole, inside));
        rest = rest.get(at + whole.len()..).unwrap_or_default();
    }
    if !rest.is_empty() {
        pieces.push(ReferencePiece::Text(rest));
    }
    pieces
}

/// The first reference: its place, itself, and what is inside: a name, `env:NAME`, `file:PATH`.
fn next(text: &str) -> Option<(usize, &str, &str)> {
    let opens = [("${", 2), ("{env:", 1), ("{file:", 1)];
    let found = opens
        .iter()
        .filter_map(|(open, length)| Some((text.find(open)?, *length)));
    let (at, length) = found.min()?;
    let end = at + text.get(at..)?.find('}')?;
    let inside = text.get(at + length..end)?;
    Some((at, text.get(at..=end)?, inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, project: Option<&str>) -> Result<Expanded, String> {
        let variable = |name: &str| match name {
            "REGION" => Some("eu-west-1".to_owned()),
            "API_TOKEN" => Some(format!("ghp_{}", "a1B2".repeat(9))),
            _ => None,
        };
        let references = References {
            fills_in: true,
            home: Path::new("/home/u"),
            project: project.map(PathBuf::from),
            variable: &variable,
        };
        references.argument(text, &BTreeSet::from(["AUTH".to_owned()]))
    }

    #[test]
    fn what_never_changes_is_written_out() {
        let text = |text: &str| Ok(Expanded::Text(text.to_owned()));
        let folder = |text: &str| Ok(Expanded::Workspace(text.to_owned()));
        for (argument, expected) in [
            ("${HOME}/proxy.js", text("/home/u/proxy.js")),
            ("${userHome}${/}x", text("/home/u/x")),
            ("{env:HOME}/x", text("/home/u/x")),
            ("--region=${env:REGION}", text("--region=eu-west-1")),
            ("${MISSING:-a b}", text("a b")),
            ("${workspaceFolder}", folder("{client.workspace}")),
            (
                "--root=${workspaceFolder:api}",
                folder("--root={client.workspace}"),
            ),
            ("Authorization:${AUTH}", Ok(Expanded::Same)),
            ("$HOME and {x}", Ok(Expanded::Same)),
            ("${unclosed", Ok(Expanded::Same)),
        ] {
            assert_eq!(of(argument, None), expected, "{argument}");
        }
        assert_eq!(of("${workspaceFolder}/a.js", Some("/p")), text("/p/a.js"));
        let token = format!("ghp_{}", "a1B2".repeat(9));
        let [before, name, after] = ["Bearer ", "API_TOKEN", " eu-west-1"].map(str::to_owned);
        let secret = Expanded::Secret(before, name, token, after);
        assert_eq!(of("Bearer ${env:API_TOKEN} ${REGION}", None), Ok(secret));
    }

    #[test]
    fn what_only_the_client_knows_has_a_reason() {
        for (argument, why) in [
            ("${workspaceFolder}/a.js", "after `--name=`"),
            ("${input:token}", "exact text"),
            ("{file:~/.token}", "exact text"),
            ("${MISSING}", "not set"),
        ] {
            let reason = of(argument, None).unwrap_err();
            assert!(reason.contains(why), "{reason}");
        }
    }
}
