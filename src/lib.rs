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
pub mod error;
pub mod suggest;
pub mod serde_words;
pub mod secret;
pub mod dirs;
pub mod files;
pub mod config;
pub mod sys;

// ── the data path of `mcpwrap run`, in order
pub mod policy;
pub mod package;
pub mod store;
pub mod grant;
pub mod resolve;
pub mod guard;
pub mod launch;
pub mod mask;
pub mod session;
pub mod audit;
pub mod supervise;

// ── known things
pub mod shipped;
pub mod client;
pub mod detect;
pub mod check;

// ── verbs
pub mod cli;
