//! Which files there are: every place of every client, or the files that the user names.
//!
//! *Always* reads a file once, and judges those bytes. *Never* takes a file that cannot be read for
//! an empty one. Files that git tracks are found, and left alone unless they are named.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use super::git;
use crate::cli::Context;
use crate::client::entry::{Spot, places};
use crate::client::places::Base;
use crate::client::table::{CLIENTS, Client, client};
use crate::client::tree::Document;
use crate::detect::FirstLook;
use crate::dirs;
use crate::error::{Code, Error, Result};
use crate::files::io_text;
use crate::suggest::nearest;

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
    /// Only older versions of the client kept their servers there.
    pub(in crate::cli) old: bool,
    /// For each entry, whether it may hold a secret, or run through mcpwrap.
    pub(in crate::cli) closer: Vec<bool>,
}

/// Every file that the selectors allow.
#[derive(Debug, Default)]
pub(in crate::cli) struct Looked {
    pub(in crate::cli) found: Vec<Found>,
    /// Where was looked and nothing was.
    pub(in crate::cli) absent: Vec<(&'static Client, PathBuf)>,
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
    for id in clients {
        client(id).ok_or_else(|| unknown(id))?;
    }
    let files = configs.iter().filter_map(|path| path.file_name()).collect();
    let known = base.clients_of(&files);
    let mut wishes: Vec<Wish> = Vec::new();
    for path in configs {
        let path = here.join(path);
        wishes.push(Wish {
            client: known.get(&path).copied(),
            path,
            named: true,
        });
    }
    if configs.is_empty() || !clients.is_empty() {
        let wanted =
            |client: &Client| clients.iter().any(|id| id == client.id) || clients.is_empty();
        let places = base.all().into_iter();
        wishes.extend(
            places
                .filter(|(client, _)| wanted(client))
                .map(|(client, path)| Wish {
                    client: Some(client),
                    path,
                    named: false,
                }),
        );
    }
    let mut looked = Looked::default();
    let mut targets = HashSet::new();
    for (wish, read) in wishes.iter().zip(read_all(&wishes)) {
        let found = match (read, wish.client) {
            (Ok(mut found), client) => {
                found.old = client.is_some_and(|client| base.is_old(client, &wish.path));
                found
            }
            (Err(error), _) if wish.named => {
                let what = format!("`{}` not read", cx.dirs.tilde(&wish.path));
                return Err(Error::new(Code::FileUnusable, what).cause(io_text(&error)));
            }
            (Err(error), Some(client)) if is_absent(&error) => {
                looked.absent.push((client, wish.path.clone()));
                continue;
            }
            (Err(error), client) => {
                let why = format!("it cannot be read: {}", io_text(&error));
                Found::refused(client, &wish.path, wish.path.clone(), why)
            }
        };
        // Two clients that share a file through symlinks have one file.
        if targets.insert(found.target.clone()) {
            looked.found.push(found);
        }
    }
    Ok(looked)
}

/// A path to look at.
struct Wish {
    client: Option<&'static Client>,
    path: PathBuf,
    /// By the user, who may name a file that git tracks.
    named: bool,
}

/// So many paths are worth a thread.
const SHARE_MIN: usize = 16;

/// Reads them, several at the same time.
fn read_all(wishes: &[Wish]) -> Vec<io::Result<Found>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = wishes.len().div_ceil(threads.min(4)).max(SHARE_MIN);
    std::thread::scope(|scope| {
        let mut shares = wishes.chunks(share);
        let own = shares.next().unwrap_or_default();
        let others: Vec<_> = shares
            .map(|share| scope.spawn(|| read_some(share)))
            .collect();
        let mut read = read_some(own);
        for other in others {
            read.extend(other.join().expect("reading files does not panic"));
        }
        read
    })
}

fn read_some(wishes: &[Wish]) -> Vec<io::Result<Found>> {
    let mut directories = Directories::default();
    let read = |wish: &Wish| {
        let (target, is_file) = directories.target(&wish.path)?;
        if is_file {
            return read_file(wish, target);
        }
        let why = "it is no plain file".to_owned();
        Ok(Found::refused(wish.client, &wish.path, target, why))
    };
    let mut found: Vec<_> = wishes.iter().map(read).collect();
    let mut look = FirstLook::default();
    let closer: Vec<Vec<bool>> = found
        .iter()
        .map(|found| {
            found
                .as_ref()
                .map_or_else(|_| Vec::new(), |found| found.closer(&mut look))
        })
        .collect();
    for (found, closer) in found.iter_mut().zip(closer) {
        if let Ok(found) = found {
            found.closer = closer;
        }
    }
    found
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn unknown(id: &str) -> Error {
    let all: Vec<_> = CLIENTS.iter().map(|client| client.id).collect();
    Error::new(Code::Usage, format!("no client `{id}` is known"))
        .cause(format!("known are {}", all.join(", ")))
        .hint(match nearest(id, CLIENTS.iter().map(|client| client.id)) {
            Some(near) => format!("did you mean `{near}`? any file is taken with `--config FILE`"),
            None => "any file is taken with `--config FILE`".to_owned(),
        })
}

/// Directories, and what is behind their symlinks. Many files are in few directories, so these are
/// asked for once.
#[derive(Default)]
struct Directories(HashMap<PathBuf, PathBuf>);

impl Directories {
    /// What is behind all symlinks, and whether it is a plain file.
    fn target(&mut self, path: &Path) -> io::Result<(PathBuf, bool)> {
        let meta = path.symlink_metadata()?;
        let (Some(dir), Some(name), false) = (path.parent(), path.file_name(), meta.is_symlink())
        else {
            let target = path.canonicalize()?;
            let is_file = target.metadata()?.is_file();
            return Ok((target, is_file));
        };
        if let Some(real) = self.0.get(dir) {
            return Ok((real.join(name), meta.is_file()));
        }
        let real = dir.canonicalize()?;
        let target = real.join(name);
        self.0.insert(dir.to_path_buf(), real);
        Ok((target, meta.is_file()))
    }
}

impl Found {
    pub(super) fn new(
        client: Option<&'static Client>,
        path: &Path,
        target: PathBuf,
        bytes: Vec<u8>,
        document: Result<Document, String>,
    ) -> Self {
        Self {
            client,
            path: path.to_path_buf(),
            target,
            bytes,
            document,
            tracked: false,
            old: false,
            closer: Vec::new(),
        }
    }

    /// A file that is there and is not looked into.
    fn refused(client: Option<&'static Client>, path: &Path, target: PathBuf, why: String) -> Self {
        Self::new(client, path, target, Vec::new(), Err(why))
    }

    /// For each entry, whether it has to be looked at closely.
    pub(super) fn closer<'a>(&'a self, look: &mut FirstLook<'a>) -> Vec<bool> {
        let Ok(document) = &self.document else {
            return Vec::new();
        };
        let closer = |spot: Spot<'a>| look.may_hold_secret(spot.node) || spot.may_be_wrapped();
        places(document).into_iter().map(closer).collect()
    }
}

fn read_file(wish: &Wish, target: PathBuf) -> io::Result<Found> {
    let bytes = std::fs::read(&target)?;
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let document = Document::read_any(&name, bytes.clone()).map_err(|refused| refused.to_string());
    let mut found = Found::new(wish.client, &wish.path, target, bytes, document);
    found.tracked = !wish.named && git::tracks(&found.target);
    Ok(found)
}
