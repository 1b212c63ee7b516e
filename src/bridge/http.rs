//! HTTP/1.1 to one server: requests, answers, and the connections that wait for the next request.
//!
//! Invariants: an answer that is dropped before its end closes its connection; a request is sent a second
//! time only if nothing of it was written.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;
use tokio::time::{Instant, interval, timeout};

use super::body::Decoding;
use super::connect::{Connector, Received};
use super::fault::{BREAKS_RULES, BridgeFault, IF_AGAIN, causes};
use super::peer::Peer;

/// The longest head of an answer (bytes).
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How much a connection buffers (bytes).
const BUFFER_BYTES_MAX: usize = 128 << 10;
/// How long a connection waits for its next request, unless the server says less.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// How many connections wait.
const IDLE_MAX: usize = 4;
/// How long a head may take from its first byte.
const HEAD_LIMIT: Duration = Duration::from_secs(6);
/// How long the other end may be silent while it owes an acknowledgement for a request. The system asks
/// several times in this time.
const SILENCE_LIMIT: Duration = Duration::from_secs(6);
/// How often a head is looked at.
const HEAD_TICK: Duration = Duration::from_secs(1);
/// How long a connection may need to get ready after an answer.
const READY_LIMIT: Duration = Duration::from_millis(100);

type HttpSender = SendRequest<Full<Bytes>>;

struct Connection {
    sender: HttpSender,
    received: Received,
    peer: Peer,
    /// Until when it may wait.
    until: Instant,
}

/// A request that can be sent again on another connection.
pub type HttpRequest = Request<Full<Bytes>>;

/// The client of one server.
pub struct HttpClient {
    pub connector: Connector,
    idle: RefCell<Vec<Connection>>,
}

impl HttpClient {
    pub fn new(connector: Connector) -> Rc<Self> {
        Rc::new(Self {
            connector,
            idle: RefCell::default(),
        })
    }

    /// Closes all connections that wait.
    pub fn close_idle(&self) {
        self.idle.borrow_mut().clear();
    }

    /// Closes the connections that waited long enough or were closed by the server.
    pub fn prune(&self) {
        let now = Instant::now();
        self.idle
            .borrow_mut()
            .retain(|one| one.until > now && !one.sender.is_closed());
    }

    /// Sends a request and waits for the head of its answer, without a limit: a server may work first.
    ///
    /// # Errors
    /// Host and reason.
    pub async fn send(self: &Rc<Self>, mut request: HttpRequest) -> Result<HttpReply, BridgeFault> {
        loop {
            let connection = self.take_idle().await;
            let is_new = connection.is_none();
            let mut connection = match connection {
                Some(connection) => connection,
                None => self.open().await?,
            };
            let watch = HeadWatch::new(&connection);
            let sent = connection.sender.try_send_request(request);
            let answer = watch.head_in_time(sent).await;
            let given_up = |why| {
                // The others may be dead as well.
                self.close_idle();
                self.failed(why).last()
            };
            match answer.map_err(given_up)? {
                Ok(answer) => return self.reply(answer, connection),
                Err(mut error) => match error.take_message().filter(|_| !is_new) {
                    Some(unsent) => request = unsent,
                    None => return Err(self.failed(&causes(error.error()))),
                },
            }
        }
    }

    fn failed(&self, reason: &str) -> BridgeFault {
        let host = self.host();
        BridgeFault::unknown(format!("the connection to {host} failed: {reason}")).hint(IF_AGAIN)
    }

    /// The answer has an encoding that cannot be read.
    fn undecoded(&self, why: &str) -> BridgeFault {
        BridgeFault::unknown(format!("{} {why}", self.host())).hint(BREAKS_RULES)
    }

    /// Host and port of the server.
    fn host(&self) -> String {
        self.connector.origin.host_and_port()
    }

    async fn take_idle(&self) -> Option<Connection> {
        loop {
            let mut connection = self.idle.borrow_mut().pop()?;
            if connection.until <= Instant::now() {
                continue;
            }
            let ready = timeout(READY_LIMIT, connection.sender.ready()).await;
            if matches!(ready, Ok(Ok(()))) {
                return Some(connection);
            }
        }
    }

    async fn open(&self) -> Result<Connection, BridgeFault> {
        let stream = self.connector.connect().await?;
        let (received, peer) = (Rc::clone(&stream.received), stream.peer.clone());
        let mut builder = http1::Builder::new();
        builder
            .max_buf_size(BUFFER_BYTES_MAX)
            .max_header_size(HEAD_BYTES_MAX);
        let (sender, connection) = builder
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.failed(&causes(&error)))?;
        spawn_local(async move {
            // Its errors reach the request.
            crate::sys::ignore(connection.await);
        });
        Ok(Connection {
            sender,
            received,
            peer,
            until: Instant::now() + IDLE_LIMIT,
        })
    }

    fn reply(
        self: &Rc<Self>,
        answer: hyper::Response<Incoming>,
        connection: Connection,
    ) -> Result<HttpReply, BridgeFault> {
        let (head, incoming) = answer.into_parts();
        let decoding = Decoding::of(&head.headers).map_err(|why| self.undecoded(&why))?;
        Ok(HttpReply {
            status: head.status,
            idle_limit: idle_limit(&head.headers),
            headers: head.headers,
            incoming,
            decoding,
            client: Rc::clone(self),
            connection: Some(connection),
        })
    }

    fn give_back(&self, mut connection: Connection, limit: Duration) {
        connection.until = Instant::now() + limit;
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_MAX && !connection.sender.is_closed() {
            idle.push(connection);
        }
    }
}

/// Looks after a request until the head of its answer.
struct HeadWatch {
    received: Received,
    /// What had been received before the request (bytes).
    before: u64,
    peer: Peer,
}

impl HeadWatch {
    fn new(connection: &Connection) -> Self {
        Self {
            received: Rc::clone(&connection.received),
            before: connection.received.get(),
            peer: connection.peer.clone(),
        }
    }

    /// Waits for an answer. Fails if its head began and does not end, or if nobody acknowledges the request, and
    /// says which.
    async fn head_in_time<T>(&self, sent: impl Future<Output = T>) -> Result<T, &'static str> {
        let mut sent = std::pin::pin!(sent);
        let mut ticks = interval(HEAD_TICK);
        let start = Instant::now();
        let mut begun: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                done = &mut sent => return Ok(done),
                now = ticks.tick() => {
                    if self.received.get() > self.before {
                        let begun = *begun.get_or_insert(now);
                        if now.duration_since(begun) >= HEAD_LIMIT {
                            return Err("its headers take too long");
                        }
                    }
                    // What was received before the request says nothing.
                    let asked = now.duration_since(start) >= SILENCE_LIMIT;
                    if asked && self.peer.silence().is_some_and(|silence| silence >= SILENCE_LIMIT) {
                        return Err("connection timed out");
                    }
                }
            }
        }
    }
}

/// How long the server keeps a connection (`Keep-Alive: timeout=5`), a second less.
fn idle_limit(headers: &HeaderMap) -> Duration {
    let value = headers
        .get("keep-alive")
        .and_then(|value| value.to_str().ok());
    let words = value.unwrap_or_default().split([',', ' ']);
    let seconds = words
        .filter_map(|word| word.trim().strip_prefix("timeout="))
        .find_map(|digits| digits.parse::<u64>().ok());
    seconds.map_or(IDLE_LIMIT, |seconds| {
        let limit = Duration::from_secs(seconds.saturating_sub(1));
        limit.clamp(Duration::from_millis(500), IDLE_LIMIT)
    })
}

/// An answer, whose body is still to come.
pub struct HttpReply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    idle_limit: Duration,
    incoming: Incoming,
    decoding: Decoding,
    client: Rc<HttpClient>,
    /// Used again after the end of the body.
    connection: Option<Connection>,
}

impl HttpReply {
    /// The media type, lower case, without its parameters.
    pub fn media_type(&self) -> String {
        let value = self.headers.get(hyper::header::CONTENT_TYPE);
        let text = value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let (kind, _) = text.split_once(';').unwrap_or((text, ""));
        kind.trim().to_ascii_lowercase()
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// Host and reason; what was received stays valid.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, BridgeFault> {
        loop {
            let Some(frame) = self.incoming.frame().await else {
                if let Some(connection) = self.connection.take() {
                    self.client.give_back(connection, self.idle_limit);
                }
                return Ok(None);
            };
            let frame = frame.map_err(|error| self.client.failed(&causes(&error)))?;
            let Ok(piece) = frame.into_data() else {
                continue;
            };
            let decoded = self.decoding.take(piece);
            let decoded = decoded.map_err(|why| self.client.undecoded(&why))?;
            if !decoded.is_empty() {
                return Ok(Some(decoded));
            }
        }
    }

    /// `what` takes more than `limit` (bytes), perhaps with others that are open.
    pub fn too_long(&self, what: &str, limit: usize) -> BridgeFault {
        let (host, limit) = (self.client.host(), limit >> 20);
        BridgeFault::unknown(format!(
            "{host} sent {what} that does not fit in {limit} MiB"
        ))
        .hint("ask it for less at once")
    }

    /// The length of the body, as the server says (bytes); 0 if it does not.
    pub fn announced_bytes(&self) -> usize {
        let length = self.headers.get(hyper::header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
        length.unwrap_or(0)
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`Self::chunk`], or it is longer than `limit` (bytes).
    pub async fn whole(&mut self, limit: usize) -> Result<Vec<u8>, BridgeFault> {
        let mut body = Vec::new();
        while let Some(piece) = self.chunk().await? {
            if body.len() + piece.len() > limit {
                return Err(self.too_long("an answer", limit));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_waits_a_little_less_than_the_server_allows() {
        for (value, seconds) in [
            ("timeout=5", 4),
            ("max=9, timeout=6", 5),
            ("x", 30),
            ("timeout=99", 30),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("keep-alive", value.parse().unwrap());
            assert_eq!(
                idle_limit(&headers),
                Duration::from_secs(seconds),
                "{value}"
            );
        }
    }
}
