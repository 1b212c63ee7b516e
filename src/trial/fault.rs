//! Why a test failed.

use serde_json::Value;

use super::child::{ChildEnd, LINE_BYTES_MAX};
use super::terms::{AGAIN, TrialOrder};
use crate::error::{Code, Error};

/// See the module.
#[derive(Debug)]
pub enum TrialFault {
    /// mcpwrap answered instead of a server.
    Refused(Box<Error>),
    /// The server answered with an error.
    Answered {
        method: &'static str,
        code: i64,
        message: String,
    },
    /// No answer in time.
    Late(&'static str),
    /// The session ended before the answer.
    Ended(&'static str),
    TooLong(&'static str),
    /// An answer that clients do not accept.
    Wrong(String),
}

/// The longest text of a server that is shown (characters).
const TEXT_MAX: usize = 500;

impl TrialFault {
    /// Reads the error of an answer.
    pub(super) fn of_answer(method: &'static str, error: &Value) -> Self {
        let text = |key: &str, of: &Value| of.get(key).and_then(Value::as_str).map(str::to_owned);
        let message = text("message", error).unwrap_or_default();
        let own = error.pointer("/data/mcpwrap");
        let code = own.and_then(|own| text("code", own));
        if let (Some(own), Some(code)) = (own, code) {
            let hint = text("hint", own).unwrap_or_default();
            return Self::refused(&code, &message, &hint);
        }
        Self::Answered {
            method,
            code: error.get("code").and_then(Value::as_i64).unwrap_or(0),
            message: message.chars().take(TEXT_MAX).collect(),
        }
    }

    /// An error of mcpwrap itself, as it is sent to clients.
    pub(super) fn refused(code: &str, message: &str, hint: &str) -> Self {
        Self::Refused(Box::new(refusal(code, message, hint)))
    }

    pub(super) fn into_error(
        self,
        order: &TrialOrder,
        foreign_lines: usize,
        end: Option<ChildEnd>,
    ) -> Error {
        let server = &order.server;
        let seconds = order.timeout.as_secs_f32();
        let failed = Error::new(
            Code::TestFailed,
            format!("server `{server}` did not list its tools"),
        );
        let error = match self {
            Self::Refused(error) => return *error,
            Self::Answered {
                method,
                code,
                message,
            } => failed.cause(format!(
                "it answered `{method}` with error {code}: {message}"
            )),
            Self::Late(method) => failed
                .cause(format!(
                    "no answer to `{method}` within {seconds} s of the start"
                ))
                .hint("if it only starts slowly, allow more with `--timeout 2m`"),
            Self::Ended(method) => failed.cause(match end {
                Some(ChildEnd::Exit(code)) => {
                    format!("it exited with code {code} before it answered `{method}`")
                }
                Some(ChildEnd::Signal(_) | ChildEnd::Killed) | None => {
                    format!("it closed its output before it answered `{method}`")
                }
            }),
            Self::TooLong(method) => failed.cause(format!(
                "while `{method}` was not answered it wrote a message longer than {} MiB, at which \
                 clients close the connection",
                LINE_BYTES_MAX >> 20
            )),
            Self::Wrong(why) => failed.cause(why),
        };
        match foreign_lines {
            0 => error,
            1 => error.cause("one line of its output was no message of MCP"),
            lines => error.cause(format!(
                "{lines} lines of its output were no messages of MCP"
            )),
        }
    }
}

/// The error of mcpwrap itself in its parts: the message has all of them in one line.
fn refusal(code: &str, message: &str, hint: &str) -> Error {
    let again = format!("; then {AGAIN}");
    let own = |text: &str| text.strip_suffix(&again).unwrap_or(text).to_owned();
    let (message, hint) = (own(message), own(hint));
    let message = message.strip_prefix("mcpwrap: ").unwrap_or(&message);
    let ending = format!("; {hint}");
    let (what, rest) = message
        .split_once(&format!(" [{code}]"))
        // That of a bridge is one sentence.
        .unwrap_or_else(|| (message.strip_suffix(&ending).unwrap_or(message), ""));
    let rest = rest.strip_prefix(": ").unwrap_or(rest);
    let known = Code::of(code).unwrap_or(Code::TestFailed);
    let error = Error::new(known, what);
    let because = |error: Error, cause: &str| match cause {
        "" => error,
        cause => error.cause(cause),
    };
    if hint.is_empty() {
        return because(error, rest);
    }
    match rest.split_once(&format!("; {hint}")) {
        Some((cause, more)) => {
            let error = because(error, cause).hint(hint);
            error.hint_if(more.strip_prefix("; "))
        }
        None => because(error, rest.strip_prefix("; ").unwrap_or(rest)).hint(hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::ServerName;
    use crate::session::answer::{self, RequestOutcome, Unavailable};
    use crate::session::envelope::Id;

    fn read_back(error: &Error) -> Error {
        let server = ServerName::new("x").unwrap();
        let trouble = Unavailable::new(&server, error);
        for trouble in [trouble.then(AGAIN), trouble] {
            let line = answer::error(&Id::text("a"), &trouble, RequestOutcome::NotSent);
            let answer: Value = serde_json::from_slice(&line).unwrap();
            let fault = TrialFault::of_answer("initialize", &answer["error"]);
            let TrialFault::Refused(read) = fault else {
                panic!("{fault:?}")
            };
            assert_eq!(read.line(), error.line());
            assert_eq!(read.hints, error.hints);
            if !trouble.text.ends_with("again") {
                return *read;
            }
        }
        unreachable!()
    }

    #[test]
    fn a_refusal_is_read_back_in_its_parts() {
        let plain = Error::new(Code::Revoked, "its policy was revoked").not_started(&"x");
        assert_eq!(read_back(&plain).headline(), plain.headline());
        let one = plain
            .clone()
            .cause("revoked today: by hand")
            .hint("`mcpwrap grant x`");
        let read = read_back(&one);
        assert_eq!(read.code, Code::Revoked);
        assert_eq!(
            read.reasons(),
            "its policy was revoked: revoked today: by hand"
        );
        read_back(&one.hint("or wait"));
        read_back(&plain.hint("wait; or not"));
        let text = "mcpwrap: server `x`: h:1 did not answer; check the URL";
        let read = refusal("remote-failed", text, "check the URL");
        assert_eq!(read.headline(), "server `x`: h:1 did not answer");
        assert_eq!(read.hints, ["check the URL"]);
    }
}
