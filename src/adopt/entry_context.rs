//! Writes a new entry into its file, and takes it out again.
//!
//! Invariants: a file is written only if it is unchanged since it was read; the journal and the log have the
//! change before the file does.

use std::path::Path;

use super::add::AddTarget;
use super::added::{Removal, delete};
use super::journal::{self, AddedRecord, JournalLine};
use super::replace;
use crate::audit::{Detail, Event, Log, NewRecord, Outcome};
use crate::dirs::Dirs;
use crate::error::{Error, Result};
use crate::ops::actor::Actor;
use crate::secret::{Keys, ServerName};

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
            client: target
                .client
                .map_or_else(String::new, |client| client.id.to_owned()),
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
