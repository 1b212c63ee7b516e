//! The stream on which a server of the legacy era speaks unasked (Streamable HTTP).
//!
//! Invariants: it is optional, so no failure is shown, none ends the session, and requests never wait for
//! it; a server that ends it again and again is not asked more than once a second.

use std::rc::Rc;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use super::deliver::{ExpectedAnswers, StreamRole};
use super::send::{Sending, retry_after};
use super::state::{Bridge, Wire};
use super::stream::EventStream;
use super::streamable::{LAST_EVENT, is_stream};

/// The bounds of the time between two connections.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_mins(1);
/// A stream that lived longer was no failure.
const LONG: Duration = Duration::from_secs(10);

/// What to do after a try.
enum PushStep {
    /// It lived, or may live again soon.
    Soon,
    /// It failed.
    Later,
    /// The server has none.
    Never,
    /// The credentials were refused; again with newer ones.
    AfterCredentials(u64),
}

impl Bridge {
    /// Ends the stream.
    pub fn stop_push(&self) {
        if let Some(old) = self.push.borrow_mut().take() {
            old.abort();
        }
    }

    /// Opens the stream for the current session.
    pub fn start_push(self: &Rc<Self>) {
        // There the link is that stream.
        if self.wire.get() == Wire::Sse {
            return;
        }
        self.stop_push();
        let task = spawn_local(Rc::clone(self).push());
        *self.push.borrow_mut() = Some(task.abort_handle());
    }

    async fn push(self: Rc<Self>) {
        let mut role = StreamRole {
            epoch: self.legacy.borrow().epoch,
            expected: ExpectedAnswers::Waiting,
            is_acknowledged: false,
        };
        let mut last_id: Option<Vec<u8>> = None;
        let mut wish = WAIT_MIN;
        let mut failures = 0_u32;
        loop {
            let start = Instant::now();
            let step = tokio::select! {
                step = self.push_once(&mut role, &mut last_id, &mut wish) => step,
                // The connection may be dead without a sign.
                () = self.woke.notified() => PushStep::Soon,
            };
            failures = match step {
                PushStep::Never => return,
                PushStep::AfterCredentials(generation) => {
                    self.credentials.newer_than(generation).await;
                    0
                }
                PushStep::Soon if start.elapsed() >= LONG => 0,
                PushStep::Soon | PushStep::Later => failures.saturating_add(1),
            };
            let doubled = WAIT_MIN * 2_u32.saturating_pow(failures.saturating_sub(1).min(6));
            sleep(doubled.max(wish).min(WAIT_MAX)).await;
        }
    }

    async fn push_once(
        self: &Rc<Self>,
        role: &mut StreamRole,
        last_id: &mut Option<Vec<u8>>,
        wish: &mut Duration,
    ) -> PushStep {
        let mut headers = self.session_headers();
        if let Some(id) = last_id.as_deref() {
            headers.extend(resume_header(id));
        }
        let Ok(credentials) = self.credentials.current() else {
            return PushStep::Later;
        };
        let Ok(reply) = self.send(&Sending::Stream, &headers).await else {
            return PushStep::Later;
        };
        if !is_stream(&reply) {
            if let Some(seconds) = retry_after(&reply.headers) {
                *wish = Duration::from_secs(seconds.unsigned_abs()).clamp(WAIT_MIN, WAIT_MAX);
            }
            return match reply.status.as_u16() {
                401 | 403 => PushStep::AfterCredentials(credentials.generation),
                409 | 429 | 502..=504 => PushStep::Later,
                _ => PushStep::Never,
            };
        }
        let mut stream = EventStream::new(reply, &self.meter);
        let mut has_events = false;
        while let Ok(Some(event)) = stream.next().await {
            has_events = true;
            if event.name == b"message" {
                // An answer went to whoever waits for it.
                drop(self.deliver(role, event.data.into()).await);
            }
        }
        if let Some(id) = stream.last_id() {
            *last_id = Some(id.to_vec());
        }
        if let Some(retry) = stream.retry() {
            *wish = Duration::from_millis(retry).clamp(WAIT_MIN, WAIT_MAX);
        }
        if has_events {
            PushStep::Soon
        } else {
            PushStep::Later
        }
    }
}

/// The header that asks for what came after this event.
fn resume_header(id: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(id) {
        headers.insert(LAST_EVENT, value);
    }
    headers
}
