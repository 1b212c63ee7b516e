//! The session of a server of the legacy era: how it begins, and how it begins again.
//!
//! Invariants: a session ID comes only from a successful answer to `initialize`; one task at a time
//! starts a session again; the new one must be what the client agreed to.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use serde_json::Value;
use tokio::time::timeout;

use super::deliver::{ClientRequest, with_id};
use super::fault::{BridgeFault, IF_AGAIN};
use super::send::{Sending, refusal_body};
use super::state::{Bridge, OpenRequest, Wire};
use super::streamable::{Attempt, SESSION, names_session};
use crate::session::envelope::Scanner;
use crate::session::fields::Outcome;
use crate::session::renewal::{LISTS, missing_capability};
use crate::session::{Era, answer};

/// How long a new session may take.
const RENEW_LIMIT: Duration = Duration::from_secs(8);
/// How long a notification may take.
const NOTIFY_LIMIT: Duration = Duration::from_secs(8);

impl Bridge {
    /// Tries a request over the transport in use.
    pub async fn attempt(self: &Rc<Self>, request: &ClientRequest) -> Attempt {
        match self.wire.get() {
            Wire::Sse => self.attempt_sse(request).await,
            Wire::Streamable | Wire::Unknown => self.attempt_streamable(request).await,
        }
    }

    /// Remembers what the client told the server, for the next session.
    pub fn note_request(&self, request: &ClientRequest) {
        let mut legacy = self.legacy.borrow_mut();
        match (request.method.as_str(), &request.uri) {
            ("initialize", _) => {
                legacy.initialize = Some(request.line.clone());
                legacy.initialized = None;
                legacy.set_level = None;
                legacy.subscriptions.clear();
            }
            ("logging/setLevel", _) => legacy.set_level = Some(request.line.clone()),
            ("resources/subscribe", Some(uri)) => {
                legacy
                    .subscriptions
                    .insert(uri.clone(), request.line.clone());
            }
            ("resources/unsubscribe", Some(uri)) => {
                legacy.subscriptions.remove(uri);
            }
            _ => {}
        }
    }

    /// Takes the answer to the client's `initialize`.
    pub fn begin_session(&self, line: &[u8], id: Option<HeaderValue>) {
        let Some(result) = Outcome::read(line).result else {
            return;
        };
        self.adopt_session(result, id);
        if self.wire.get() == Wire::Unknown {
            self.wire.set(Wire::Streamable);
        }
        self.report(self.paused_until());
    }

    fn adopt_session(&self, result: Value, id: Option<HeaderValue>) {
        let mut legacy = self.legacy.borrow_mut();
        legacy.epoch += 1;
        legacy.id = id;
        let version = result.get("protocolVersion").and_then(Value::as_str);
        legacy.version = version.map(str::to_owned);
        legacy.result = Some(result);
    }

    /// Starts the session again, unless another request has done so.
    ///
    /// # Errors
    /// There is no session to be had, or it is another one than the client knows.
    pub async fn renew(self: &Rc<Self>, lost: u32) -> Result<(), BridgeFault> {
        let _one = self.renewing.lock().await;
        if self.legacy.borrow().epoch != lost {
            return Ok(());
        }
        match timeout(RENEW_LIMIT, self.begin_again()).await {
            Ok(done) => done,
            Err(_) => Err(self.not_renewed("no answer in time")),
        }
    }

    fn not_renewed(&self, reason: &str) -> BridgeFault {
        let host = self.host();
        BridgeFault::not_sent(format!(
            "{host} lost the session, and a new one failed: {reason}"
        ))
        .hint(IF_AGAIN)
    }

    async fn begin_again(self: &Rc<Self>) -> Result<(), BridgeFault> {
        self.stop_push();
        let initialize = {
            let mut legacy = self.legacy.borrow_mut();
            legacy.id = None;
            legacy.endpoint = None;
            legacy.initialize.clone()
        };
        let initialize =
            initialize.ok_or_else(|| self.not_renewed("the client never opened one"))?;
        let (line, id) = self.own_request(&initialize).await?;
        let outcome = Outcome::read(&line);
        if let Some(code) = outcome.error {
            return Err(self.not_renewed(&format!("error {code}")));
        }
        let Some(new) = outcome.result else {
            return Err(self.not_renewed("the answer to `initialize` is invalid"));
        };
        let old = self.legacy.borrow().result.clone().unwrap_or_default();
        let version = |result: &Value| result.get("protocolVersion").cloned();
        if version(&old) != version(&new) {
            return Err(self.not_renewed("it has another version of MCP"));
        }
        if let Some(name) = missing_capability(&old, &new) {
            let name = super::fault::plain(&name);
            return Err(self.not_renewed(&format!("it lacks the capability `{name}`")));
        }
        let changed = lists_changed(&new);
        self.adopt_session(new, id);
        let (initialized, state) = {
            let legacy = self.legacy.borrow();
            let state = legacy.set_level.iter().chain(legacy.subscriptions.values());
            let state: Vec<Bytes> = state.cloned().collect();
            (legacy.initialized.clone(), state)
        };
        if let Some(line) = initialized {
            self.post(line).await?.settled()?;
            self.start_push();
        }
        for line in state {
            self.own_request(&line).await?;
        }
        for line in self.cancel_asked("the server started a new session") {
            self.output.write(line).await;
        }
        for line in changed {
            self.output.write(line).await;
        }
        self.report(self.paused_until());
        Ok(())
    }

    /// Sends a line of the client again, under an ID of the bridge.
    async fn own_request(
        self: &Rc<Self>,
        line: &Bytes,
    ) -> Result<(Vec<u8>, Option<HeaderValue>), BridgeFault> {
        let envelope = Scanner::scan(line);
        let id = self.own_id();
        let line = with_id(line.to_vec(), &envelope, &id);
        let envelope = Scanner::scan(&line);
        let request = ClientRequest::read(&envelope, line.into(), self.era.get())
            .ok_or_else(|| BridgeFault::not_sent("the client's request is invalid"))?;
        let key = request.key();
        self.open
            .borrow_mut()
            .insert(key.clone(), OpenRequest::default());
        let attempt = self.attempt(&request).await;
        self.open.borrow_mut().remove(&key);
        attempt.settled()
    }

    /// Posts a message that gets no answer.
    async fn post(&self, line: Bytes) -> Result<Posted, BridgeFault> {
        let endpoint = self.legacy.borrow().endpoint.clone();
        if self.wire.get() == Wire::Sse && endpoint.is_none() {
            return Ok(Posted::Gone(self.not_renewed("the stream ended")));
        }
        let headers = match (self.wire.get(), self.era.get()) {
            (Wire::Sse, _) => HeaderMap::new(),
            (_, Some(Era::Modern)) => self.modern_notification_headers(&line),
            _ => self.session_headers(),
        };
        let mut reply = self
            .send(&Sending::Message(line, endpoint), &headers)
            .await?;
        let status = reply.status;
        let body = refusal_body(&mut reply).await;
        if status.is_success() {
            return Ok(Posted::Done);
        }
        let status = status.as_u16();
        let fault = BridgeFault::not_sent(format!(
            "{} refused a notification (HTTP status {status})",
            self.host()
        ));
        let has_session = headers.contains_key(SESSION) || self.wire.get() == Wire::Sse;
        let is_gone = status == 404 || (status == 400 && names_session(&body));
        Ok(if has_session && is_gone {
            Posted::Gone(fault)
        } else {
            Posted::Refused(fault)
        })
    }

    /// Sends a notification or an answer of the client.
    pub async fn notify(self: &Rc<Self>, line: Bytes) {
        let epoch = self.legacy.borrow().epoch;
        let envelope = Scanner::scan(&line);
        let begins = envelope.notification() == Some("notifications/initialized");
        if begins {
            self.legacy.borrow_mut().initialized = Some(line.clone());
        }
        let sent = async {
            match self.post(line.clone()).await? {
                // The new session gets `initialized` with the rest; an answer is for the lost one.
                Posted::Gone(_) if !begins && envelope.method.is_some() => {
                    self.renew(epoch).await?;
                    self.post(line).await?.settled()
                }
                other => other.settled(),
            }
        };
        let result = timeout(NOTIFY_LIMIT, sent).await;
        if let Ok(Err(fault)) = result {
            super::state::say(&fault.line(&self.server));
        }
        if begins {
            self.start_push();
        }
    }
}

/// What became of a message without an answer.
enum Posted {
    Done,
    Refused(BridgeFault),
    /// The server does not know the session.
    Gone(BridgeFault),
}

impl Posted {
    fn settled(self) -> Result<(), BridgeFault> {
        match self {
            Self::Done => Ok(()),
            Self::Refused(fault) | Self::Gone(fault) => Err(fault),
        }
    }
}

/// The change notifications that the capabilities allow.
fn lists_changed(result: &Value) -> Vec<Vec<u8>> {
    let allowed = |capability: &str| {
        let pointer = format!("/capabilities/{capability}/listChanged");
        result.pointer(&pointer) == Some(&Value::Bool(true))
    };
    LISTS
        .iter()
        .filter(|(capability, _)| allowed(capability))
        .map(|(_, method)| answer::notification(method))
        .collect()
}
