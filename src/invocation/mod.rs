//! What a policy's command means on this machine: which files run, where, and with which variables.
//!
//! A command is only words: who chooses PATH, HOME or the working directory chooses what they start.
//! So a grant seals what they mean in the user's terminal, and `run` uses that and nothing of the
//! client's.
//!
//! Invariants: a sealed file is compared before each start, by its path if only root can change it
//! and by its content otherwise. What a program loads by itself is not covered; `uncovered` says so.

mod account;
mod compared;
mod container;
mod digests;
mod directory;
mod file;
mod interpreter;
mod interpreters;
mod managed;
mod module;
mod resolve;
mod sealed;
mod search_path;
mod shebang;
mod shim;
mod shown_store;
mod stores;
mod terminal;
mod uncovered;
mod verify;
mod version;

pub use self::directory::{DirectoryUse, directory_use};
pub use self::file::SealedFile;
pub use self::managed::managed;
pub use self::resolve::{resolve, resolve_for_grant};
pub use self::sealed::{Invocation, Resolved};
pub use self::shown_store::ShownStore;
pub use self::stores::shown_stores;
pub use self::terminal::{Terminal, locate};
pub use self::uncovered::uncovered;
pub use self::verify::Ran;
