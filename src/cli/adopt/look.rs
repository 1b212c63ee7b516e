//! Which files there are: every place of every client, or the files that the user names.
//!
//! *Always* reads a file once, and judges those bytes. *Never* takes a file that cannot be read for
//! an empty one. Files that git tracks are found, and left alone unless they are named.

use std::path::{Path, PathBuf};

use super::git;
use crate::cli::Context;
use crate::client::places::Base;
use crate::client::table::{CLIENTS, Client, client};
use crate::client::tree::Document;
use crate::dirs;
use crate::error::{Code, Error, Result};
use crate::files::io_text;

/// A client's file that is there.
#[derive(Debug)]
pub(in crate::cli) struct Found {
    /// None for a file that the user named and no client is known to read.
    pub(in crate::cli) client: Option<&'static Client>,
    /// As it was found.
    pub(in crate::cli) path: PathBuf,
    /// Behind all symlinks: what is replaced.
    pub(in crate::cli) target: PathBuf,
    pub(in crate::cli) bytes: Vec<u8>,
    /// The file, or why it is not touched.
    pub(in crate::cli) document: Result<Document, String>,
    /// Git tracks it, and the user did not name it.
    pub(in crate::cli) tracked: bool,
}

/// Every file that the selectors allow, and how many places were looked at.
pub(in crate::cli) struct Looked {
    pub(in crate::cli) found: Vec<Found>,
    pub(in crate::cli) places: usize,
}

/// Looks for the files.
///
/// # Errors
/// `usage` for a client that is not known; `file-unusable` for a named file that cannot be read.
pub(in crate::cli) fn look(
    cx: &Context,
    clients: &[String],
    configs: &[PathBuf],
) -> Result<Looked> {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let base = Base::new(cx.dirs.home(), &here, dirs::client_directory);
    let known = base.all();
    let mut places = 0;
    let mut found: Vec<Found> = Vec::new();
    for path in configs {
        let path = here.join(path);
        let client = known
            .iter()
            .find(|(_, place)| *place == path)
            .map(|(client, _)| *client);
        let read = read(client, &path, false).map_err(|error| {
            let what = format!("`{}` not read", cx.dirs.tilde(&path));
            Error::new(Code::FileUnusable, what).cause(io_text(&error))
        })?;
        add(&mut found, read);
        places += 1;
    }
    for id in clients {
        client(id).ok_or_else(|| unknown(id))?;
    }
    for (client, path) in known {
        let named = clients.iter().any(|id| id == client.id);
        if !named && (!clients.is_empty() || !configs.is_empty()) {
            continue;
        }
        places += 1;
        match read(Some(client), &path, true) {
            Ok(read) => add(&mut found, read),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {}
            Err(error) => add(
                &mut found,
                Found {
                    client: Some(client),
                    target: path.clone(),
                    path,
                    bytes: Vec::new(),
                    document: Err(format!(
                        "not looked into: it cannot be read: {}",
                        io_text(&error)
                    )),
                    tracked: false,
                },
            ),
        }
    }
    Ok(Looked { found, places })
}

fn unknown(id: &str) -> Error {
    let distance = |client: &&Client| strsim::damerau_levenshtein(client.id, id);
    let near = CLIENTS
        .iter()
        .min_by_key(distance)
        .map_or("", |client| client.id);
    let all: Vec<_> = CLIENTS.iter().map(|client| client.id).collect();
    Error::new(Code::Usage, format!("no client `{id}` is known"))
        .cause(format!("known are {}", all.join(", ")))
        .hint(format!(
            "did you mean `{near}`? any file is taken with `--config FILE`"
        ))
}

/// Two clients that share a file through symlinks are one file.
fn add(found: &mut Vec<Found>, new: Found) {
    if !found.iter().any(|known| known.target == new.target) {
        found.push(new);
    }
}

fn read(client: Option<&'static Client>, path: &Path, respect_git: bool) -> std::io::Result<Found> {
    let target = path.canonicalize()?;
    let meta = target.metadata()?;
    let refused = |why: &str| Found {
        client,
        path: path.to_path_buf(),
        target: target.clone(),
        bytes: Vec::new(),
        document: Err(why.to_owned()),
        tracked: false,
    };
    if !meta.is_file() {
        return Ok(refused("not looked into: it is no plain file"));
    }
    let bytes = std::fs::read(&target)?;
    let name = target
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let document = Document::read_any(&name, bytes.clone())
        .map_err(|refused| format!("not looked into: {refused}"));
    let tracked = respect_git && git::tracks(&target);
    Ok(Found {
        client,
        path: path.to_path_buf(),
        target,
        bytes,
        document,
        tracked,
    })
}
