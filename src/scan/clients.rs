//! Client configs on this machine: every location of every client, or the files that the user
//! names.
//!
//! Invariants: a file is read once, and those bytes are judged; an unreadable file is not treated
//! as empty; a file that git tracks is listed, but not changed unless the user names it.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use super::git;
use super::named;
use super::path::{NOT_REGULAR, unreadable};
use crate::client::document::{Document, bytes_max};
use crate::client::entry::{Spot, places};
use crate::client::places::Base;
use crate::client::table::{CLIENTS, KnownClient, client};
use crate::client::tree::TOO_LARGE;
use crate::detect::FirstLook;
use crate::dirs::{self, Dirs};
use crate::error::{Code, Error, Result};
use crate::files::io_text;
use crate::suggest::nearest;

/// An existing client config.
#[derive(Debug)]
pub struct ClientFile {
    /// None for a file that the user named and that no known client reads.
    pub client: Option<&'static KnownClient>,
    /// The path as found.
    pub path: PathBuf,
    /// The target of all symlinks, which is replaced.
    pub target: PathBuf,
    pub bytes: Vec<u8>,
    /// The parsed file, or why it is skipped.
    pub document: Result<Document, String>,
    /// Whether git tracks it and the user did not name it.
    pub tracked: bool,
    /// Whether only older versions of the client read it.
    pub old: bool,
    /// For each entry, whether it may hold a secret, read from a store or run through mcpwrap.
    pub needs_full_scan: Vec<bool>,
}

/// All files that match the selectors.
#[derive(Debug, Default)]
pub struct ClientFiles {
    pub found: Vec<ClientFile>,
    /// Searched locations without a file.
    pub absent: Vec<(&'static KnownClient, PathBuf)>,
}

/// Searches for the files.
///
/// # Errors
/// `usage` for an unknown client; `file-unusable` for a named file that cannot be read.
pub fn scan(dirs: &Dirs, clients: &[String], configs: &[PathBuf]) -> Result<ClientFiles> {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let base = Base::new(dirs.home(), &here, dirs::client_directory);
    for id in clients {
        client(id).ok_or_else(|| unknown(id).hint("`--config FILE` accepts any other file"))?;
    }
    let names = configs.iter().filter_map(|path| path.file_name()).collect();
    let known = base.clients_of(&names);
    let mut targets: Vec<ScanTarget> = Vec::new();
    for path in configs {
        let path = here.join(path);
        targets.push(ScanTarget {
            client: known.get(&path).copied(),
            path,
            named: true,
        });
    }
    if configs.is_empty() || !clients.is_empty() {
        let wanted =
            |client: &KnownClient| clients.iter().any(|id| id == client.id) || clients.is_empty();
        let places = base.all().into_iter();
        targets.extend(
            places
                .filter(|(client, _)| wanted(client))
                .map(|(client, path)| ScanTarget {
                    client: Some(client),
                    path,
                    named: false,
                }),
        );
    }
    let mut files = ClientFiles::default();
    let mut seen = HashSet::new();
    files.read(dirs, &base, &targets, &mut seen)?;
    if configs.is_empty() || !clients.is_empty() {
        let wanted: Vec<&'static KnownClient> = CLIENTS
            .iter()
            .filter(|client| clients.is_empty() || clients.iter().any(|id| id == client.id))
            .collect();
        let targets = in_named_projects(&base, &files.found, &wanted);
        files.read(dirs, &base, &targets, &mut seen)?;
    }
    Ok(files)
}

/// One file, of a client or `named` by the user; `None` if it does not exist.
///
/// # Errors
/// It cannot be read.
pub fn read_one(
    client: Option<&'static KnownClient>,
    path: &Path,
    named: bool,
) -> io::Result<Option<ClientFile>> {
    let target = ScanTarget {
        client,
        path: path.to_path_buf(),
        named,
    };
    match read_some(&[target]).pop() {
        Some(Err(error)) if is_absent(&error) => Ok(None),
        read => read.transpose(),
    }
}

/// The clients' files in the projects that the found files name.
fn in_named_projects(
    base: &Base,
    found: &[ClientFile],
    wanted: &[&'static KnownClient],
) -> Vec<ScanTarget> {
    let documents: Vec<&Document> = found
        .iter()
        .filter_map(|file| file.document.as_ref().ok())
        .collect();
    let named = named::projects(base, &documents, wanted);
    let mut targets = Vec::new();
    let mut add = |client, path| {
        targets.push(ScanTarget {
            client: Some(client),
            path,
            named: false,
        });
    };
    for client in wanted {
        for path in &named.files {
            if client
                .projects
                .iter()
                .any(|place| place.ends_with("workspace.json"))
            {
                add(*client, path.clone());
            }
        }
        for dir in &named.dirs {
            for path in Base::in_project(dir, client) {
                add(*client, path);
            }
        }
    }
    targets
}

impl ClientFiles {
    /// Reads files that were not read before.
    fn read(
        &mut self,
        dirs: &Dirs,
        base: &Base,
        targets: &[ScanTarget],
        seen: &mut HashSet<PathBuf>,
    ) -> Result<()> {
        for (target, read) in targets.iter().zip(read_all(targets)) {
            let found = match (read, target.client) {
                (Ok(mut found), client) => {
                    found.old = client.is_some_and(|client| base.is_old(client, &target.path));
                    found
                }
                (Err(error), _) if target.named => {
                    let what = format!("cannot read `{}`", dirs.tilde(&target.path));
                    return Err(Error::new(Code::FileUnusable, what).cause(io_text(&error)));
                }
                (Err(error), Some(client)) if is_absent(&error) => {
                    self.absent.push((client, target.path.clone()));
                    continue;
                }
                (Err(error), client) => {
                    let why = unreadable(&error);
                    ClientFile::refused(client, &target.path, target.path.clone(), why)
                }
            };
            // Two clients that share a file through symlinks have one file.
            if seen.insert(found.target.clone()) {
                self.found.push(found);
            }
        }
        Ok(())
    }
}

/// A path to read.
struct ScanTarget {
    client: Option<&'static KnownClient>,
    path: PathBuf,
    /// Named by the user, who may name a file that git tracks.
    named: bool,
}

/// A thread is started for this many paths.
const SHARE_MIN: usize = 16;

/// Reads them in several threads.
fn read_all(targets: &[ScanTarget]) -> Vec<io::Result<ClientFile>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = targets.len().div_ceil(threads.min(4)).max(SHARE_MIN);
    std::thread::scope(|scope| {
        let mut shares = targets.chunks(share);
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

fn read_some(targets: &[ScanTarget]) -> Vec<io::Result<ClientFile>> {
    let mut directories = Directories::default();
    let read = |target: &ScanTarget| {
        let (real, is_file) = directories.target(&target.path)?;
        if is_file {
            return read_file(target, real);
        }
        let why = NOT_REGULAR.to_owned();
        Ok(ClientFile::refused(target.client, &target.path, real, why))
    };
    let mut found: Vec<_> = targets.iter().map(read).collect();
    let mut filter = FirstLook::default();
    let needs_full_scan: Vec<Vec<bool>> = found
        .iter()
        .map(|found| {
            found
                .as_ref()
                .map_or_else(|_| Vec::new(), |found| found.needs_full_scan(&mut filter))
        })
        .collect();
    for (found, needs_full_scan) in found.iter_mut().zip(needs_full_scan) {
        if let Ok(found) = found {
            found.needs_full_scan = needs_full_scan;
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

/// The error of an ID that no client has.
pub fn unknown(id: &str) -> Error {
    let all: Vec<_> = CLIENTS.iter().map(|client| client.id).collect();
    Error::new(Code::Usage, format!("unknown client `{id}`"))
        .cause(format!("known clients: {}", all.join(", ")))
        .hint(match nearest(id, CLIENTS.iter().map(|client| client.id)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "use one of these names".to_owned(),
        })
}

/// Directories and the targets of their symlinks, each resolved once, since many files share a few
/// directories.
#[derive(Default)]
struct Directories(HashMap<PathBuf, PathBuf>);

impl Directories {
    /// The target of all symlinks, and whether it is a regular file.
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

impl ClientFile {
    pub fn new(
        client: Option<&'static KnownClient>,
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
            needs_full_scan: Vec::new(),
        }
    }

    /// A file that exists and is skipped.
    fn refused(
        client: Option<&'static KnownClient>,
        path: &Path,
        target: PathBuf,
        why: String,
    ) -> Self {
        Self::new(client, path, target, Vec::new(), Err(why))
    }

    /// For each entry, whether it needs a full scan.
    pub fn needs_full_scan<'a>(&'a self, filter: &mut FirstLook<'a>) -> Vec<bool> {
        let Ok(document) = &self.document else {
            return Vec::new();
        };
        let needs_full_scan = |spot: Spot<'a>| {
            filter.may_hold_secret(spot.node)
                || spot.may_be_wrapped()
                || spot.may_use_store()
                || spot.is_unknown()
        };
        places(document).into_iter().map(needs_full_scan).collect()
    }
}

fn read_file(target: &ScanTarget, real: PathBuf) -> io::Result<ClientFile> {
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    if real.metadata()?.len() > bytes_max(&name) {
        let why = TOO_LARGE.to_owned();
        return Ok(ClientFile::refused(target.client, &target.path, real, why));
    }
    let bytes = std::fs::read(&real)?;
    let document = Document::read_any(&name, bytes.clone()).map_err(|refused| refused.to_string());
    let mut found = ClientFile::new(target.client, &target.path, real, bytes, document);
    found.tracked = !target.named && git::tracks(&found.target);
    Ok(found)
}
