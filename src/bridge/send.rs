//! One exchange over HTTP with the credentials at hand: refused ones and redirects included.
//!
//! Invariants: credentials go to the configured origin only; a refused request is sent again with newer
//! credentials only, and [`RENEWALS_MAX`] times at most.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue, LOCATION, USER_AGENT};
use hyper::{HeaderMap, Method, StatusCode, Uri};
use tokio::time::timeout;

use super::address::ServerOrigin;
use super::credentials::{ReadyCredentials, asks_for_others, challenges};
use super::fault::{BREAKS_RULES, BridgeFault, CHECK_URL, plain};
use super::http::{HttpReply, HttpRequest};
use super::state::Bridge;
use crate::session::answer::RequestOutcome;
use crate::session::envelope::{Id, Scanner};

/// How often a refused request is sent again. Newer credentials can have ended, too, when the request arrives: on a
/// machine that was suspended, or with tokens of a few seconds. The supervisor says when there is no use in newer ones.
const RENEWALS_MAX: u32 = 2;
/// How many redirects of one request are followed.
const REDIRECTS_MAX: u32 = 3;
/// How much of a refusal is read (bytes).
const REFUSAL_BYTES_MAX: usize = 1 << 20;
/// How long a refusal may take.
const REFUSAL_LIMIT: Duration = Duration::from_secs(3);

/// What is sent.
#[derive(Clone, Debug)]
pub enum Sending {
    /// A message, to the server's URL or to this path of its origin.
    Message(Bytes, Option<String>),
    /// Opens a stream.
    Stream,
    /// Opens the stream again on which a request is answered.
    Rest,
    /// Opens the stream of HTTP+SSE, without which there is no session.
    Link,
    /// Ends the session.
    End,
}

impl Sending {
    /// The ID of the request that is sent.
    fn request(&self) -> Option<Id> {
        let Self::Message(line, _) = self else {
            return None;
        };
        let envelope = Scanner::scan(line);
        envelope.request().map(|(id, _)| id.clone())
    }
}

impl Bridge {
    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// The network's; the credentials were refused; a redirect that is not followed.
    pub async fn send(
        &self,
        sending: &Sending,
        extra: &HeaderMap,
    ) -> Result<HttpReply, BridgeFault> {
        let mut renewals = 0;
        loop {
            let credentials = self.credentials.current()?;
            let mut reply = self.send_with(sending, extra, &credentials).await?;
            let challenge = challenges(&reply.headers);
            let is_refused = reply.status == StatusCode::UNAUTHORIZED
                || (reply.status == StatusCode::FORBIDDEN && asks_for_others(&challenge));
            // A stream that the server opens by itself is no reason to ask.
            if !is_refused || matches!(sending, Sending::Stream) {
                self.note_pause(&reply);
                return Ok(reply);
            }
            let status = reply.status.as_u16();
            refusal_body(&mut reply).await;
            drop(reply);
            let generation = credentials.generation;
            if credentials.renewable {
                if let Some(id) = sending.request() {
                    self.credentials.report_request(generation, &id);
                }
                self.credentials.report(generation, status, challenge);
            }
            if renewals == RENEWALS_MAX || !credentials.renewable || matches!(sending, Sending::End)
            {
                return Err(self.refused(&credentials, status));
            }
            self.credentials.renewed(generation).await?;
            renewals += 1;
        }
    }

    /// The server wants other credentials, or some at all.
    fn refused(&self, credentials: &ReadyCredentials, status: u16) -> BridgeFault {
        let (host, server) = (self.host(), &self.server);
        if !credentials.headers.is_empty() || credentials.renewable {
            let text = format!("{host} refused the credentials (HTTP status {status})");
            return BridgeFault::refused(text)
                .hint("check `[headers]` and `[oauth]` in the policy");
        }
        BridgeFault::refused(format!(
            "{host} asks for a token (HTTP status {status}), and the policy has none"
        ))
        .hint(format!(
            "run `mcpwrap policy edit {server}` and add `[oauth]`, or the token as a secret in `[headers]`"
        ))
    }

    /// Sends a request; redirects within the origin are followed.
    async fn send_with(
        &self,
        sending: &Sending,
        extra: &HeaderMap,
        credentials: &ReadyCredentials,
    ) -> Result<HttpReply, BridgeFault> {
        let mut url = self.target(sending, credentials)?;
        for _ in 0..=REDIRECTS_MAX {
            let request = self.request(sending, extra, credentials, &url)?;
            let reply = self.http.send(request).await?;
            if !reply.status.is_redirection() {
                return Ok(reply);
            }
            url = self.redirected(&reply, &url)?;
        }
        Err(BridgeFault::not_sent(format!(
            "{} redirects more than {REDIRECTS_MAX} times",
            self.host()
        ))
        .hint(CHECK_URL))
    }

    fn target(
        &self,
        sending: &Sending,
        credentials: &ReadyCredentials,
    ) -> Result<Uri, BridgeFault> {
        match sending {
            Sending::Message(_, Some(path)) => {
                let text = format!("{}{path}", self.http.connector.origin.shown());
                text.parse().map_err(|_| {
                    BridgeFault::not_sent("the server named an invalid address").hint(BREAKS_RULES)
                })
            }
            _ => Ok(credentials.url.clone()),
        }
    }

    fn redirected(&self, reply: &HttpReply, from: &Uri) -> Result<Uri, BridgeFault> {
        let status = reply.status.as_u16();
        let host = self.host();
        let location = reply.headers.get(LOCATION);
        let location = location.and_then(|value| value.to_str().ok());
        let to = location.and_then(|location| resolve(from, location));
        let origin = to.as_ref().and_then(ServerOrigin::of);
        match (to, origin) {
            (Some(to), Some(origin)) if origin == self.http.connector.origin => {
                if matches!(status, 307 | 308) {
                    return Ok(to);
                }
                Err(BridgeFault::not_sent(format!(
                    "{host} redirects with HTTP status {status}, which is not followed"
                ))
                .hint(CHECK_URL))
            }
            (_, Some(origin)) => Err(BridgeFault::not_sent(format!(
                "{host} redirects to {}, where no credentials are sent",
                plain(&origin.shown())
            ))
            .hint(CHECK_URL)),
            _ => Err(BridgeFault::not_sent(format!(
                "{host} redirects to an invalid address (HTTP status {status})"
            ))
            .hint(CHECK_URL)),
        }
    }

    fn request(
        &self,
        sending: &Sending,
        extra: &HeaderMap,
        credentials: &ReadyCredentials,
        url: &Uri,
    ) -> Result<HttpRequest, BridgeFault> {
        let connector = &self.http.connector;
        let (method, body) = match sending {
            Sending::Message(line, _) => (Method::POST, line.clone()),
            Sending::Stream | Sending::Rest | Sending::Link => (Method::GET, Bytes::new()),
            Sending::End => (Method::DELETE, Bytes::new()),
        };
        let invalid = || BridgeFault::not_sent("the request cannot be written");
        let mut request = HttpRequest::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = if connector.is_absolute() {
            url.clone()
        } else {
            let path = url.path_and_query().map_or("/", |path| path.as_str());
            path.parse().map_err(|_| invalid())?
        };
        let headers = request.headers_mut();
        let host = HeaderValue::from_str(&connector.origin.authority()).map_err(|_| invalid())?;
        headers.insert(HOST, host);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let accepted = match sending {
            Sending::Stream | Sending::Rest | Sending::Link => "text/event-stream",
            _ => "application/json, text/event-stream",
        };
        headers.insert(ACCEPT, HeaderValue::from_static(accepted));
        if matches!(sending, Sending::Message(..)) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in extra {
            headers.append(name, value.clone());
        }
        for (name, value) in &credentials.headers {
            headers.insert(name, value.clone());
        }
        if let Some(proxy) = connector.proxy.as_ref().filter(|_| connector.is_absolute())
            && let Some(value) = &proxy.authorization
        {
            headers.insert(hyper::header::PROXY_AUTHORIZATION, value.clone());
        }
        Ok(request)
    }

    /// Reports a pause that the server asks for, and the end of one.
    fn note_pause(&self, reply: &HttpReply) {
        let is_pause = matches!(reply.status.as_u16(), 429 | 503);
        let seconds = retry_after(&reply.headers).filter(|_| is_pause);
        let now = jiff::Timestamp::now().as_second();
        match seconds {
            Some(seconds) => self.report(Some(now.saturating_add(seconds))),
            None if reply.status.is_success() && self.paused_until().is_some() => {
                self.report(None);
            }
            None => {}
        }
    }
}

/// The agent as servers see it.
const AGENT: &str = concat!("mcpwrap/", env!("CARGO_PKG_VERSION"));

/// How long the server asks to wait (seconds).
pub fn retry_after(headers: &HeaderMap) -> Option<i64> {
    let text = headers
        .get(hyper::header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim();
    let seconds = if let Ok(seconds) = text.parse::<i64>() {
        seconds
    } else {
        let date = jiff::fmt::rfc2822::parse(text).ok()?;
        date.timestamp().as_second() - jiff::Timestamp::now().as_second()
    };
    Some(seconds.clamp(0, 86_400))
}

/// The body of a refusal, as far as it comes in time.
pub async fn refusal_body(reply: &mut HttpReply) -> Vec<u8> {
    let body = timeout(REFUSAL_LIMIT, reply.whole(REFUSAL_BYTES_MAX)).await;
    body.ok().and_then(Result::ok).unwrap_or_default()
}

/// A reference of the server, resolved against the URL that it answers.
pub fn resolve(base: &Uri, reference: &str) -> Option<Uri> {
    let (reference, _) = reference.split_once('#').unwrap_or((reference, ""));
    let scheme = base.scheme_str()?;
    let authority = base.authority()?.as_str();
    let text = if let Some(rest) = reference.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if has_scheme(reference) {
        reference.to_owned()
    } else if reference.starts_with('/') {
        format!("{scheme}://{authority}{reference}")
    } else if reference.starts_with('?') || reference.is_empty() {
        format!("{scheme}://{authority}{}{reference}", base.path())
    } else {
        let (folder, _) = base.path().rsplit_once('/').unwrap_or(("", ""));
        format!("{scheme}://{authority}{folder}/{reference}")
    };
    text.parse().ok()
}

fn has_scheme(reference: &str) -> bool {
    reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

/// Whether an error of the network may be tried again elsewhere: nothing was sent.
pub const fn is_unsent(fault: &BridgeFault) -> bool {
    matches!(fault.outcome, RequestOutcome::NotSent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved() {
        let base: Uri = "https://a.example/x/mcp?key=1".parse().unwrap();
        for (reference, expected) in [
            ("/message?id=1", "https://a.example/message?id=1"),
            ("message", "https://a.example/x/message"),
            ("?id=1", "https://a.example/x/mcp?id=1"),
            ("//b.example/y", "https://b.example/y"),
            ("http://b.example/y#z", "http://b.example/y"),
            ("/a:b", "https://a.example/a:b"),
        ] {
            assert_eq!(
                resolve(&base, reference).unwrap().to_string(),
                expected,
                "{reference}"
            );
        }
    }

    #[test]
    fn pauses_in_seconds_and_as_a_date() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(hyper::header::RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(read("120"), Some(120));
        assert_eq!(read("-5"), Some(0));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), Some(0));
        assert_eq!(read("soon"), None);
    }
}
