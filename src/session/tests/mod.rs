//! The session without processes: lines in, verdicts out.

mod batch;
mod envelope;
mod era;
mod laws;
mod relay;
mod renewal;

use std::time::Instant;

use serde_json::{Value, json};

use super::answer::Unavailable;
use super::envelope::{Id, Scanner};
use super::renewal::Takeover;
use super::{FromClient, FromServer, Session};
use crate::secret::ServerName;

fn name() -> ServerName {
    ServerName::new("x").unwrap()
}

fn trouble() -> Unavailable {
    Unavailable {
        code: "revoked".to_owned(),
        server: name(),
        text: "mcpwrap: it was revoked".to_owned(),
        hint: None,
        store: None,
    }
}

fn line(message: &Value) -> Vec<u8> {
    format!("{message}\n").into_bytes()
}

fn id(value: &Value) -> Id {
    Id::new(value.to_string().as_bytes())
}

/// The messages in these lines.
fn messages(lines: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(lines).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A session with its client and servers.
#[derive(Default)]
struct Talk(Session);

impl Talk {
    fn client(&mut self, message: &Value) -> FromClient {
        let line = line(message);
        let envelope = Scanner::scan(&line);
        self.0.client_line(&envelope, Some(&line), Instant::now())
    }

    fn server(&mut self, generation: u32, message: &Value) -> FromServer {
        let line = line(message);
        let envelope = Scanner::scan(&line);
        self.0
            .server_line(generation, &envelope, Some(&line), Instant::now())
    }

    fn ask(&mut self, id: u64, method: &str, params: &Value) {
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        assert_eq!(self.client(&request), FromClient::Forward);
    }

    fn answer(&mut self, generation: u32, id: &Value, result: &Value) -> FromServer {
        self.server(
            generation,
            &json!({"jsonrpc": "2.0", "id": id, "result": result}),
        )
    }

    /// The handshake of the legacy era, with the server of generation 1.
    fn legacy() -> Self {
        let mut talk = Self::default();
        talk.ask(0, "initialize", &hello());
        talk.answer(1, &json!(0), &welcome());
        talk.client(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        talk
    }

    /// The first answered request of the modern era.
    fn modern() -> Self {
        let mut talk = Self::default();
        talk.ask(0, "server/discover", &json!({"_meta": meta()}));
        talk.answer(1, &json!(0), &json!({"supportedVersions": ["2026-07-28"]}));
        talk
    }

    /// Brings up a new server until it may take over; returns the lines it got.
    fn bring_up(&mut self, generation: u32, result: &Value) -> Vec<Value> {
        self.0.nominate(generation);
        let first = self.0.handshake(generation).expect("a handshake");
        let mut told = messages(&first);
        let own = told[0]["id"].clone();
        self.answer(generation, &own, result);
        let answer = line(&json!({"jsonrpc": "2.0", "id": own, "result": result}));
        self.0.judge_handshake(&answer).unwrap();
        told.extend(messages(&self.0.after_handshake(generation)));
        for request in told.iter().skip(1).filter(|m| m.get("id").is_some()) {
            self.answer(generation, &request["id"], &json!({}));
        }
        assert!(self.0.is_replayed(generation));
        told
    }

    fn take_over(&mut self, generation: u32) -> (Vec<Value>, Vec<Value>) {
        let Takeover {
            to_server,
            to_client,
        } = self.0.take_over(generation, &name(), Instant::now());
        (messages(&to_server), messages(&to_client))
    }

    fn renew(&mut self, generation: u32) -> (Vec<Value>, Vec<Value>) {
        self.bring_up(generation, &welcome());
        self.take_over(generation)
    }
}

fn hello() -> Value {
    json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}})
}

fn welcome() -> Value {
    json!({
        "protocolVersion": "2025-11-25", "serverInfo": {"name": "s", "version": "1"},
        "capabilities": {"tools": {"listChanged": true}, "resources": {"subscribe": true}, "logging": {}},
    })
}

fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "m", "version": "2"},
    })
}
