//! Starts a server as a client does, with `mcpwrap run`, and lists its tools.
//!
//! Invariant: memory and time are bounded, whatever the server answers.

pub mod child;
mod fault;
mod one;
pub mod session;
mod several;
mod talk;
mod terms;
mod tools;

pub use self::one::{Trial, run};
pub use self::several::several;
pub use self::terms::{AGAIN, CLIENT, OfferedTool, TrialOrder};
