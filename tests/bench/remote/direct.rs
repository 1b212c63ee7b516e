//! The least that a client of HTTP does: one connection that stays, and nothing parsed but the frame.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::server::BULK_TOOL;

pub(crate) const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
pub(crate) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
pub(crate) const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"}}}"#;

pub(crate) fn bulk_request() -> String {
    CALL.replace("\"echo\"", &format!("\"{BULK_TOOL}\""))
}

pub(crate) struct Direct {
    stream: BufReader<TcpStream>,
    address: String,
    path: String,
    session: Option<String>,
}

impl Direct {
    pub(crate) fn connect(url: &str) -> Self {
        let rest = url.strip_prefix("http://").unwrap();
        let (address, path) = rest.split_once('/').unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(stream),
            address: address.to_owned(),
            path: format!("/{path}"),
            session: None,
        }
    }

    pub(crate) fn initialize(&mut self) {
        let answer = self.post(INITIALIZE);
        assert!(answer.contains("\"result\""), "{answer}");
        self.post(INITIALIZED);
    }

    pub(crate) fn call(&mut self) -> Duration {
        let began = Instant::now();
        let answer = self.post(CALL);
        assert!(answer.contains("\"result\""), "{answer}");
        began.elapsed()
    }

    fn post(&mut self, body: &str) -> String {
        let session = self.session.as_ref().map_or(String::new(), |id| {
            format!("Mcp-Session-Id: {id}\r\nMcp-Protocol-Version: 2025-11-25\r\n")
        });
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nAccept: application/json, text/event-stream\r\n\
             Content-Type: application/json\r\n{session}Content-Length: {}\r\n\r\n{body}",
            self.path,
            self.address,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut length = Some(0);
        for line in self.head() {
            let (name, value) = line.split_once(':').unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok(),
                "transfer-encoding" => length = None,
                "mcp-session-id" => self.session = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        let mut body = Vec::new();
        match length {
            Some(length) => self.take(length, &mut body),
            None => self.chunks(&mut body),
        }
        String::from_utf8(body).unwrap()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.stream.read_line(&mut line).unwrap() > 0, "closed");
        line.trim_end().to_owned()
    }

    fn head(&mut self) -> Vec<String> {
        let lines = std::iter::repeat_with(|| self.line());
        lines.take_while(|line| !line.is_empty()).collect()
    }

    fn take(&mut self, length: usize, body: &mut Vec<u8>) {
        let start = body.len();
        body.resize(start + length, 0);
        self.stream.read_exact(&mut body[start..]).unwrap();
    }

    fn chunks(&mut self, body: &mut Vec<u8>) {
        loop {
            let length = usize::from_str_radix(&self.line(), 16).unwrap();
            self.take(length, body);
            self.line();
            if length == 0 {
                return;
            }
        }
    }
}
