//! The kernel: the only module with `unsafe` code.
//!
//! Thin safe wrappers, one topic a file. *Never* knows of servers, policies or secrets: a command is
//! argument and environment bytes here. What differs between Linux and macOS differs only here.

pub mod bounded;
pub mod fds;
pub mod harden;
pub mod memory;
pub mod signal;
pub mod spawn;
pub mod tree;
pub mod user;

/// For a result that changes nothing whether it is good or bad; the caller says why.
pub fn ignore<T>(_result: T) {}
