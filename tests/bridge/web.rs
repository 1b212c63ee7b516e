//! A faulty HTTP server on the loopback interface: a thread per connection, and a closure that answers.
//!
//! The closure writes bytes itself, so it can cut, stall, repeat and lie. What was asked is kept.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a test waits for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    /// The version of HTTP.
    pub(crate) version: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The connection on which it came, from 0.
    pub(crate) connection: usize,
    /// Its position among all requests, from 0.
    pub(crate) number: usize,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The JSON-RPC method.
    pub(crate) fn rpc(&self) -> String {
        self.json()["method"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) fn id(&self) -> Value {
        self.json()["id"].clone()
    }
}

/// The other direction of a connection.
pub(crate) struct Reply<'a>(&'a mut TcpStream);

impl Reply<'_> {
    /// Writes bytes; what the peer no longer reads is lost.
    pub(crate) fn raw(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok()
    }

    /// A whole answer with a JSON body; `headers` are lines with their ends.
    pub(crate) fn json(&mut self, status: u16, headers: &str, body: &Value) {
        self.body(
            status,
            &format!("Content-Type: application/json\r\n{headers}"),
            body.to_string(),
        );
    }

    /// A whole answer.
    pub(crate) fn body(&mut self, status: u16, headers: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let head = format!(
            "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.raw([head.as_bytes(), body].concat());
    }

    pub(crate) fn status(&mut self, status: u16) {
        self.body(status, "", "");
    }

    /// The result of a request.
    pub(crate) fn result(&mut self, asked: &Asked, result: &Value) {
        let body = json!({"jsonrpc": "2.0", "id": asked.id(), "result": result});
        self.json(200, "", &body);
    }

    /// Begins a stream that ends with the connection.
    pub(crate) fn stream(&mut self) {
        self.raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n");
    }

    pub(crate) fn event(&mut self, message: &Value) -> bool {
        self.raw(format!("data: {message}\n\n"))
    }

    /// Waits until the peer closes the connection.
    pub(crate) fn wait_for_close(&mut self) {
        let mut byte = [0];
        self.0.set_read_timeout(Some(LIMIT)).unwrap();
        let read = self.0.read(&mut byte);
        assert!(matches!(read, Ok(0) | Err(_)), "the peer goes on");
    }
}

/// Whether the connection stays after an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Keep,
    Close,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    /// How many connections are open.
    open: usize,
    is_closed: bool,
}

type Shared = Arc<(Mutex<State>, Condvar)>;

pub(crate) struct Web {
    pub(crate) port: u16,
    state: Shared,
}

impl Web {
    /// Starts a server that answers with this closure.
    pub(crate) fn start(
        answer: impl Fn(&Asked, &mut Reply<'_>) -> Then + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Shared::default();
        let shared = Arc::clone(&state);
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().flatten().enumerate() {
                if shared.0.lock().unwrap().is_closed {
                    return;
                }
                let (shared, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                shared.0.lock().unwrap().open += 1;
                std::thread::spawn(move || {
                    serve(&stream, connection, &shared, &*answer);
                    stream.shutdown(Shutdown::Both).ok();
                    shared.0.lock().unwrap().open -= 1;
                    shared.1.notify_all();
                });
            }
        });
        Self { port, state }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/mcp", self.origin())
    }

    /// Everything that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.0.lock().unwrap().asked.clone()
    }

    /// Waits until no connection is open.
    #[track_caller]
    pub(crate) fn wait_until_closed(&self) {
        let state = self.state.0.lock().unwrap();
        let is_open = |state: &mut State| state.open > 0;
        let (_state, waited) = self
            .state
            .1
            .wait_timeout_while(state, LIMIT, is_open)
            .unwrap();
        assert!(!waited.timed_out(), "a connection stays open");
    }

    /// Waits until a request fits, and returns it.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, fits: impl Fn(&Asked) -> bool) -> Asked {
        let end = Instant::now() + LIMIT;
        let mut state = self.state.0.lock().unwrap();
        loop {
            if let Some(found) = state.asked.iter().find(|asked| fits(asked)) {
                return found.clone();
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "nobody asked for {what}: {:#?}",
                state.asked
            );
            state = self.state.1.wait_timeout(state, left).unwrap().0;
        }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.state.0.lock().unwrap().is_closed = true;
        TcpStream::connect(("127.0.0.1", self.port)).ok();
    }
}

fn serve(
    stream: &TcpStream,
    connection: usize,
    shared: &Shared,
    answer: &dyn Fn(&Asked, &mut Reply<'_>) -> Then,
) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(mut asked) = read(&mut reader) {
        asked.connection = connection;
        {
            let mut state = shared.0.lock().unwrap();
            asked.number = state.asked.len();
            state.asked.push(asked.clone());
            shared.1.notify_all();
        }
        let mut writer = stream.try_clone().unwrap();
        if answer(&asked, &mut Reply(&mut writer)) == Then::Close {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    reader
        .read_line(&mut line)
        .ok()
        .filter(|count| *count > 0)?;
    let mut words = line.trim_end().split(' ').map(str::to_owned);
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader
            .read_line(&mut line)
            .ok()
            .filter(|count| *count > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked {
        method,
        target,
        version,
        headers,
        body: String::from_utf8(body).unwrap(),
        connection: 0,
        number: 0,
    })
}

/// The answers of a server that is well: what a test does not bend.
pub(crate) fn well(asked: &Asked, reply: &mut Reply<'_>) -> Then {
    match (asked.method.as_str(), asked.rpc().as_str()) {
        ("GET", _) => reply.status(405),
        ("POST", "initialize") => {
            let result = json!({
                "protocolVersion": "2025-11-25", "capabilities": {"tools": {"listChanged": true}},
                "serverInfo": {"name": "web", "version": "1"},
            });
            let body = json!({"jsonrpc": "2.0", "id": asked.id(), "result": result});
            reply.json(200, "Mcp-Session-Id: session-1\r\n", &body);
        }
        ("POST", _) if !asked.id().is_null() && !asked.rpc().is_empty() => {
            reply.result(asked, &json!({"asked": asked.rpc()}));
        }
        ("POST", _) => reply.status(202),
        _ => reply.status(200),
    }
    Then::Keep
}
