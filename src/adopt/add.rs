//! Adds an entry for a server to the configs of clients, and takes it out again.
//!
//! Invariants: an entry that exists is never replaced; a file is written only if it is unchanged since
//! it was read; the journal and the log have the change before the file does. An entry that was edited
//! stays.

use std::path::{Path, PathBuf};

use super::journal::{self, AddedRecord, FileBefore, JournalLine};
use super::replace::{self, ReplaceError};
use crate::audit::{Detail, Event, Log, NewRecord, Outcome};
use crate::client::document::Document;
use crate::client::entry::entries;
use crate::client::entry_text::NewEntry;
use crate::client::form::{EntryHome, home_of};
use crate::client::insert::{empty_text, insert};
use crate::client::insertion::{Insertion, StayReason};
use crate::client::own_file::{has_directory, own_file};
use crate::client::places::Base;
use crate::client::table::KnownClient;
use crate::client::tree::FileFormat;
use crate::dirs::{self, Dirs};
use crate::error::{Code, Error, Result, printable};
use crate::files::{self, io_text};
use crate::ops::actor::Actor;
use crate::scan::clients::{self, ClientFile};
use crate::secret::{Keys, ServerName};

/// Where an entry goes, and the change.
#[derive(Debug)]
pub struct AddTarget {
    pub client: &'static KnownClient,
    /// The path as found.
    pub path: PathBuf,
    /// None for a file that does not exist.
    file: Option<ClientFile>,
    /// None if the file has the entry already.
    pub change: Option<AddChange>,
}

/// The change of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddChange {
    text: String,
    pub insertion: Insertion,
    before: FileBefore,
}

/// The directories in which clients keep their configs.
pub fn base(dirs: &Dirs) -> Base {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    Base::new(dirs.home(), &here, dirs::client_directory)
}

/// Reads the config of a client and plans the entry. `program` is the absolute path of mcpwrap.
///
/// # Errors
/// `usage` if the form of its entries is not known; `entry-exists`; `file-unusable`.
pub fn target(
    dirs: &Dirs,
    client: &'static KnownClient,
    server: &ServerName,
    program: &str,
) -> Result<AddTarget> {
    let home = home_of(client.id);
    let path = home.and_then(|home| own_file(&base(dirs), home));
    let (Some(home), Some(path)) = (home, path) else {
        return Err(Error::new(
            Code::Usage,
            format!("cannot add server `{server}` to {}", client.name),
        )
        .cause("mcpwrap does not know how its configs are written")
        .hint(format!(
            "add an entry by hand that starts `{program}` with the arguments `run {server}`"
        )));
    };
    let refused = |cause: String| refused(dirs, server, &path, cause);
    let file = clients::read_own(client, &path).map_err(|error| refused(io_text(&error)))?;
    let arguments = ["run".to_owned(), server.to_string()];
    let entry = NewEntry {
        name: server.as_str(),
        program,
        arguments: &arguments,
    };
    let change = match &file {
        None => {
            if !has_directory(&base(dirs), &path) {
                let why = "the directory of this client does not exist: start the client once";
                return Err(refused(why.to_owned()));
            }
            let format = format_of(&path);
            Some(change(format, String::new(), home, entry, FileBefore::Absent).map_err(refused)?)
        }
        Some(file) => {
            let document = file.document.as_ref().map_err(|why| refused(why.clone()))?;
            if has_entry(dirs, document, home, server, &path)? {
                None
            } else {
                writable(file).map_err(refused)?;
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
    Ok(AddTarget {
        client,
        path,
        file,
        change,
    })
}

fn refused(dirs: &Dirs, server: &ServerName, path: &Path, cause: String) -> Error {
    let shown = dirs.tilde(path);
    Error::new(
        Code::FileUnusable,
        format!("cannot add server `{server}` to `{shown}`"),
    )
    .cause(cause)
    .hint("fix the file, or choose another client with `--client ID`")
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
    path: &Path,
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
    Err(Error::new(
        Code::EntryExists,
        format!("cannot add server `{server}` to `{shown}`"),
    )
    .cause(format!("it has an entry of this name: {what}"))
    .hint(format!(
        "run `mcpwrap adopt --server {server}` to start that one through mcpwrap, or rename it"
    )))
}

fn writable(file: &ClientFile) -> std::result::Result<(), String> {
    if file.tracked {
        return Err("tracked by git, teammates may lack mcpwrap".to_owned());
    }
    replace::writable(&file.target).map_err(|failed| failed.reason())
}

/// Who adds or removes an entry, and where it is recorded.
pub struct EntryContext<'a> {
    pub dirs: &'a Dirs,
    pub log: &'a Log,
    pub keys: &'a Keys,
    pub actor: Actor,
}

impl EntryContext<'_> {
    fn record(
        &self,
        event: Event,
        server: &ServerName,
        path: &Path,
        outcome: Outcome,
    ) -> NewRecord {
        let detail = Detail {
            file: Some(path.display().to_string()),
            ..self.actor.detail()
        };
        NewRecord::new(event, outcome).server(server).detail(detail)
    }

    /// Writes the entry. Nothing is done if the file has it.
    ///
    /// # Errors
    /// `client-config-changed`, `file-unusable`, `audit-unwritable`.
    pub fn write(&self, server: &ServerName, target: &AddTarget) -> Result<()> {
        let Some(change) = &target.change else {
            return Ok(());
        };
        let file = target
            .file
            .as_ref()
            .map_or(&target.path, |file| &file.target);
        let record = AddedRecord {
            id: journal::new_id()?,
            at: jiff::Timestamp::now(),
            file: file.clone(),
            client: target.client.id.to_owned(),
            entry: server.to_string(),
            server: server.clone(),
            insertion: change.insertion.clone(),
            before: change.before.clone(),
        };
        let id = record.id.clone();
        journal::append(
            self.dirs,
            self.keys,
            &[JournalLine::Added(Box::new(record))],
        )?;
        let event = |outcome| self.record(Event::Adopt, server, &target.path, outcome);
        self.log.append(&[event(Outcome::Ok)])?;
        let new = change.text.as_bytes();
        let done = match &target.file {
            Some(old) => replace::replace(&old.target, &old.bytes, new, None),
            None => replace::create(file, new),
        };
        let Err(failed) = done else { return Ok(()) };
        let error = replace::not_written(&self.dirs.tilde(&target.path), &failed);
        let error = Error {
            hints: Vec::new(),
            ..error
        };
        self.log
            .append(&[event(Outcome::Failed).reason(error.code.name())])?;
        let at = jiff::Timestamp::now();
        journal::append(self.dirs, self.keys, &[JournalLine::Undone { id, at }])?;
        Err(error.hint(format!("run `mcpwrap add {server}` again to continue")))
    }

    /// Takes an entry out. The inner error is why the file stays as it is.
    ///
    /// # Errors
    /// `audit-unwritable`, `file-unusable`.
    pub fn remove(&self, removal: &Removal) -> Result<std::result::Result<(), Error>> {
        let AddedRecord { server, id, .. } = &removal.record;
        let path = &removal.file.path;
        let event = |outcome| self.record(Event::Undo, server, path, outcome);
        self.log.append(&[event(Outcome::Ok)])?;
        let file = &removal.file;
        let done = match &removal.text {
            Some(text) => replace::replace(&file.target, &file.bytes, text.as_bytes(), None),
            None => delete(file),
        };
        if let Err(failed) = done {
            let error = replace::not_written(&self.dirs.tilde(path), &failed);
            let error = Error {
                hints: Vec::new(),
                ..error
            };
            self.log
                .append(&[event(Outcome::Failed).reason(error.code.name())])?;
            let hint = format!("run `mcpwrap remove {server}` again");
            return Ok(Err(error.hint(hint)));
        }
        self.forget(id)?;
        Ok(Ok(()))
    }

    /// Notes that an entry is no longer there.
    ///
    /// # Errors
    /// `file-unusable`.
    pub fn forget(&self, id: &str) -> Result<()> {
        let (id, at) = (id.to_owned(), jiff::Timestamp::now());
        journal::append(self.dirs, self.keys, &[JournalLine::Undone { id, at }])
    }
}

/// Removes a file that holds nothing but what `add` wrote.
fn delete(file: &ClientFile) -> std::result::Result<(), ReplaceError> {
    if std::fs::read(&file.target)? != file.bytes {
        return Err(ReplaceError::Changed);
    }
    std::fs::remove_file(&file.target)?;
    files::sync_dir(file.target.parent().unwrap_or(Path::new("/")))?;
    Ok(())
}

/// An entry that can be taken out of its file.
#[derive(Debug)]
pub struct Removal {
    pub record: AddedRecord,
    pub file: ClientFile,
    /// The text without it; `None` if the file goes.
    text: Option<String>,
}

/// What happens to an entry that `add` wrote.
#[derive(Debug)]
pub enum RemovalPlan {
    Out(Box<Removal>),
    /// It is gone with its file, or the user removed it.
    Gone(AddedRecord),
    Stays(AddedRecord, String),
}

/// Plans to take the entry of a record out of its file.
///
/// # Errors
/// As [`clients::scan`].
pub fn removal(dirs: &Dirs, record: AddedRecord) -> Result<RemovalPlan> {
    if record.file.symlink_metadata().is_err() {
        return Ok(RemovalPlan::Gone(record));
    }
    let scanned = clients::scan(dirs, &[], std::slice::from_ref(&record.file))?;
    let Some(file) = scanned.found.into_iter().next() else {
        return Ok(RemovalPlan::Gone(record));
    };
    let document = match &file.document {
        Ok(document) => document,
        Err(why) => {
            let why = why.clone();
            return Ok(RemovalPlan::Stays(record, why));
        }
    };
    let without = match record.insertion.undone(document) {
        Ok(text) => text,
        Err(StayReason::Gone) => return Ok(RemovalPlan::Gone(record)),
        Err(why) => return Ok(RemovalPlan::Stays(record, why.text().to_owned())),
    };
    let is_empty = without == empty_text(document.format);
    let text = match &record.before {
        FileBefore::Absent if is_empty => None,
        FileBefore::Blank(text) if is_empty => Some(text.clone()),
        _ => Some(without),
    };
    Ok(RemovalPlan::Out(Box::new(Removal { record, file, text })))
}
