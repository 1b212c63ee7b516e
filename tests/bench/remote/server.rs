//! The servers: the reference server on Node.js, and one in this process that answers at once.

use std::borrow::Cow;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

pub(crate) const BULK_BYTES: usize = 64 << 20;
/// The tool whose answer has that many bytes.
pub(crate) const BULK_TOOL: &str = "bulk";

/// A body of no bytes.
const NOTHING: [Cow<'static, str>; 3] = [const { Cow::Borrowed("") }; 3];
/// Made before it is asked for, like a file.
static BULK: LazyLock<String> = LazyLock::new(|| "x".repeat(BULK_BYTES));

/// `server-everything`, until dropped.
pub(crate) struct Reference {
    child: Child,
    pub(crate) url: String,
}

impl Reference {
    pub(crate) fn start(cache: &Path) -> Option<Self> {
        let package = "npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js";
        let script = cache.join(package);
        if !script.exists() {
            return None;
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut command = Command::new("node");
        command
            .arg(script)
            .arg("streamableHttp")
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        let url = format!("http://127.0.0.1:{port}/mcp");
        Some(Self { child, url })
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts the server of this process; returns its address.
pub(crate) fn quick() -> String {
    LazyLock::force(&BULK);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    url
}

fn serve(stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut first = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if first.is_empty() {
                first = line;
            } else if line.trim_end().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        let body = String::from_utf8(body).ok()?;
        let (status, parts) = match first.split(' ').next()? {
            "POST" => respond(&body),
            "DELETE" => ("200 OK", NOTHING),
            _ => ("405 Method Not Allowed", NOTHING),
        };
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nMcp-Session-Id: one\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        let [before, text, after] = &parts;
        let out = stream.get_mut();
        if length < 1000 {
            // In one write, as servers do.
            out.write_all([&head, &**before, &**text, &**after].concat().as_bytes())
                .ok()?;
        } else {
            for part in [&head, &**before, &**text, &**after] {
                out.write_all(part.as_bytes()).ok()?;
            }
        }
    }
}

/// The status of the answer, and its body in parts.
fn respond(body: &str) -> (&'static str, [Cow<'static, str>; 3]) {
    // What bridges send may have another form than what they got.
    let has = |text: &str| body.contains(text);
    if has("\"notifications/") {
        return ("202 Accepted", NOTHING);
    }
    let before = format!(r#"{{"jsonrpc":"2.0","id":{},"result":"#, id(body));
    if has("\"initialize\"") {
        let result = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"quick","version":"1"}}}"#;
        return ("200 OK", [before.into(), result.into(), "".into()]);
    }
    let text: &'static str = if has("\"bulk\"") { &BULK } else { "hello" };
    let before = format!(r#"{before}{{"tools":[],"content":[{{"type":"text","text":""#);
    ("200 OK", [before.into(), text.into(), "\"}]}}".into()])
}

/// The id of a request, as it was written.
fn id(body: &str) -> &str {
    let after = body.split("\"id\":").nth(1).unwrap_or("null");
    let end = after.find([',', '}']).unwrap_or(after.len());
    after[..end].trim()
}
