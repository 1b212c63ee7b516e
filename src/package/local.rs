//! Local programs: pinned by the hash of the program and of its script.
//!
//! Nothing is copied: the files stay where they are, and a changed byte refuses the start. The files
//! that a script imports by a relative path are covered, installed packages are not, and `pin` says so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::directory::write_list;
use super::imports;
use super::lookup;
use super::request::{PinReport, PinRequest, failed};
use super::tree;
use crate::dirs;
use crate::error::{Code, Error, Result};
use crate::files::io_text;
use crate::policy::Package;
use crate::policy::package::PackageSource;
use crate::secret::hex;

pub(super) fn pin(root: &Path, request: &PinRequest<'_>) -> Result<(Package, PinReport)> {
    let server = request.server;
    let words = &request.launch.words;
    let name = words.first().map(String::as_str).unwrap_or_default();
    if request.to.is_some() {
        return Err(
            failed(server).cause(format!("`{name}` is a local program and has no versions"))
        );
    }
    let program = find(name).ok_or_else(|| {
        Error::new(
            Code::ProgramNotFound,
            format!("cannot pin server `{server}`"),
        )
        .cause(format!("program `{name}` not found on your PATH"))
        .hint("write the full path in `command`")
    })?;
    let script = script(words);
    let unreadable = |path: &Path, error: std::io::Error| {
        failed(server).cause(format!("`{}`: {}", path.display(), io_text(&error)))
    };
    let digest = tree::file_digest(&program).map_err(|error| unreadable(&program, error))?;
    let all = files(&program, script.as_deref());
    let all: Vec<_> = all.iter().map(PathBuf::as_path).collect();
    let tree = contents(script.as_deref()).map_err(|error| unreadable(&program, error))?;
    let files =
        write_list(&root.join(&tree), &all, false).map_err(|error| unreadable(root, error))?;
    let package = Package {
        name: name.to_owned(),
        interpreter: program.display().to_string(),
        entry: script
            .as_deref()
            .map(|path| path.display().to_string())
            .unwrap_or_default(),
        tree,
        program: digest,
        files,
        ..Package::bare(PackageSource::Local)
    };
    let bytes = all
        .iter()
        .filter_map(|path| fs::metadata(path).ok())
        .map(|meta| meta.len())
        .sum();
    let limit = Some("packages that the program loads are not covered");
    Ok((
        package,
        PinReport {
            files: all.len(),
            bytes,
            limit,
            ..PinReport::default()
        },
    ))
}

/// The files whose states are compared before each start: the program, the script, what that imports,
/// and their directories, in which a new file could take the place of an imported one.
pub(super) fn files(program: &Path, script: Option<&Path>) -> Vec<PathBuf> {
    let mut all = vec![program.to_path_buf()];
    let Some(script) = script else {
        return all;
    };
    let imported = imports::of(script);
    let own = std::iter::once(script).chain(imported.iter().map(PathBuf::as_path));
    let directories: BTreeSet<_> = own.clone().filter_map(Path::parent).collect();
    all.extend(own.map(Path::to_path_buf));
    if !imported.is_empty() {
        all.extend(directories.into_iter().map(Path::to_path_buf));
    }
    all
}

/// The digest of the script of a local program with the files that it imports; of the empty string
/// without a script.
pub(super) fn contents(script: Option<&Path>) -> std::io::Result<String> {
    let Some(script) = script else {
        return Ok(hex(&Sha256::digest(b"")));
    };
    let own = tree::file_digest(script)?;
    let imported = imports::of(script);
    if imported.is_empty() {
        return Ok(own);
    }
    let mut all = Sha256::new();
    all.update(own);
    for path in imported {
        let digest = tree::file_digest(&path)?;
        let name = path.as_os_str().as_encoded_bytes();
        all.update(format!(" {} ", name.len()));
        all.update(name);
        all.update(digest);
    }
    Ok(hex(&all.finalize()))
}

/// The path of a program, found as the shell would.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        let runs = path.is_absolute() && lookup::executable(&path) == Some(true);
        return runs.then_some(path);
    }
    let path = dirs::search_path()?;
    let path: Vec<_> = std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .collect();
    lookup::search(name, &path).ok()
}

/// The first argument that is an absolute path of a file: the script of an interpreter.
fn script(words: &[String]) -> Option<PathBuf> {
    let paths = words.iter().skip(1).map(PathBuf::from);
    paths
        .into_iter()
        .find(|path| path.is_absolute() && path.is_file())
}
