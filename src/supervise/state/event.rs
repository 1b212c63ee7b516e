//! What the keeper is told, and what it wants done. Plain data: servers, preparations and requests
//! are numbers here, and only the driver has what stands behind a number.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::shutdown::ShutdownStep;
use crate::error::{Error, Result};
use crate::policy::SessionRules;
use crate::supervise::pipeline::{Fact, ServerExit};
use crate::supervise::request::ControlVerb;

/// What happened. The list is closed.
#[derive(Debug)]
pub(in crate::supervise) enum KeeperEvent {
    /// Begin: there is no server yet.
    Start,
    /// Time has passed: what is due is done.
    Tick,
    /// The first line of the client has come.
    ClientSpoke,
    /// The client closed our stdin; what it said before may still be held.
    InputEnded,
    /// The client closed our stdin and all it said was passed on, or it closed our stdout.
    ClientGone,
    /// We got this signal.
    Signalled(Signal),
    /// A watched file has changed, or may have.
    Changed,
    /// Another command asks through the control socket.
    Asked { request: u32, verb: ControlVerb },
    /// The steps before a launch are done. The driver keeps what was prepared under this number.
    Prepared {
        attempt: u32,
        result: Result<SessionRules>,
    },
    /// A new server answered the handshake; an error says why it cannot take over.
    HandshakeDone {
        generation: u32,
        judgement: std::result::Result<(), String>,
    },
    /// A new server has answered all that was replayed to it.
    Replayed { generation: u32 },
    /// The last request in flight was answered.
    Drained,
    /// A new server has got what it had to get before anything else.
    Resent { generation: u32 },
    /// A server put a secret in the id of a message, which was masked and so fits no request.
    SecretInId { generation: u32 },
    /// The stdout of a server ended: it answers nobody any more.
    OutputEnded { generation: u32 },
    /// A stream of a server ended, and all of it was passed on.
    StreamEnded { generation: u32 },
    /// The server's own process ended.
    Exited { generation: u32, exit: ServerExit },
    /// No process of a server is alive.
    Gone { generation: u32 },
    /// The last lines of a session were written.
    Flushed,
    /// Answers [`Action::CheckGrant`].
    GrantChecked { generation: u32, result: Result<()> },
    /// Answers [`Action::RecordLaunch`].
    LaunchRecorded { generation: u32, result: Result<()> },
    /// Answers [`Action::Launch`]: whether a handshake was sent. If the client has not begun, there is
    /// nothing to repeat.
    Launched {
        generation: u32,
        result: Result<Handshake>,
    },
    /// Answers [`Action::LookAtFiles`]: may a server run, and which one has outdated values.
    FilesSeen {
        grant: Result<()>,
        outdated: Option<u32>,
    },
    /// Answers [`Action::LookAtOutput`]: something was read that the client has not got yet.
    OutputSeen { generation: u32, is_busy: bool },
    /// Answers [`Action::ExplainEnd`].
    EndExplained { generation: u32, end: ServerEnd },
}

/// Whether a new server was greeted in the client's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Handshake {
    Sent,
    /// The client will do it itself.
    NotNeeded,
}

/// What there is to know of a server that ended by itself.
#[derive(Clone, Debug)]
pub(in crate::supervise) struct ServerEnd {
    /// Whether a server may run: this one may have been killed because it may not.
    pub grant: Result<()>,
    /// Whether the client had what it needs to work.
    pub established: bool,
    /// Whether the client waits for an answer.
    pub awaited: bool,
    /// Of stderr, masked.
    pub last_lines: Vec<String>,
}

/// What the driver does, in this order. Five actions are questions: their answer is the next event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum Action {
    /// Do the steps before a launch, in a thread.
    Prepare {
        attempt: u32,
    },
    /// What was prepared is not wanted: forget it.
    DropPrepared {
        attempt: u32,
    },
    /// Question: may a server run, by the files?
    CheckGrant {
        generation: u32,
    },
    /// Question: write the launch down. No record, no launch.
    RecordLaunch {
        attempt: u32,
        generation: u32,
    },
    /// Question: start the server, and send it the handshake.
    Launch {
        attempt: u32,
        generation: u32,
    },
    /// Send what follows the handshake.
    Replay {
        generation: u32,
    },
    /// A candidate lost its chance: its lines reach nobody.
    Abandon {
        generation: u32,
    },
    /// The client's lines wait.
    HoldGate,
    /// The client's lines go to this server.
    OpenGate {
        generation: u32,
    },
    /// The client's lines are not taken any more.
    CloseGate,
    /// The client's requests wait, and this server gets what it needs to answer the last ones.
    Drain {
        generation: Option<u32>,
    },
    /// This server gets the session, and what the last one left unanswered. The gate is held.
    TakeOver {
        generation: u32,
    },
    /// Answer what is open, and from now on what comes, with this; or with the stand-in, if it may
    /// and the policy wants it.
    AnswerAll {
        error: Error,
        stand_in: StandIn,
    },
    /// What servers asked the client is forgotten.
    ForgetQuestions,
    /// Write to the client what was posted.
    Flush,
    /// The same, and tell when it is done.
    FlushLast,
    CloseStdin {
        generation: u32,
    },
    /// Make a server end.
    Stop {
        generation: u32,
        step: ShutdownStep,
    },
    /// Hand a signal on, without any intent to end.
    Forward {
        generation: u32,
        signal: Signal,
    },
    /// Question: is output of this ended server still on its way to the client?
    LookAtOutput {
        generation: u32,
    },
    /// Question: what is known of the end of this server?
    ExplainEnd {
        generation: u32,
    },
    /// The server is over: write it down and forget it, but go on masking what it had.
    Reap {
        generation: u32,
        exit: ServerExit,
        ran: Duration,
    },
    /// Question: what do the files say now? If a server is named, also of its values.
    LookAtFiles {
        generation: Option<u32>,
    },
    /// For the audit log and the user.
    Record(Fact),
    /// Answer a request of the control socket.
    Reply {
        request: u32,
        reply: ControlReply,
    },
    /// Give back the memory that a launch needed.
    Trim,
    /// The end.
    Exit(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum StandIn {
    Allowed,
    Never,
}

/// What is answered to another command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum ControlReply {
    Status,
    Renewed,
    NotRenewed(Error),
    /// Whether a server runs, and how long it took until no unwanted one did.
    Checked {
        running: bool,
        took: Duration,
    },
    /// The supervisor ended first.
    Ended,
}
