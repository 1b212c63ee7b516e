//! Plans a new entry for a server in the config of a client, or in a file that the user named.
//!
//! Invariants: an entry that exists is never replaced; a file that git tracks is not changed unless the user
//! names it.

use std::path::{Path, PathBuf};

use super::journal::FileBefore;
use super::replace;
use crate::client::document::Document;
use crate::client::entry::entries;
use crate::client::entry_text::NewEntry;
use crate::client::form::{EntryHome, home_of};
use crate::client::insert::{empty_text, insert};
use crate::client::insertion::Insertion;
use crate::client::own_file::{has_directory, of_named, own_file};
use crate::client::places::Base;
use crate::client::table::{KnownClient, client};
use crate::client::tree::FileFormat;
use crate::dirs::{self, Dirs};
use crate::error::{Code, Error, Result, printable};
use crate::files::io_text;
use crate::policy::summary;
use crate::scan::clients::{self, ClientFile};
use crate::scan::git;
use crate::secret::ServerName;

/// A config that was chosen for an entry.
#[derive(Clone, Debug)]
pub enum AddPlace {
    /// That of a client.
    Own(&'static KnownClient),
    /// A file that the user named, as an absolute path.
    Named(PathBuf),
}

/// Where an entry goes, and the change.
#[derive(Debug)]
pub struct AddTarget {
    pub place: AddPlace,
    /// None for a file that the user named and that no known client reads.
    pub client: Option<&'static KnownClient>,
    /// The path as found.
    pub path: PathBuf,
    /// Whether the user named a file that git tracks, which others use too.
    pub is_shared: bool,
    /// None for a file that does not exist.
    pub(super) file: Option<ClientFile>,
    /// None if the file has the entry already.
    pub change: Option<AddChange>,
}

/// The change of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddChange {
    pub(super) text: String,
    pub insertion: Insertion,
    pub(super) before: FileBefore,
}

/// The directories in which clients keep their configs.
pub fn base(dirs: &Dirs) -> Base {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    Base::new(dirs.home(), &here, dirs::client_directory)
}

/// Reads a config and plans the entry. `program` is the absolute path of mcpwrap.
///
/// # Errors
/// `usage` if the form of its entries is not known; `entry-exists`; `file-unusable`.
pub fn target(
    dirs: &Dirs,
    place: &AddPlace,
    server: &ServerName,
    program: &str,
) -> Result<AddTarget> {
    let base = base(dirs);
    let (path, file, home) = located(dirs, &base, place, server, program)?;
    let refused = |cause: String| refused(dirs, place, server, &path, cause);
    let arguments = ["run".to_owned(), server.to_string()];
    let entry = NewEntry {
        name: server.as_str(),
        program,
        arguments: &arguments,
    };
    let change = match &file {
        None => {
            let has_directory = match place {
                AddPlace::Own(_) => has_directory(&base, &path),
                AddPlace::Named(path) => path.parent().is_some_and(Path::is_dir),
            };
            if !has_directory {
                let why = match place {
                    AddPlace::Own(_) => {
                        "the directory of this client does not exist: start the client once"
                    }
                    AddPlace::Named(_) => "its directory does not exist",
                };
                return Err(refused(why.to_owned()));
            }
            let format = format_of(&path);
            Some(change(format, String::new(), home, entry, FileBefore::Absent).map_err(refused)?)
        }
        Some(file) => {
            let document = file.document.as_ref().map_err(|why| refused(why.clone()))?;
            if has_entry(dirs, document, home, server, (place, &path))? {
                None
            } else {
                writable(file, &dirs.tilde(&path)).map_err(refused)?;
                let text = document.text.clone();
                let before = if text.trim().is_empty() {
                    FileBefore::Blank(text.clone())
                } else {
                    FileBefore::Present
                };
                Some(change(document.format, text, home, entry, before).map_err(refused)?)
            }
        }
    };
    let is_named = matches!(place, AddPlace::Named(_));
    let target = file.as_ref().map(|file| &file.target);
    Ok(AddTarget {
        place: place.clone(),
        client: client(home.client),
        is_shared: is_named && target.is_some_and(|target| git::tracks(target)),
        path,
        file,
        change,
    })
}

/// The path of a config, what is in it, and the form of its entries.
fn located(
    dirs: &Dirs,
    base: &Base,
    place: &AddPlace,
    server: &ServerName,
    program: &str,
) -> Result<(PathBuf, Option<ClientFile>, &'static EntryHome)> {
    let unknown = |to: &str, cause: &str| {
        Error::new(Code::Usage, format!("cannot add server `{server}` to {to}"))
            .cause(cause)
            .hint(format!(
                "add an entry by hand that starts `{program}` with the arguments `run {server}`"
            ))
    };
    let read = |client, path: &Path| {
        let is_named = matches!(place, AddPlace::Named(_));
        clients::read_one(client, path, is_named)
            .map_err(|error| refused(dirs, place, server, path, io_text(&error)))
    };
    match place {
        AddPlace::Own(client) => {
            let home = home_of(client.id);
            let path = home.and_then(|home| own_file(base, home));
            let (Some(home), Some(path)) = (home, path) else {
                let cause = "mcpwrap does not know how its configs are written";
                return Err(unknown(client.name, cause));
            };
            let file = read(Some(*client), &path)?;
            Ok((path, file, home))
        }
        AddPlace::Named(path) => {
            let file = read(None, path)?;
            let document = match &file {
                None => None,
                Some(file) => {
                    let document = file.document.as_ref();
                    Some(document.map_err(|why| refused(dirs, place, server, path, why.clone()))?)
                }
            };
            let home = of_named(base, path, document).ok_or_else(|| {
                let cause =
                    "mcpwrap does not know which client reads it, and it has no servers yet";
                unknown(&format!("`{}`", dirs.tilde(path)), cause)
            })?;
            Ok((path.clone(), file, home))
        }
    }
}

fn refused(
    dirs: &Dirs,
    place: &AddPlace,
    server: &ServerName,
    path: &Path,
    cause: String,
) -> Error {
    let shown = dirs.tilde(path);
    let hint = match place {
        AddPlace::Own(_) => "fix the file, or choose another client with `--client ID`",
        AddPlace::Named(_) => "fix the file, or name another one with `--config FILE`",
    };
    Error::new(
        Code::FileUnusable,
        format!("cannot add server `{server}` to `{shown}`"),
    )
    .cause(cause)
    .hint(hint)
}

fn change(
    format: FileFormat,
    text: String,
    home: &EntryHome,
    entry: NewEntry<'_>,
    before: FileBefore,
) -> std::result::Result<AddChange, String> {
    let text = match before {
        FileBefore::Present => text,
        FileBefore::Absent | FileBefore::Blank(_) => empty_text(format).to_owned(),
    };
    let document = Document::read(format, text.into_bytes()).map_err(|why| why.to_string())?;
    let (text, insertion) = insert(&document, home, entry)?;
    Ok(AddChange {
        text,
        insertion,
        before,
    })
}

/// The format of a file that does not exist yet.
fn format_of(path: &Path) -> FileFormat {
    match path.extension().and_then(|end| end.to_str()) {
        Some("toml") => FileFormat::Toml,
        Some("yaml" | "yml") => FileFormat::Yaml,
        _ => FileFormat::Json,
    }
}

/// Whether the file has an entry that runs the server.
///
/// # Errors
/// `entry-exists` if an entry of this name does something else.
fn has_entry(
    dirs: &Dirs,
    document: &Document,
    home: &EntryHome,
    server: &ServerName,
    (place, path): (&AddPlace, &Path),
) -> Result<bool> {
    let mut servers = Some(&document.root);
    for key in home.keys {
        servers = servers.and_then(|node| node.get(key));
    }
    let Some(servers) = servers else {
        return Ok(false);
    };
    let own: Vec<_> = entries(document)
        .into_iter()
        .filter(|entry| {
            let node = document.find(&entry.path);
            node.is_some_and(|node| {
                let is_within = |child: &crate::client::tree::Node| std::ptr::eq(child, node);
                servers.map().iter().any(|member| is_within(&member.node))
                    || servers.list().iter().any(is_within)
            })
        })
        .collect();
    if own
        .iter()
        .any(|entry| entry.wrapped.as_deref() == Some(server.as_str()))
    {
        return Ok(true);
    }
    let same = own.iter().find(|entry| entry.name == server.as_str());
    if same.is_none() && servers.get(server.as_str()).is_none() {
        return Ok(false);
    }
    let what = match same.and_then(|entry| entry.words.first()) {
        Some(word) => format!("it starts `{}`", printable(&word.text)),
        None => "mcpwrap did not write it".to_owned(),
    };
    let shown = dirs.tilde(path);
    let of = match place {
        AddPlace::Own(_) => String::new(),
        AddPlace::Named(_) => format!(" --config {}", summary::ascii(&shown)),
    };
    Err(Error::new(
        Code::EntryExists,
        format!("cannot add server `{server}` to `{shown}`"),
    )
    .cause(format!("it has an entry of this name: {what}"))
    .hint(format!(
        "run `mcpwrap adopt --server {server}{of}` to start that one through mcpwrap, or rename it"
    )))
}

fn writable(file: &ClientFile, shown: &str) -> std::result::Result<(), String> {
    if file.tracked {
        return Err(format!(
            "tracked by git, teammates may lack mcpwrap; pass `--config {}` to add it anyway",
            summary::ascii(shown)
        ));
    }
    replace::writable(&file.target).map_err(|failed| failed.reason())
}
