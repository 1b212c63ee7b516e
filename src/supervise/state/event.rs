//! The keeper's input (events) and output (actions). Plain data: servers, preparations and requests
//! are numbers; the driver has the objects.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::shutdown::ShutdownStep;
use crate::error::{Error, Result};
use crate::policy::SessionRules;
use crate::supervise::pipeline::{Fact, ServerExit};
use crate::supervise::request::ControlVerb;

/// An event for the keeper.
#[derive(Debug)]
pub(in crate::supervise) enum KeeperEvent {
    /// The beginning: there is no server yet.
    Start,
    /// Time has passed; due timers are handled.
    Tick,
    /// The first line of the client arrived.
    ClientSpoke,
    /// The client closed our stdin; earlier lines may still be held.
    InputEnded,
    /// The client closed our stdin and all its lines were passed on; whether it waits for answers.
    InputPassed { awaited: bool },
    /// Nobody reads our stdout, or the process of the client is gone.
    ClientGone,
    /// This process got a signal.
    Signalled(Signal),
    /// A watched file has changed, or may have.
    Changed,
    /// A request of another command through the control socket.
    Asked { request: u32, verb: ControlVerb },
    /// The steps before a launch are done. The driver keeps the result under this number.
    Prepared {
        attempt: u32,
        result: Result<SessionRules>,
    },
    /// A new server answered the handshake. `Err`: why it cannot take over.
    HandshakeDone {
        generation: u32,
        judgement: std::result::Result<(), String>,
    },
    /// A new server has answered all replayed requests.
    Replayed { generation: u32 },
    /// The last request in flight was answered.
    Drained,
    /// The repeated requests were written to a new server.
    Resent { generation: u32 },
    /// A server used a secret as the ID of a message; the masked ID fits no request.
    SecretInId { generation: u32 },
    /// The stdout of a server ended, so it can no longer answer.
    OutputEnded { generation: u32 },
    /// A stream of a server ended and was passed on completely.
    StreamEnded { generation: u32 },
    /// The server's own process exited.
    Exited { generation: u32, exit: ServerExit },
    /// No process of a server is alive.
    Gone { generation: u32 },
    /// The last lines of a session were written.
    Flushed,
    /// Answers [`Action::CheckGrant`].
    GrantChecked { generation: u32, result: Result<()> },
    /// Answers [`Action::RecordLaunch`].
    LaunchRecorded { generation: u32, result: Result<()> },
    /// Answers [`Action::Launch`]: whether a handshake was sent. There is none to repeat before the
    /// client's own.
    Launched {
        generation: u32,
        result: Result<Handshake>,
    },
    /// Answers [`Action::LookAtFiles`]: whether a server may run, and which one has outdated
    /// values.
    FilesSeen {
        grant: Result<()>,
        outdated: Option<u32>,
        /// New credentials are being fetched for a bridge; [`Self::CredentialsReplaced`] follows.
        updating: bool,
    },
    /// A running bridge got new credentials after this time, or there are none.
    CredentialsReplaced {
        generation: u32,
        result: Result<Duration>,
    },
    /// Answers [`Action::LookAtOutput`]: whether output was read but not yet written to the client.
    OutputSeen { generation: u32, is_busy: bool },
    /// Answers [`Action::LookAtPreparation`]: what it waits for, if that is known.
    PreparationSeen {
        attempt: u32,
        waits_for: Option<Error>,
    },
    /// Answers [`Action::ExplainEnd`].
    EndExplained { generation: u32, end: ServerEnd },
}

/// Whether mcpwrap sent a handshake to a new server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Handshake {
    Sent,
    /// The client will send it.
    NotNeeded,
}

/// What is known about a server that exited by itself.
#[derive(Clone, Debug)]
pub(in crate::supervise) struct ServerEnd {
    /// Whether a server may run; this one may have been killed by a revocation.
    pub grant: Result<()>,
    /// Whether the client had finished its handshake.
    pub established: bool,
    /// Whether the client waits for an answer.
    pub awaited: bool,
    /// The last lines of stderr, masked.
    pub last_lines: Vec<String>,
    /// The network settings of the client that it did not get.
    pub ignored: Vec<String>,
}

/// What the driver does, in order. The answer to a question is the next event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Action {
    /// Prepare a launch in a thread.
    Prepare {
        attempt: u32,
        /// Whether the values of stores are read again, although the session keeps them.
        is_fresh: bool,
    },
    /// Drop the result of this preparation.
    DropPrepared {
        attempt: u32,
    },
    /// Question: may a server run, according to the files?
    CheckGrant {
        generation: u32,
    },
    /// Question: record the launch. No record, no launch.
    RecordLaunch {
        attempt: u32,
        generation: u32,
    },
    /// Question: start the server and send the handshake.
    Launch {
        attempt: u32,
        generation: u32,
    },
    /// Send the lines after the handshake.
    Replay {
        generation: u32,
    },
    /// This server is no longer a candidate: drop its lines.
    Abandon {
        generation: u32,
    },
    /// Hold the client's lines.
    HoldGate,
    /// Pass the client's lines to this server.
    OpenGate {
        generation: u32,
    },
    /// Accept no more lines of the client.
    CloseGate,
    /// Hold the client's requests; this server gets what it needs to answer the last ones.
    Drain {
        generation: Option<u32>,
    },
    /// Report when every request is answered.
    AwaitAnswers,
    /// Give the session and the unanswered requests to this server. The gate stays held.
    TakeOver {
        generation: u32,
    },
    /// Answer all open and future requests with this error, or through the replacement server if
    /// allowed here and by the policy.
    AnswerAll {
        error: Error,
        stand_in: StandIn,
    },
    /// Forget the requests of servers to the client.
    ForgetQuestions,
    /// Write the posted lines to the client.
    Flush,
    /// The same, and report when done.
    FlushLast,
    CloseStdin {
        generation: u32,
    },
    /// Take a step to end a server.
    Stop {
        generation: u32,
        step: ShutdownStep,
    },
    /// Forward a signal that does not end the server.
    Forward {
        generation: u32,
        signal: Signal,
    },
    /// Question: is output of this exited server still being written to the client?
    LookAtOutput {
        generation: u32,
    },
    /// Question: what does this preparation wait for?
    LookAtPreparation {
        attempt: u32,
    },
    /// Question: why did this server exit?
    ExplainEnd {
        generation: u32,
    },
    /// Record the exit of this server and forget it, but keep masking its values.
    Reap {
        generation: u32,
        exit: ServerExit,
        ran: Duration,
    },
    /// Question: what do the files say now, also about the values of this server, if any?
    LookAtFiles {
        generation: Option<u32>,
    },
    /// Record a fact in the audit log and inform the user.
    Record(Fact),
    /// Answer a request of the control socket.
    Reply {
        request: u32,
        reply: ControlReply,
    },
    /// Release the memory that a launch needed.
    Trim,
    /// Exit with this code.
    Exit(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum StandIn {
    Allowed,
    Never,
}

/// An answer to another command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum ControlReply {
    Status,
    Renewed,
    NotRenewed(Error),
    /// Whether a server runs, and how long it took until no revoked one was alive.
    Checked {
        running: bool,
        took: Duration,
    },
    /// The supervisor exited before.
    Ended,
}
