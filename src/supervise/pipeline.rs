//! What a supervisor needs from whoever starts it, and what it tells them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::error::{Error, Result};
use crate::launch::resolve::{Injected, ServerEnv};
use crate::policy::Policy;
use crate::secret::ServerName;
use crate::session::{Answered, ClientName};

/// Everything that a launch needs.
#[derive(Debug)]
pub struct Prepared {
    pub policy: Policy,
    pub env: ServerEnv,
    /// The program, where a pinned package knows it.
    pub program: Option<PathBuf>,
    pub directory: Option<PathBuf>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerExit {
    Exited(i32),
    /// Of this signal.
    Died(i32),
}

impl ServerExit {
    /// The exit code that says so, as the shell has it.
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(code) => u8::try_from(code & 0xff).unwrap_or(1),
            Self::Died(signal) => u8::try_from(128 + (signal & 0x7f)).unwrap_or(1),
        }
    }
}

impl fmt::Display for ServerExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Died(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "was killed by {}", signal.as_str()),
                Err(_) => write!(f, "was killed by signal {number}"),
            },
        }
    }
}

/// What happened to a session, for the audit log and the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// mcpwrap ended before it started a server, because the client left or a signal came.
    Aborted,
    /// A server was started; the record of its launch came before.
    Launched { generation: u32, pid: i32 },
    /// The session has no server now.
    Suspended(Error),
    Exited {
        generation: u32,
        pid: i32,
        status: ServerExit,
        ran: Duration,
        client: ClientName,
    },
    Renewed {
        generation: u32,
        took: Duration,
        cause: &'static str,
    },
    /// A new server did not come up.
    NotRenewed { error: Error },
}

/// The steps around a launch. They know policies, stores and the audit log; this module does not.
pub trait Pipeline: Send + Sync {
    /// load → granted → command → pinned → resolve. May take its time: runs in a thread of its own.
    fn prepare(&self) -> Result<Prepared>;
    /// Whether a server may run, by the files alone.
    fn standing(&self) -> Result<()>;
    /// Whether a secret that was injected has another value now, by the index alone.
    fn is_outdated(&self, injected: &[Injected]) -> bool;
    /// Whether the stand-in server answers when there is none.
    fn has_stub(&self) -> bool;
    /// Writes the launch down. No record, no launch.
    fn record_launch(
        &self,
        prepared: &Prepared,
        generation: u32,
        client: &ClientName,
    ) -> Result<()>;
    /// Writes a fact down, and tells the user what they should know of it.
    fn record(&self, fact: &Fact);
    /// Writes an answered request down, without delay for the caller.
    fn call(&self, answered: Answered);
}

impl fmt::Debug for dyn Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipeline")
    }
}

/// What a supervisor is started with.
#[derive(Debug)]
pub struct Options {
    pub server: ServerName,
    pub pipeline: Arc<dyn Pipeline>,
    /// Files whose change matters: the grant, the policy, the index of the secrets.
    pub watched: Vec<PathBuf>,
    /// Where the control socket goes.
    pub runtime: Option<PathBuf>,
}
