//! Copies of secrets that adopting does not reach: clients' backups, `*.bak`, editor history, shell
//! history.
//!
//! Looks, and changes nothing: the user decides about files that are not mcpwrap's. *Never* shows
//! what was found, only where.

use std::path::{Path, PathBuf};

use super::look::Found;
use super::pieces::Cut;
use crate::cli::Context;
use crate::detect;

/// Larger files are not looked into (bytes).
const BYTES_MAX: u64 = 4 << 20;
/// No directory of an editor's history is followed further (files).
const FILES_MAX: usize = 2_000;

/// Directories, below the home, where editors and clients keep old texts.
const HISTORIES: &[&str] = &[
    ".claude/backups",
    ".config/Code/User/History",
    ".config/Cursor/User/History",
    ".config/VSCodium/User/History",
    "Library/Application Support/Code/User/History",
    "Library/Application Support/Cursor/User/History",
];

/// Files, below the home, in which typed commands stay.
const TYPED: &[&str] = &[
    ".bash_history",
    ".zsh_history",
    ".local/share/fish/fish_history",
    ".node_repl_history",
];

/// The files that hold a copy of one of the values, or an old version of a client's file with any
/// known token.
pub(super) fn find(cx: &Context, found: &[Found], cuts: &[Cut]) -> Vec<PathBuf> {
    let targets: Vec<&Path> = found.iter().map(|file| file.target.as_path()).collect();
    let mut left: Vec<PathBuf> = candidates(cx.dirs.home(), &targets)
        .into_iter()
        .filter(|one| holds(&one.path, cuts, one.any_token))
        .map(|one| one.path)
        .collect();
    left.sort();
    left.dedup();
    left
}

/// A file in which a copy may be.
#[derive(Debug)]
pub(in crate::cli) struct Candidate {
    pub(in crate::cli) path: PathBuf,
    /// It is an old version of a client's file, so that any known token in it is a leftover.
    pub(in crate::cli) any_token: bool,
    /// Typed commands are in it, and other things.
    pub(in crate::cli) typed: bool,
}

/// Where to look, whether it is there or not.
pub(in crate::cli) fn candidates(home: &Path, targets: &[&Path]) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = Vec::new();
    let candidate = |path, any_token| Candidate {
        path,
        any_token,
        typed: false,
    };
    for target in targets {
        candidates.extend(beside(target).into_iter().map(|path| candidate(path, true)));
    }
    for dir in HISTORIES {
        let mut files = Vec::new();
        walk(&home.join(dir), &mut files, 3);
        candidates.extend(
            files
                .into_iter()
                .map(|path| candidate(path, dir.starts_with(".claude"))),
        );
    }
    candidates.extend(TYPED.iter().map(|name| Candidate {
        typed: true,
        ..candidate(home.join(name), false)
    }));
    candidates
}

/// Files in the same directory whose name is the file's with something before or after it.
fn beside(target: &Path) -> Vec<PathBuf> {
    let name = target
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let stem = target
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let dir = target.parent().unwrap_or(Path::new("/"));
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let other = entry.file_name().to_string_lossy().into_owned();
            let backup = [
                ".bak",
                ".old",
                ".orig",
                ".backup",
                "~",
                ".save",
                ".corrupted",
                " copy",
            ];
            let old = other.starts_with(&stem) && backup.iter().any(|mark| other.contains(mark));
            other != name && (old || other.contains(&format!("{name}.")))
        })
        .map(|entry| entry.path())
        .collect()
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>, depth: u8) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() && depth > 0 {
            walk(&entry.path(), files, depth - 1);
        } else if kind.is_file() && files.len() < FILES_MAX {
            files.push(entry.path());
        }
    }
}

fn holds(path: &Path, cuts: &[Cut], any_token: bool) -> bool {
    let small = path
        .metadata()
        .is_ok_and(|meta| meta.is_file() && meta.len() <= BYTES_MAX);
    let Some(bytes) = small.then(|| std::fs::read(path).ok()).flatten() else {
        return false;
    };
    let long = cuts.iter().filter(|cut| cut.text.len() >= 8);
    long.clone()
        .any(|cut| memchr::memmem::find(&bytes, cut.text.as_bytes()).is_some())
        || any_token && !detect::known_tokens(&String::from_utf8_lossy(&bytes)).is_empty()
}
