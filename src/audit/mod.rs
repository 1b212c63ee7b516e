//! The tamper-evident audit log.
//!
//! JSON lines in `state/audit/`, one file per day. Each record is chained to the one before and
//! sealed with a key from the store. Any program of this user can delete files; `verify`
//! detects that, but for what `anchor` describes.
//!
//! Invariants: a record is on disk before `append` returns (no record, no launch). Records name
//! secrets, and contain no values, tool arguments or tool results. This module does not print, and
//! callers open the store.

pub mod anchor; // the head in the store
pub mod breaks; // changes that were found
pub mod calls; // tool calls, written by a thread of their own
pub mod disk; // segments, lock, note of the head
pub mod end; // finds the last record, and repairs a torn line
pub mod event; // what a record says
pub mod export; // CSV, OCSF, OTLP
pub mod forward; // copies to syslog and journald
pub mod head; // number and hash of the last record
pub mod holders; // who holds a secret
pub mod journal; // anchors in the systemd journal
pub mod life; // compression and retention
pub mod log; // appends
pub mod query; // searches
pub mod read; // reads segments, compressed ones too
pub mod record; // the line, its hash and its seal
pub mod release; // a secret that leaves without a server
pub mod report; // the result of a verification
pub mod runs; // the runs whose processes may be alive
pub mod text; // escapes external texts
pub mod uses; // which secrets were used
pub mod verify; // detects changes

#[cfg(test)]
mod tests;

pub use calls::CallLog;
pub use event::{ClientIdentity, Detail, Event, NewRecord, Outcome, RunId, SecretUse};
pub use head::Head;
pub use log::Log;
pub use record::{Hash, Record};
pub use release::Destination;
