//! Safe wrappers of system calls: the only module with `unsafe` code.
//!
//! Invariants: nothing here knows servers, policies or secrets; a command is argument and
//! environment bytes. Differences between Linux and macOS are in this module only.

pub mod ancestors;
pub mod bounded;
pub mod browser;
pub mod captured;
pub mod cgroup;
pub mod clock;
pub mod clone;
pub mod exec;
pub mod far_end;
pub mod fds;
pub mod fence;
pub mod files;
pub mod harden;
pub mod lasting;
pub mod loader;
pub mod memory;
pub mod signal;
pub mod socket;
pub mod spawn;
pub mod stderr;
pub mod table;
pub mod tree;
pub mod trusted;
pub mod user;
pub mod wall;
pub mod watch;

/// Ignores a result that does not matter; the caller says why.
pub fn ignore<T>(_result: T) {}

/// Whether this is macOS and not Linux.
pub const ON_MACOS: bool = cfg!(target_os = "macos");
