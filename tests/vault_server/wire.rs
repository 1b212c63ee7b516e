//! Servers that are no Vault, or that lead the token elsewhere.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Opened, VALUE};
use crate::bridge::web::{Asked, Reply, Then, Web};

const PLACE: &str = "secret/mcp/slack#token";
const TOKEN: &str = "hvs.token-of-the-wire-tests";

/// A server that answers each request with this closure.
fn web(answer: impl Fn(&Asked, &mut Reply<'_>) + Send + Sync + 'static) -> Web {
    Web::start(move |asked, reply| {
        answer(asked, reply);
        Then::Keep
    })
}

/// The right answer to a request for [`PLACE`].
fn right(asked: &Asked) -> Value {
    if asked.target.contains("/sys/internal/") {
        json!({"data": {"path": "secret/", "type": "kv", "options": {"version": "2"}}})
    } else {
        let facts = json!({"version": 1, "deletion_time": "", "destroyed": false});
        json!({"data": {"data": {"token": VALUE}, "metadata": facts}})
    }
}

/// The error of a server that answers like this; it contains neither the token nor the value.
#[track_caller]
fn fails(web: &Web, code: &str, part: &str) {
    let store = Opened::with_token(&web.origin(), TOKEN);
    store.fails(PLACE, code, part);
    let text = store.error(PLACE).to_string();
    assert!(!text.contains(TOKEN) && !text.contains(VALUE), "{text}");
}

#[test]
fn what_is_sent() {
    let server = web(|asked, reply| reply.json(200, "", &right(asked)));
    assert_eq!(
        Opened::with_token(&server.origin(), TOKEN).value(PLACE),
        VALUE
    );
    let asked = server.asked();
    let read = asked.last().unwrap();
    assert_eq!(read.target, "/v1/secret/data/mcp/slack");
    assert_eq!(read.header("x-vault-token"), Some(TOKEN));
    assert_eq!(read.header("x-vault-request"), Some("true"));
    assert_eq!(read.header("x-vault-namespace"), None);
    assert!(read.header("user-agent").unwrap().starts_with("mcpwrap/"));
    // Both requests on one connection.
    assert_eq!(asked.iter().map(|asked| asked.connection).max(), Some(0));
}

#[test]
fn answers_that_are_not_those_of_vault() {
    let html = |status: u16| {
        let page = format!("<html>{TOKEN} {VALUE}</html>");
        web(move |_, reply| reply.body(status, "Content-Type: text/html\r\n", &page))
    };
    fails(
        &html(200),
        "store-answer-invalid",
        "not one of Vault or OpenBao",
    );
    fails(
        &html(404),
        "store-answer-invalid",
        "not one of Vault or OpenBao",
    );
    fails(
        &html(401),
        "store-answer-invalid",
        "not one of Vault or OpenBao",
    );
    fails(&html(502), "store-unavailable", "HTTP status 502");
    let long = web(|_, reply| reply.body(200, "", vec![b' '; 5 << 20]));
    fails(&long, "store-answer-invalid", "longer than 4 MiB");
    let list = web(|_, reply| reply.json(200, "", &json!([VALUE])));
    fails(&list, "store-answer-invalid", "not one of Vault or OpenBao");
    let noise = web(|_, reply| assert!(reply.raw("SSH-2.0-OpenSSH_9\r\n\r\n")));
    fails(&noise, "store-answer-invalid", "does not answer in HTTP");
    let odd = web(|asked, reply| {
        let is_read = !asked.target.contains("/sys/");
        let body = if is_read {
            json!({"data": {"data": VALUE}})
        } else {
            right(asked)
        };
        reply.json(200, "", &body);
    });
    fails(&odd, "store-answer-invalid", "not one of a secrets engine");
}

#[test]
fn standby_and_uninitialized_servers() {
    for (status, part) in [(472, "standby"), (473, "standby"), (501, "not initialized")] {
        let server = web(move |_, reply| reply.json(status, "", &json!({"errors": []})));
        fails(&server, "store-unavailable", part);
    }
}

#[test]
fn too_many_requests_are_repeated_twice() {
    let server = web(|_, reply| {
        reply.json(
            429,
            "",
            &json!({"errors": ["request path: rate limit quota exceeded"]}),
        );
    });
    let store = Opened::with_token(&server.origin(), TOKEN);
    store.fails(PLACE, "store-throttled", "HTTP status 429");
    assert_eq!(server.asked().len(), 3);
    for (status, requests) in [(429, 3), (412, 3), (500, 3), (503, 3)] {
        let once = AtomicUsize::new(0);
        let server = web(
            move |asked, reply| match once.fetch_add(1, Ordering::SeqCst) {
                0 => reply.json(status, "", &json!({"errors": ["busy"]})),
                _ => reply.json(200, "", &right(asked)),
            },
        );
        assert_eq!(
            Opened::with_token(&server.origin(), TOKEN).value(PLACE),
            VALUE
        );
        assert_eq!(server.asked().len(), requests, "{status}");
    }
    for status in [400, 403, 404] {
        let server = web(move |_, reply| reply.json(status, "", &json!({"errors": ["no"]})));
        let store = Opened::with_token(&server.origin(), TOKEN);
        store.error(PLACE);
        let probes = server
            .asked()
            .iter()
            .filter(|asked| asked.target.contains("/mounts/"))
            .count();
        assert_eq!(probes, 1, "{status}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for() {
    let server = web(|_, reply| reply.wait_for_close());
    let store = Opened::with_token(&server.origin(), TOKEN);
    let limit = Duration::from_millis(400);
    let start = Instant::now();
    let errors = store.read_within(&[PLACE, "secret/other"], limit);
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    for error in errors {
        let error = error.unwrap_err();
        assert_eq!(error.code.name(), "store-timeout", "{error}");
    }
    // Also in the middle of an answer.
    let server = web(|_, reply| {
        reply.raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":");
        reply.wait_for_close();
    });
    let store = Opened::with_token(&server.origin(), TOKEN);
    let error = store.read_within(&[PLACE], limit).remove(0).unwrap_err();
    assert_eq!(error.code.name(), "store-timeout", "{error}");
}

#[test]
fn the_token_does_not_follow_a_redirect() {
    let elsewhere = Arc::new(web(|asked, reply| reply.json(200, "", &right(asked))));
    let target = elsewhere.origin();
    let server = web(move |asked, reply| {
        let header = format!("Location: {target}{}\r\n", asked.target);
        reply.body(307, &header, "");
    });
    fails(&server, "store-unavailable", "where the token is not sent");
    assert!(elsewhere.asked().is_empty());
    // Without TLS, not even to itself.
    let server = web(|asked, reply| {
        let host = asked.header("host").unwrap();
        let header = format!("Location: http://{host}/again\r\n");
        reply.body(307, &header, "");
    });
    fails(&server, "store-unavailable", "where the token is not sent");
    assert!(server.asked().iter().all(|asked| asked.target != "/again"));
    let server = web(|_, reply| reply.body(302, "", ""));
    fails(&server, "store-unavailable", "redirects to");
}

/// A server with TLS that gives the same answer to every request, and keeps the requests.
struct Tls {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tls {
    fn start(
        certified: &rcgen::CertifiedKey<rcgen::KeyPair>,
        answer: impl Fn(&str, u16) -> String + Send + 'static,
    ) -> Self {
        let key = certified.signing_key.serialize_der().try_into().unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = rustls::StreamOwned::new(connection, stream);
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                    request.push(byte[0]);
                }
                let request = String::from_utf8(request).unwrap();
                let reply = answer(&request, port);
                kept.lock().unwrap().push(request);
                stream.write_all(reply.as_bytes()).ok();
                stream.conn.send_close_notify();
                stream.flush().ok();
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 307 X\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

#[test]
fn one_redirect_on_the_same_host_is_followed() {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let authority = dir.path().join("ca.pem");
    std::fs::write(&authority, certified.cert.pem()).unwrap();
    let of = |port: u16| {
        let auth = "auth = { method = \"token\", token = \"secret:t\" }";
        let ca = format!("ca_file = \"{}\"", authority.display());
        let settings = format!("address = \"https://127.0.0.1:{port}\"\n{ca}\n{auth}");
        Opened::new(&settings, &[("t", TOKEN)])
    };
    let active = Tls::start(&certified, |request, _| {
        let is_read = !request.contains("/sys/");
        let body = if is_read {
            json!({"data": {"data": {"token": VALUE}, "metadata": {"version": 1, "deletion_time": "", "destroyed": false}}})
        } else {
            json!({"data": {"path": "secret/", "type": "kv", "options": {"version": "2"}}})
        };
        let body = body.to_string();
        let length = body.len();
        format!("HTTP/1.1 200 X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
    });
    let port = active.port;
    let path = |request: &str| request.split(' ').nth(1).unwrap().to_owned();
    let standby = Tls::start(&certified, move |request, _| {
        redirect(&format!("https://127.0.0.1:{port}{}", path(request)))
    });
    assert_eq!(of(standby.port).value(PLACE), VALUE);
    assert_eq!((standby.asked(), active.asked()), (2, 2));
    // Another name of the same machine is another host, and one redirect is enough.
    let other = Tls::start(&certified, move |request, _| {
        redirect(&format!("https://localhost:{port}{}", path(request)))
    });
    of(other.port).fails(PLACE, "store-unavailable", "`https://localhost:");
    assert_eq!(active.asked(), 2);
    let circle = Tls::start(&certified, move |request, port| {
        redirect(&format!("https://127.0.0.1:{port}{}", path(request)))
    });
    of(circle.port).fails(PLACE, "store-answer-invalid", "more than once");
    assert_eq!(circle.asked(), 2);
}
