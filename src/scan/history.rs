//! Secrets in the git history of a client config, where they remain after adopting.
//!
//! Starts the installed git and searches its output in this process.
//!
//! Invariants: no value is an argument of git; time and size are bounded; programs named by the
//! repository's settings (filters, pagers, signature programs) do not run, and no network is used.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::client::tree::escaped;
use crate::dirs;
use crate::sys::bounded::{self, From};

/// The limits of one file's history: time, and size (bytes).
const LIMIT: Duration = Duration::from_secs(5);
const BYTES_MAX: usize = 64 << 20;

/// Variables that would change what git does or which repository it uses.
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

/// The first byte of a commit line, which no line of a diff starts with.
const COMMIT: u8 = 0;

/// The result of searching one history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum History {
    /// Commits contain some of the values.
    Holds {
        /// The names of these values.
        names: BTreeSet<String>,
        commits: usize,
        /// The oldest of the commits, and its date.
        first: String,
    },
    /// The search was not completed.
    Unknown,
    Clean,
}

/// A value and its name.
#[derive(Clone, Debug)]
pub struct SearchedSecret {
    pub name: String,
    pub text: String,
}

/// Searches all commits of a file, in all branches, for the values.
pub fn search(file: &Path, searched: &[SearchedSecret], home: &Path) -> History {
    let mut scan = GitLogScan::default();
    // Short values would match by chance.
    for one in searched.iter().filter(|one| one.text.len() >= 8) {
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
        // No git, or not a repository: nothing is known.
        (0, Ok(Some(_)) | Err(_)) => History::Clean,
        (0, Ok(None)) => History::Unknown,
    }
}

/// The repository of a file.
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

/// A value as written in a file, and inside a string literal.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let escaped = escaped(text);
    let mut forms = vec![text.as_bytes().to_vec()];
    if escaped != text {
        forms.push(escaped.into_bytes());
    }
    forms
}

/// Reads the output of git line by line.
#[derive(Default)]
struct GitLogScan {
    /// Each spelling of each value, with the value's name.
    forms: Vec<(String, Vec<u8>)>,
    line: Vec<u8>,
    commit: String,
    counted: bool,
    hits: usize,
    names: BTreeSet<String>,
    first: String,
}

/// Longer lines are searched in pieces (bytes).
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
            // The newest comes first, so the last one is the oldest.
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
        // In pieces, as git writes them.
        for piece in log.as_bytes().chunks(7) {
            scan.take(piece);
        }
        scan.line_end();
        assert_eq!((scan.hits, scan.first.as_str()), (2, "a1 of 2026-01-01"));
        assert_eq!(scan.names, BTreeSet::from(["a/key".to_owned()]));
    }

    #[test]
    fn a_file_outside_a_repository_has_no_history() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mcp.json");
        let searched = SearchedSecret {
            name: String::new(),
            text: "long-enough-value".to_owned(),
        };
        assert_eq!(search(&file, &[searched], dir.path()), History::Clean);
    }
}
