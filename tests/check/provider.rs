//! A provider for the tests of `--verify`, at the address of the real one: the namespace of a test has
//! its own network, hosts file and CA certificates, which only root can change.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::harness::Test;
use crate::harness::certified::Certified;
pub(super) use crate::harness::own_network::{alone, replace};

pub(super) const HOST: &str = "api.github.com";
pub(super) const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What arrived: the requests, and the audit log at that time.
#[derive(Clone, Default)]
pub(super) struct Seen {
    pub(super) requests: Arc<Mutex<Vec<String>>>,
    pub(super) logs: Arc<Mutex<Vec<String>>>,
}

impl Seen {
    pub(super) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

/// A certificate authority, and a server with a certificate for [`HOST`].
pub(super) struct Authority {
    pub(super) pem: String,
    pub(super) config: Arc<ServerConfig>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let certified = Certified::new(&[HOST]);
        Self {
            config: Arc::new(certified.server()),
            pem: certified.authority,
        }
    }
}

/// The service: the machine finds it at [`HOST`] and trusts its authority.
pub(super) fn service(test: &Test, answer: &'static str) -> Seen {
    let authority = Authority::new();
    replace(test, "/etc/hosts", &format!("127.0.0.1 localhost {HOST}\n"));
    replace(test, "/etc/nsswitch.conf", "hosts: files\n");
    replace(test, AUTHORITIES, &authority.pem);
    listen(test, "127.0.0.1:443", authority.config, answer).1
}

/// Serves at an address, and returns the address that was bound.
pub(super) fn listen(
    test: &Test,
    address: &str,
    config: Arc<ServerConfig>,
    answer: &'static str,
) -> (String, Seen) {
    let listener = TcpListener::bind(address).unwrap();
    let bound = listener.local_addr().unwrap().to_string();
    let seen = Seen::default();
    let (told, log) = (seen.clone(), test.root().join("state/audit"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            drop(serve(stream, Arc::clone(&config), answer, &told, &log));
        }
    });
    (bound, seen)
}

fn serve(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
    answer: &str,
    seen: &Seen,
    log: &Path,
) -> std::io::Result<()> {
    let mut first = [0; 8];
    if stream.peek(&mut first)? > 0 && first.starts_with(b"CONNECT ") {
        // A proxy.
        seen.requests.lock().unwrap().push("CONNECT".to_owned());
        let mut buffer = [0; 4096];
        let _count = stream.read(&mut buffer)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    }
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = StreamOwned::new(connection, stream);
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        match tls.read(&mut buffer)? {
            0 => break,
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    seen.logs.lock().unwrap().push(read_all(log));
    seen.requests.lock().unwrap().push(text);
    tls.write_all(answer.as_bytes())?;
    tls.conn.send_close_notify();
    tls.flush()
}

fn read_all(dir: &Path) -> String {
    let files = std::fs::read_dir(dir)
        .unwrap()
        .map(|file| file.unwrap().path());
    let segments = files.filter(|path| path.extension().is_some_and(|kind| kind == "jsonl"));
    segments
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}
