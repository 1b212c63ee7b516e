//! A remote MCP server in the test that knows which values of `Authorization` it accepts.
//!
//! Its tools show what it got (`header`, `path`, `echo`), or wait until the client closes the connection (`wait`,
//! and `stall`, which first sends a part of its answer).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::bridge::web::{Asked, Reply, Then, Web};

/// See the module.
pub(super) struct HttpServer {
    web: Web,
    accepted: Arc<Mutex<Vec<String>>>,
    refused: Arc<AtomicUsize>,
    is_aborted: Arc<AtomicBool>,
    holds: Arc<AtomicBool>,
}

impl HttpServer {
    /// Everything is accepted if no token is named.
    pub(super) fn start(accepted: &[&str]) -> Self {
        let known = Arc::new(Mutex::new(bearers(accepted)));
        let (refused, is_aborted) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let holds = Arc::<AtomicBool>::default();
        let accepted = Arc::clone(&known);
        let (count, aborted) = (Arc::clone(&refused), Arc::clone(&is_aborted));
        let held = Arc::clone(&holds);
        let web = Web::start(move |asked, reply| {
            let is_known = is_accepted(asked, &known.lock().unwrap());
            match (asked.method.as_str(), is_known) {
                ("POST", true) if asked.rpc() == "initialize" && held.load(Ordering::SeqCst) => {
                    reply.wait_for_close();
                    aborted.store(true, Ordering::SeqCst);
                }
                ("POST", true) => answer(asked, reply, &aborted),
                ("POST", false) => {
                    count.fetch_add(1, Ordering::SeqCst);
                    reply.status(401);
                }
                _ => reply.status(405),
            }
            Then::Keep
        });
        Self {
            web,
            accepted,
            refused,
            is_aborted,
            holds,
        }
    }

    /// From now on, `initialize` is not answered.
    pub(super) fn hold_initialize(&self) {
        self.holds.store(true, Ordering::SeqCst);
    }

    pub(super) fn url(&self) -> String {
        self.web.url()
    }

    /// Host and port.
    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.web.port)
    }

    /// From now on, only these tokens are accepted.
    pub(super) fn accept(&self, tokens: &[&str]) {
        *self.accepted.lock().unwrap() = bearers(tokens);
    }

    pub(super) fn initializes(&self) -> usize {
        let asked = self.web.asked();
        asked
            .iter()
            .filter(|asked| asked.rpc() == "initialize")
            .count()
    }

    pub(super) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    pub(super) fn wait_for_method(&self, method: &str) {
        self.web.wait_for(method, |asked| asked.rpc() == method);
    }

    /// The tokens that came with messages so far.
    pub(super) fn tokens(&self) -> Vec<String> {
        let asked = self.web.asked();
        let values = asked.iter().filter_map(|one| one.header("authorization"));
        let token = |value: &str| value.trim_start_matches("Bearer ").to_owned();
        values.map(token).collect()
    }

    pub(super) fn wait_for_call(&self, tool: &str) {
        self.web
            .wait_for(tool, |asked| asked.json()["params"]["name"] == tool);
    }

    /// Whether the client closed the connection of a `wait` call.
    pub(super) fn is_aborted(&self) -> bool {
        self.is_aborted.load(Ordering::SeqCst)
    }
}

fn bearers(tokens: &[&str]) -> Vec<String> {
    let values = tokens.iter().map(|token| format!("Bearer {token}"));
    values.collect()
}

fn is_accepted(asked: &Asked, accepted: &[String]) -> bool {
    let got = asked.header("authorization").unwrap_or_default();
    accepted.is_empty() || accepted.iter().any(|known| known == got)
}

fn answer(asked: &Asked, reply: &mut Reply<'_>, aborted: &AtomicBool) {
    if asked.id().is_null() {
        return reply.status(202);
    }
    let params = &asked.json()["params"];
    let result = match asked.rpc().as_str() {
        "initialize" => json!({
            "protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
            "serverInfo": {"name": "remote", "version": "1"},
        }),
        "tools/call" if params["name"] == "stall" => {
            reply.raw(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{",
            );
            reply.wait_for_close();
            return aborted.store(true, Ordering::SeqCst);
        }
        "tools/call" => {
            let text = call(params, asked, reply, aborted);
            json!({"content": [{"type": "text", "text": text}]})
        }
        _ => json!({}),
    };
    reply.result(asked, &result);
}

fn call(params: &Value, asked: &Asked, reply: &mut Reply<'_>, aborted: &AtomicBool) -> String {
    match params["name"].as_str().unwrap() {
        "header" => {
            let name = params["arguments"]["name"].as_str().unwrap();
            asked.header(name).unwrap_or("absent").to_owned()
        }
        "echo" => params["arguments"]["text"].as_str().unwrap().to_owned(),
        "path" => format!("{} {} {}", asked.method, asked.target, asked.version),
        "wait" => {
            reply.wait_for_close();
            aborted.store(true, Ordering::SeqCst);
            "waited".to_owned()
        }
        other => panic!("no tool {other}"),
    }
}
