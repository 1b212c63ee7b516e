//! The older transport, HTTP+SSE (2024-11-05): one stream from the server, messages posted to an address
//! that it names.
//!
//! Invariants: messages go to the configured origin only; when the stream ends the session is over, and
//! every request that waits on it is told.

use std::rc::Rc;
use std::time::Duration;

use hyper::HeaderMap;
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::address::ServerOrigin;
use super::deliver::{ClientRequest, ExpectedAnswers, StreamRole};
use super::fault::{BREAKS_RULES, BridgeFault, CHECK_TRANSPORT, IF_AGAIN, plain};
use super::send::{Sending, refusal_body, resolve};
use super::state::{Bridge, Wire};
use super::stream::EventStream;
use super::streamable::{Attempt, is_stream};

/// How long the server may take to name its address.
const ENDPOINT_LIMIT: Duration = Duration::from_secs(5);

impl Bridge {
    /// Opens the stream, and with it a session.
    ///
    /// # Errors
    /// The server does not speak this transport, or names an address of another origin.
    pub async fn open_link(self: &Rc<Self>) -> Result<(), BridgeFault> {
        self.stop_push();
        self.forget_waiting();
        let opened = timeout(ENDPOINT_LIMIT, self.endpoint()).await;
        let host = self.host();
        let (endpoint, stream) = opened.unwrap_or_else(|_| {
            Err(
                BridgeFault::not_sent(format!("{host} named no address for messages in time"))
                    .hint(CHECK_TRANSPORT),
            )
        })?;
        // The session's number comes with the answer to `initialize`.
        let epoch = {
            let mut legacy = self.legacy.borrow_mut();
            legacy.endpoint = Some(endpoint.clone());
            legacy.epoch + 1
        };
        self.wire.set(Wire::Sse);
        let task = spawn_local(Rc::clone(self).read_link(stream, endpoint, epoch));
        *self.push.borrow_mut() = Some(task.abort_handle());
        self.report(self.paused_until());
        Ok(())
    }

    async fn endpoint(&self) -> Result<(String, EventStream), BridgeFault> {
        let host = self.host();
        let mut reply = self.send(&Sending::Link, &HeaderMap::new()).await?;
        if !is_stream(&reply) {
            let status = reply.status.as_u16();
            refusal_body(&mut reply).await;
            return Err(BridgeFault::not_sent(format!(
                "{host} opened no stream of events (HTTP status {status})"
            ))
            .hint(CHECK_TRANSPORT));
        }
        let mut stream = EventStream::new(reply, &self.meter);
        while let Some(event) = stream.next().await? {
            if event.name == b"endpoint" {
                let text = String::from_utf8_lossy(&event.data).trim().to_owned();
                return Ok((self.endpoint_path(&text)?, stream));
            }
        }
        Err(
            BridgeFault::not_sent(format!("{host} named no address for messages"))
                .hint(CHECK_TRANSPORT),
        )
    }

    fn endpoint_path(&self, reference: &str) -> Result<String, BridgeFault> {
        let credentials = self.credentials.current()?;
        let url = resolve(&credentials.url, reference);
        let origin = url.as_ref().and_then(ServerOrigin::of);
        let path = url.as_ref().and_then(|url| url.path_and_query());
        match (origin, path) {
            (Some(origin), Some(path)) if origin == self.http.connector.origin => {
                Ok(path.as_str().to_owned())
            }
            (Some(origin), _) => Err(BridgeFault::not_sent(format!(
                "{} wants messages at {}, where no credentials are sent",
                self.host(),
                plain(&origin.shown())
            ))
            .hint(BREAKS_RULES)),
            _ => Err(BridgeFault::not_sent(format!(
                "{} named an invalid address for messages",
                self.host()
            ))
            .hint(BREAKS_RULES)),
        }
    }

    async fn read_link(self: Rc<Self>, mut stream: EventStream, endpoint: String, epoch: u32) {
        let mut role = StreamRole {
            epoch,
            expected: ExpectedAnswers::Waiting,
            is_acknowledged: false,
        };
        loop {
            let event = tokio::select! {
                event = stream.next() => event,
                // The connection may be dead without a sign.
                () = self.woke.notified() => break,
            };
            match event {
                Ok(Some(event)) if event.name == b"message" => {
                    // Every answer went to whoever waits for it.
                    drop(self.deliver(&mut role, event.data.into()).await);
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        let mut legacy = self.legacy.borrow_mut();
        if legacy.endpoint.as_ref() == Some(&endpoint) {
            legacy.endpoint = None;
        }
        drop(legacy);
        self.forget_waiting();
        self.report(self.paused_until());
    }

    /// Tells the requests that wait on the stream that nothing more comes.
    fn forget_waiting(&self) {
        for open in self.open.borrow_mut().values_mut() {
            open.answer = None;
        }
    }

    /// Sends a request over HTTP+SSE and waits for its answer.
    pub async fn attempt_sse(self: &Rc<Self>, request: &ClientRequest) -> Attempt {
        let ended = || {
            BridgeFault::unknown(format!("{} ended its stream of events", self.host()))
                .hint(IF_AGAIN)
        };
        let mut endpoint = self.legacy.borrow().endpoint.clone();
        if endpoint.is_none() && request.method == "initialize" {
            if let Err(fault) = self.open_link().await {
                return Attempt::Fault(fault);
            }
            endpoint.clone_from(&self.legacy.borrow().endpoint);
        }
        let Some(endpoint) = endpoint else {
            return Attempt::Gone(Box::new(Attempt::Fault(ended())));
        };
        let (sender, receiver) = oneshot::channel();
        if let Some(open) = self.open.borrow_mut().get_mut(&request.key()) {
            open.answer = Some(sender);
        }
        let sending = Sending::Message(request.line.clone(), Some(endpoint));
        let mut reply = match self.send(&sending, &HeaderMap::new()).await {
            Ok(reply) => reply,
            Err(fault) => return Attempt::Fault(fault),
        };
        if !reply.status.is_success() {
            return self.refusal(request, reply, true).await;
        }
        refusal_body(&mut reply).await;
        drop(reply);
        match receiver.await {
            Ok(line) => Attempt::Answer(line, None),
            Err(_) => Attempt::Fault(ended()),
        }
    }
}
