//! The conversation of a client with one server.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::child::{Arrival, RunChild, Silence};
use super::fault::TrialFault;
use super::terms::{CLIENT, Introduction, OfferedTool};
use crate::session::Era;
use crate::session::answer::STATUS_TOOL;

/// The newest revision that has a handshake.
const LEGACY: &str = "2025-11-25";
/// The revisions that clients accept in a handshake.
const LEGACY_ALL: &[&str] = &["2024-11-05", "2025-03-26", "2025-06-18", LEGACY];
/// The revision without a handshake.
const MODERN: &str = "2026-07-28";
/// What a server answers that knows no `initialize`: of another revision, unknown, or invalid.
const NOT_LEGACY: &[i64] = &[-32022, -32601, -32602, -32600];
/// How many requests of the server are answered. More could fill the pipe to a server that does not read.
const ANSWERS_MAX: usize = 100;
/// The longest name, version or revision that is kept (characters).
const NAME_MAX: usize = 200;

/// See the module.
#[derive(Debug)]
pub struct Conversation<'a> {
    child: &'a mut RunChild,
    began: Instant,
    deadline: Instant,
    asked: u64,
    answered: usize,
    pub(super) first_answer: Option<Duration>,
    pub(super) foreign_lines: usize,
    /// The length of the last answer (bytes).
    answer_bytes: usize,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(child: &'a mut RunChild, began: Instant, timeout: Duration) -> Self {
        Self {
            child,
            began,
            deadline: began + timeout,
            asked: 0,
            answered: 0,
            first_answer: None,
            foreign_lines: 0,
            answer_bytes: 0,
        }
    }

    /// The handshake: `initialize`, as most clients do, and `server/discover` with a server that has only
    /// the revision without a handshake.
    pub(super) fn introduce(&mut self, found: &mut Introduction) -> Result<(), TrialFault> {
        let params = json!({
            "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client_info(),
        });
        let refused = match self.request("initialize", params) {
            Ok(result) => {
                self.begin_legacy(&result, found)?;
                return Ok(());
            }
            Err(TrialFault::Answered {
                code,
                method,
                message,
            }) if NOT_LEGACY.contains(&code) => TrialFault::Answered {
                method,
                code,
                message,
            },
            Err(fault) => return Err(fault),
        };
        let meta = json!({"_meta": modern_meta()});
        match self.request("server/discover", meta) {
            Ok(result) => begin_modern(&result, found),
            // It has a handshake, and refused it.
            Err(TrialFault::Answered { .. }) => Err(refused),
            Err(fault) => Err(fault),
        }
    }

    fn begin_legacy(&mut self, result: &Value, found: &mut Introduction) -> Result<(), TrialFault> {
        describe(result, found);
        found.era = Some(Era::Legacy);
        found.protocol = result.get("protocolVersion").and_then(text);
        match &found.protocol {
            Some(version) if LEGACY_ALL.contains(&version.as_str()) => {}
            Some(version) => {
                return Err(TrialFault::Wrong(format!(
                    "it answered `initialize` with revision `{version}`, which clients do not know"
                )));
            }
            None => {
                let why = "its answer to `initialize` has no `protocolVersion`";
                return Err(TrialFault::Wrong(why.to_owned()));
            }
        }
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        self.child.send(&initialized.to_string());
        Ok(())
    }

    /// Sends a request and waits for its answer. What else arrives is answered or skipped.
    pub(super) fn request(
        &mut self,
        method: &'static str,
        params: Value,
    ) -> Result<Value, TrialFault> {
        self.asked += 1;
        let id = self.asked;
        let mut request = json!({"jsonrpc": "2.0", "id": id, "method": method});
        if let Some(fields) = request.as_object_mut() {
            fields.insert("params".to_owned(), params);
        }
        self.child.send(&request.to_string());
        loop {
            let (at, line) = match self.child.receive(self.deadline) {
                Ok(Arrival::Line(at, line)) => (at, line),
                Ok(Arrival::TooLong) => return Err(TrialFault::TooLong(method)),
                Err(Silence::Late) => return Err(TrialFault::Late(method)),
                Err(Silence::Ended) => return Err(TrialFault::Ended(method)),
            };
            // One that writes without a pause is never silent.
            if at > self.deadline {
                return Err(TrialFault::Late(method));
            }
            let Ok(Value::Object(mut message)) = serde_json::from_slice(&line) else {
                self.foreign_lines += usize::from(!line.trim_ascii().is_empty());
                continue;
            };
            if let Some(asked) = message.get("method").and_then(Value::as_str) {
                if let Some(id) = message.get("id") {
                    self.answer(id, asked);
                }
                continue;
            }
            if message.get("id") != Some(&json!(id)) {
                continue;
            }
            self.answer_bytes = line.len();
            self.first_answer
                .get_or_insert_with(|| at.saturating_duration_since(self.began));
            if let Some(error) = message.get("error") {
                return Err(TrialFault::of_answer(method, error));
            }
            return message.remove("result").ok_or_else(|| {
                TrialFault::Wrong(format!("its answer to `{method}` has no result"))
            });
        }
    }

    /// A page of the tools, and its length in bytes.
    pub(super) fn page(
        &mut self,
        found: &Introduction,
        cursor: Option<&str>,
    ) -> Result<(Value, usize), TrialFault> {
        let mut params = json!({});
        if let Some(fields) = params.as_object_mut() {
            if found.era == Some(Era::Modern) {
                fields.insert("_meta".to_owned(), modern_meta());
            }
            if let Some(cursor) = cursor {
                fields.insert("cursor".to_owned(), cursor.into());
            }
        }
        let page = self.request("tools/list", params)?;
        Ok((page, self.answer_bytes))
    }

    /// Answers a request of the server: this client offers nothing.
    fn answer(&mut self, id: &Value, method: &str) {
        self.answered += 1;
        if self.answered > ANSWERS_MAX {
            return;
        }
        let answer = match method {
            "ping" => json!({"jsonrpc": "2.0", "id": id, "result": {}}),
            _ => json!({
                "jsonrpc": "2.0", "id": id,
                "error": {"code": -32601, "message": "this client has no such method"},
            }),
        };
        self.child.send(&answer.to_string());
    }

    /// The replacement server of mcpwrap (`on_failure = "stub"`) is no server: it says why.
    pub(super) fn refuse_stand_in(
        &mut self,
        found: &Introduction,
        tools: &[OfferedTool],
    ) -> Result<(), TrialFault> {
        let is_own = |tool: &OfferedTool| tool.name == STATUS_TOOL;
        if found.name.as_deref() != Some("mcpwrap") || !tools.iter().any(is_own) {
            return Ok(());
        }
        // What it has not is answered with the reason.
        self.request("prompts/list", json!({})).map(drop)
    }
}

fn client_info() -> Value {
    json!({"name": CLIENT, "version": env!("CARGO_PKG_VERSION")})
}

/// What each request of the revision without a handshake carries.
fn modern_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": client_info(),
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

fn begin_modern(result: &Value, found: &mut Introduction) -> Result<(), TrialFault> {
    describe(result, found);
    found.era = Some(Era::Modern);
    let versions = result.get("supportedVersions").and_then(Value::as_array);
    let versions: Vec<String> = versions.into_iter().flatten().filter_map(text).collect();
    if versions.iter().any(|version| version == MODERN) {
        found.protocol = Some(MODERN.to_owned());
        return Ok(());
    }
    Err(TrialFault::Wrong(format!(
        "it has no revision of MCP that mcpwrap knows: {}",
        versions.join(", ")
    )))
}

/// Who the server is, and whether it has tools.
fn describe(result: &Value, found: &mut Introduction) {
    let meta = "/_meta/io.modelcontextprotocol~1serverInfo";
    let info = result.get("serverInfo").or_else(|| result.pointer(meta));
    found.name = info.and_then(|info| text(info.get("name")?));
    found.version = info.and_then(|info| text(info.get("version")?));
    found.has_tools = result.pointer("/capabilities/tools").is_some();
}

fn text(value: &Value) -> Option<String> {
    Some(value.as_str()?.chars().take(NAME_MAX).collect())
}
