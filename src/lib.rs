//! A credential-injecting process launcher for MCP servers.
//!
//! `mcpwrap run SERVER` loads the server's policy, checks that it is granted, resolves the secrets it
//! names from the secret store, starts the real server with a scrubbed environment plus those secrets,
//! relays its stdio, masks the secrets in what it says, and logs each injection. It stays: to end the
//! server when its policy is revoked, and to put a new one behind the live session when a secret is
//! rotated.
//!
//! The order of the modules is the architecture: a module may use only the ones declared above it.
//! `docs/architecture.md` says what each is for, and `tests/tidy` keeps its rules.

// ── foundation: knows nothing of servers, policies or clients
pub(crate) mod error; // what did not happen, why, what to do
pub(crate) mod suggest; // the nearest known name
pub(crate) mod serde_words; // serde error messages, parsed
pub(crate) mod secret; // values and names
pub(crate) mod reference; // where a value comes from
pub(crate) mod expiry; // when a value ends
pub(crate) mod weak; // values that cannot be masked
pub(crate) mod dirs; // every path and variable that is read
pub(crate) mod files; // private files, replaced as a whole
pub(crate) mod parallel; // work in several threads
pub(crate) mod env_file; // files of variables
pub(crate) mod links; // files of the user behind symlinks
pub(crate) mod authorities; // certificate authorities that are trusted
pub(crate) mod host; // hosts in URLs
pub(crate) mod tls_words; // what is wrong with an encrypted connection
pub(crate) mod jwt; // signed statements
pub(crate) mod config; // config.toml
pub(crate) mod sys; // the kernel
pub(crate) mod https; // HTTP clients of mcpwrap itself

// ── what may run
pub(crate) mod store; // reads and writes secrets
pub(crate) mod policy; // what one server may have and run
pub(crate) mod package; // what a command line starts, installed and verified
pub(crate) mod invocation; // what a command means on this machine
pub(crate) mod clipboard; // a value that was copied
pub(crate) mod audit; // the tamper-evident audit log
pub(crate) mod network; // the network settings of servers, sealed
pub(crate) mod grant; // the user's approval of a policy, sealed
pub(crate) mod session_lock; // no server runs
pub(crate) mod settings; // settings that widen what is allowed, sealed
pub(crate) mod program; // the path of mcpwrap in client configs, and its copy

// ── how it runs
pub(crate) mod session; // one client's JSON-RPC session
pub(crate) mod bridge; // a remote server behind stdio
pub(crate) mod oauth; // tokens of remote servers: log in, refresh, log out
pub(crate) mod mint; // short-lived credentials
pub(crate) mod launch; // resolve, guard, start
pub(crate) mod suspects; // credentials that look refused
pub(crate) mod mask; // masks secrets in output
pub(crate) mod supervise; // keeps a server behind the session
pub(crate) mod trial; // starts a server as a client does, and lists its tools
pub(crate) mod drill; // tests the kill switch

// ── what is known
pub(crate) mod catalog; // known servers
pub(crate) mod client; // MCP clients and their config files
pub(crate) mod detect; // is this value a secret
pub(crate) mod check; // rules about facts
pub(crate) mod scan; // the facts of this machine or a repository
pub(crate) mod probe; // asks a provider whether a credential is valid

// ── operations: recorded changes, without a terminal
pub(crate) mod ops; // approve, revoke, store, set up, pin
pub(crate) mod adopt; // move secrets out of client configs, and restore them
pub(crate) mod uninstall; // removes everything

// ── command line
pub(crate) mod cli; // arguments, questions, printing

#[doc(hidden)]
pub mod testing;

pub use self::bridge::{BRIDGE, main as bridge};
pub use self::cli::main;
pub use self::launch::guard::main as guard;
pub use self::oauth::exchange::{EXCHANGE, main as exchange};
pub use self::oauth::later::{REVOKE, main as revoke};
pub use self::oauth::refresh::{REFRESH, main as refresh};

/// The first argument of this program when it is started as the guard of a server.
pub use self::sys::spawn::GUARD;
