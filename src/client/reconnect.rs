//! How a client connects again to a server that it gave up.
//!
//! Clients are recognized by the name that they send in the handshake (`clientInfo.name`), which is not
//! their ID. A name counts if it is the one listed or begins with it and a hyphen or space.

use crate::trial;

/// The name in the handshake, and what its user does. Claude Code, Codex and opencode sent theirs in
/// sessions, Gemini CLI and Qwen Code have theirs in their code; the others are known from reports. A
/// name that is not here gets the general words. The last is `mcpwrap test`.
const RECONNECTS: &[(&str, &str)] = &[
    ("claude-code", "choose it in `/mcp` and reconnect"),
    ("claude-ai", "restart Claude Desktop"),
    ("local-agent-mode", "restart Claude Desktop"),
    (
        "cursor-vscode",
        "switch it off and on in Cursor's MCP settings",
    ),
    ("cursor", "switch it off and on in Cursor's MCP settings"),
    (
        "Visual Studio Code",
        "run `MCP: List Servers` in VS Code and restart it",
    ),
    ("codex-mcp-client", "restart Codex"),
    (
        "gemini-cli-mcp-client",
        "run `/mcp refresh`, or restart Gemini CLI",
    ),
    ("qwen-cli-mcp-client", "restart Qwen Code"),
    ("opencode", "restart opencode"),
    ("Cline", "restart it in Cline's list of MCP servers"),
    (
        "windsurf-client",
        "press the refresh button in Windsurf's MCP settings",
    ),
    ("Zed", "switch it off and on in Zed's agent settings"),
    (trial::CLIENT, trial::AGAIN),
];

/// What the user does so that a client with this name in its handshake connects again.
pub fn reconnect(name: Option<&str>) -> &'static str {
    let is = |known: &str| {
        let rest = name.and_then(|name| name.strip_prefix(known));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', ' ']))
    };
    let found = RECONNECTS.iter().find(|(known, _)| is(known));
    found.map_or(
        "reconnect it in the client, or restart the client",
        |(_, how)| how,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_known_by_its_name_in_the_handshake() {
        for (name, word) in [
            (Some("claude-code"), "/mcp"),
            (Some("gemini-cli-mcp-client-probe"), "Gemini"),
            (Some("Visual Studio Code - Insiders"), "VS Code"),
            (Some("cursorless"), "the client"),
            (Some(""), "the client"),
            (None, "the client"),
        ] {
            assert!(reconnect(name).contains(word), "{name:?}");
        }
    }
}
