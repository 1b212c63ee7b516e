//! One request over Streamable HTTP: what the server answers, in whatever form.
//!
//! Invariant: a stream that breaks before the answer is resumed if the server numbers its events, else
//! the outcome is unknown.

use std::rc::Rc;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, timeout};

use super::deliver::{ClientRequest, ExpectedAnswers, StreamRole};
use super::fault::{BREAKS_RULES, BridgeFault, CHECK_URL, IF_AGAIN, error_code, error_for, plain};
use super::http::HttpReply;
use super::send::{Sending, refusal_body, retry_after};
use super::state::Bridge;
use super::stream::{EventStream, json_body};
use crate::error::Code;

/// How long a stream is read after its answer, so that its connection can be used again.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);
/// How long a broken stream may stay unreachable.
const RESUME_LIMIT: Duration = Duration::from_secs(6);
/// How long to wait before a stream is resumed, if the server does not say.
const RETRY: Duration = Duration::from_millis(500);
/// The bounds of what a server may say.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_mins(5);

/// The session of an answer to `initialize`.
pub const SESSION: &str = "mcp-session-id";
pub const VERSION: &str = "mcp-protocol-version";
pub const LAST_EVENT: &str = "last-event-id";

/// What became of one try.
#[derive(Debug)]
pub enum Attempt {
    /// The line for the client, and the session that an `initialize` opened.
    Answer(Vec<u8>, Option<HeaderValue>),
    Fault(BridgeFault),
    /// The server does not know the session; what to answer if that cannot be helped.
    Gone(Box<Attempt>),
    /// The server wants other headers for this tool.
    HeaderMismatch(Box<Attempt>),
    /// The address may be one of HTTP+SSE.
    Other(Box<Attempt>),
}

impl Attempt {
    /// The result, if nothing more is tried.
    pub fn settled(self) -> Result<(Vec<u8>, Option<HeaderValue>), BridgeFault> {
        match self {
            Self::Answer(line, session) => Ok((line, session)),
            Self::Fault(fault) => Err(fault),
            Self::Gone(inner) | Self::HeaderMismatch(inner) | Self::Other(inner) => inner.settled(),
        }
    }
}

impl Bridge {
    /// The headers of the session.
    pub fn session_headers(&self) -> HeaderMap {
        let legacy = self.legacy.borrow();
        let mut headers = HeaderMap::new();
        if let Some(id) = &legacy.id {
            headers.insert(SESSION, id.clone());
        }
        let version = legacy.version.as_deref();
        // The first revision with sessions does not know the header.
        let version = version.filter(|version| *version > "2025-03-26");
        if let Some(value) = version.and_then(|version| HeaderValue::from_str(version).ok()) {
            headers.insert(VERSION, value);
        }
        headers
    }

    /// Sends a request over Streamable HTTP and waits for its answer.
    pub async fn attempt_streamable(self: &Rc<Self>, request: &ClientRequest) -> Attempt {
        let headers = match &request.modern {
            Some(modern) => self.modern_headers(request, modern).await,
            None if request.method == "initialize" => HeaderMap::new(),
            None => self.session_headers(),
        };
        let epoch = self.legacy.borrow().epoch;
        let sending = Sending::Message(request.line.clone(), None);
        let reply = match self.send(&sending, &headers).await {
            Ok(reply) => reply,
            Err(fault) => return Attempt::Fault(fault),
        };
        if !reply.status.is_success() {
            return self
                .refusal(request, reply, headers.contains_key(SESSION))
                .await;
        }
        let session = reply
            .headers
            .get(SESSION)
            .filter(|_| request.method == "initialize")
            .cloned();
        let role = StreamRole {
            epoch,
            expected: ExpectedAnswers::One(request.id.clone()),
            is_acknowledged: false,
        };
        match self.read_answer(request, reply, role).await {
            Ok(line) => Attempt::Answer(line, session),
            Err(fault) => Attempt::Fault(fault),
        }
    }

    async fn read_answer(
        self: &Rc<Self>,
        request: &ClientRequest,
        mut reply: HttpReply,
        mut role: StreamRole,
    ) -> Result<Vec<u8>, BridgeFault> {
        let host = self.host();
        match reply.media_type().as_str() {
            "application/json" => {
                let body = json_body(&mut reply, &self.meter).await?;
                let answer = self.deliver(&mut role, body).await;
                answer.ok_or_else(|| {
                    BridgeFault::unknown(format!("{host} did not answer the request"))
                        .hint(BREAKS_RULES)
                })
            }
            "text/event-stream" => {
                let stream = EventStream::new(reply, &self.meter);
                self.read_stream(request, stream, role).await
            }
            "" => {
                let status = reply.status.as_u16();
                Err(BridgeFault::unknown(format!(
                    "{host} did not answer the request (HTTP status {status})"
                ))
                .hint(BREAKS_RULES))
            }
            other => Err(BridgeFault::unknown(format!(
                "{host} answered with `{}` and not with a message of MCP",
                plain(other)
            ))
            .hint(CHECK_URL)),
        }
    }

    /// Reads a stream up to the answer, also over several connections.
    async fn read_stream(
        self: &Rc<Self>,
        request: &ClientRequest,
        mut stream: EventStream,
        mut role: StreamRole,
    ) -> Result<Vec<u8>, BridgeFault> {
        let mut last_id: Option<Vec<u8>> = None;
        let mut retry = RETRY;
        loop {
            let end = loop {
                match stream.next().await {
                    Ok(Some(event)) if event.name == b"message" => {
                        if let Some(answer) = self.deliver(&mut role, event.data.into()).await {
                            spawn_local(drain(Rc::clone(self), stream, role));
                            return Ok(answer);
                        }
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => {
                        let host = self.host();
                        break BridgeFault::unknown(format!("{host} ended its answer too early"))
                            .hint(IF_AGAIN);
                    }
                    Err(fault) => break fault,
                }
            };
            if let Some(id) = stream.last_id() {
                last_id = Some(id.to_vec());
            }
            if let Some(wish) = stream.retry() {
                retry = Duration::from_millis(wish).clamp(RETRY_MIN, RETRY_MAX);
            }
            drop(stream);
            let id = last_id.as_deref().filter(|_| request.modern.is_none());
            let id = id.and_then(|id| HeaderValue::from_bytes(id).ok());
            let Some(id) = id.filter(|_| role.epoch == self.legacy.borrow().epoch) else {
                return Err(end);
            };
            stream = self.resume(&id, retry, end).await?;
        }
    }

    /// Opens a broken stream again, behind the event with this ID.
    async fn resume(
        &self,
        last_id: &HeaderValue,
        retry: Duration,
        why: BridgeFault,
    ) -> Result<EventStream, BridgeFault> {
        let mut wait = retry;
        let mut until = Instant::now() + retry + RESUME_LIMIT;
        loop {
            sleep(wait).await;
            let mut headers = self.session_headers();
            headers.insert(LAST_EVENT, last_id.clone());
            match timeout(RESUME_LIMIT, self.send(&Sending::Rest, &headers)).await {
                Ok(Ok(reply)) if is_stream(&reply) => {
                    return Ok(EventStream::new(reply, &self.meter));
                }
                Ok(Ok(reply)) => match retry_after(&reply.headers) {
                    Some(seconds) if matches!(reply.status.as_u16(), 429 | 503) => {
                        let pause = Duration::from_secs(seconds.unsigned_abs()).min(RETRY_MAX);
                        wait = pause.max(RETRY);
                        until = until.max(Instant::now() + wait + RESUME_LIMIT);
                    }
                    _ => return Err(why),
                },
                // Nobody has newer credentials; the server has the request all the same.
                Ok(Err(refused)) if refused.code != Code::RemoteFailed => {
                    return Err(refused.after_sending());
                }
                Ok(Err(_)) | Err(_) => wait = (wait * 2).min(Duration::from_secs(2)),
            }
            if Instant::now() + wait > until {
                return Err(why);
            }
        }
    }

    /// What a status other than 2xx means.
    pub async fn refusal(
        &self,
        request: &ClientRequest,
        mut reply: HttpReply,
        has_session: bool,
    ) -> Attempt {
        let status = reply.status;
        let pause = retry_after(&reply.headers).filter(|_| matches!(status.as_u16(), 429 | 503));
        let body = refusal_body(&mut reply).await;
        let code = error_code(&body);
        let host = self.host();
        let reason = status.canonical_reason().unwrap_or_default();
        let text = match pause {
            Some(seconds) => format!(
                "{host} asks to wait {seconds} s (HTTP status {} {reason})",
                status.as_u16()
            ),
            None => format!(
                "{host} answered with HTTP status {} {reason}",
                status.as_u16()
            ),
        };
        let fault = if status.is_server_error() && pause.is_none() {
            BridgeFault::unknown(text.trim_end())
        } else {
            BridgeFault::not_sent(text.trim_end())
        };
        let fault = fault.hint(match status.as_u16() {
            404 | 405 | 410 if !has_session => CHECK_URL,
            401 | 403 => "see with the provider what the credentials may do",
            _ if pause.is_some() => "try again after that time",
            500.. => IF_AGAIN,
            _ => "check `url` and `[headers]` in the policy",
        });
        let attempt = match error_for(&request.id, &body) {
            Some(line) => Attempt::Answer(line, None),
            None => Attempt::Fault(fault),
        };
        if request.modern.is_some() {
            return self.modern_refusal(request, status, code, attempt);
        }
        let is_modern = code
            .as_ref()
            .is_some_and(|(code, _)| (-32_022..=-32_020).contains(code));
        if request.method == "initialize" {
            if let Some((_, versions)) = code.filter(|_| is_modern) {
                let known = versions.join(", ");
                return Attempt::Fault(BridgeFault::not_sent(format!(
                    "{host} speaks only newer revisions of MCP than the client (server: {known})"
                ))
                .hint("update the client"));
            }
            return match status.as_u16() {
                400 | 404 | 405 => Attempt::Other(Box::new(attempt)),
                _ => attempt,
            };
        }
        match status.as_u16() {
            404 if has_session => Attempt::Gone(Box::new(attempt)),
            400 if has_session && names_session(&body) => Attempt::Gone(Box::new(attempt)),
            _ => attempt,
        }
    }
}

/// Whether a refusal with status 400 is about the session: some servers do not say 404.
pub fn names_session(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    text.contains("session")
}

/// Whether an answer is a stream of events.
pub fn is_stream(reply: &HttpReply) -> bool {
    reply.status == hyper::StatusCode::OK && reply.media_type() == "text/event-stream"
}

/// Reads a stream to its end, so that its connection can be used again.
async fn drain(bridge: Rc<Bridge>, mut stream: EventStream, mut role: StreamRole) {
    let end = async {
        while let Ok(Some(event)) = stream.next().await {
            if event.name == b"message"
                && bridge.deliver(&mut role, event.data.into()).await.is_some()
            {
                bridge.note_dropped("a second answer");
            }
        }
    };
    // Otherwise the connection is closed.
    crate::sys::ignore(timeout(DRAIN_LIMIT, end).await);
}
