//! A client of both eras: it speaks MCP over the pipes of a program, and answers what the server asks.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::shell::Done;

/// The first revision without a session.
const MODERN: &str = "2026-07-28";
const UNSUPPORTED_VERSION: i64 = -32022;
/// How often a server may ask for input before it answers.
const ROUNDS: usize = 5;

pub struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
    version: String,
    requests: u64,
    deadline: Instant,
}

impl Client {
    pub fn start(command: &mut Command, version: &str, deadline: Instant) -> Done<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let message = serde_json::from_str(&line);
                if message.is_ok_and(|message| sender.send(message).is_err()) {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            stdin,
            lines,
            version: version.to_owned(),
            requests: 0,
            deadline,
        })
    }

    fn is_modern(&self) -> bool {
        self.version.as_str() >= MODERN
    }

    /// The first exchange; returns the answer of the server.
    pub fn begin(&mut self) -> Done<Value> {
        if self.is_modern() {
            return self.request("server/discover", json!({}));
        }
        let params = json!({"protocolVersion": self.version, "capabilities": capabilities(),
            "clientInfo": about()});
        let answer = self.request("initialize", params)?;
        if answer.get("result").is_some() {
            self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        }
        Ok(answer)
    }

    /// The answer to a request, after what the server wants to know for it.
    pub fn request(&mut self, method: &str, params: Value) -> Done<Value> {
        let mut params = params;
        for _ in 0..ROUNDS {
            let answer = self.exchange(method, &params)?;
            let error = &answer["error"];
            let supported = error["data"]["supported"][0].as_str();
            if error["code"] == UNSUPPORTED_VERSION
                && let Some(supported) = supported
            {
                supported.clone_into(&mut self.version);
                continue;
            }
            let result = &answer["result"];
            if result["resultType"] != "input_required" {
                return Ok(answer);
            }
            let asked = result["inputRequests"].as_object();
            let responses: Map<String, Value> = asked
                .into_iter()
                .flatten()
                .map(|(key, request)| (key.clone(), reply(request)))
                .collect();
            params["inputResponses"] = Value::Object(responses);
            match result.get("requestState") {
                Some(state) => params["requestState"] = state.clone(),
                None => drop(
                    params
                        .as_object_mut()
                        .and_then(|p| p.remove("requestState")),
                ),
            }
        }
        Err(format!("`{method}` asks without end"))
    }

    fn exchange(&mut self, method: &str, params: &Value) -> Done<Value> {
        self.requests += 1;
        let id = self.requests;
        let mut params = params.clone();
        if self.is_modern() {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": self.version,
                "io.modelcontextprotocol/clientInfo": about(),
                "io.modelcontextprotocol/clientCapabilities": capabilities(),
            });
        }
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let message = self
                .lines
                .recv_timeout(left)
                .map_err(|_| format!("no answer to `{method}`"))?;
            if message.get("method").is_some() {
                if let Some(asked) = message.get("id") {
                    let answer = json!({"jsonrpc": "2.0", "id": asked, "result": reply(&message)});
                    self.send(&answer)?;
                }
            } else if message["id"] == id {
                return Ok(message);
            }
        }
    }

    fn send(&mut self, message: &Value) -> Done {
        let stdin = self.stdin.as_mut().ok_or("stdin is closed")?;
        writeln!(stdin, "{message}").map_err(|error| error.to_string())
    }

    /// Ends the session as clients do.
    pub fn end(mut self) -> Done {
        self.stdin = None;
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("`mcpwrap run`: {status}"))
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stdin = None;
        let end = Instant::now() + Duration::from_secs(3);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn about() -> Value {
    json!({"name": "mcpwrap-conformance", "version": "1.0.0"})
}

fn capabilities() -> Value {
    json!({"elicitation": {}, "sampling": {}, "roots": {}})
}

/// What the user and the model answer to a server.
fn reply(request: &Value) -> Value {
    match request["method"].as_str() {
        Some("elicitation/create") => {
            let schema = &request["params"]["requestedSchema"];
            json!({"action": "accept", "content": filled(schema)})
        }
        Some("sampling/createMessage") => json!({"role": "assistant", "model": "none",
            "stopReason": "endTurn", "content": {"type": "text", "text": "An answer."}}),
        Some("roots/list") => json!({"roots": []}),
        _ => json!({}),
    }
}

/// An object that fits a schema: its defaults, and something for each other property.
pub fn filled(schema: &Value) -> Value {
    let properties = schema["properties"].as_object();
    let fill = |(name, about): (&String, &Value)| (name.clone(), value(about));
    let all = properties.into_iter().flatten().map(fill);
    Value::Object(all.collect())
}

fn value(about: &Value) -> Value {
    if let Some(default) = about.get("default") {
        return default.clone();
    }
    match about["type"].as_str() {
        Some("number") => json!(5.5),
        Some("integer") => json!(3),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => about["enum"].get(0).cloned().unwrap_or(json!("text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_filled_from_its_schema() {
        let schema = json!({"type": "object", "properties": {
            "name": {"type": "string", "default": "Ana"},
            "count": {"type": "integer"},
            "kind": {"type": "string", "enum": ["one", "two"]},
        }});
        let wanted = json!({"name": "Ana", "count": 3, "kind": "one"});
        assert_eq!(filled(&schema), wanted);
        assert_eq!(filled(&json!({})), json!({}));
    }
}
