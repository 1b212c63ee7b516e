//! What happened: a log that answers, and that nobody can quietly change.
//!
//! JSON lines in `state/audit/`, one file a day, each record chained to the one before and sealed
//! with a key that lives in the store. *Always* written and synced before `append` returns: no
//! record, no launch. *Never* holds a value, a tool's arguments or a tool's result; it can name a
//! secret, never hold one. It sees edits, it does not prevent them: who runs as this user can
//! delete files, and `verify` says so. Nothing here prints, and nothing here opens a store.

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
