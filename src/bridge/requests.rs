//! The lines of the client, one after the other.
//!
//! Invariants: every request gets one answer line with its own ID; `initialize` and `initialized` are
//! done before the next line is sent; the client's batches are taken apart.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use super::deliver::ClientRequest;
use super::fault::{BridgeFault, IF_AGAIN};
use super::lines::StdinLine;
use super::send::is_unsent;
use super::state::{Bridge, OpenRequest, RequestKey, Wire};
use super::streamable::Attempt;
use crate::policy::remote::RemoteTransport;
use crate::session::envelope::{Envelope, LineKind, Scanner};
use crate::session::fields;
use crate::session::{Era, is_repeatable};

/// How many requests are with the server at the same time; more wait.
const AT_ONCE: usize = 256;
/// How long `server/discover` may take: clients of both eras wait 10 s for it.
const DISCOVER_LIMIT: Duration = Duration::from_secs(8);
/// How long a cancelled request may still be answered.
const CANCELLED_LIMIT: Duration = Duration::from_secs(10);
/// The time before a request is repeated.
const REPEAT_WAIT: Duration = Duration::from_millis(200);

/// Sends the client's lines until there are no more.
pub async fn dispatch(bridge: Rc<Bridge>, mut lines: mpsc::Receiver<StdinLine>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(input) = lines.recv().await {
        match input {
            StdinLine::Line(line) => take_line(&bridge, &places, line).await,
            StdinLine::TooLong(envelope) => {
                if let Some((id, _)) = envelope.request() {
                    let fault =
                        BridgeFault::not_sent("the request is too long").hint("send less at once");
                    bridge.output.write(fault.answer(id, &bridge.server)).await;
                }
            }
        }
    }
}

async fn take_line(bridge: &Rc<Bridge>, places: &Arc<Semaphore>, line: Vec<u8>) {
    let envelope = Scanner::scan(&line);
    if envelope.shape != LineKind::Array {
        return take_message(bridge, places, envelope, line).await;
    }
    let messages = serde_json::from_slice::<Vec<Box<RawValue>>>(&line);
    for message in messages.unwrap_or_default() {
        let message = message.get().as_bytes().to_vec();
        let envelope = Scanner::scan(&message);
        take_message(bridge, places, envelope, message).await;
    }
}

async fn take_message(
    bridge: &Rc<Bridge>,
    places: &Arc<Semaphore>,
    envelope: Envelope,
    line: Vec<u8>,
) {
    if envelope.request().is_some() {
        return take_request(bridge, places, &envelope, line).await;
    }
    match envelope.notification() {
        Some("notifications/cancelled") => take_cancel(bridge, line),
        // The server must know it before the next request.
        Some("notifications/initialized") => bridge.notify(line.into()).await,
        Some(_) => {
            let bridge = Rc::clone(bridge);
            spawn_local(async move { bridge.notify(line.into()).await });
        }
        None if envelope.answer().is_some() => {
            // In the modern era there are no answers of clients.
            let line = bridge.for_server(&envelope, line);
            if let Some(line) = line.filter(|_| bridge.era.get() != Some(Era::Modern)) {
                let bridge = Rc::clone(bridge);
                spawn_local(async move { bridge.notify(line.into()).await });
            }
        }
        None => {}
    }
}

async fn take_request(
    bridge: &Rc<Bridge>,
    places: &Arc<Semaphore>,
    envelope: &Envelope,
    line: Vec<u8>,
) {
    let Some(request) = ClientRequest::read(envelope, line.into(), bridge.era.get()) else {
        return;
    };
    let key = request.key();
    let open = OpenRequest {
        is_modern: request.modern.is_some(),
        is_subscription: request.method == "subscriptions/listen",
        ..OpenRequest::default()
    };
    bridge.open.borrow_mut().insert(key.clone(), open);
    if request.method == "initialize" {
        bridge.era.set(Some(Era::Legacy));
        bridge.serve(request).await;
        return;
    }
    if request.modern.is_some() {
        bridge.era.set(Some(Era::Modern));
    }
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok();
    let server = Rc::clone(bridge);
    let task = spawn_local(async move {
        server.serve(request).await;
        drop(place);
    });
    if let Some(open) = bridge.open.borrow_mut().get_mut(&key) {
        open.abort = Some(task.abort_handle());
    }
}

/// The client no longer waits for an answer.
fn take_cancel(bridge: &Rc<Bridge>, line: Vec<u8>) {
    let Some((_, id)) = fields::request_id(&line) else {
        return;
    };
    let key = RequestKey::of(&id);
    let is_modern = match bridge.open.borrow_mut().get_mut(&key) {
        Some(open) => {
            open.is_cancelled = true;
            open.is_modern
        }
        None => bridge.era.get() == Some(Era::Modern),
    };
    bridge.closed.notify_waiters();
    if is_modern {
        // Closing the response is the cancellation.
        bridge.give_up(&key);
        return;
    }
    let bridge = Rc::clone(bridge);
    spawn_local(async move {
        bridge.notify(line.into()).await;
        sleep(CANCELLED_LIMIT).await;
        bridge.give_up(&key);
    });
}

impl Bridge {
    /// Ends the work for a cancelled request, if it is still open.
    fn give_up(&self, key: &RequestKey) {
        let mut open = self.open.borrow_mut();
        if open.get(key).is_some_and(|open| open.is_cancelled)
            && let Some(open) = open.remove(key)
            && let Some(abort) = open.abort
        {
            abort.abort();
        }
        drop(open);
        self.closed.notify_waiters();
    }

    /// Answers a request.
    async fn serve(self: &Rc<Self>, request: ClientRequest) {
        let key = request.key();
        if request.modern.is_none() {
            self.note_request(&request);
        }
        let answered = if request.method == "server/discover" {
            let late = || {
                Err(
                    BridgeFault::unknown(format!("{} does not answer in time", self.host()))
                        .hint(IF_AGAIN),
                )
            };
            timeout(DISCOVER_LIMIT, self.exchange(&request))
                .await
                .unwrap_or_else(|_| late())
        } else {
            self.exchange(&request).await
        };
        let line = match answered {
            Ok(line) => self.finished(&request, line),
            Err(fault) => fault.answer(&request.id, &self.server),
        };
        self.answer(&key, line).await;
    }

    /// What has to be known of an answer before the client sees it.
    fn finished(&self, request: &ClientRequest, line: Vec<u8>) -> Vec<u8> {
        if request.modern.is_none() {
            return line;
        }
        let is_result = fields::Outcome::read(&line).error.is_none();
        if is_result && !self.modern_works.replace(true) {
            let version = request.modern.as_ref().map(|(version, _)| version.clone());
            self.legacy.borrow_mut().version = version;
            self.report(self.paused_until());
        }
        if !is_result && request.method == "server/discover" {
            // The client may go on with `initialize`.
            self.era.set(None);
        }
        if request.method == "tools/list" {
            return self.listed_tools(line);
        }
        line
    }

    async fn exchange(self: &Rc<Self>, request: &ClientRequest) -> Result<Vec<u8>, BridgeFault> {
        if let Some(answer) = self.modern_over_sse(request) {
            return answer;
        }
        if request.modern.is_some() && request.method == "subscriptions/listen" {
            return self.listen(request).await;
        }
        let (mut was_renewed, mut was_listed, mut was_repeated) = (false, false, false);
        loop {
            let epoch = self.legacy.borrow().epoch;
            match self.attempt(request).await {
                Attempt::Answer(line, session) => {
                    if request.method == "initialize" {
                        self.begin_session(&line, session);
                    }
                    return Ok(line);
                }
                Attempt::Gone(_) if !was_renewed => {
                    was_renewed = true;
                    self.renew(epoch).await?;
                }
                Attempt::HeaderMismatch(_) if !was_listed => {
                    was_listed = true;
                    self.relearn_tools(request).await;
                }
                Attempt::Other(inner) if self.may_be_sse() => {
                    // If it is not that either, the first answer tells more.
                    if self.open_link().await.is_err() {
                        return inner.settled().map(|(line, _)| line);
                    }
                }
                Attempt::Fault(fault) if !is_unsent(&fault) && !was_repeated => {
                    if fault.is_final || !repeats(&request.method) {
                        return Err(fault);
                    }
                    was_repeated = true;
                    sleep(REPEAT_WAIT).await;
                }
                other => return other.settled().map(|(line, _)| line),
            }
        }
    }

    fn may_be_sse(&self) -> bool {
        self.wire.get() == Wire::Unknown && self.transport == RemoteTransport::Auto
    }

    /// HTTP+SSE is older than the modern era.
    fn modern_over_sse(&self, request: &ClientRequest) -> Option<Result<Vec<u8>, BridgeFault>> {
        if request.modern.is_none() || self.wire.get() != Wire::Sse {
            return None;
        }
        let attempt = self.modern_refusal(
            request,
            hyper::StatusCode::NOT_FOUND,
            None,
            Attempt::Fault(
                BridgeFault::not_sent("the server speaks only HTTP+SSE")
                    .hint("use a client that speaks older revisions, too"),
            ),
        );
        Some(attempt.settled().map(|(line, _)| line))
    }
}

/// Whether a request may be sent again when nobody knows whether it arrived.
fn repeats(method: &str) -> bool {
    let sets_state = matches!(
        method,
        "initialize" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe"
    );
    sets_state || is_repeatable(method)
}
