//! A hostile server: bounds of memory and time, and nothing but messages for the client.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::driver::{Driver, Start};
use super::web::{Asked, Reply, Then, Web, well};

/// How much memory of its own a bridge may have, whatever the server did (KiB).
const OWN_MEMORY_MAX: u64 = 24 << 10;

/// A server that answers `tools/call` with this, and is well otherwise.
fn only_calls(
    answer: impl Fn(&Asked, &mut Reply<'_>) -> Then + Send + Sync + 'static,
) -> (Web, Driver) {
    let web = Web::start(move |asked, reply| {
        if asked.rpc() == "tools/call" {
            answer(asked, reply)
        } else {
            well(asked, reply)
        }
    });
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    (web, driver)
}

#[track_caller]
fn call(driver: &mut Driver) -> Value {
    driver.call("call", "tools/call", &json!({"name": "x"}))
}

/// The call fails with this text, and the bridge goes on with little memory.
#[track_caller]
fn fails(driver: &mut Driver, text: &str) {
    let answer = call(driver);
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains(text), "{answer}");
    assert!(driver.call("next", "ping", &json!({}))["result"].is_object());
    if cfg!(target_os = "linux") {
        let memory = driver.own_memory();
        assert!(memory < OWN_MEMORY_MAX, "{memory} KiB");
    }
}

#[test]
fn endless_headers() {
    let (_web, mut driver) = only_calls(|_, reply| {
        reply.raw("HTTP/1.1 200 OK\r\n");
        while reply.raw("X-More: 0123456789012345678901234567890123456789\r\n") {}
        Then::Close
    });
    fails(&mut driver, "the connection to 127.0.0.1");
}

#[test]
fn an_endless_header() {
    let taken = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&taken);
    let (_web, mut driver) = only_calls(move |_, reply| {
        reply.raw("HTTP/1.1 200 OK\r\nX-More: ");
        while reply.raw("x".repeat(4096)) {
            count.fetch_add(4096, Ordering::SeqCst);
        }
        Then::Close
    });
    fails(&mut driver, "the connection to 127.0.0.1");
    // The kernel takes some of it, too.
    assert!(taken.load(Ordering::SeqCst) < 16 << 20);
}

#[test]
fn headers_that_come_too_slowly() {
    let (_web, mut driver) = only_calls(|_, reply| {
        reply.raw("HTTP/1.1 200 OK\r\nX-More: ");
        while reply.raw("x") {
            std::thread::park_timeout(Duration::from_millis(300));
        }
        Then::Close
    });
    let begin = Instant::now();
    fails(&mut driver, "its headers take too long");
    assert!(
        begin.elapsed() < Duration::from_secs(8),
        "{:?}",
        begin.elapsed()
    );
}

/// A request that may be repeated is not, because the client has waited long enough.
#[test]
fn headers_that_come_too_slowly_are_not_asked_for_again() {
    let web = Web::start(|asked, reply| {
        if asked.rpc() != "tools/list" {
            return well(asked, reply);
        }
        reply.raw("HTTP/1.1 200 OK\r\nX-More: ");
        while reply.raw("x") {
            std::thread::park_timeout(Duration::from_millis(300));
        }
        Then::Close
    });
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    let begin = Instant::now();
    let answer = driver.call(1, "tools/list", &json!({}));
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(text.contains("its headers take too long"), "{answer}");
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    let lists = web.asked();
    let lists = lists.iter().filter(|asked| asked.rpc() == "tools/list");
    assert_eq!(lists.count(), 1);
}

#[test]
fn an_endless_event() {
    let (_web, mut driver) = only_calls(|_, reply| {
        reply.stream();
        reply.raw("data: ");
        let part = "x".repeat(1 << 20);
        while reply.raw(&part) {}
        Then::Close
    });
    fails(&mut driver, "sent an event that does not fit in 256 MiB");
}

#[test]
fn an_endless_body() {
    let (_web, mut driver) = only_calls(|_, reply| {
        reply.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n");
        let part = " ".repeat(1 << 20);
        while reply.raw(&part) {}
        Then::Close
    });
    fails(&mut driver, "sent an answer that does not fit in 256 MiB");
}

#[test]
fn a_compressed_body_and_a_bomb() {
    let (_web, mut driver) = only_calls(|asked, reply| {
        let plain = match asked.json()["params"]["name"].as_str() {
            Some("x") => vec![b' '; 64 << 20],
            _ => json!({"jsonrpc": "2.0", "id": asked.id(), "result": {}})
                .to_string()
                .into_bytes(),
        };
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&plain).unwrap();
        let headers = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
        reply.body(200, headers, encoder.finish().unwrap());
        Then::Keep
    });
    let answer = driver.call(1, "tools/call", &json!({"name": "small"}));
    assert_eq!(answer["result"], json!({}));
    fails(&mut driver, "becomes more than 100 times longer");
}

#[test]
fn an_unknown_encoding() {
    let (_web, mut driver) = only_calls(|_, reply| {
        reply.body(
            200,
            "Content-Type: application/json\r\nContent-Encoding: br\r\n",
            "x",
        );
        Then::Keep
    });
    fails(&mut driver, "an encoding that was not asked for");
}

#[test]
fn answers_that_nobody_asked_for() {
    let (_web, mut driver) = only_calls(|asked, reply| {
        reply.stream();
        for id in [
            json!("ping"),
            json!("init"),
            json!(99),
            json!({"a": 1}),
            Value::Null,
        ] {
            reply.event(&json!({"jsonrpc": "2.0", "id": id, "result": {"wrong": true}}));
        }
        for text in [
            "<html>",
            "7",
            "\"text\"",
            "{}",
            "{\"jsonrpc\":\"1.0\",\"method\":\"x\"}",
            "{",
        ] {
            reply.raw(format!("data: {text}\n\n"));
        }
        reply.raw(b"data: {\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}\n\n");
        reply.event(&json!({"jsonrpc": "2.0", "id": asked.id(), "result": {"right": true}}));
        reply.event(&json!({"jsonrpc": "2.0", "id": asked.id(), "result": {"wrong": true}}));
        Then::Close
    });
    driver.ask("call", "tools/call", &json!({"name": "x"}));
    assert_eq!(driver.message()["result"]["right"], true);
    driver.call("next", "ping", &json!({}));
    let (said, left) = driver.finish();
    assert_eq!(left.len(), 0, "{left:?}");
    assert_eq!(said.matches("dropped a message").count(), 1, "{said}");
}

#[test]
fn deep_json_is_one_line_like_any_other() {
    const DEPTH: usize = 1 << 20;
    let (_web, mut driver) = only_calls(|asked, reply| {
        let (open, close) = ("[".repeat(DEPTH), "]".repeat(DEPTH));
        let body = format!(
            "{{\"result\":{open}{close},\"id\":{},\"jsonrpc\":\"2.0\"}}",
            asked.id()
        );
        reply.body(200, "Content-Type: application/json\r\n", body);
        Then::Keep
    });
    driver.ask("call", "tools/call", &json!({"name": "x"}));
    assert!(driver.line().len() > 2 * DEPTH);
    assert!(driver.call("next", "ping", &json!({}))["result"].is_object());
}

#[test]
fn an_array_of_arrays_is_no_message() {
    let (_web, mut driver) = only_calls(|_, reply| {
        reply.body(
            200,
            "Content-Type: application/json\r\n",
            "[".repeat(100_000),
        );
        Then::Keep
    });
    fails(&mut driver, "did not answer the request");
}

#[test]
fn a_client_that_does_not_read_holds_the_server_back() {
    let (sender, sent) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let (_web, mut driver) = only_calls(move |asked, reply| {
        reply.stream();
        let text = "x".repeat(64 << 10);
        for _ in 0..4096 {
            reply.event(&json!({"jsonrpc": "2.0", "method": "flood", "params": {"text": text}}));
            sender.lock().unwrap().send(()).unwrap();
        }
        reply.event(&json!({"jsonrpc": "2.0", "id": asked.id(), "result": {}}));
        Then::Close
    });
    driver.ask("call", "tools/call", &json!({"name": "x"}));
    // Until the server can write no more.
    let mut count = 0;
    while sent.recv_timeout(Duration::from_secs(1)).is_ok() {
        count += 1;
    }
    assert!(count < 1024, "{count} events of 64 KiB are somewhere");
    if cfg!(target_os = "linux") {
        assert!(driver.own_memory() < OWN_MEMORY_MAX);
    }
    for _ in 0..4096 {
        assert_eq!(driver.message()["method"], "flood");
    }
    assert_eq!(driver.message()["id"], "call");
}

#[test]
fn a_flood_of_requests_is_not_remembered_for_ever() {
    let (_web, mut driver) = only_calls(|asked, reply| {
        reply.stream();
        for id in 0..20_000 {
            let id = format!("{id}{}", "x".repeat(400));
            reply.event(&json!({"jsonrpc": "2.0", "id": id, "method": "roots/list"}));
        }
        reply.event(&json!({"jsonrpc": "2.0", "id": asked.id(), "result": {}}));
        Then::Close
    });
    driver.ask("call", "tools/call", &json!({"name": "x"}));
    for _ in 0..20_000 {
        driver.line();
    }
    assert_eq!(driver.message()["id"], "call");
    if cfg!(target_os = "linux") {
        assert!(driver.own_memory() < OWN_MEMORY_MAX);
    }
}
