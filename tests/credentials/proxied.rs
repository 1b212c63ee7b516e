//! The approved proxy and authority, from `config network` to the server behind the tunnel.

use serde_json::json;

use super::{HEADER, policy};
use crate::bridge::proxy::{ToProxy, tunnelled};
use crate::bridge::web::{Then, Web};
use crate::harness::{Run, TOKEN, Test};

const URL: &str = "https://mcp.invalid/mcp";

/// Approves the proxy at this address, then starts a session without the client's settings.
fn session<'a>(test: &'a Test, proxy: &str, no_proxy: &str) -> Run<'a> {
    test.secret("linear/token", TOKEN);
    test.set("HTTPS_PROXY", proxy);
    test.set("NO_PROXY", no_proxy);
    test.ok(&["config", "network", "--yes"]);
    for name in ["HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"] {
        test.unset(name);
    }
    policy(test, URL, HEADER, false);
    test.run("linear")
}

#[test]
fn a_server_is_reached_through_the_approved_proxy() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n\
                  {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{}}}";
    for (to_proxy, scheme) in [(ToProxy::Plain, "http"), (ToProxy::Encrypted, "https")] {
        let test = Test::new();
        let (port, pem) = tunnelled(to_proxy, answer);
        let authority = test.dir.join("authority.pem");
        std::fs::write(&authority, pem).unwrap();
        test.set("SSL_CERT_FILE", &authority);
        let proxy = format!("{scheme}://127.0.0.1:{port}");
        let mut run = session(&test, &proxy, "localhost,other.invalid");
        let answer = run.initialize();
        assert!(answer["result"].is_object(), "{answer}");
        run.finish();
    }
}

/// The name has no address, so only the proxy could have reached it.
#[test]
fn the_approved_exceptions_are_not_asked_of_the_proxy() {
    let test = Test::new();
    let web = Web::start(|_, reply| {
        reply.status(502);
        Then::Close
    });
    let mut run = session(&test, &web.origin(), "localhost,.invalid");
    let answer = run.request("initialize", &json!({"protocolVersion": "2025-11-25"}));
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("cannot reach mcp.invalid:443"), "{answer}");
    assert!(web.asked().is_empty());
    run.finish();
}
