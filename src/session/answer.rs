//! The lines that mcpwrap itself writes: answers while no server runs, and internal requests.
//!
//! Every error is -32603 (internal error): JSON-RPC and MCP reserve no better code, and all clients
//! show its text. Programs read `data.mcpwrap`; docs/control.md describes it.

use serde_json::{Value, json};

use super::envelope::Id;
use crate::error::Error;
use crate::secret::ServerName;

/// JSON-RPC: internal error.
const INTERNAL_ERROR: i32 = -32603;
/// The tool of the replacement server.
pub const STATUS_TOOL: &str = "mcpwrap_status";

/// Why mcpwrap answers requests itself, in the text that the client's user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    pub code: String,
    pub server: ServerName,
    /// One line: what, why, what to do.
    pub text: String,
    pub hint: Option<String>,
    /// The name of the store that failed.
    pub store: Option<String>,
}

impl Unavailable {
    pub fn new(server: &ServerName, error: &Error) -> Self {
        Self {
            code: error.code.name().to_owned(),
            server: server.clone(),
            text: error.line(),
            hint: error.hints.first().cloned(),
            store: error.store.as_deref().map(str::to_owned),
        }
    }

    /// Why a request is not answered that was in flight when its server was restarted.
    pub fn renewed(server: &ServerName) -> Self {
        Self {
            code: "renewed".to_owned(),
            server: server.clone(),
            text: format!(
                "mcpwrap: server `{server}` was restarted before it answered, so the outcome is unknown"
            ),
            hint: None,
            store: None,
        }
    }

    /// The same, with what to do after the hint.
    pub fn then(&self, what: &str) -> Self {
        let more = |text: &String| format!("{text}; then {what}");
        Self {
            text: more(&self.text),
            hint: self.hint.as_ref().map(more),
            ..self.clone()
        }
    }
}

/// The outcome of a request that the server did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// It never reached a server, or the server refused it.
    NotSent,
    /// It reached a server that exited; its effect may have happened.
    Unknown,
}

fn line(message: &Value) -> Vec<u8> {
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

fn raw(id: &Id) -> Value {
    serde_json::from_slice(id.as_bytes()).unwrap_or(Value::Null)
}

/// The error response to a request that no server will answer.
pub fn error(id: &Id, trouble: &Unavailable, outcome: RequestOutcome) -> Vec<u8> {
    let mut data = serde_json::Map::new();
    data.insert("code".to_owned(), json!(trouble.code));
    data.insert("server".to_owned(), json!(trouble.server.as_str()));
    if let Some(hint) = &trouble.hint {
        data.insert("hint".to_owned(), json!(hint));
    }
    if let Some(store) = &trouble.store {
        data.insert("store".to_owned(), json!(store));
    }
    if outcome == RequestOutcome::Unknown {
        data.insert("outcome".to_owned(), json!("unknown"));
    }
    let error = json!({
        "code": INTERNAL_ERROR, "message": trouble.text, "data": {"mcpwrap": data},
    });
    line(&json!({"jsonrpc": "2.0", "id": raw(id), "error": error}))
}

/// The response to `ping`: the session is alive, even without a server.
pub fn pong(id: &Id) -> Vec<u8> {
    line(&json!({"jsonrpc": "2.0", "id": raw(id), "result": {}}))
}

/// A `ping` for the client.
pub fn ping(id: &Id) -> Vec<u8> {
    line(&json!({"jsonrpc": "2.0", "id": raw(id), "method": "ping"}))
}

/// A notification without parameters.
pub fn notification(method: &str) -> Vec<u8> {
    line(&json!({"jsonrpc": "2.0", "method": method}))
}

/// Cancels a server's request to the client, with the reason why that server waits no longer.
pub fn cancelled(id: &Id, reason: &str) -> Vec<u8> {
    let params = json!({"requestId": raw(id), "reason": reason});
    line(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))
}

/// An internal `server/discover` with the `_meta` of the client's last request.
pub fn discover(id: &Id, meta: &Value) -> Vec<u8> {
    let params = json!({"_meta": meta});
    line(&json!({"jsonrpc": "2.0", "id": raw(id), "method": "server/discover", "params": params}))
}

/// An internal `tools/list`, with the `_meta` of a modern client.
pub fn list_tools(id: &Id, cursor: Option<&str>, meta: Option<&Value>) -> Vec<u8> {
    let mut params = serde_json::Map::new();
    if let Some(cursor) = cursor {
        params.insert("cursor".to_owned(), json!(cursor));
    }
    if let Some(meta) = meta {
        let mut meta = meta.clone();
        if let Some(fields) = meta.as_object_mut() {
            // Progress of a request of the client.
            fields.remove("progressToken");
        }
        params.insert("_meta".to_owned(), meta);
    }
    line(&json!({"jsonrpc": "2.0", "id": raw(id), "method": "tools/list", "params": params}))
}

/// An internal `resources/unsubscribe`.
pub fn unsubscribe(id: &Id, uri: &str) -> Vec<u8> {
    let params = json!({"uri": uri});
    line(&json!({
        "jsonrpc": "2.0", "id": raw(id), "method": "resources/unsubscribe", "params": params,
    }))
}

/// A change notification of the modern era, for one open subscription.
pub fn changed_for(method: &str, subscription: &Id) -> Vec<u8> {
    let meta = json!({"io.modelcontextprotocol/subscriptionId": raw(subscription)});
    line(&json!({"jsonrpc": "2.0", "method": method, "params": {"_meta": meta}}))
}

/// The response of the replacement server (`on_failure = "stub"`), which reports the error through
/// a tool, because every agent reads tools. `None` for unknown methods.
pub fn stub(id: &Id, method: &str, params: &Value, trouble: &Unavailable) -> Option<Vec<u8>> {
    let info = json!({"name": "mcpwrap", "version": env!("CARGO_PKG_VERSION")});
    let capabilities = json!({"tools": {"listChanged": true}});
    let result = match method {
        "initialize" => json!({
            "protocolVersion": params.get("protocolVersion").cloned().unwrap_or(json!("2025-11-25")),
            "capabilities": capabilities, "serverInfo": info, "instructions": trouble.text,
        }),
        "server/discover" => json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"],
            "capabilities": capabilities, "serverInfo": info, "instructions": trouble.text,
            "ttlMs": 0, "cacheScope": "private",
        }),
        "tools/list" => {
            json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "private", "tools": [{
                "name": STATUS_TOOL,
                "description": format!(
                    "Says why the MCP server `{}` is not running and what the user can do.", trouble.server
                ),
                "inputSchema": {"type": "object", "properties": {}},
            }]})
        }
        "tools/call" => json!({
            "resultType": "complete", "isError": true,
            "content": [{"type": "text", "text": trouble.text}],
        }),
        _ => return None,
    };
    Some(line(
        &json!({"jsonrpc": "2.0", "id": raw(id), "result": result}),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn trouble() -> Unavailable {
        let error = Error::new(Code::Revoked, "its policy was revoked")
            .not_started(&"x")
            .cause("revoked today")
            .hint("`mcpwrap grant x`");
        Unavailable::new(&ServerName::new("x").unwrap(), &error)
    }

    #[test]
    fn an_error_is_one_line_with_reason_and_hint() {
        let line = error(&Id::text("a"), &trouble(), RequestOutcome::Unknown);
        assert_eq!(memchr::memchr(b'\n', &line), Some(line.len() - 1));
        let answer: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(answer["id"], "a");
        assert_eq!(answer["error"]["code"], INTERNAL_ERROR);
        assert_eq!(answer["error"]["data"]["mcpwrap"]["code"], "revoked");
        assert_eq!(answer["error"]["data"]["mcpwrap"]["outcome"], "unknown");
        let text = answer["error"]["message"].as_str().unwrap();
        assert!(text.contains("revoked today") && text.contains("mcpwrap grant x"));
    }

    #[test]
    fn ids_keep_their_type() {
        for id in ["7", "\"7\"", "-1", "0.5"] {
            let answer: Value = serde_json::from_slice(&pong(&Id::new(id.as_bytes()))).unwrap();
            assert_eq!(answer["id"].to_string(), id);
        }
    }

    #[test]
    fn the_stub_has_one_tool() {
        let call = |method: &str| {
            let line = stub(&Id::new(b"1"), method, &json!({}), &trouble());
            line.map(|line| serde_json::from_slice::<Value>(&line).unwrap())
        };
        assert_eq!(
            call("tools/list").unwrap()["result"]["tools"][0]["name"],
            STATUS_TOOL
        );
        assert_eq!(call("tools/call").unwrap()["result"]["isError"], true);
        assert!(call("resources/list").is_none());
    }
}
