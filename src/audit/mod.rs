//! The audit log: what happened, in a form that reveals changes.
//!
//! JSON lines in `state/audit/`, one file per day. Each record is chained to the one before and
//! sealed with a key from the store. A program of this user can delete files; `verify` detects that.
//!
//! Invariants: a record is on disk before `append` returns (no record, no launch). Records name
//! secrets, and contain no values, tool arguments or tool results. Nothing here prints or opens a
//! store.

pub mod anchor;
pub mod breaks;
pub mod calls;
pub mod disk;
pub mod end;
pub mod event;
pub mod export;
pub mod forward;
pub mod head;
pub mod holders;
pub mod life;
pub mod log;
pub mod query;
pub mod read;
pub mod record;
pub mod text;
pub mod uses;
pub mod verify;

#[cfg(test)]
mod tests;

pub use calls::CallLog;
pub use event::{ClientIdentity, Detail, Event, NewRecord, Outcome, RunId, SecretUse};
pub use head::Head;
pub use log::Log;
pub use record::{Hash, Record};
