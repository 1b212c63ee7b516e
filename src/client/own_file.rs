//! The config of a client in which a new entry goes, and whether the client is on this machine.

use std::path::{Path, PathBuf};

use super::document::Document;
use super::form::{EntryHome, HOMES, OF_OTHERS, home_of, of_project};
use super::places::{Base, is_here, is_relative};
use super::table::{CLIENTS, KnownClient, client};
use super::tree::FileFormat;

/// The row for a file that the user named: of a client that keeps its own entries there, or reads them in a
/// project; else the form that the file has. `None` if nothing says what that is.
pub fn of_named(
    base: &Base,
    path: &Path,
    document: Option<&Document>,
) -> Option<&'static EntryHome> {
    let is_own = |home: &&EntryHome| {
        let mut files = home.files.iter();
        files.any(|file| base.expand(file).iter().any(|own| own == path))
    };
    let known = HOMES.iter().find(is_own).or_else(|| of_project(path));
    if known.is_some() {
        return known;
    }
    let has = |home: &&EntryHome| {
        document
            .is_some_and(|document| home.keys.iter().any(|key| document.root.get(key).is_some()))
    };
    let is_json = || match document {
        Some(document) => document.format == FileFormat::Json,
        None => path.extension().is_some_and(|end| end == "json"),
    };
    let found = OF_OTHERS.iter().find(has);
    found.or_else(|| OF_OTHERS.first().filter(|_| is_json()))
}

/// Directories in which applications have directories of their own.
const SHARED: &[&str] = &[".config", ".local/share", "Library/Application Support"];

/// The file of a client for a new entry: the one that its variable names, else the first one that
/// exists, else the first one.
pub fn own_file(base: &Base, home: &EntryHome) -> Option<PathBuf> {
    let places = client(home.client)?.places.iter();
    let here: Vec<&str> = places
        .filter(|place| is_here(place))
        .map(|place| place.path)
        .collect();
    let files = home.files.iter().filter(|file| here.contains(*file));
    let (of_variables, others): (Vec<&&str>, Vec<&&str>) =
        files.partition(|file| file.starts_with('$'));
    let mut named = of_variables.into_iter().flat_map(|file| base.expand(file));
    if let Some(path) = named.next() {
        return Some(path);
    }
    let all: Vec<PathBuf> = others.iter().flat_map(|file| base.expand(file)).collect();
    let found = all.iter().find(|path| path.symlink_metadata().is_ok());
    let in_use = || {
        all.iter()
            .find(|path| own_directory(&base.home, path).is_some_and(|dir| dir.is_dir()))
    };
    found.or_else(in_use).or_else(|| all.first()).cloned()
}

/// The directory of the application that has a file, below the home directory.
fn own_directory(home: &Path, path: &Path) -> Option<PathBuf> {
    let rest = path.strip_prefix(home).ok()?;
    let shared = SHARED.iter().find(|shared| rest.starts_with(shared));
    let shared = shared.copied().unwrap_or_default();
    let mut names = rest.strip_prefix(shared).ok()?.components();
    let own = home.join(shared).join(names.next()?);
    // A file beside the directories of others is no sign of its client.
    names.next().map(|_| own)
}

/// Whether the application that has a file was started here: it makes its own directory.
pub fn has_directory(base: &Base, path: &Path) -> bool {
    own_directory(&base.home, path)
        .or_else(|| path.parent().map(Path::to_path_buf))
        .is_some_and(|dir| dir.is_dir())
}

/// Whether a client was used here: it has one of its files, or a directory of its own.
pub fn is_found(base: &Base, client: &KnownClient) -> bool {
    let places = client.places.iter();
    let mut own = places.filter(|place| {
        let is_of_system = place.path.starts_with('/');
        is_here(place) && !place.old && !is_relative(place.path) && !is_of_system
    });
    own.any(|place| {
        let mut paths = base.expand(place.path).into_iter();
        paths.any(|path| path.symlink_metadata().is_ok())
    }) || home_of(client.id)
        .and_then(|home| own_file(base, home))
        .and_then(|path| own_directory(&base.home, &path))
        .is_some_and(|dir| dir.is_dir())
}

/// The clients on this machine that can get a new entry.
pub fn found(base: &Base) -> Vec<&'static KnownClient> {
    let clients = CLIENTS.iter();
    clients
        .filter(|client| home_of(client.id).is_some() && is_found(base, client))
        .collect()
}
