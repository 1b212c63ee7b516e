//! Copies of secrets that adopting does not reach: `*.bak`, client backups, locations of older
//! versions, editor history, shell history.
//!
//! Changes nothing: the user decides about files that are not mcpwrap's. What was found is not
//! shown, only where, and what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::clients::ClientFile;
use crate::client::entry::entries;
use crate::client::places::Base;
use crate::client::table::CLIENTS;
use crate::detect;
use crate::dirs;

/// Larger files are not searched (bytes).
const BYTES_MAX: u64 = 4 << 20;
/// The limit of all files together (bytes): editor histories are large.
const ALL_BYTES_MAX: u64 = 256 << 20;
/// The limit for one directory of an editor's history (files).
const FILES_MAX: usize = 2_000;

/// The kind of a remaining copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResidueKind {
    /// Beside a client config.
    Beside,
    /// Made by a client.
    Backup,
    /// A client config at a location of an older version.
    OldPlace,
    Editor,
    Typed,
}

impl ResidueKind {
    /// What it is, and what to do.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Beside => "copy with a secret: delete the file",
            Self::Backup => {
                "client backup with a secret: delete the file; later backups have no secret"
            }
            Self::OldPlace => {
                "read by older versions of the client only: delete the file if none is in use"
            }
            Self::Editor => {
                "editor history with a secret: delete the file, or clear the local history in the editor"
            }
            Self::Typed => {
                "shell command with a secret: close the shells that could write it again, then delete its line"
            }
        }
    }
}

/// Directories, below the home directory, where editors that are no clients keep old versions.
const EDITORS: &[&str] = &[
    "~/.local/state/nvim/swap",
    "~/.local/state/nvim/undo",
    "~/.vim/undo",
];

/// Shell histories, below the home directory.
const TYPED: &[&str] = &[
    ".bash_history",
    ".zsh_history",
    ".local/share/fish/fish_history",
    ".node_repl_history",
    ".python_history",
    ".local/share/powershell/PSReadLine/ConsoleHost_history.txt",
];

/// Parts of names that programs and people give to copies.
const MARKS: &[&str] = &[
    ".bak",
    ".old",
    ".orig",
    ".backup",
    "~",
    ".save",
    ".corrupted",
    " copy",
    ".swp",
    ".tmp",
];

/// A file that may contain a copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResidueFile {
    pub path: PathBuf,
    pub kind: ResidueKind,
}

impl ResidueFile {
    /// Whether it is an old version of a client config, so that any known token in it counts.
    pub fn any_token(&self) -> bool {
        matches!(self.kind, ResidueKind::Beside | ResidueKind::Backup)
    }
}

/// The paths to search, existing or not.
pub fn candidates(home: &Path, targets: &[&Path]) -> Vec<ResidueFile> {
    let mut candidates: Vec<ResidueFile> = Vec::new();
    let mut add = |paths: Vec<PathBuf>, kind| {
        let one = |path| ResidueFile { path, kind };
        candidates.extend(paths.into_iter().map(one));
    };
    let mut directories = BTreeMap::new();
    for target in targets {
        add(beside(target, &mut directories), ResidueKind::Beside);
    }
    let base = Base::new(home, home, dirs::client_directory);
    let backups = CLIENTS.iter().flat_map(|client| client.backups);
    let histories = CLIENTS.iter().flat_map(|client| client.histories);
    let backups = backups.map(|place| (*place, ResidueKind::Backup));
    let histories = histories
        .chain(EDITORS)
        .map(|place| (*place, ResidueKind::Editor));
    for (place, kind) in backups.chain(histories) {
        for path in base.existing(place) {
            let mut files = Vec::new();
            walk(&path, &mut files, 3);
            if path.is_file() {
                files.push(path);
            }
            add(files, kind);
        }
    }
    add(
        TYPED.iter().map(|name| home.join(name)).collect(),
        ResidueKind::Typed,
    );
    candidates
}

/// The files with a copy of one of the values, old versions of client configs with any known token,
/// and locations of older versions that still have servers.
pub fn find(home: &Path, found: &[ClientFile], values: &[&str]) -> BTreeSet<ResidueFile> {
    let targets: Vec<&Path> = found.iter().map(|file| file.target.as_path()).collect();
    let mut budget = ALL_BYTES_MAX;
    let mut left: BTreeSet<_> = candidates(home, &targets)
        .into_iter()
        .filter(|one| holds(&one.path, values, one.any_token(), &mut budget))
        .collect();
    let has_servers = |file: &&ClientFile| {
        let document = file.document.as_ref();
        file.old && document.is_ok_and(|document| !entries(document).is_empty())
    };
    left.extend(found.iter().filter(has_servers).map(|file| ResidueFile {
        path: file.path.clone(),
        kind: ResidueKind::OldPlace,
    }));
    left
}

/// Files in the same directory whose name is the file's with something before or after it.
fn beside(target: &Path, known: &mut BTreeMap<PathBuf, Vec<String>>) -> Vec<PathBuf> {
    let text =
        |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let (name, stem) = (text(target.file_name()), text(target.file_stem()));
    let dir = target.parent().unwrap_or(Path::new("/"));
    let names = known.entry(dir.to_path_buf()).or_insert_with(|| names(dir));
    let inside = format!("{name}.");
    let backup = |other: &String| {
        let marked = other.contains(stem.as_str()) && MARKS.iter().any(|mark| other.contains(mark));
        *other != name && (marked || other.contains(&inside))
    };
    names
        .iter()
        .filter(|other| backup(other))
        .map(|other| dir.join(other))
        .collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    // `mcp.json` is not a copy; `mcp.json.1`, `mcp copy.json` and `config.1` may be.
    let plain = |name: &String| {
        let known = [".json", ".jsonc", ".toml", ".yaml", ".yml"];
        let stem = known.iter().find_map(|ending| name.strip_suffix(ending));
        stem.is_some_and(|stem| {
            !stem.trim_start_matches('.').contains('.') && !MARKS.iter().any(|m| name.contains(m))
        })
    };
    names.filter(|name| !plain(name)).collect()
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

fn holds(path: &Path, values: &[&str], any_token: bool, budget: &mut u64) -> bool {
    let size = path.metadata().ok().filter(std::fs::Metadata::is_file);
    let size = size.map_or(u64::MAX, |meta| meta.len());
    if size > BYTES_MAX || size > *budget {
        return false;
    }
    *budget -= size;
    let Ok(bytes) = std::fs::read(path) else {
        return false;
    };
    let mut long = values.iter().filter(|value| value.len() >= 8);
    long.any(|value| memchr::memmem::find(&bytes, value.as_bytes()).is_some())
        || any_token && !detect::known_tokens(&String::from_utf8_lossy(&bytes)).is_empty()
}
