//! The way to the server: an approved proxy, approved certificates, nothing of the environment.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use super::driver::Start;
use super::web::{Then, Web, well};
use crate::harness::certified::Certified;

#[test]
fn plain_requests_name_the_whole_url_to_the_proxy() {
    let web = Web::start(well);
    let mut start = Start::at("http://mcp.invalid/mcp?key=1");
    start.proxy = Some(format!("http://me:p%40ss@127.0.0.1:{}", web.port));
    let mut driver = start.go();
    driver.initialize();
    driver.call(1, "ping", &json!({}));
    let first = &web.asked()[0];
    assert_eq!(first.target, "http://mcp.invalid/mcp?key=1");
    assert_eq!(first.header("host"), Some("mcp.invalid"));
    assert_eq!(
        first.header("proxy-authorization"),
        Some("Basic bWU6cEBzcw==")
    );
}

#[test]
fn loopback_is_reached_directly() {
    let web = Web::start(well);
    let mut start = Start::at(&web.url());
    start.proxy = Some("http://127.0.0.1:9".to_owned());
    let mut driver = start.go();
    assert!(driver.initialize()["result"].is_object());
    assert_eq!(web.asked()[0].header("proxy-authorization"), None);
}

/// The name has no address, so only the proxy could have reached it.
#[test]
fn no_proxy_is_heeded() {
    for (no_proxy, is_proxied) in [
        ("other.invalid", true),
        ("mcp.invalid:444", true),
        ("other.invalid, .invalid", false),
        ("mcp.invalid:443", false),
        ("*", false),
    ] {
        let web = Web::start(|_, reply| {
            reply.status(502);
            Then::Close
        });
        let mut start = Start::at("https://mcp.invalid/mcp");
        start.proxy = Some(format!("http://127.0.0.1:{}", web.port));
        start.no_proxy = no_proxy;
        let answer = start.go().call(1, "initialize", &json!({}));
        let message = answer["error"]["message"].as_str().unwrap();
        assert_eq!(!web.asked().is_empty(), is_proxied, "{no_proxy}: {message}");
        let at = if is_proxied {
            "cannot reach 127.0.0.1"
        } else {
            "cannot reach mcp.invalid:443"
        };
        assert!(message.contains(at), "{no_proxy}: {message}");
    }
}

#[test]
fn a_proxy_that_refuses_is_named() {
    let web = Web::start(|asked, reply| {
        reply.status(if asked.header("proxy-authorization").is_some() {
            502
        } else {
            407
        });
        Then::Close
    });
    for (user, text) in [
        ("", "asks for another user or password"),
        ("me:hidden-word@", "refused with HTTP status 502"),
    ] {
        let mut start = Start::at("https://mcp.invalid/mcp?key=1");
        start.proxy = Some(format!("http://{user}127.0.0.1:{}", web.port));
        let answer = start.go().call(1, "initialize", &json!({}));
        let shown = answer.to_string();
        assert!(
            shown.contains(&format!("127.0.0.1:{}", web.port)),
            "{shown}"
        );
        assert!(
            shown.contains(text) && !shown.contains("hidden-word"),
            "{shown}"
        );
    }
    let asked = web.asked();
    assert_eq!(
        (asked[0].method.as_str(), asked[0].target.as_str()),
        ("CONNECT", "mcp.invalid:443")
    );
    // The server's credentials are not for the proxy.
    assert!(
        asked
            .iter()
            .all(|asked| asked.header("authorization").is_none())
    );
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToProxy {
    Plain,
    Encrypted,
}

/// A TLS server for `mcp.invalid` behind a proxy that tunnels everything to it, and the PEM of the
/// authority of both. It answers each request with the same bytes.
pub(crate) fn tunnelled(to_proxy: ToProxy, answer: &'static str) -> (u16, String) {
    let certified = Certified::new(&["mcp.invalid", "127.0.0.1"]);
    let mut config = certified.server();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            std::thread::spawn(move || match to_proxy {
                ToProxy::Plain => serve(stream, config, answer),
                ToProxy::Encrypted => {
                    let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                    serve(StreamOwned::new(connection, stream), config, answer);
                }
            });
        }
    });
    (port, certified.authority)
}

fn serve(mut stream: impl Read + Write, config: Arc<ServerConfig>, answer: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).is_err() {
            // A client that does not trust this proxy.
            return;
        }
        head.extend(byte);
    }
    assert!(head.starts_with(b"CONNECT mcp.invalid:443 HTTP/1.1\r\nHost: mcp.invalid:443\r\n"));
    stream
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .unwrap();
    stream.flush().unwrap();
    let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    let mut seen = Vec::new();
    let mut bytes = [0; 4096];
    while !seen.ends_with(b"}") {
        match tls.read(&mut bytes) {
            Ok(count) if count > 0 => seen.extend(&bytes[..count]),
            _ => return,
        }
    }
    tls.write_all(answer.as_bytes()).unwrap();
    tls.conn.send_close_notify();
    tls.flush().unwrap();
}

#[test]
fn an_approved_authority_is_trusted_through_a_tunnel() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n\
                  {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tls\":true}}";
    let file = tempfile::NamedTempFile::new().unwrap();
    for (to_proxy, scheme) in [(ToProxy::Plain, ""), (ToProxy::Encrypted, "https://")] {
        let (port, pem) = tunnelled(to_proxy, answer);
        std::fs::write(file.path(), pem).unwrap();
        let mut start = Start::at("https://mcp.invalid/mcp");
        start.proxy = Some(format!("{scheme}127.0.0.1:{port}"));
        start.authorities = vec![file.path().display().to_string()];
        let answer = start.go().call(1, "ping", &json!({}));
        assert_eq!(answer["result"]["tls"], true, "{answer}");
    }
    let (port, _) = tunnelled(ToProxy::Plain, answer);
    // Without the approval it is not, if this machine has any authority.
    let mut start = Start::at("https://mcp.invalid/mcp");
    start.proxy = Some(format!("127.0.0.1:{port}"));
    let mut driver = start.go();
    driver.ask(1, "ping", &json!({}));
    let message = driver.message().to_string();
    assert!(
        message.contains(
            "cannot reach mcp.invalid:443: its certificate is of an authority that this machine"
        ),
        "{message}"
    );
    assert!(message.contains("mcpwrap config network"), "{message}");
}
