//! Remote servers that are real: the reference server, fastmcp of both eras, nginx in front of them.
//!
//! `servers` starts them and `front` puts nginx before them. What a client sees is compared with
//! what it sees without mcpwrap in `transparent/remote.rs`.

mod front;
mod headers;
mod oauth;
pub(crate) mod servers;
mod session;
#[cfg(target_os = "linux")]
mod silence;
mod words;
