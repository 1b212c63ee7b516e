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

use super::path::{NOT_REGULAR, shown, unreadable};
use super::project::{client_of, is_client_name, places_of};
use crate::check::{ConfigFile, Facts, LIST};
use crate::detect;

/// The largest file of an unknown name that is searched (bytes).
const SNIFF_BYTES_MAX: u64 = 1 << 20;
/// The size of one read of a file of an unknown name (bytes).
const BUFFER_BYTES: usize = 32 << 10;
/// The largest client config that is read (bytes).
const BYTES_MAX: u64 = 16 << 20;

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
        let variables = variables(&file, dir, root, shown);
        facts.files.push(file);
        facts.files.extend(variables);
    }
}

/// Whether a client is likely to read a file that the user names.
fn is_likely(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    is_mcp(name.as_encoded_bytes())
        || client_of(path).is_some()
        || path.is_file() && matches!(sniff(path, &mut vec![0; BUFFER_BYTES]), Ok(Some(_)))
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
    if !is_data(bytes) {
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
        // A file without servers that no client reads is not reported, unless it cannot be read.
        let empty = file.document.is_ok() && file.servers.is_empty();
        return (!empty || client.is_some()).then_some(file);
    }
    if OTHERS.iter().any(|other| name == OsStr::new(other)) {
        return None;
    }
    let bytes = match sniff(path, buffer) {
        Ok(found) => found?,
        Err(error) => {
            let mut file = ConfigFile::unread(shown(path), None, unreadable(&error));
            file.certain = false;
            return Some(file);
        }
    };
    let file = ConfigFile::new(shown(path), None, false, bytes);
    (file.document.is_err() || !file.servers.is_empty()).then_some(file)
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

/// The bytes of a file of an unknown name, if it has servers. Most files are smaller than the
/// buffer and need one read.
fn sniff(path: &Path, buffer: &mut [u8]) -> io::Result<Option<Vec<u8>>> {
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
    Ok(found.then(|| bytes.to_vec()))
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
    if meta.len() > BYTES_MAX {
        return unread("larger than 16 MiB".to_owned());
    }
    match std::fs::read(path) {
        Ok(bytes) => ConfigFile::new(shown(path), client_of(path), certain, bytes),
        Err(error) => unread(unreadable(&error)),
    }
}

/// The existing env files that a file's servers read (`envFile`).
pub fn variables(
    file: &ConfigFile,
    dir: &Path,
    root: Option<&Path>,
    shown: impl Fn(&Path) -> String,
) -> Vec<ConfigFile> {
    let Ok(document) = &file.document else {
        return Vec::new();
    };
    let named = file.servers.iter().filter_map(|server| {
        let name = document.find(&server.entry.path)?.get("envFile")?.text()?;
        let below = ["${workspaceFolder}/", "${workspaceRoot}/"];
        let path = match below.iter().find_map(|head| name.strip_prefix(head)) {
            Some(rest) => root.or_else(|| dir.parent()).unwrap_or(dir).join(rest),
            None if name.contains("${") => return None,
            None => dir.join(name),
        };
        if !path.exists() {
            return None;
        }
        let text = path.is_file().then(|| std::fs::read_to_string(&path));
        Some(match text {
            Some(Ok(text)) => ConfigFile::of_variables(shown(&path), text),
            Some(Err(error)) => ConfigFile::unread(shown(&path), None, unreadable(&error)),
            None => ConfigFile::unread(shown(&path), None, NOT_REGULAR.to_owned()),
        })
    });
    named.collect()
}
