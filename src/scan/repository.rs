//! The configuration files below a directory, found by name first and by content second.
//!
//! Walks like ripgrep (obeys `.gitignore`, several threads), but also into hidden directories,
//! where clients keep their files. The client locations of the root are searched even if git
//! ignores them. Symlinks are followed only at a client's location, and an unreadable file there is
//! reported.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ignore::{DirEntry, WalkBuilder, WalkState};
use memchr::memmem;

use super::env_files::env_files;
use super::path::{NOT_REGULAR, shown, unreadable};
use super::project::{client_of, is_client_name, places_of};
use crate::check::{ConfigFile, Facts, LIST};
use crate::client::document::bytes_max;
use crate::client::tree::TOO_LARGE;
use crate::detect;

/// The largest file of an unknown name that is searched (bytes).
const SNIFF_BYTES_MAX: u64 = 1 << 20;
/// The size of one read of a file of an unknown name (bytes).
const BUFFER_BYTES: usize = 32 << 10;

/// Names of common files that no client reads.
const OTHERS: &[&str] = &[
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "composer.json",
    "project.json",
    "angular.json",
    "pnpm-lock.yaml",
    "Cargo.toml",
    "pyproject.toml",
    "action.yml",
];

/// Name endings of copies.
const COPIES: &[&str] = &[
    ".bak",
    ".backup",
    ".old",
    ".orig",
    ".save",
    "~",
    ".example",
    ".sample",
    ".template",
    ".dist",
];

/// Strings that a file with servers contains.
const KEYS: &[&str] = &[
    "mcpServers",
    "mcp_servers",
    "mcp-servers",
    "context_servers",
    "mcp.servers",
];

/// Adds the files below the paths, and the named files, to the facts.
pub fn files(paths: &[PathBuf], configs: &[PathBuf], facts: &mut Facts) {
    let mut found: BTreeMap<PathBuf, ConfigFile> = BTreeMap::new();
    let dirs: Vec<&PathBuf> = paths.iter().filter(|path| path.is_dir()).collect();
    for path in paths.iter().filter(|path| !path.is_dir()) {
        let mut file = read(path, is_likely(path));
        // A file that the user names is reported if it cannot be read.
        file.certain |= file.text.is_empty();
        found.insert(PathBuf::from(shown(path)), file);
    }
    for path in configs {
        found.insert(PathBuf::from(shown(path)), read(path, true));
    }
    for file in walk(&dirs) {
        found.insert(PathBuf::from(&file.shown), file);
    }
    for dir in &dirs {
        for path in places_of(dir) {
            let key = PathBuf::from(shown(&path));
            let there = path.symlink_metadata().is_ok_and(|meta| !meta.is_dir());
            if there && !found.contains_key(&key) {
                found.insert(key, read(&path, true));
            }
        }
    }
    for file in found.into_values() {
        let dir = Path::new(&file.shown).parent().unwrap_or(Path::new(""));
        let root = dirs.first().map(|dir| dir.as_path());
        let variables = env_files(&file, dir, root, shown);
        facts.files.push(file);
        facts.files.extend(variables);
    }
}

/// Whether a client is likely to read a file that the user names.
fn is_likely(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    is_mcp(name.as_encoded_bytes())
        || client_of(path).is_some()
        || path.is_file() && matches!(sniff(path, &mut vec![0; BUFFER_BYTES]), Ok(Some((_, true))))
}

fn walk(dirs: &[&PathBuf]) -> Vec<ConfigFile> {
    let Some((first, rest)) = dirs.split_first() else {
        return Vec::new();
    };
    let mut builder = WalkBuilder::new(first);
    for dir in rest {
        builder.add(dir);
    }
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(8);
    builder
        .hidden(false)
        .threads(threads)
        .filter_entry(|entry| entry.file_name() != ".git");
    let all = Mutex::new(Vec::new());
    let add = |file: ConfigFile| {
        let mut all = all
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        all.push(file);
    };
    builder.build_parallel().run(|| {
        let mut buffer = vec![0; BUFFER_BYTES];
        let add = &add;
        Box::new(move |entry| {
            match entry {
                Ok(entry) => read_entry(&entry, &mut buffer).into_iter().for_each(add),
                Err(error) => add(refused(&error)),
            }
            WalkState::Continue
        })
    });
    all.into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Reports a directory that cannot be read.
fn refused(error: &ignore::Error) -> ConfigFile {
    let mut at = error;
    let mut path = PathBuf::new();
    loop {
        at = match at {
            ignore::Error::WithPath { path: own, err } => {
                path.clone_from(own);
                err
            }
            ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => err,
            other => {
                let why = match other {
                    ignore::Error::Io(error) => unreadable(error),
                    other => other.to_string(),
                };
                return ConfigFile::unread(shown(&path), None, why);
            }
        };
    }
}

/// A file of the walk, if it is a client config.
fn read_entry(entry: &DirEntry, buffer: &mut [u8]) -> Option<ConfigFile> {
    let kind = entry.file_type()?;
    let name = entry.file_name();
    let bytes = name.as_encoded_bytes();
    if kind.is_dir() || name == OsStr::new(LIST) {
        return None;
    }
    let path = entry.path();
    // Agents are described in Markdown; other Markdown is not a config.
    let agent = bytes.ends_with(b".md") && client_of(path).is_some();
    if !is_data(bytes) && !agent {
        return kind.is_file().then(|| remains(path, name)).flatten();
    }
    let known = is_client_name(path);
    let client = known.then(|| client_of(path)).flatten();
    if !kind.is_file() {
        // A client follows a symlink at its location. Other kinds of files cannot be read.
        return client.map(|_| read(path, true));
    }
    if client.is_some() || is_mcp(bytes) {
        let file = read(path, client.is_some() || known);
        // A file without servers that no client reads is not reported, unless it cannot be read or has tokens.
        let empty = file.document.is_ok() && file.servers.is_empty();
        let leaks = || !detect::known_tokens(&file.text).is_empty();
        return (!empty || client.is_some() || leaks()).then_some(file);
    }
    if OTHERS.iter().any(|other| name == OsStr::new(other)) {
        return None;
    }
    let (bytes, has_servers) = match sniff(path, buffer) {
        Ok(found) => found?,
        Err(error) => {
            let mut file = ConfigFile::unread(shown(path), None, unreadable(&error));
            file.certain = false;
            return Some(file);
        }
    };
    let file = ConfigFile::new(shown(path), None, false, bytes);
    let matters = has_servers && (file.document.is_err() || !file.servers.is_empty());
    // Settings of frameworks and descriptions of servers: only for what they leak.
    let leaks = || !detect::known_tokens(&file.text).is_empty();
    (matters || !file.servers.is_empty() || leaks()).then_some(file)
}

/// A copy of a client config (`.mcp.json.bak`, `mcp.json.example`), if it contains a token.
fn remains(path: &Path, name: &OsStr) -> Option<ConfigFile> {
    let name = name.as_encoded_bytes();
    let own = COPIES
        .iter()
        .find_map(|end| name.strip_suffix(end.as_bytes()))?;
    if !is_data(own) || !is_mcp(own) || path.metadata().ok()?.len() > SNIFF_BYTES_MAX {
        return None;
    }
    let text = String::from_utf8(std::fs::read(path).ok()?).ok()?;
    let found = !detect::known_tokens(&text).is_empty();
    found.then(|| ConfigFile::remains(shown(path), text))
}

/// Whether the extension is that of a format that clients use.
fn is_data(name: &[u8]) -> bool {
    let ends = [
        b".json".as_slice(),
        b".toml",
        b".yaml",
        b".yml",
        b".jsonc",
        b".json5",
        b".code-workspace",
    ];
    ends.iter().any(|end| name.ends_with(end))
}

fn is_mcp(name: &[u8]) -> bool {
    name.windows(3)
        .any(|three| three.eq_ignore_ascii_case(b"mcp"))
}

/// The bytes of a file of an unknown name, if it is about MCP, and whether it has a key for servers.
/// Most files are smaller than the buffer and need one read.
fn sniff(path: &Path, buffer: &mut [u8]) -> io::Result<Option<(Vec<u8>, bool)>> {
    let mut file = File::open(path)?;
    let count = file.read(buffer)?;
    let first = buffer.get(..count).unwrap_or_default();
    let mut more = Vec::new();
    if count == buffer.len() {
        more.extend_from_slice(first);
        file.take(SNIFF_BYTES_MAX).read_to_end(&mut more)?;
    }
    let bytes = if more.is_empty() { first } else { &more };
    let found = KEYS
        .iter()
        .any(|key| memmem::find(bytes, key.as_bytes()).is_some());
    let about = found
        || ["mcp", "MCP"]
            .iter()
            .any(|word| memmem::find(bytes, word.as_bytes()).is_some());
    Ok(about.then(|| (bytes.to_vec(), found)))
}

/// Reads a client config.
fn read(path: &Path, certain: bool) -> ConfigFile {
    let unread = |why: String| {
        let mut file = ConfigFile::unread(shown(path), client_of(path), why);
        file.certain = certain;
        file
    };
    let meta = match path.metadata() {
        Ok(meta) if !meta.is_file() => return unread(NOT_REGULAR.to_owned()),
        Ok(meta) => meta,
        Err(error) => return unread(unreadable(&error)),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if meta.len() > bytes_max(&name) {
        return unread(TOO_LARGE.to_owned());
    }
    match std::fs::read(path) {
        Ok(bytes) => ConfigFile::new(shown(path), client_of(path), certain, bytes),
        Err(error) => unread(unreadable(&error)),
    }
}
