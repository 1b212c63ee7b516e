//! A remote MCP server in the test: Streamable HTTP with JSON answers, one thread per connection.
//!
//! It knows which values of `Authorization` it accepts, counts what it gets, and its tools show a header
//! (`header`) or wait until the test lets them go (`wait`).

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value, json};

/// See the module. It ends with the process of the test.
pub(super) struct HttpServer {
    pub(super) address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The accepted values of `Authorization`; everything is accepted if empty.
    accepted: Mutex<Vec<String>>,
    initializes: AtomicUsize,
    refused: AtomicUsize,
    /// A `wait` call has arrived.
    waiting: AtomicBool,
    /// The connection of that call was closed by the client.
    aborted: AtomicBool,
    released: (Mutex<bool>, Condvar),
}

impl HttpServer {
    pub(super) fn start(accepted: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let server = Self {
            address,
            seen: Arc::clone(&seen),
        };
        server.accept(accepted);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || serve(&stream, &seen));
            }
        });
        server
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// From now on, only these tokens are accepted.
    pub(super) fn accept(&self, tokens: &[&str]) {
        let values = tokens.iter().map(|token| format!("Bearer {token}"));
        *self.seen.accepted.lock().unwrap() = values.collect();
    }

    pub(super) fn initializes(&self) -> usize {
        self.seen.initializes.load(Ordering::SeqCst)
    }

    pub(super) fn refused(&self) -> usize {
        self.seen.refused.load(Ordering::SeqCst)
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.seen.waiting.load(Ordering::SeqCst)
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.seen.aborted.load(Ordering::SeqCst)
    }

    pub(super) fn release(&self) {
        *self.seen.released.0.lock().unwrap() = true;
        self.seen.released.1.notify_all();
    }
}

struct Request {
    line: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if stream.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Request {
        line,
        headers,
        body,
    })
}

fn answer(mut stream: &TcpStream, status: &str, body: &str) {
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    drop(stream.write_all(text.as_bytes()));
}

fn serve(stream: &TcpStream, seen: &Seen) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        if !request.line.starts_with("POST /mcp") {
            answer(stream, "405 Method Not Allowed", "");
            continue;
        }
        let got = request
            .headers
            .get("authorization")
            .cloned()
            .unwrap_or_default();
        let accepted = seen.accepted.lock().unwrap().clone();
        if !accepted.is_empty() && !accepted.contains(&got) {
            seen.refused.fetch_add(1, Ordering::SeqCst);
            answer(stream, "401 Unauthorized", "");
            continue;
        }
        let message: Value = serde_json::from_slice(&request.body).unwrap();
        let Some(id) = message.get("id") else {
            answer(stream, "202 Accepted", "");
            continue;
        };
        let result = match message["method"].as_str().unwrap() {
            "initialize" => {
                seen.initializes.fetch_add(1, Ordering::SeqCst);
                json!({
                    "protocolVersion": message["params"]["protocolVersion"],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "remote", "version": "1"},
                })
            }
            "tools/call" => text(&call(&message["params"], &request, stream, seen)),
            _ => json!({}),
        };
        let body = json!({"jsonrpc": "2.0", "id": id, "result": result});
        answer(stream, "200 OK", &body.to_string());
    }
}

fn text(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}

fn call(params: &Value, request: &Request, stream: &TcpStream, seen: &Seen) -> String {
    match params["name"].as_str().unwrap() {
        "header" => {
            let name = params["arguments"]["name"].as_str().unwrap();
            request
                .headers
                .get(name)
                .cloned()
                .unwrap_or_else(|| "absent".to_owned())
        }
        "path" => request.line.trim_end().to_owned(),
        "wait" => {
            seen.waiting.store(true, Ordering::SeqCst);
            let ours = stream.try_clone().unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    // The client sends nothing more before the answer, so this is the end or the answer.
                    let closed = matches!(ours.peek(&mut [0]), Ok(0) | Err(_));
                    seen.aborted.store(closed, Ordering::SeqCst);
                    *seen.released.0.lock().unwrap() = true;
                    seen.released.1.notify_all();
                });
                let (lock, moved) = &seen.released;
                let released = lock.lock().unwrap();
                drop(moved.wait_while(released, |done| !*done).unwrap());
                // Ends the thread that looks for the end of the connection.
                drop(stream.shutdown(std::net::Shutdown::Read));
            });
            "waited".to_owned()
        }
        other => panic!("no tool {other}"),
    }
}
