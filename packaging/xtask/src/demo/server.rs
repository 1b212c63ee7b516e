//! The server of the demo's story: it works with a token, and is careless with it.

use std::io::{BufRead as _, Write as _};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::shell::{Done, hex};

/// The variable in which it gets its token.
pub const VARIABLE: &str = "TICKETS_TOKEN";
/// Its tools: the name, and what it does.
const TOOLS: &[(&str, &str)] = &[
    (
        "environment",
        "shows what this server was started with, token included",
    ),
    ("fingerprint", "tells which token this server uses, by hash"),
    ("export", "exports all tickets, which takes an hour"),
];

/// Answers requests until the end of stdin.
pub fn serve() -> Done {
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let request: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        let Some(result) = answer(&request) else {
            continue;
        };
        let reply = json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
        writeln!(std::io::stdout(), "{reply}").map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The result of a request; `None` for a notification, and for the export, which does not end.
fn answer(request: &Value) -> Option<Value> {
    request.get("id")?;
    let tool = |(name, about): &(&str, &str)| {
        let schema = json!({"type": "object"});
        json!({"name": name, "description": about, "inputSchema": schema})
    };
    let text = match (request["method"].as_str()?, &request["params"]["name"]) {
        ("initialize", _) => {
            return Some(json!({
                "protocolVersion": request["params"]["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "tickets", "version": "1.0.0"},
            }));
        }
        ("tools/list", _) => {
            return Some(json!({"tools": TOOLS.iter().map(tool).collect::<Vec<_>>()}));
        }
        ("tools/call", name) if name == "environment" => format!("{VARIABLE}={}", token()),
        ("tools/call", name) if name == "fingerprint" => {
            let hash = Sha256::digest(token());
            let hex = hex(&hash);
            let short = hex.get(..12).unwrap_or_default();
            format!("my token has the SHA-256 {short}…")
        }
        ("tools/call", name) if name == "export" => return None,
        _ => return Some(json!({})),
    };
    Some(json!({"content": [{"type": "text", "text": text}]}))
}

fn token() -> String {
    std::env::var(VARIABLE).unwrap_or_default()
}
