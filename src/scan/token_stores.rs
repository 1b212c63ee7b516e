//! Files in which other programs keep the OAuth tokens of MCP servers in plaintext.
//!
//! Changes nothing: the program that wrote a file may use it. One token per file is reported, masked.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::check::{Leftover, LeftoverKind, masked};
use crate::client::places::Base;
use crate::client::tree::line_of;
use crate::dirs::{self, Dirs};

/// A larger file is not read (bytes).
const BYTES_MAX: u64 = 1 << 20;
/// The most files that are read in one directory.
const FILES_MAX: usize = 200;
/// Shorter values are no tokens (bytes).
const TOKEN_BYTES_MIN: usize = 8;

/// Files and directories, and the program that keeps its tokens there.
const STORES: &[(&str, &str)] = &[
    ("~/.mcp-auth", "mcp-remote"),
    ("~/.gemini/mcp-oauth-tokens.json", "Gemini CLI"),
    ("~/.qwen/mcp-oauth-tokens.json", "Qwen Code"),
    ("~/.local/share/opencode/mcp-auth.json", "opencode"),
];

/// The names of tokens.
const NAMES: &[&str] = &[
    "refresh_token",
    "refreshToken",
    "access_token",
    "accessToken",
];

/// The files with a token.
pub(super) fn find(own: &Dirs) -> Vec<Leftover> {
    let home = own.home();
    let base = Base::new(home, home, dirs::client_directory);
    let mut found = Vec::new();
    for (place, program) in STORES {
        for path in base.existing(place) {
            let mut files = Vec::new();
            collect(&path, 2, &mut files);
            files.sort();
            for file in files {
                let token = token(&file);
                found.extend(token.map(|(line, value)| Leftover {
                    shown: own.tilde(&file),
                    line,
                    value,
                    kind: LeftoverKind::Tokens(program),
                }));
            }
        }
    }
    found
}

/// The JSON files at a path, without following links.
fn collect(path: &Path, depth: u8, files: &mut Vec<PathBuf>) {
    let Ok(meta) = path.symlink_metadata() else {
        return;
    };
    if meta.is_dir() && depth > 0 {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            collect(&entry.path(), depth - 1, files);
        }
    }
    let is_json = path.extension().is_some_and(|kind| kind == "json");
    if meta.is_file() && is_json && meta.len() <= BYTES_MAX && files.len() < FILES_MAX {
        files.push(path.to_path_buf());
    }
}

/// The line of a token in a file, and the token, masked.
fn token(path: &Path) -> Option<(usize, String)> {
    let text = std::fs::read_to_string(path).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    let token = within(&value)?;
    let at = text.find(token).unwrap_or(0);
    Some((line_of(&text, at), masked(token)))
}

fn within(value: &Value) -> Option<&str> {
    match value {
        Value::Object(map) => {
            let own = NAMES.iter().find_map(|name| map.get(*name)?.as_str());
            let own = own.filter(|text| text.len() >= TOKEN_BYTES_MIN);
            own.or_else(|| map.values().find_map(within))
        }
        Value::Array(list) => list.iter().find_map(within),
        _ => None,
    }
}
