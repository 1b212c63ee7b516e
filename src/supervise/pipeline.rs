//! The interface between a supervisor and its caller.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::bridge::channel::{Rejection, Settings};
use crate::error::{Error, Result};
use crate::invocation::Ran;
use crate::launch::injected::Injected;
use crate::launch::resolve::ServerEnv;
use crate::launch::start::GuardLabel;
use crate::mint::LiveMints;
use crate::policy::Policy;
use crate::session::{Answered, ClientName, FailureText};

/// Everything that a launch needs.
#[derive(Debug)]
pub struct Prepared {
    pub policy: Policy,
    pub env: ServerEnv,
    /// The short-lived credentials that were made for it. Whoever drops them withdraws them.
    pub mints: LiveMints,
    /// How often its stores are asked for changes; `None`: never.
    pub poll: Option<Duration>,
    pub target: Target,
}

/// What is started.
#[derive(Debug)]
pub enum Target {
    Program {
        /// With the digest of its content.
        program: Ran,
        directory: PathBuf,
    },
    /// A bridge to a remote server.
    Remote {
        settings: Settings,
        /// When its OAuth token ends: seconds of Unix time.
        token_expires: Option<i64>,
    },
}

/// How a server exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerExit {
    Exited(i32),
    /// Killed by this signal.
    Died(i32),
}

impl ServerExit {
    /// The exit code in shell convention: 128 + n after signal n.
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

/// An event of a session, for the audit log and the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// mcpwrap exited before it started a server: the client disconnected or a signal arrived.
    Aborted,
    /// A server was started; its launch was recorded before.
    Launched {
        generation: u32,
        pid: i32,
        /// Whether it has a control group of its own.
        has_group: bool,
    },
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
    /// A new server failed to start.
    NotRenewed { error: Error },
}

/// What a failed call says about the credentials of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureJudgement {
    /// Nothing.
    Other,
    /// A service refused them, and there are no others.
    Refused,
    /// A service refused them, and there may be others.
    Replaceable,
}

/// The steps around a launch, which know policies, stores and the audit log.
pub trait Pipeline: Send + Sync {
    /// load → granted → command → pinned → resolve. May be slow: runs in its own thread. `is_fresh`: the
    /// values of stores are read again, although the session keeps them.
    fn prepare(&self, is_fresh: bool) -> Result<Prepared>;
    /// [`Self::prepare`] after the remote server refused the credentials of this launch.
    ///
    /// # Errors
    /// `credentials-refused` if there are no others.
    fn prepare_again(&self, rejection: &Rejection, injected: &[Injected]) -> Result<Prepared>;
    /// What [`Self::prepare`] waits for at the moment, if more time and the user can help.
    fn waits_for(&self) -> Option<Error>;
    /// Whether another attempt after this error may open a dialog of a store.
    fn asks_user(&self, error: &Error) -> bool;
    /// Whether a server may run, according to the files alone.
    fn may_run(&self) -> Result<()>;
    /// Whether an injected secret has changed, according to the secret index alone.
    fn is_outdated(&self, injected: &[Injected]) -> bool;
    /// Whether a store that is asked from time to time has another value than these. May be slow.
    ///
    /// # Errors
    /// Those of the stores.
    fn has_changed(&self, injected: &[Injected]) -> Result<bool>;
    /// What a failed call says about these credentials. Notes a refusal. May be slow.
    fn judge_failure(&self, failure: &FailureText, injected: &[Injected]) -> FailureJudgement;
    /// The network settings of the client that the server does not get.
    fn ignored_settings(&self) -> Vec<String>;
    /// Whether the replacement server answers while there is no server.
    fn has_stub(&self) -> bool;
    /// Records the launch. No record, no launch.
    fn record_launch(
        &self,
        prepared: &Prepared,
        generation: u32,
        client: &ClientName,
    ) -> Result<()>;
    /// Records the credentials that replace others in a running bridge. No record, no credentials.
    fn record_injections(&self, prepared: &Prepared, generation: u32) -> Result<()>;
    /// Records a fact and informs the user if necessary.
    fn record(&self, fact: &Fact);
    /// Records an answered request without blocking the caller.
    fn call(&self, answered: Answered);
}

impl fmt::Debug for dyn Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipeline")
    }
}

/// The parameters of a supervisor.
#[derive(Debug)]
pub struct Options {
    /// The server, the run, and whose it is.
    pub label: GuardLabel,
    pub pipeline: Arc<dyn Pipeline>,
    /// Files to watch: the grant, the policy, the secret index.
    pub watched: Vec<PathBuf>,
    /// The directory of the control socket.
    pub runtime: Option<PathBuf>,
    /// What the user of a client with this name does after a failed start.
    pub reconnect: fn(Option<&str>) -> &'static str,
}
