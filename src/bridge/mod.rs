//! The bridge: a process of its own between a session on stdio and a remote server on HTTP.
//!
//! It is this program again (`mcpwrap __bridge`), on one thread. It has neither a store nor a policy.
//! What it needs comes over a private socket (`channel`), and is replaced there when a credential
//! changes. Invariants: every request of the client is answered once; credentials go to the configured
//! origin only; nothing that the server sends decides how much memory is used.

mod address;
mod body;
pub mod channel;
mod connect;
mod control;
mod credentials;
mod deliver;
mod fault;
mod http;
mod legacy;
mod lines;
mod meter;
mod modern;
mod peer;
mod push;
mod requests;
mod run;
mod send;
mod server_text;
mod sse;
mod sse_link;
mod state;
mod stream;
mod streamable;
mod tools;
mod trust;

use std::process::ExitCode;

pub use self::channel::BRIDGE;

/// Runs a bridge until its client or its supervisor is gone.
pub fn main() -> ExitCode {
    match run::run() {
        Ok(code) => code,
        Err(why) => {
            state::say(&format!("mcpwrap: no bridge: {why}"));
            ExitCode::FAILURE
        }
    }
}
