//! Secrets in the git history of a client's file: there they stay, whoever adopts the file.
//!
//! Asks the git that is installed, and reads what it says in this process: *never* a value among its
//! arguments. *Always* bounded in time and size. *Never* runs what a repository's settings name
//! (filters, pagers, signature programs), and asks no network.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::client::tree::escaped;
use crate::dirs;
use crate::sys::bounded::{self, From};

/// One file's history may take this long, and be this large (bytes).
const LIMIT: Duration = Duration::from_secs(5);
const BYTES_MAX: usize = 64 << 20;

/// What must not change what git does, or which repository it takes.
const SETTINGS: &[&str] = &[
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.hooksPath=/dev/null",
    "log.showSignature=false",
];

const LOG: &[&str] = &[
    "log",
    "--all",
    "--no-color",
    "--no-renames",
    "-p",
    "-U0",
    "--no-ext-diff",
    "--no-textconv",
    "--format=%x00%h of %as",
    "--",
];

const VARIABLES: &[(&str, &str)] = &[
    ("LC_ALL", "C"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_NO_LAZY_FETCH", "1"),
];

/// What a commit's line begins with, which no line of a diff does.
const COMMIT: u8 = 0;

/// What was found in one history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum History {
    /// Commits have some of the values.
    Holds {
        /// What these are called.
        names: BTreeSet<String>,
        commits: usize,
        /// The oldest of the commits, and its day.
        first: String,
    },
    /// It was not looked through to its end.
    Unknown,
    Clean,
}

/// A value, and what it is called.
#[derive(Clone, Debug)]
pub struct SearchedSecret {
    pub name: String,
    pub text: String,
}

/// Looks for the values in all that was ever committed of a file, in any branch.
pub fn search(file: &Path, sought: &[SearchedSecret], home: &Path) -> History {
    let mut scan = GitLogScan::default();
    // Short ones stand in many places by chance.
    for one in sought.iter().filter(|one| one.text.len() >= 8) {
        let forms = forms(&one.text).into_iter();
        scan.forms
            .extend(forms.map(|form| (one.name.clone(), form)));
    }
    if scan.forms.is_empty() {
        return History::Clean;
    }
    let Some(root) = repository(file) else {
        return History::Clean;
    };
    let mut size = 0;
    let ended = bounded::run(&mut git(&root, file, home), LIMIT, &mut |from, piece| {
        size += piece.len();
        if from == From::Stdout {
            scan.take(piece);
        }
        if size < BYTES_MAX {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    scan.line_end();
    match (scan.hits, ended) {
        (commits @ 1.., _) => History::Holds {
            names: scan.names,
            commits,
            first: scan.first,
        },
        // No git, or no repository after all: nothing is known to be there.
        (0, Ok(Some(_)) | Err(_)) => History::Clean,
        (0, Ok(None)) => History::Unknown,
    }
}

/// The repository that a file is in.
fn repository(file: &Path) -> Option<PathBuf> {
    let dirs = file.ancestors().skip(1);
    dirs.filter(|dir| dir.join(".git").exists())
        .map(Path::to_path_buf)
        .next()
}

fn git(root: &Path, file: &Path, home: &Path) -> Command {
    let mut args: Vec<OsString> = vec!["-C".into(), root.into(), "--no-pager".into()];
    args.extend(
        SETTINGS
            .iter()
            .flat_map(|setting| ["-c".into(), OsString::from(setting)]),
    );
    args.extend(LOG.iter().map(OsString::from));
    let mut name = OsString::from(":(top,literal)");
    name.push(file.strip_prefix(root).unwrap_or(file));
    args.push(name);
    let path = dirs::search_path().unwrap_or_default();
    let mut env = vec![("PATH", path.as_os_str()), ("HOME", home.as_os_str())];
    env.extend(
        VARIABLES
            .iter()
            .map(|(name, value)| (*name, OsStr::new(*value))),
    );
    bounded::scrubbed("git", &args, &env)
}

/// A value as it stands in a file, and inside of a string literal.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let escaped = escaped(text);
    let mut forms = vec![text.as_bytes().to_vec()];
    if escaped != text {
        forms.push(escaped.into_bytes());
    }
    forms
}

/// Reads what git says, line by line.
#[derive(Default)]
struct GitLogScan {
    /// Each spelling of each value, with what it is called.
    forms: Vec<(String, Vec<u8>)>,
    line: Vec<u8>,
    commit: String,
    counted: bool,
    hits: usize,
    names: BTreeSet<String>,
    first: String,
}

/// Longer lines are looked at in pieces (bytes).
const LINE_MAX: usize = 1 << 20;

impl GitLogScan {
    fn take(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|b| *b == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") || self.line.len() > LINE_MAX {
                self.line_end();
            }
        }
    }

    fn line_end(&mut self) {
        let line = std::mem::take(&mut self.line);
        if let Some((&COMMIT, commit)) = line.split_first() {
            self.commit = String::from_utf8_lossy(commit.trim_ascii()).into_owned();
            self.counted = false;
            return;
        }
        let held = |(_, form): &&(String, Vec<u8>)| memchr::memmem::find(&line, form).is_some();
        for (name, _) in self.forms.iter().filter(held) {
            self.names.insert(name.clone());
            self.hits += usize::from(!std::mem::replace(&mut self.counted, true));
            // The newest comes first, so the last one stays.
            self.first.clone_from(&self.commit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_counted_once_and_the_oldest_is_named() {
        let value = "q9Kx2LmP7vRt4WzB8nYc";
        let mut scan = GitLogScan {
            forms: vec![
                ("a/key".to_owned(), value.into()),
                ("b".to_owned(), b"none".to_vec()),
            ],
            ..GitLogScan::default()
        };
        let log = format!(
            "\0c3 of 2026-03-01\n\n-a: {value}\n+a: x\n\0b2 of 2026-02-01\n+b: 1\n\
             \0a1 of 2026-01-01\n+a: {value}\n+c: {value}\n"
        );
        // In pieces, as it comes.
        for piece in log.as_bytes().chunks(7) {
            scan.take(piece);
        }
        scan.line_end();
        assert_eq!((scan.hits, scan.first.as_str()), (2, "a1 of 2026-01-01"));
        assert_eq!(scan.names, BTreeSet::from(["a/key".to_owned()]));
    }

    #[test]
    fn a_file_outside_of_repositories_is_not_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mcp.json");
        let sought = SearchedSecret {
            name: String::new(),
            text: "long-enough-value".to_owned(),
        };
        assert_eq!(search(&file, &[sought], dir.path()), History::Clean);
    }
}
