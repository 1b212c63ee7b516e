//! Sends a copy of each record to the journal or a syslog daemon, after the record is on disk.
//!
//! Invariants: sending never waits. If a daemon is missing or slow, the copy is lost, not the launch,
//! and each lost copy is counted in the file `undelivered` beside the log, like lost anchors. The copy is the complete
//! line, so that it proves a truncation of the log. Only local sockets are used.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::event::Outcome;
use super::record::Record;
use crate::config::{Audit, Sink};
use crate::files::{self, Problem};

/// The socket of the journal.
pub const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";
/// The name of anchors in the file of counts.
const ANCHORS: &str = "anchor";
/// The facility `authpriv` of syslog, times eight.
const AUTHPRIV: u8 = 10 << 3;
/// The file of counts is started again when it is larger (bytes).
const COUNT_BYTES_MAX: u64 = 64 << 10;

/// A record as it was written.
#[derive(Debug)]
pub struct Written {
    pub record: Record,
    pub line: Vec<u8>,
}

/// Sends the records to every sink, and counts the copies that were not delivered.
pub fn forward(dir: &Path, settings: &Audit, written: &[Written]) {
    for sink in &settings.forward {
        let socket = match sink {
            Sink::Journald => PathBuf::from(JOURNAL_SOCKET),
            Sink::Syslog => PathBuf::from(&settings.syslog),
        };
        let lost = send(*sink, &socket, written);
        if lost > 0 {
            // If the count cannot be stored either, the record is still in the log.
            drop(count(dir, sink.name(), lost));
        }
    }
}

fn send(sink: Sink, socket: &Path, written: &[Written]) -> u64 {
    let Ok(datagram) = connect(socket) else {
        return written.len() as u64;
    };
    let host = hostname();
    let text = |one: &Written| match sink {
        Sink::Journald => journal_entry(one),
        Sink::Syslog => syslog_message(one, &host),
    };
    written
        .iter()
        .map(|one| u64::from(datagram.send(&text(one)).is_err()))
        .sum()
}

/// Sends one entry to the journal without waiting, and counts it as an anchor if that fails. A machine
/// without a journal is not a failure.
pub fn send_anchor(dir: &Path, entry: &[u8]) {
    match connect(Path::new(JOURNAL_SOCKET)).and_then(|datagram| datagram.send(entry)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(_) => drop(count(dir, ANCHORS, 1)),
    }
}

fn connect(socket: &Path) -> io::Result<UnixDatagram> {
    let datagram = UnixDatagram::unbound()?;
    datagram.set_nonblocking(true)?;
    datagram.connect(socket)?;
    Ok(datagram)
}

/// RFC 5424: the event as MSGID, the record itself as the message.
fn syslog_message(one: &Written, host: &str) -> Vec<u8> {
    let Record {
        time,
        event,
        outcome,
        ..
    } = &one.record;
    let priority = AUTHPRIV | severity(*outcome);
    let pid = std::process::id();
    let mut message =
        format!("<{priority}>1 {time:.6} {host} mcpwrap {pid} {event} - ").into_bytes();
    message.extend_from_slice(&one.line);
    message
}

/// The journal's native protocol: one field per line. A record contains no newline.
fn journal_entry(one: &Written) -> Vec<u8> {
    let record = &one.record;
    let server = record
        .server
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let run = record
        .run
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let (event, outcome) = (record.event, record.outcome);
    let mut entry = format!(
        "MESSAGE=mcpwrap: {event} {server} {outcome}\nPRIORITY={}\nSYSLOG_FACILITY=10\n\
         SYSLOG_IDENTIFIER=mcpwrap\nMCPWRAP_SEQ={}\nMCPWRAP_EVENT={event}\n\
         MCPWRAP_SERVER={server}\nMCPWRAP_RUN={run}\nMCPWRAP_OUTCOME={outcome}\nMCPWRAP_RECORD=",
        severity(outcome),
        record.seq,
    )
    .into_bytes();
    entry.extend_from_slice(&one.line);
    entry.push(b'\n');
    entry
}

/// The syslog severity: 4 is a warning, 6 is informational.
const fn severity(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Intent | Outcome::Ok => 6,
        Outcome::Refused | Outcome::Failed => 4,
    }
}

/// The name of this machine, or `-`.
pub fn hostname() -> String {
    let name = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok());
    let plain = |name: &String| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
    name.filter(plain).unwrap_or_else(|| "-".to_owned())
}

/// Adds to the count by appending a line, which needs no lock.
fn count(dir: &Path, name: &str, lost: u64) -> Result<(), Problem> {
    use std::io::Write as _;
    let path = dir.join("undelivered");
    let mut file = files::open_append(&path)?;
    if file.metadata()?.len() > COUNT_BYTES_MAX {
        let anchors = undelivered_anchors(dir);
        let all = undelivered(dir).into_iter().chain([(ANCHORS, anchors)]);
        let sums: Vec<_> = all.map(|(name, n)| format!("{name} {n}\n")).collect();
        let sums = sums.concat();
        files::replace(&path, sums.as_bytes())?;
        file = files::open_append(&path)?;
    }
    Ok(file.write_all(format!("{name} {lost}\n").as_bytes())?)
}

/// The number of records that were not delivered to each sink.
pub fn undelivered(dir: &Path) -> Vec<(&'static str, u64)> {
    let counts = counts(dir);
    [Sink::Journald, Sink::Syslog]
        .into_iter()
        .map(|sink| (sink.name(), sum(&counts, sink.name())))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// The number of anchors that the journal did not take.
pub fn undelivered_anchors(dir: &Path) -> u64 {
    sum(&counts(dir), ANCHORS)
}

fn counts(dir: &Path) -> String {
    fs::read_to_string(dir.join("undelivered")).unwrap_or_default()
}

fn sum(counts: &str, name: &str) -> u64 {
    let lines = counts.lines().filter_map(|line| line.split_once(' '));
    let own = lines.filter(|(known, _)| *known == name);
    own.filter_map(|(_, count)| count.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::super::record::User;
    use super::super::{Event, Hash, NewRecord};
    use super::*;

    fn written() -> Written {
        let entry = NewRecord::new(Event::Refuse, Outcome::Refused)
            .server(&crate::secret::ServerName::new("github").unwrap());
        let time = "2026-11-23T14:03:00Z".parse().unwrap();
        let record = Record::new(
            &entry,
            7,
            time,
            &User {
                id: 1000,
                name: None,
            },
            Hash::START,
        );
        let (line, _) = record.line(None).unwrap();
        Written { record, line }
    }

    fn settings(socket: &Path) -> Audit {
        let syslog = socket.display().to_string();
        Audit {
            forward: vec![Sink::Syslog],
            syslog,
            ..Audit::default()
        }
    }

    #[test]
    fn the_daemon_gets_the_whole_record() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("log");
        let daemon = UnixDatagram::bind(&socket).unwrap();
        forward(dir.path(), &settings(&socket), &[written()]);
        let mut bytes = [0; 4096];
        let count = daemon.recv(&mut bytes).unwrap();
        let text = std::str::from_utf8(&bytes[..count]).unwrap();
        assert!(
            text.starts_with("<84>1 2026-11-23T14:03:00.000000Z "),
            "{text}"
        );
        assert!(text.contains(" refuse - {\"v\":1,\"seq\":7,"), "{text}");
        assert!(undelivered(dir.path()).is_empty());
    }

    #[test]
    fn undelivered_copies_are_counted_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("log");
        forward(dir.path(), &settings(&socket), &[written(), written()]);
        assert_eq!(undelivered(dir.path()), [("syslog", 2)]);
        // The daemon does not read, so its queue fills up, and then copies are lost.
        let _daemon = UnixDatagram::bind(&socket).unwrap();
        let many: Vec<_> = (0..5000).map(|_| written()).collect();
        let begin = std::time::Instant::now();
        forward(dir.path(), &settings(&socket), &many);
        assert!(begin.elapsed().as_secs() < 5);
        assert!(undelivered(dir.path())[0].1 > 2);
    }

    #[test]
    fn the_journal_gets_fields() {
        let text = String::from_utf8(journal_entry(&written())).unwrap();
        assert!(text.lines().all(|line| line.contains('=')), "{text}");
        assert!(
            text.contains("\nMCPWRAP_SERVER=github\n") && text.ends_with("}\n"),
            "{text}"
        );
    }
}
