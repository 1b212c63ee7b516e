//! Counts the requests on their way to a server.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Passes on what it gets, and keeps the first line of each request.
pub(super) struct Relay {
    port: u16,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Relay {
    /// In front of the server with this URL.
    pub(super) fn start(url: &str) -> Self {
        let target = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&target) else {
                    continue;
                };
                let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || pass_on(from, to, &mut |_| {}));
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || {
                    pass_on(client, server, &mut |bytes| {
                        let text = String::from_utf8_lossy(bytes);
                        let heads = text.lines().filter(|line| line.ends_with(" HTTP/1.1"));
                        let heads = heads.map(|line| line.trim_end_matches(" HTTP/1.1").to_owned());
                        kept.lock().unwrap().extend(heads);
                    });
                });
            }
        });
        Self { port, lines }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The requests since the last call.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, see: &mut dyn FnMut(&[u8])) {
    let mut buffer = vec![0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        see(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
}
