//! Remaining copies of secrets in files that no client reads: backups, histories, client logs.
//!
//! Looks for values of the client configs, for tokens of a known format and, with `--verify`, for
//! every stored secret. Changes nothing, follows no link, and is limited in files and bytes.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use zeroize::Zeroizing;

use super::residue::{self, ResidueKind};
use super::stored::StoredSecrets;
use super::token_stores;
use crate::check::{Facts, Leftover, LeftoverKind, masked};
use crate::client::places::Base;
use crate::client::table::CLIENTS;
use crate::detect;
use crate::dirs::{self, Dirs};

/// Only the end of a larger file is searched (bytes).
const BYTES_MAX: u64 = 16 << 20;
/// The most log files that are searched, the newest first.
const FILES_MAX: usize = 500;
/// The most bytes that are searched in all of them.
const ALL_BYTES_MAX: u64 = 256 << 20;
/// Shorter values would match by chance (bytes).
const VALUE_BYTES_MIN: usize = 8;

/// Searches, and adds what it finds to the machine's facts.
pub fn find(own: &Dirs, targets: &[PathBuf], stored: Option<&StoredSecrets>, facts: &mut Facts) {
    let home = own.home();
    let wanted = SearchTerms::new(facts, stored);
    let targets: Vec<&Path> = targets.iter().map(PathBuf::as_path).collect();
    let mut left = Vec::new();
    let mut seen: Vec<PathBuf> = Vec::new();
    for one in residue::candidates(home, &targets) {
        if seen.contains(&one.path) {
            continue;
        }
        let any = if one.kind == ResidueKind::Typed {
            Tokens::BesideMcp
        } else if one.any_token() {
            Tokens::All
        } else {
            Tokens::None
        };
        // One finding per file is enough: the whole file is to be deleted.
        let found = wanted.find(&one.path, any).into_iter().next();
        left.extend(found.map(|(line, value)| Leftover {
            shown: own.tilde(&one.path),
            line,
            value,
            kind: if one.kind == ResidueKind::Typed {
                LeftoverKind::Line
            } else {
                LeftoverKind::Copy
            },
        }));
        seen.push(one.path);
    }
    let mut logs = Vec::new();
    let base = Base::new(home, home, dirs::client_directory);
    for log in CLIENTS.iter().flat_map(|client| client.logs) {
        for path in base.existing(log.path) {
            files_below(&path, log.only_mcp, 6, &mut logs);
        }
    }
    logs.sort_by_key(|path| {
        let changed = path.metadata().and_then(|meta| meta.modified()).ok();
        std::cmp::Reverse(changed)
    });
    logs.truncate(FILES_MAX);
    let mut bytes = 0;
    logs.retain(|path| {
        bytes += path.metadata().map_or(0, |meta| meta.len().min(BYTES_MAX));
        bytes <= ALL_BYTES_MAX
    });
    let Some(machine) = &mut facts.machine else {
        return;
    };
    left.extend(token_stores::find(own));
    machine.leftovers = left;
    for path in logs {
        let found = wanted.find(&path, Tokens::All).into_iter().next();
        machine.logged.extend(found.map(|(line, value)| Leftover {
            shown: own.tilde(&path),
            line,
            value,
            kind: LeftoverKind::Line,
        }));
    }
}

/// Which tokens of a known format count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tokens {
    All,
    /// On a line that is about MCP: `claude mcp add … --env TOKEN=…`.
    BesideMcp,
    None,
}

/// What to search for.
struct SearchTerms {
    finder: Option<AhoCorasick>,
    /// How each spelling is shown.
    shown: Vec<String>,
}

impl SearchTerms {
    fn new(facts: &Facts, stored: Option<&StoredSecrets>) -> Self {
        let mut forms: Vec<(Zeroizing<Vec<u8>>, String)> = Vec::new();
        for file in &facts.files {
            for value in &file.values {
                let parts = value.verdict.secrets().iter();
                let parts = parts.filter_map(|part| value.text.get(part.range.clone()));
                forms.extend(
                    parts
                        .filter(|text| text.len() >= VALUE_BYTES_MIN)
                        .map(|text| (Zeroizing::new(text.as_bytes().to_vec()), masked(text))),
                );
            }
        }
        if let Some(stored) = stored {
            let spellings = stored.spellings().into_iter();
            forms.extend(spellings.map(|(form, name)| (form, format!("[secret {name}]"))));
        }
        let bytes = forms.iter().map(|(form, _)| form.as_slice());
        Self {
            finder: (!forms.is_empty())
                .then(|| AhoCorasick::new(bytes).ok())
                .flatten(),
            shown: forms.iter().map(|(_, shown)| shown.clone()).collect(),
        }
    }

    /// The lines of a file with a match, masked.
    fn find(&self, path: &Path, tokens: Tokens) -> Vec<(usize, String)> {
        let Some(bytes) = read(path) else {
            return Vec::new();
        };
        let line = |at: usize| {
            let before = bytes.get(..at).unwrap_or_default();
            1 + memchr::memchr_iter(b'\n', before).count()
        };
        let mut found = Vec::new();
        for hit in self
            .finder
            .iter()
            .flat_map(|finder| finder.find_iter(&bytes))
        {
            let shown = self.shown.get(hit.pattern().as_usize());
            found.extend(shown.map(|shown| (line(hit.start()), shown.clone())));
        }
        if found.is_empty() && tokens != Tokens::None {
            let text = String::from_utf8_lossy(&bytes);
            for (n, row) in text.lines().enumerate() {
                if tokens == Tokens::BesideMcp && !row.contains("mcp") {
                    continue;
                }
                let known = detect::known_tokens(row).into_iter();
                found.extend(known.map(|token| (n + 1, masked(token))));
            }
        }
        found
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let meta = path.symlink_metadata().ok()?;
    if !meta.is_file() {
        return None;
    }
    let mut file = File::open(path).ok()?;
    if meta.len() > BYTES_MAX {
        file.seek(SeekFrom::End(-i64::try_from(BYTES_MAX).ok()?))
            .ok()?;
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn files_below(dir: &Path, only_mcp: bool, depth: u8, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let path = entry.path();
        if kind.is_dir() && depth > 0 {
            files_below(&path, only_mcp, depth - 1, files);
        } else if kind.is_file() {
            let text = path.to_string_lossy();
            let about = text.contains("mcp") || text.contains("MCP");
            if about || !only_mcp {
                files.push(path);
            }
        }
    }
}
