//! The test of a server that runs and cannot run twice: its supervisor asks it, beside the client.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::fault::TrialFault;
use super::one::Trial;
use super::terms::{Introduction, TrialOrder};
use super::tools;
use crate::files::io_text;
use crate::supervise::running::Running;

const METHOD: &str = "tools/list";

/// Lists the tools of a running server. Nothing is started, and nothing ends.
pub fn ask(running: &Running, order: &TrialOrder) -> Trial {
    let began = Instant::now();
    let deadline = began + order.timeout;
    let mut introduction = Introduction {
        has_tools: true,
        ..Introduction::default()
    };
    let (mut first_answer, mut revision) = (None, None);
    let listed = tools::list(&introduction, |cursor| {
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = page(running, cursor, left)?;
        first_answer.get_or_insert_with(|| began.elapsed());
        let said = answer.get("revision").and_then(Value::as_str);
        revision = said.map(str::to_owned);
        if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
            return Err(TrialFault::of_answer(METHOD, error));
        }
        let page = answer.get("result").cloned().unwrap_or_default();
        let length = page.to_string().len();
        Ok((page, length))
    });
    introduction.protocol = revision;
    let (tools, failure) = match listed {
        Ok(tools) => (tools, None),
        Err(fault) => (Vec::new(), Some(fault.into_error(order, 0, None))),
    };
    Trial {
        introduction,
        tools,
        first_answer,
        total: began.elapsed(),
        session: running.pid(),
        end: None,
        foreign_lines: 0,
        failure,
        last_lines: Vec::new(),
    }
}

fn page(running: &Running, cursor: Option<&str>, left: Duration) -> Result<Value, TrialFault> {
    if left.is_zero() {
        return Err(TrialFault::Late(METHOD));
    }
    let answer = running
        .tools(cursor, left)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
                TrialFault::Late(METHOD)
            }
            _ => TrialFault::Wrong(format!(
                "its supervisor does not answer: {}",
                io_text(&error)
            )),
        })?;
    if answer.get("ok") == Some(&Value::Bool(true)) {
        return Ok(answer);
    }
    let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
    if text("code").is_empty() {
        let why = format!("its supervisor cannot ask it: {}", text("error"));
        return Err(TrialFault::Wrong(why));
    }
    Err(TrialFault::refused(
        text("code"),
        text("error"),
        text("hint"),
    ))
}
