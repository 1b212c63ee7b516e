//! A credential-injecting process launcher for MCP servers.
//!
//! `mcpwrap run SERVER` takes the secrets that the server's policy names from the keychain, starts
//! the real server with a scrubbed environment plus those secrets, relays its stdio, masks the
//! secrets in what it says, writes down each injection, and stays: to end the server when its
//! policy is revoked, and to put a new one behind the live session when a secret is rotated.
//!
//! The order of the modules is the architecture: a module may use only the ones declared above it.
//! A test keeps that, and the other rules of `docs/architecture.md`.

// ── ground: knows nothing of servers, policies or clients
pub(crate) mod error;
pub(crate) mod suggest;
pub(crate) mod serde_words;
pub(crate) mod secret;
pub(crate) mod dirs;
pub(crate) mod files;
pub(crate) mod config;
pub(crate) mod sys;

// ── what may run
pub(crate) mod policy;
pub(crate) mod package;
pub(crate) mod store;
pub(crate) mod audit;
pub(crate) mod grant;

// ── how it runs
pub(crate) mod launch;
pub(crate) mod mask;
pub(crate) mod session;
pub(crate) mod supervise;
pub(crate) mod drill;

// ── what is known
pub(crate) mod catalog;
pub(crate) mod client;
pub(crate) mod detect;
pub(crate) mod check;
pub(crate) mod scan;
pub(crate) mod probe;

// ── acts: what changes something and is recorded; no terminal
pub(crate) mod ops;
pub(crate) mod adopt;

// ── faces
pub(crate) mod cli;

#[doc(hidden)]
pub mod testing;

pub use self::cli::main;
pub use self::launch::guard::main as guard;

/// The first argument of this program when it is started as the guard of a server.
pub use self::sys::spawn::GUARD;
