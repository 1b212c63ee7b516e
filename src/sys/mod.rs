//! The kernel: the only module with `unsafe` code.
//!
//! Thin safe wrappers, one topic a file. *Never* knows of servers, policies or secrets: a command is
//! argument and environment bytes here. What differs between Linux and macOS differs only here.

pub mod bounded;
pub mod fds;
pub mod files;
pub mod harden;
pub mod memory;
pub mod signal;
pub mod socket;
pub mod spawn;
pub mod tree;
pub mod user;
pub mod watch;

/// For a result that changes nothing whether it is good or bad; the caller says why.
pub fn ignore<T>(_result: T) {}

/// Whether this is macOS and not Linux.
pub const ON_MACOS: bool = cfg!(target_os = "macos");
