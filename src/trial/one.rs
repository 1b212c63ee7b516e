//! The test of one server, in a session of its own.
//!
//! Invariant: nothing is special about this session. The grant, the records, the masking and the fence are
//! those of every other.

use std::ffi::OsStr;
use std::time::{Duration, Instant};

use super::child::{ChildEnd, RunChild};
use super::fault::TrialFault;
use super::talk::Conversation;
use super::terms::{Introduction, OfferedTool, TrialOrder};
use super::tools;
use crate::error::{Code, Error};
use crate::files::io_text;
use crate::sys::spawn;

/// How long the server may take to end, with the withdrawal of its credentials.
const END_LIMIT: Duration = Duration::from_secs(10);
/// How many lines of stderr are kept after a failure.
const LINES: usize = 10;

/// The result of one test.
#[derive(Debug)]
pub struct Trial {
    pub introduction: Introduction,
    pub tools: Vec<OfferedTool>,
    /// From the start to the first answer.
    pub first_answer: Option<Duration>,
    /// From the start to the end.
    pub total: Duration,
    /// The supervisor whose session was asked instead of a start.
    pub session: Option<i32>,
    /// How `mcpwrap run` ended; `None` if it was not started.
    pub end: Option<ChildEnd>,
    /// How many lines were not messages.
    pub foreign_lines: usize,
    /// Why there are no tools.
    pub failure: Option<Error>,
    /// The last lines of stderr, after a failure.
    pub last_lines: Vec<String>,
}

impl Trial {
    /// The result without a start.
    pub fn not_started(failure: Error, total: Duration) -> Self {
        Self {
            introduction: Introduction::default(),
            tools: Vec::new(),
            first_answer: None,
            total,
            session: None,
            end: None,
            foreign_lines: 0,
            failure: Some(failure),
            last_lines: Vec::new(),
        }
    }
}

/// Starts the server, lists its tools and ends it.
pub fn run(order: &TrialOrder) -> Trial {
    let began = Instant::now();
    let mut child = match start(order) {
        Ok(child) => child,
        Err(error) => {
            let failure = Error::new(Code::LaunchFailed, "cannot start `mcpwrap run`");
            let failure = failure.cause(io_text(&error));
            return Trial::not_started(failure, began.elapsed());
        }
    };
    let mut talk = Conversation::new(&mut child, began, order.timeout);
    let mut introduction = Introduction::default();
    let listed = talk.introduce(&mut introduction).and_then(|()| {
        let tools = tools::list(&introduction, |cursor| talk.page(&introduction, cursor))?;
        talk.refuse_stand_in(&introduction, &tools)?;
        Ok(tools)
    });
    let (mut first_answer, foreign_lines) = (talk.first_answer, talk.foreign_lines);
    if introduction.protocol.is_none() && matches!(listed, Err(TrialFault::Refused(_))) {
        // Not an answer of the server.
        first_answer = None;
    }
    let end = child.end(END_LIMIT);
    let total = began.elapsed();
    let (tools, failure) = match listed {
        Ok(tools) => (tools, None),
        Err(fault) => (Vec::new(), Some(fault)),
    };
    let last_lines = match &failure {
        Some(fault) => without_refusal(child.last_lines(LINES), fault),
        None => Vec::new(),
    };
    Trial {
        introduction,
        tools,
        first_answer,
        total,
        session: None,
        end: Some(end),
        foreign_lines,
        failure: failure.map(|fault| fault.into_error(order, foreign_lines, Some(end))),
        last_lines,
    }
}

fn start(order: &TrialOrder) -> std::io::Result<RunChild> {
    let mut arguments = vec![OsStr::new("run")];
    if let Some(profile) = &order.profile {
        arguments.extend(["--profile", profile.as_str()].map(OsStr::new));
    }
    arguments.push(OsStr::new(order.server.as_str()));
    RunChild::new(spawn::own_as_client(&arguments)?)
}

/// Without the lines that say the same as the refusal.
fn without_refusal(mut lines: Vec<String>, fault: &TrialFault) -> Vec<String> {
    if matches!(fault, TrialFault::Refused(_)) {
        lines.retain(|line| {
            let said = line.strip_prefix("mcpwrap: ").unwrap_or_default();
            !["error[", "cause: ", "hint: ", "       "]
                .iter()
                .any(|head| said.starts_with(head))
        });
    }
    lines
}
