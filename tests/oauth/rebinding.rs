//! Names that resolve to an address in a private network after a public one was checked (DNS rebinding).
//! Resolver, servers and certificates are real, in a network of the test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::harness::Test;
use crate::harness::certified::Certified;
use crate::harness::own_network::{alone, ip, replace};

const SERVER: &str = "mcp.rebind.test";
const ISSUER: &str = "login.rebind.test";
/// On the internet, where the servers are.
const SERVER_AT: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 34);
const ISSUER_AT: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 35);
/// In a private network, where a service is that only its neighbours should reach.
const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What was asked of each host, as `METHOD PATH`.
type Log = Arc<Mutex<Vec<String>>>;

/// The network with its servers.
struct Internet {
    test: Test,
    issuer: Log,
    /// How many connections there were to the service inside.
    inside: Arc<AtomicUsize>,
}

impl Internet {
    /// `answers`: the addresses of the issuer, one answer after the other; the last one stays.
    fn new(answers: &'static [&'static [Ipv4Addr]]) -> Self {
        for address in [SERVER_AT, ISSUER_AT, INSIDE] {
            assert!(ip(&format!("addr add {address}/32 dev lo")));
        }
        let test = Test::new();
        let (pem, config) = certificates();
        replace(&test, AUTHORITIES, &pem);
        replace(&test, "/etc/resolv.conf", "nameserver 127.0.0.1\n");
        replace(&test, "/etc/nsswitch.conf", "hosts: dns\n");
        resolve(answers);
        serve(SERVER_AT, &config, of_server);
        let issuer = serve(ISSUER_AT, &config, of_issuer);
        let inside = Arc::<AtomicUsize>::default();
        let (count, listener) = (Arc::clone(&inside), listen(INSIDE));
        std::thread::spawn(move || {
            for _stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        test.init();
        let text = format!("version = 1\nurl = \"https://{SERVER}/mcp\"\n[oauth]\n");
        test.write_policy("s", &text);
        test.ok(&["grant", "s", "--yes"]);
        Self {
            test,
            issuer,
            inside,
        }
    }

    /// Logs in, and says yes if that is asked; returns the exit code and the screen.
    fn log_in(&self, is_asked: bool) -> (i32, String) {
        let mut terminal = self.test.terminal(&["login", "s", "--no-browser"]);
        if is_asked {
            terminal.expect("go on? [y/n] ").enter("y");
        }
        terminal.end()
    }

    #[track_caller]
    fn inside_is_untouched(&self, screen: &str) {
        let why = format!("`{ISSUER}` is in a private network, where the server itself is not");
        assert!(screen.contains(&why), "{screen}");
        assert_eq!(self.inside.load(Ordering::Relaxed), 0, "{screen}");
    }
}

#[test]
fn a_name_in_a_private_network_is_not_asked() {
    alone(|| {
        let internet = Internet::new(&[&[INSIDE]]);
        let (code, screen) = internet.log_in(false);
        assert_eq!(code, 2, "{screen}");
        internet.inside_is_untouched(&screen);
        assert!(internet.issuer.lock().unwrap().is_empty());
    });
}

#[test]
fn a_name_that_moves_into_a_private_network_is_not_asked_again() {
    alone(|| {
        let internet = Internet::new(&[&[ISSUER_AT], &[INSIDE]]);
        let (code, screen) = internet.log_in(true);
        assert_eq!(code, 2, "{screen}");
        internet.inside_is_untouched(&screen);
        // Its metadata were read, and then nothing was registered anywhere.
        let asked = internet.issuer.lock().unwrap().clone();
        assert_eq!(asked, ["GET /.well-known/oauth-authorization-server"]);
    });
}

/// The first answer has both addresses: only the public one is used, and the second answer is refused.
#[test]
fn of_several_addresses_only_the_public_ones_are_used() {
    alone(|| {
        let internet = Internet::new(&[&[INSIDE, ISSUER_AT], &[INSIDE]]);
        let (code, screen) = internet.log_in(true);
        assert_eq!(code, 2, "{screen}");
        internet.inside_is_untouched(&screen);
        assert_eq!(internet.issuer.lock().unwrap().len(), 1);
    });
}

/// The path, and what stands after the status line.
fn of_server(asked: &str) -> String {
    match asked {
        "POST /mcp" => {
            let at = format!("https://{SERVER}/meta");
            answer(
                401,
                &format!("WWW-Authenticate: Bearer resource_metadata=\"{at}\"\r\n"),
                "",
            )
        }
        "GET /meta" => {
            let about = serde_json::json!({
                "resource": format!("https://{SERVER}/mcp"),
                "authorization_servers": [format!("https://{ISSUER}")],
            });
            answer(
                200,
                "Content-Type: application/json\r\n",
                &about.to_string(),
            )
        }
        _ => answer(404, "", ""),
    }
}

fn of_issuer(asked: &str) -> String {
    if asked != "GET /.well-known/oauth-authorization-server" {
        return answer(404, "", "");
    }
    let at = |path: &str| format!("https://{ISSUER}/{path}");
    let about = serde_json::json!({
        "issuer": format!("https://{ISSUER}"),
        "authorization_endpoint": at("authorize"), "token_endpoint": at("token"),
        "registration_endpoint": at("register"), "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
    });
    answer(
        200,
        "Content-Type: application/json\r\n",
        &about.to_string(),
    )
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn listen(at: Ipv4Addr) -> TcpListener {
    TcpListener::bind((at, 443)).unwrap()
}

/// An HTTPS server; returns what it is asked.
fn serve(at: Ipv4Addr, config: &Arc<ServerConfig>, answer: fn(&str) -> String) -> Log {
    let (log, config, listener) = (Log::default(), Arc::clone(config), listen(at));
    let told = Arc::clone(&log);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut reader = BufReader::new(StreamOwned::new(connection, stream));
            // A client that closes early is none of the test's business.
            let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
            let mut read = || -> std::io::Result<()> {
                reader.read_line(&mut first)?;
                while line != "\r\n" {
                    line.clear();
                    if reader.read_line(&mut line)? == 0 {
                        return Ok(());
                    }
                    let lower = line.to_ascii_lowercase();
                    if let Some(value) = lower.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                }
                reader.read_exact(&mut vec![0; length])
            };
            if read().is_err() {
                continue;
            }
            let asked: Vec<_> = first.split(' ').take(2).collect();
            let asked = asked.join(" ");
            let text = answer(&asked);
            told.lock().unwrap().push(asked);
            let stream = reader.get_mut();
            if stream.write_all(text.as_bytes()).is_ok() {
                stream.conn.send_close_notify();
                drop(stream.flush());
            }
        }
    });
    log
}

/// A name server for the two names.
fn resolve(answers: &'static [&'static [Ipv4Addr]]) {
    let socket = UdpSocket::bind(("127.0.0.1", 53)).unwrap();
    std::thread::spawn(move || {
        let mut turn = 0;
        let mut bytes = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            let Some(query) = Query::read(&bytes[..length]) else {
                continue;
            };
            let found: &[Ipv4Addr] = match (query.name.as_str(), query.kind) {
                (SERVER, A) => &[SERVER_AT],
                (ISSUER, A) => {
                    turn += 1;
                    answers[(turn - 1).min(answers.len() - 1)]
                }
                _ => &[],
            };
            socket.send_to(&query.answer(found), from).unwrap();
        }
    });
}

/// The type of a query for an IPv4 address.
const A: u16 = 1;

/// One question to a name server (RFC 1035).
struct Query {
    id: [u8; 2],
    /// The question as it came.
    question: Vec<u8>,
    name: String,
    kind: u16,
}

impl Query {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut at = 12;
        let mut labels = Vec::new();
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(bytes.get(at..at + length)?).to_ascii_lowercase());
            at += length;
        }
        let kind = u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]);
        Some(Self {
            id: [bytes[0], bytes[1]],
            question: bytes.get(12..at + 4)?.to_vec(),
            name: labels.join("."),
            kind,
        })
    }

    fn answer(&self, found: &[Ipv4Addr]) -> Vec<u8> {
        let count = u8::try_from(found.len()).unwrap();
        let mut out = self.id.to_vec();
        // An answer with recursion, one question, so many records.
        out.extend([0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0]);
        out.extend(&self.question);
        for address in found {
            // The name of the question, type A, class IN, not to be kept, four bytes.
            out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
            out.extend(address.octets());
        }
        out
    }
}

/// A certificate authority, and a server with a certificate for both names.
fn certificates() -> (String, Arc<ServerConfig>) {
    let certified = Certified::new(&[SERVER, ISSUER]);
    let config = certified.server();
    (certified.authority, Arc::new(config))
}
