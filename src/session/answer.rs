//! The lines that mcpwrap writes itself: answers while no server runs, and its own requests.
//!
//! Every error is -32603 (internal error): the reserved ranges of JSON-RPC and MCP have no meaning
//! for it, and all clients show its text. `data.mcpwrap` is the part that programs read; its shape
//! is in docs/control.md.

use serde_json::{Value, json};

use super::envelope::Id;
use crate::error::Error;
use crate::secret::ServerName;

/// JSON-RPC: internal error.
const INTERNAL_ERROR: i32 = -32603;
/// The tool of the stand-in server.
pub const STATUS_TOOL: &str = "mcpwrap_status";

/// Why requests are answered by us, in the words that the client's user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    pub code: String,
    pub server: ServerName,
    /// One line: what, why, what to do.
    pub text: String,
    pub hint: Option<String>,
}

impl Unavailable {
    pub fn new(server: &ServerName, error: &Error) -> Self {
        Self {
            code: error.code.name().to_owned(),
            server: server.clone(),
            text: error.line(),
            hint: error.hints.first().cloned(),
        }
    }
}

/// What became of a request that the server did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// It never reached a server.
    NotSent,
    /// It reached a server that is gone: its effect may have happened.
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

/// The answer to a request that no server will answer.
pub fn error(id: &Id, trouble: &Unavailable, outcome: RequestOutcome) -> Vec<u8> {
    let mut data = serde_json::Map::new();
    data.insert("code".to_owned(), json!(trouble.code));
    data.insert("server".to_owned(), json!(trouble.server.as_str()));
    if let Some(hint) = &trouble.hint {
        data.insert("hint".to_owned(), json!(hint));
    }
    if outcome == RequestOutcome::Unknown {
        data.insert("outcome".to_owned(), json!("unknown"));
    }
    let error = json!({
        "code": INTERNAL_ERROR, "message": trouble.text, "data": {"mcpwrap": data},
    });
    line(&json!({"jsonrpc": "2.0", "id": raw(id), "error": error}))
}

/// The answer to `ping`: the session lives, even without a server.
pub fn pong(id: &Id) -> Vec<u8> {
    line(&json!({"jsonrpc": "2.0", "id": raw(id), "result": {}}))
}

/// A notification without parameters.
pub fn notification(method: &str) -> Vec<u8> {
    line(&json!({"jsonrpc": "2.0", "method": method}))
}

/// Tells the client that nobody waits for its answer to a server's request any more.
pub fn cancelled(id: &Id) -> Vec<u8> {
    let params = json!({"requestId": raw(id), "reason": "the server was restarted"});
    line(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))
}

/// Our own `server/discover`, with the `_meta` of the client's last request.
pub fn discover(id: &Id, meta: &Value) -> Vec<u8> {
    let params = json!({"_meta": meta});
    line(&json!({"jsonrpc": "2.0", "id": raw(id), "method": "server/discover", "params": params}))
}

/// Our own `resources/unsubscribe`.
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

/// What the stand-in server answers, for `on_failure = "stub"`: it says what is wrong through the
/// one way that every agent reads. `None` for methods that it does not know.
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
    fn an_error_says_what_why_and_what_to_do_in_one_line() {
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
