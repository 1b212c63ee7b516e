//! Anchors of the log in the systemd journal, which the user cannot change.
//!
//! An anchor is the head of the log with the identity of the log and a MAC. A log that does not
//! contain an anchored head was changed. What the user sends to the journal himself has no valid MAC,
//! or repeats an anchor that the log must contain anyway.
//!
//! Invariants: sending does not wait. Reading starts `journalctl` from a directory of root with an
//! empty environment. No anchor is told apart from a journal that this user cannot read.

use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::forward::{JOURNAL_SOCKET, send_anchor};
use super::head::Head;
use super::record::{ChainKey, Hash};
use crate::files::io_text;
use crate::sys::bounded::{self, From};

/// The type of the entry, for `journalctl MESSAGE_ID=…`.
const MESSAGE_ID: &str = "6d63707772617000616e63686f720001";
/// Where `journalctl` is. The PATH belongs to the user.
const JOURNALCTL: &[&str] = &[
    "/usr/bin/journalctl",
    "/bin/journalctl",
    "/run/current-system/sw/bin/journalctl",
];
/// Where the files of the journal are, in a directory per machine.
const JOURNALS: &[&str] = &["/var/log/journal", "/run/log/journal"];
/// How long `journalctl` may take. The entries are found by an index.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// The longest line of an entry (bytes).
const ENTRY_BYTES_MAX: usize = 64 << 10;

/// The anchors of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchors {
    /// Those with a valid MAC: when the journal got each, and its head.
    Found(Vec<(Timestamp, Head)>),
    /// The journal, or a part of it, cannot be read by this user.
    Unreadable(String),
    /// There is no journal, or it has no anchor of this log.
    None,
}

impl Anchors {
    /// The anchored heads.
    pub fn heads(&self) -> impl Iterator<Item = Head> {
        let found: &[(Timestamp, Head)] = match self {
            Self::Found(all) => all,
            Self::Unreadable(_) | Self::None => &[],
        };
        found.iter().map(|(_, head)| *head)
    }
}

/// Whether this machine has a journal that takes anchors.
pub fn is_there() -> bool {
    Path::new(JOURNAL_SOCKET).exists()
}

/// Sends the head of the log in `dir`.
pub(super) fn send(key: &ChainKey, dir: &Path, head: Head) {
    let log = identity(key, dir);
    let mac = seal(key, log, head);
    let entry = format!(
        "MESSAGE=mcpwrap: audit log anchored at record {}\nMESSAGE_ID={MESSAGE_ID}\nPRIORITY=6\n\
         SYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER=mcpwrap\nMCPWRAP_LOG={log}\nMCPWRAP_HEAD={head}\n\
         MCPWRAP_MAC={mac}\n",
        head.seq
    );
    send_anchor(dir, entry.as_bytes());
}

/// Reads the anchors of the log in `dir`.
pub fn read(key: &ChainKey, dir: &Path) -> Anchors {
    let log = identity(key, dir);
    let unreadable = unreadable();
    let Some(program) = JOURNALCTL.iter().find(|path| Path::new(path).exists()) else {
        return unreadable.map_or(Anchors::None, Anchors::Unreadable);
    };
    let args = [
        "--quiet",
        "--no-pager",
        "--output=json",
        "--output-fields=MCPWRAP_HEAD,MCPWRAP_MAC",
        &format!("MESSAGE_ID={MESSAGE_ID}"),
        &format!("MCPWRAP_LOG={log}"),
    ]
    .map(OsString::from);
    let mut found = Vec::new();
    let mut lines = EntryLines::default();
    let mut command = bounded::scrubbed(program, &args, &[]);
    let ended = bounded::run(&mut command, READ_LIMIT, &mut |from, piece| {
        if from == From::Stdout {
            lines.feed(piece, |line| found.extend(anchor(key, log, line)));
        }
        ControlFlow::Continue(())
    });
    let problem = match ended {
        Ok(Some(status)) if status.success() => unreadable,
        Ok(Some(status)) => unreadable.or(Some(format!("`{program}` failed: {status}"))),
        Ok(None) => Some(format!("`{program}` took too long")),
        Err(error) => Some(format!("`{program}`: {}", io_text(&error))),
    };
    match problem {
        _ if !found.is_empty() => Anchors::Found(found),
        Some(why) => Anchors::Unreadable(why),
        None => Anchors::None,
    }
}

/// The first file of the journal that this user cannot read.
fn unreadable() -> Option<String> {
    let denied = |path: &Path, error: std::io::Error| {
        (error.kind() == ErrorKind::PermissionDenied)
            .then(|| format!("`{}`: {}", path.display(), io_text(&error)))
    };
    let list = |dir: &Path| match std::fs::read_dir(dir) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error) => denied(dir, error).map_or_else(|| Ok(Vec::new()), Err),
    };
    let look = || -> Result<(), String> {
        for root in JOURNALS {
            for machine in list(Path::new(root))? {
                for file in list(&machine)? {
                    if let Err(error) = File::open(&file)
                        && let Some(why) = denied(&file, error)
                    {
                        return Err(why);
                    }
                }
            }
        }
        Ok(())
    };
    look().err()
}

/// Splits output into lines. A line that is too long is dropped.
#[derive(Default)]
struct EntryLines(Vec<u8>);

impl EntryLines {
    fn feed(&mut self, piece: &[u8], mut each: impl FnMut(&[u8])) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.0.len() + part.len() <= ENTRY_BYTES_MAX {
                self.0.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                each(&self.0);
                self.0.clear();
            }
        }
    }
}

/// An entry as `journalctl` prints it. A field that is there twice is a list, and not an anchor.
#[derive(Deserialize)]
struct JournalEntry {
    #[serde(rename = "MCPWRAP_HEAD")]
    head: String,
    #[serde(rename = "MCPWRAP_MAC")]
    mac: String,
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    micros: String,
}

fn anchor(key: &ChainKey, log: Hash, line: &[u8]) -> Option<(Timestamp, Head)> {
    let entry: JournalEntry = serde_json::from_slice(line).ok()?;
    let head: Head = entry.head.parse().ok()?;
    let at = Timestamp::from_microsecond(entry.micros.parse().ok()?).ok()?;
    (Hash::from_hex(entry.mac.as_bytes())? == seal(key, log, head)).then_some((at, head))
}

/// What tells this log apart from others with the same key, e.g. of another `MCPWRAP_HOME`.
fn identity(key: &ChainKey, dir: &Path) -> Hash {
    key.seal_text(&format!(
        "mcpwrap audit log at v1\n{}\n",
        canonical(dir).display()
    ))
}

fn seal(key: &ChainKey, log: Hash, head: Head) -> Hash {
    key.seal_text(&format!("mcpwrap audit anchor v1\n{log}\n{head}\n"))
}

/// The canonical path, also of a directory that was deleted.
fn canonical(dir: &Path) -> PathBuf {
    if let Ok(path) = dir.canonicalize() {
        return path;
    }
    match (dir.parent(), dir.file_name()) {
        (Some(parent), Some(name)) => canonical(parent).join(name),
        _ => dir.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Keys, Secret};

    fn key(seed: &str) -> ChainKey {
        ChainKey::new(&Keys::from_master(&Secret::new(seed.into())))
    }

    fn line(head: Head, mac: Hash) -> Vec<u8> {
        let text = format!(
            "{{\"MCPWRAP_HEAD\":\"{head}\",\"MCPWRAP_MAC\":\"{mac}\",\
             \"__REALTIME_TIMESTAMP\":\"1795719942404031\"}}\n"
        );
        text.into_bytes()
    }

    #[test]
    fn only_an_anchor_of_this_key_and_this_log_counts() {
        let dir = Path::new("/some/log");
        let (own, other) = (key("a"), key("b"));
        let log = identity(&own, dir);
        let head = Head {
            seq: 7,
            hash: Hash::START,
        };
        let forged = Head { seq: 8, ..head };
        let mac = seal(&own, log, head);
        assert!(anchor(&own, log, &line(head, mac)).is_some());
        assert!(anchor(&own, log, &line(forged, mac)).is_none());
        assert!(anchor(&other, log, &line(head, mac)).is_none());
        let elsewhere = identity(&own, Path::new("/other/log"));
        assert!(anchor(&own, elsewhere, &line(head, mac)).is_none());
        assert!(anchor(&own, log, b"{\"MCPWRAP_HEAD\":[\"1:0\",\"2:0\"]}\n").is_none());
    }

    #[test]
    fn lines_are_put_together_and_long_ones_dropped() {
        let mut lines = EntryLines::default();
        let mut seen = Vec::new();
        let mut long = vec![b'x'; ENTRY_BYTES_MAX + 1];
        long.push(b'\n');
        for piece in [&b"on"[..], b"e\ntwo\nth", &long, b"four\n"] {
            lines.feed(piece, |line| seen.push(line.to_vec()));
        }
        assert_eq!(seen.first().unwrap(), b"one\n");
        assert_eq!(seen.last().unwrap(), b"four\n");
        assert!(seen.iter().all(|line| line.len() <= ENTRY_BYTES_MAX));
    }

    #[test]
    fn a_deleted_log_keeps_its_identity() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("state/audit");
        let gone = identity(&key("a"), &log);
        std::fs::create_dir_all(&log).unwrap();
        assert_eq!(identity(&key("a"), &log), gone);
    }
}
