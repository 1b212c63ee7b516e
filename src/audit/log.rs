//! Writes to the log: one lock, one write, one sync, and only then the caller continues.
//!
//! Invariants: `append` writes all records of a call or none (a short write is undone), and they are
//! synced when it returns. The segment is named after the UTC day of writing. Only the segment with the
//! head is appended to, so a clock that jumps back starts a new part of that day. A writer that waits
//! too long for the lock fails, which refuses the launch. Records without a seal are bounded, and the
//! next sealed record counts them.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::disk::{self, Note, segment_name};
use super::end::{self, LogEnd};
use super::event::{Event, NewRecord};
use super::forward::{Written, forward};
use super::head::Head;
use super::journal;
use super::record::{ChainKey, Record, User};
use crate::config::{Anchoring, Audit, Config};
use crate::dirs::Dirs;
use crate::error::{Code, Error};
use crate::files::{self, Problem};
use crate::secret::Keys;

/// A larger segment is not appended to (bytes).
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// How many refusals are written in a row while the store is locked; further ones are counted. Other
/// events without a seal are few: `verify` accepts 2000 records without one.
const REFUSALS_UNSEALED_MAX: u64 = 500;
/// How often an append is repeated when logrotate moves the segment away.
const TRIES: u32 = 3;

/// The audit log of this user, for writing.
#[derive(Clone, Debug)]
pub struct Log {
    dir: PathBuf,
    /// The directory as shown in messages.
    shown: String,
    key: Option<ChainKey>,
    user: User,
    settings: Audit,
}

impl Log {
    /// Creates the directory if needed. Without keys (the store is locked), records are chained but
    /// not sealed.
    ///
    /// # Errors
    /// `audit-unwritable` if other users can write to the directory.
    pub fn open(dirs: &Dirs, keys: Option<&Keys>) -> Result<Self, Error> {
        Self::sealed(dirs, keys.map(ChainKey::new))
    }

    /// [`Self::open`] for a process that keeps no other key.
    ///
    /// # Errors
    /// `audit-unwritable`.
    pub fn sealed(dirs: &Dirs, key: Option<ChainKey>) -> Result<Self, Error> {
        let mut log = Self::at(dirs.audit(), dirs.tilde(&dirs.audit()), key)?;
        // An invalid configuration must not stop a revocation from being logged. A launch has
        // read it before and was refused.
        if let Ok(config) = Config::load(dirs) {
            log.settings.clone_from(config.audit());
        }
        Ok(log)
    }

    /// [`Self::open`] in another directory.
    pub fn at(dir: PathBuf, shown: String, key: Option<ChainKey>) -> Result<Self, Error> {
        let log = Self {
            dir,
            shown,
            key,
            user: User::own(),
            settings: Audit::default(),
        };
        files::ensure_dir(&log.dir).map_err(|problem| log.unwritable(problem))?;
        Ok(log)
    }

    /// Uses another `[audit]` section than the one in the configuration.
    #[must_use]
    pub fn with_settings(mut self, settings: Audit) -> Self {
        self.settings = settings;
        self
    }

    /// How long segments are kept.
    pub fn settings(&self) -> &Audit {
        &self.settings
    }

    /// Whether records are sealed.
    pub fn is_sealed(&self) -> bool {
        self.key.is_some()
    }

    /// Where the segments are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes the records, all or none, and returns when they are on disk.
    ///
    /// # Errors
    /// `audit-unwritable`: then the logged action must not happen.
    pub fn append(&self, entries: &[NewRecord]) -> Result<(), Error> {
        if entries.is_empty() {
            return Ok(());
        }
        self.append_to_head(entries).map(drop)
    }

    /// [`Self::append`] that returns the new head.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_to_head(&self, entries: &[NewRecord]) -> Result<Head, Error> {
        self.append_or(entries)
            .map_err(|problem| self.unwritable(problem))
    }

    /// Writes a sealed record that counts the records without a seal at the end, if there are any.
    ///
    /// # Errors
    /// `audit-unwritable`.
    pub fn count_unsealed(&self) -> Result<(), Error> {
        self.append_to_head(&[]).map(drop)
    }

    /// [`Self::append`] that returns only the reason of a failure.
    pub(super) fn append_or(&self, entries: &[NewRecord]) -> Result<Head, Problem> {
        let lock = disk::lock(&self.dir)?;
        for _ in 0..TRIES {
            if let Some((head, written)) = self.append_locked(entries)? {
                drop(lock);
                self.anchor(entries, head);
                forward(&self.dir, &self.settings, &written);
                return Ok(head);
            }
        }
        let text = "another program is modifying the log";
        Err(Problem::Io(io::Error::other(text)))
    }

    /// Sends the head to the journal, after every release and everything else but calls, which are
    /// many. Without a key there is nothing that proves an anchor.
    fn anchor(&self, entries: &[NewRecord], head: Head) {
        let Some(key) = &self.key else { return };
        let is_wanted = entries.is_empty() || entries.iter().any(|one| one.event != Event::Call);
        if is_wanted && self.settings.anchor == Anchoring::Auto {
            journal::send(key, &self.dir, head);
        }
    }

    /// The last record. Needs no key, and changes nothing except a torn line.
    ///
    /// # Errors
    /// `audit-unwritable` if the log cannot be read or locked.
    pub fn head(&self) -> Result<Head, Error> {
        let find = || {
            let _lock = disk::lock(&self.dir)?;
            end::find(&self.dir)
        };
        find()
            .map(|found| found.head)
            .map_err(|problem| self.unwritable(problem))
    }

    /// The head and what was written, or `None` if the segment was moved away in the meantime.
    fn append_locked(
        &self,
        entries: &[NewRecord],
    ) -> Result<Option<(Head, Vec<Written>)>, Problem> {
        let mut found = end::find(&self.dir)?;
        if self.is_flood(&found, entries) {
            self.count_unwritten(entries.len() as u64);
            return Ok(Some((found.head, Vec::new())));
        }
        if self.key.is_some() && found.unsealed + found.unwritten > 0 {
            found.notes.push(end::count_record(&found));
        }
        if found.notes.is_empty() && entries.is_empty() {
            return Ok(Some((found.head, Vec::new())));
        }
        let now = Timestamp::now();
        let (name, file, size) =
            self.segment(&mut found, now.to_zoned_datetime(TimeZone::UTC).date())?;
        let RecordBatch {
            bytes,
            head,
            written,
        } = self.batch(&found, entries, now)?;
        if let Err(error) = (&file).write_all(&bytes).and_then(|()| file.sync_data()) {
            // No part of an incomplete record may stay. If this fails too, the next writer finds the
            // torn line and removes it.
            drop(file.set_len(size).and_then(|()| file.sync_data()));
            return Err(error.into());
        }
        if size == 0 {
            files::sync_dir(&self.dir)?;
        }
        let meta = file.metadata()?;
        let as_expected = meta.len() == size + bytes.len() as u64;
        if meta.nlink() == 0 || !(as_expected || ends_with(&file, &bytes)) {
            return Ok(None);
        }
        let note = Note {
            file: name,
            size: meta.len(),
            seq: head.seq,
            hash: head.hash,
            unsealed: match self.key {
                Some(_) => 0,
                None => found.unsealed + (found.notes.len() + entries.len()) as u64,
            },
            unwritten: match self.key {
                Some(_) => 0,
                None => found.unwritten,
            },
        };
        // The note is only a shortcut; it is compared with the segment before it is used.
        drop(note.write(&self.dir));
        Ok(Some((head, written)))
    }

    /// Whether these are refusals while the store is locked, and there are too many already.
    fn is_flood(&self, found: &LogEnd, entries: &[NewRecord]) -> bool {
        self.key.is_none()
            && !entries.is_empty()
            && found.unsealed + entries.len() as u64 > REFUSALS_UNSEALED_MAX
            && entries.iter().all(|entry| entry.event == Event::Refuse)
    }

    /// Counts refusals in the note; the next sealed record says how many.
    fn count_unwritten(&self, count: u64) {
        if let Some(mut note) = Note::read(&self.dir) {
            note.unwritten += count;
            // Nothing was released: a lost count does not matter.
            drop(note.write(&self.dir));
        }
    }

    /// The segment to write to: the one with the head, if it is today's and not full.
    fn segment(&self, found: &mut LogEnd, today: Date) -> Result<(String, File, u64), Problem> {
        let mut part = 1;
        loop {
            let name = segment_name(today, part);
            let holds_head = found.file.as_deref() == Some(name.as_str());
            let file = match found.open.take_if(|_| holds_head) {
                Some(file) => file,
                None => files::open_append(&self.dir.join(&name))?,
            };
            let size = file.metadata()?.len();
            let packed = self.dir.join(format!("{name}.zst"));
            let empty = size == 0 && !packed.exists();
            if empty || (holds_head && size < SEGMENT_BYTES_MAX) {
                return Ok((name, file, size));
            }
            part += 1;
        }
    }

    /// The lines of the records about the log itself, followed by those of `entries`.
    fn batch(
        &self,
        found: &LogEnd,
        entries: &[NewRecord],
        now: Timestamp,
    ) -> io::Result<RecordBatch> {
        let bytes = Vec::with_capacity(512 * entries.len());
        let mut batch = RecordBatch {
            bytes,
            head: found.head,
            written: Vec::new(),
        };
        for entry in found.notes.iter().chain(entries) {
            let Head { seq, hash } = batch.head;
            let record = Record::new(entry, seq + 1, now, &self.user, hash);
            let (line, hash) = record.line(self.key.as_ref())?;
            batch.bytes.extend_from_slice(&line);
            batch.bytes.push(b'\n');
            batch.head = Head { seq: seq + 1, hash };
            if !self.settings.forward.is_empty() {
                batch.written.push(Written { record, line });
            }
        }
        Ok(batch)
    }

    pub(super) fn unwritable(&self, problem: Problem) -> Error {
        const STATUS: &str = "run `mcpwrap status` to see where the log is and whether it works";
        let what = format!("cannot write the audit log in `{}`", self.shown);
        let hint = match &problem {
            Problem::NotPrivate { fix, .. } => fix.clone(),
            Problem::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
                format!("run `df -h {}` to see how full the disk is", self.shown)
            }
            Problem::Io(error) => files::io_hint(error).unwrap_or(STATUS).to_owned(),
            _ => STATUS.to_owned(),
        };
        Error::new(Code::AuditUnwritable, what)
            .cause(problem)
            .hint(hint)
    }
}

/// What one call of `append` writes.
struct RecordBatch {
    bytes: Vec<u8>,
    head: Head,
    /// Only filled if records are forwarded.
    written: Vec<Written>,
}

/// Whether the file ends with these bytes: logrotate may have truncated it just before the write.
fn ends_with(file: &File, bytes: &[u8]) -> bool {
    let mut there = vec![0; bytes.len()];
    let start = file
        .metadata()
        .ok()
        .and_then(|meta| meta.len().checked_sub(bytes.len() as u64));
    start.is_some_and(|start| file.read_exact_at(&mut there, start).is_ok()) && there == bytes
}
