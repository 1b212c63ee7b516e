//! One request to a Vault or OpenBao server, and its answer.
//!
//! Invariants: the token goes to the host of the definition only, encrypted unless that is this machine. A
//! request is repeated at most twice, within the deadline, and never after 400, 403 or 404. Requests and
//! answers contain values, so they have no `Debug`.

use std::thread;
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::value::RawValue;
use ureq::http::{HeaderValue, Request, Response};
use ureq::{Agent, Body};

use super::address::ServerUrl;
use super::fault::ServerFault;
use crate::secret::Secret;

/// The limit of an answer (bytes).
const BODY_BYTES_MAX: u64 = 4 << 20;
/// How often a request is repeated.
const REPEATS: u32 = 2;
/// The pause before the first repetition; then twice as long.
const PAUSE: Duration = Duration::from_millis(250);
/// What may stand in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The client of one server.
#[derive(Debug)]
pub(super) struct ServerClient {
    pub(super) agent: Agent,
    pub(super) url: ServerUrl,
    /// The URL before `/v1/`.
    pub(super) base: String,
    pub(super) namespace: Option<String>,
}

/// One request.
#[derive(Clone, Copy)]
pub(super) struct ServerRequest<'a> {
    /// Below `/v1/`, not encoded.
    pub(super) path: &'a str,
    /// After `?`, encoded.
    pub(super) query: &'a str,
    pub(super) token: Option<&'a Secret>,
    /// With a body, it is a `POST`.
    pub(super) body: Option<&'a serde_json::Value>,
    /// Instead of the namespace of the definition.
    pub(super) namespace: Option<&'a str>,
}

impl<'a> ServerRequest<'a> {
    pub(super) const fn get(path: &'a str, token: &'a Secret) -> Self {
        Self {
            path,
            query: "",
            token: Some(token),
            body: None,
            namespace: None,
        }
    }

    pub(super) const fn post(path: &'a str, body: &'a serde_json::Value) -> Self {
        Self {
            path,
            query: "",
            token: None,
            body: Some(body),
            namespace: None,
        }
    }

    pub(super) const fn with_token(mut self, token: &'a Secret) -> Self {
        self.token = Some(token);
        self
    }
}

/// An answer of the server's API, or one of anything that listens there.
pub(super) struct ServerReply {
    pub(super) status: u16,
    /// Empty if the body is not JSON.
    pub(super) body: ServerEnvelope,
    /// Whether the body is JSON of the expected form, or empty.
    pub(super) is_envelope: bool,
    /// Whether the server complains that it was asked without TLS.
    pub(super) wants_tls: bool,
}

/// The common form of all answers.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ServerEnvelope {
    lease_id: Option<String>,
    renewable: Option<bool>,
    lease_duration: Option<u64>,
    pub(super) data: Option<Box<RawValue>>,
    errors: Option<Vec<String>>,
    pub(super) auth: Option<AuthAnswer>,
}

/// What a login, and a new or renewed token, answer.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AuthAnswer {
    pub(super) client_token: String,
    pub(super) accessor: String,
    /// Seconds; 0 for a token that does not end.
    pub(super) lease_duration: u64,
    pub(super) renewable: bool,
}

impl ServerEnvelope {
    /// The lease of a credential that was made for this answer.
    pub(super) fn lease(&self) -> Option<&str> {
        self.lease_id.as_deref().filter(|id| !id.is_empty())
    }

    pub(super) fn is_renewable(&self) -> bool {
        self.renewable == Some(true)
    }

    /// Seconds.
    pub(super) fn lease_duration(&self) -> u64 {
        self.lease_duration.unwrap_or_default()
    }

    /// Whether an error of the server contains this text.
    pub(super) fn says(&self, text: &str) -> bool {
        let errors = self.errors.iter().flatten();
        errors.into_iter().any(|error| error.contains(text))
    }

    /// `data` in a form.
    pub(super) fn data<'de, T: Deserialize<'de>>(&'de self) -> Option<T> {
        serde_json::from_str(self.data.as_ref()?.get()).ok()
    }
}

impl ServerReply {
    pub(super) const fn is_ok(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Whether another attempt may succeed.
    const fn is_transient(&self) -> bool {
        matches!(self.status, 412 | 429 | 500..=599)
    }
}

impl ServerClient {
    /// Sends a request, with repetitions.
    ///
    /// # Errors
    /// There is no answer. The caller judges the status of one.
    pub(super) fn send(
        &self,
        request: ServerRequest<'_>,
        deadline: Instant,
    ) -> Result<ServerReply, ServerFault> {
        let mut pause = PAUSE;
        for _ in 0..REPEATS {
            let outcome = self.follow(request, deadline);
            let is_transient = match &outcome {
                Ok(reply) => reply.is_transient(),
                Err(fault) => fault.is_transient(),
            };
            if !is_transient || Instant::now() + pause >= deadline {
                return outcome;
            }
            thread::sleep(pause);
            pause *= 2;
        }
        self.follow(request, deadline)
    }

    /// Sends a request, and follows one redirect to the same host.
    fn follow(
        &self,
        request: ServerRequest<'_>,
        deadline: Instant,
    ) -> Result<ServerReply, ServerFault> {
        let path: Vec<_> = request
            .path
            .split('/')
            .map(|part| utf8_percent_encode(part, SEGMENT).to_string())
            .collect();
        let mut url = format!("{}/v1/{}", self.base, path.join("/"));
        if !request.query.is_empty() {
            url = format!("{url}?{}", request.query);
        }
        let answer = self.once(&url, request, deadline)?;
        let answer = match target(&answer) {
            Some(target) => {
                let target = self.allowed(&target)?;
                let answer = self.once(&target, request, deadline)?;
                if is_redirect(&answer) {
                    return Err(ServerFault::RedirectLoop);
                }
                answer
            }
            None => answer,
        };
        read(answer)
    }

    /// The target of a redirect: `https:` on the same host.
    fn allowed(&self, target: &str) -> Result<String, ServerFault> {
        let refused = |host: &str| ServerFault::Redirect(host.to_owned());
        let url = ServerUrl::new(target).map_err(|_| refused("an address without a host"))?;
        if !url.is_encrypted || !self.url.is_encrypted || url.host != self.url.host {
            return Err(refused(&url.origin()));
        }
        Ok(target.to_owned())
    }

    fn once(
        &self,
        url: &str,
        request: ServerRequest<'_>,
        deadline: Instant,
    ) -> Result<Response<Body>, ServerFault> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ServerFault::Timeout);
        }
        let mut built = Request::builder()
            .uri(url)
            .header("X-Vault-Request", "true");
        let namespace = request.namespace.or(self.namespace.as_deref());
        if let Some(namespace) = namespace {
            built = built.header("X-Vault-Namespace", namespace);
        }
        if let Some(token) = request.token {
            let mut value =
                HeaderValue::from_bytes(token.expose()).map_err(|_| ServerFault::TokenForm)?;
            value.set_sensitive(true);
            built = built.header("X-Vault-Token", value);
        }
        let sent = match request.body {
            None => {
                let built = built.body(()).map_err(|_| ServerFault::Address)?;
                let built = self.agent.configure_request(built);
                self.agent.run(built.timeout_global(Some(left)).build())
            }
            Some(body) => {
                let built = built
                    .method("POST")
                    .header("Content-Type", "application/json");
                let built = built
                    .body(body.to_string())
                    .map_err(|_| ServerFault::Address)?;
                let built = self.agent.configure_request(built);
                self.agent.run(built.timeout_global(Some(left)).build())
            }
        };
        sent.map_err(ServerFault::from)
    }
}

fn is_redirect(answer: &Response<Body>) -> bool {
    matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads.
fn target(answer: &Response<Body>) -> Option<String> {
    let location = answer.headers().get("location");
    let location = location.and_then(|value| value.to_str().ok());
    is_redirect(answer).then(|| location.unwrap_or_default().to_owned())
}

fn read(mut answer: Response<Body>) -> Result<ServerReply, ServerFault> {
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(BODY_BYTES_MAX);
    let text = Secret::new(body.read_to_vec()?);
    let trimmed = text.expose().trim_ascii();
    // A list would be read as one, too.
    let is_table = trimmed.first() == Some(&b'{');
    let body = is_table.then(|| serde_json::from_slice(trimmed).ok());
    let body = body.flatten();
    let is_empty = trimmed.is_empty();
    let wants_tls = text.expose().starts_with(b"Client sent an HTTP request to");
    Ok(ServerReply {
        status,
        is_envelope: is_empty || body.is_some(),
        wants_tls: status == 400 && wants_tls,
        body: body.unwrap_or_default(),
    })
}
