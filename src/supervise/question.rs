//! Questions of other commands to the running server, between the lines of its client.
//!
//! Invariants: the client sees neither the question nor the answer; a question is never written into a
//! line of the client, and never waits for the server with the session locked; an answer is masked.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};

use super::request::VERSION;
use super::shared::{Gate, Inner, Shared};
use crate::mask::MessageMask;

/// A longer answer passes to the client, as every line that is too long to keep (bytes).
pub(super) const ANSWER_BYTES_MAX: usize = 16 << 20;
/// A pipe that has room takes so much at once (bytes).
const LINE_BYTES_MAX: usize = nix::libc::PIPE_BUF;
/// How long the session may be busy, and the server may take to answer.
const LIMIT: Duration = Duration::from_mins(1);
/// How often a busy session is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How often it is looked at whether the server that was asked is still there.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Asks the server for a page of its tools; returns the answer to the other command.
pub(super) fn ask(shared: &Shared, cursor: Option<&str>) -> Value {
    let deadline = Instant::now() + LIMIT;
    let (number, revision, answer) = loop {
        match try_to_ask(&mut shared.lock(), cursor) {
            Ok(Some(asked)) => break asked,
            Ok(None) if Instant::now() < deadline => {}
            Ok(None) => return refused("the session is busy"),
            Err(reply) => return reply,
        }
        std::thread::sleep(LOOK);
    };
    let line = wait(shared, number, &answer, deadline);
    {
        let mut inner = shared.lock();
        inner.questions.remove(&number);
        inner.session.forget_question(number);
    }
    let message = line.and_then(|line| serde_json::from_slice(&line).ok());
    let Some(Value::Object(mut message)) = message else {
        return refused("the server did not answer");
    };
    json!({
        "v": VERSION, "ok": true, "revision": revision,
        "result": message.remove("result"), "error": message.remove("error"),
    })
}

/// Waits for the answer, while its server has the session.
fn wait(
    shared: &Shared,
    number: u64,
    answer: &Receiver<Vec<u8>>,
    deadline: Instant,
) -> Option<Vec<u8>> {
    while Instant::now() < deadline {
        match answer.recv_timeout(LOOK_AGAIN) {
            Ok(line) => return Some(line),
            Err(_) if shared.lock().session.waits_for(number) => {}
            // It may just have arrived.
            Err(_) => return answer.try_recv().ok(),
        }
    }
    None
}

fn refused(why: &str) -> Value {
    json!({"v": VERSION, "ok": false, "error": why})
}

type OpenQuestion = (u64, Option<String>, Receiver<Vec<u8>>);

/// Writes the question, if there is a server and nothing else is being written to it.
fn try_to_ask(inner: &mut Inner, cursor: Option<&str>) -> Result<Option<OpenQuestion>, Value> {
    let server = match &inner.gate {
        Gate::Open(server) => Arc::clone(server),
        Gate::Held | Gate::Draining(_) => return Ok(None),
        Gate::Closed => return Err(refused("ended")),
        Gate::Answer { trouble, .. } => {
            return Err(json!({
                "v": VERSION, "ok": false,
                "code": trouble.code, "error": trouble.text, "hint": trouble.hint,
            }));
        }
    };
    if inner.writing || !has_room(&server) {
        return Ok(None);
    }
    let Some((number, line)) = inner.session.ask_for_tools(cursor) else {
        return Err(refused("its client has not finished the handshake"));
    };
    if line.len() > LINE_BYTES_MAX {
        inner.session.forget_question(number);
        return Err(refused("the question is too long"));
    }
    // An error means that the server is gone; its guard reports that.
    drop((&*server).write_all(&line));
    let (sender, answer) = sync_channel(1);
    inner.questions.insert(number, sender);
    Ok(Some((number, inner.session.revision(), answer)))
}

/// Whether a short line can be written at once.
fn has_room(server: &File) -> bool {
    let mut polled = [PollFd::new(server.as_fd(), PollFlags::POLLOUT)];
    let ready = poll(&mut polled, PollTimeout::ZERO);
    let [polled] = polled;
    ready.is_ok()
        && polled
            .revents()
            .is_some_and(|found| found.contains(PollFlags::POLLOUT))
}

/// Gives an answer to who waits for it.
pub(super) fn answered(inner: &mut Inner, number: u64, line: &[u8]) {
    let Some(sender) = inner.questions.remove(&number) else {
        return;
    };
    let mut masked = Vec::new();
    MessageMask::new(Arc::clone(&inner.masker)).write(line, &mut masked);
    // Nobody waits any longer.
    drop(sender.try_send(masked));
}
