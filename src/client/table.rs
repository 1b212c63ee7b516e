//! The known MCP clients: where each keeps its servers, and how it notices a change.
//!
//! One entry per client, one line per location. `~` is the home directory, `$NAME` a variable of
//! the client or the directory before `|`, `*` any one name. Locations without either are in a
//! project: the working directory and its parents, up to the root of the repository. `old`
//! locations are those of older versions. The structure of a file is recognized by its content, so
//! that a client may change its keys. `agent` has the variables that a client sets for the commands
//! of its agent; those that an editor sets in each of its terminals are not among them.

/// The system that a location applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    Any,
    Linux,
    Mac,
    /// Listed for completeness; mcpwrap does not run there yet.
    Windows,
}

/// One location of a client config.
#[derive(Clone, Copy, Debug)]
pub struct ConfigLocation {
    pub os: Os,
    pub path: &'static str,
    /// Whether only older versions of the client read it.
    pub old: bool,
}

/// What the user must do so that a client sees a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The client reloads the file automatically.
    Nothing,
    Restart,
    /// The client reloads the file and asks whether the changed server may start.
    Approve,
    RestartAndApprove,
}

/// One MCP client.
#[derive(Clone, Copy, Debug)]
pub struct KnownClient {
    pub id: &'static str,
    pub name: &'static str,
    /// When the locations were last compared with the client's source or documentation.
    pub verified: &'static str,
    pub after: After,
    /// Whether it expands `${…}` and similar references before it starts a server.
    pub fills_in: bool,
    pub places: &'static [ConfigLocation],
    /// What it sets in the environment of the commands that its agent runs.
    pub agent: &'static [&'static str],
}

const fn at(os: Os, path: &'static str, old: bool) -> ConfigLocation {
    ConfigLocation { os, path, old }
}
const fn any(path: &'static str) -> ConfigLocation {
    at(Os::Any, path, false)
}
const fn linux(path: &'static str) -> ConfigLocation {
    at(Os::Linux, path, false)
}
const fn mac(path: &'static str) -> ConfigLocation {
    at(Os::Mac, path, false)
}
const fn win(path: &'static str) -> ConfigLocation {
    at(Os::Windows, path, false)
}
const fn old(path: &'static str) -> ConfigLocation {
    at(Os::Any, path, true)
}
const fn old_linux(path: &'static str) -> ConfigLocation {
    at(Os::Linux, path, true)
}
const fn old_mac(path: &'static str) -> ConfigLocation {
    at(Os::Mac, path, true)
}

macro_rules! clients {
    ($($id:literal $name:literal $verified:literal $after:ident $fills:literal [$($os:ident $path:literal),+ $(,)?]
        $(agent [$($variable:literal),+])?)+) => {
        /// Every known client.
        pub const CLIENTS: &[KnownClient] = &[$(KnownClient {
            id: $id, name: $name, verified: $verified, after: After::$after, fills_in: $fills,
            places: &[$($os($path)),+], agent: &[$($($variable),+)?],
        }),+];
    };
}

clients! {
    "claude-desktop" "Claude Desktop" "2026-11" Restart false [
        mac "~/Library/Application Support/Claude/claude_desktop_config.json",
        linux "~/.config/Claude/claude_desktop_config.json",
        linux "~/.config/claude/claude_desktop_config.json",
        win r"%APPDATA%\Claude\claude_desktop_config.json",
        win r"%LOCALAPPDATA%\Packages\Claude_*\LocalCache\Roaming\Claude\claude_desktop_config.json"]
    "claude-code" "Claude Code" "2026-11" Restart true [
        any "$CLAUDE_CONFIG_DIR|~/.claude.json", any "~/.claude/settings.json",
        any "~/.claude/settings.local.json", any ".mcp.json", any ".claude/settings.json",
        any ".claude/settings.local.json", any "~/.claude/plugins/*/*/.mcp.json",
        any "~/.claude/plugins/*/*/*/.mcp.json",
        mac "/Library/Application Support/ClaudeCode/managed-mcp.json",
        linux "/etc/claude-code/managed-mcp.json", win r"%ProgramFiles%\ClaudeCode\managed-mcp.json"]
        agent ["CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT"]
    "cursor" "Cursor" "2026-11" Approve true [any "~/.cursor/mcp.json", any ".cursor/mcp.json"]
        agent ["CURSOR_AGENT"]
    "vscode" "VS Code" "2026-11" Approve true [
        mac "~/Library/Application Support/Code/User/mcp.json",
        mac "~/Library/Application Support/Code/User/settings.json",
        mac "~/Library/Application Support/Code/User/profiles/*/mcp.json",
        mac "~/Library/Application Support/Code - Insiders/User/mcp.json",
        linux "~/.config/Code/User/mcp.json", linux "~/.config/Code/User/settings.json",
        linux "~/.config/Code/User/profiles/*/mcp.json",
        linux "~/.config/Code - Insiders/User/mcp.json", linux "~/.config/VSCodium/User/mcp.json",
        win r"%APPDATA%\Code\User\mcp.json", win r"%APPDATA%\Code\User\profiles\*\mcp.json",
        any "~/.vscode-server/data/User/mcp.json", any ".vscode/mcp.json", any ".vscode/settings.json",
        any "*.code-workspace", any ".devcontainer/devcontainer.json"]
    "visual-studio" "Visual Studio" "2026-11" Nothing true [
        win r"%USERPROFILE%\.mcp.json", any ".vs/mcp.json"]
    "windsurf" "Windsurf (Devin Desktop)" "2026-11" Restart true [
        any "~/.codeium/windsurf/mcp_config.json", any "~/.codeium/mcp_config.json",
        any "~/.config/devin/mcp_config.json", any "~/.config/devin/config.json",
        win r"%APPDATA%\devin\mcp_config.json", any ".devin/mcp_config.json", any ".devin/config.json",
        any ".devin/config.local.json", any ".windsurf/mcp_config.json"]
    "zed" "Zed" "2026-11" Nothing false [
        any "~/.config/zed/settings.json", win r"%APPDATA%\Zed\settings.json", any ".zed/settings.json"]
    "cline" "Cline" "2026-11" Nothing true [
        any "$CLINE_DATA_DIR|~/.cline/data/settings/cline_mcp_settings.json", any "~/.cline/mcp.json",
        old_linux "~/.config/*/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
        old_mac "~/Library/Application Support/*/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
        win r"%APPDATA%\*\User\globalStorage\saoudrizwan.claude-dev\settings\cline_mcp_settings.json",
        old "~/Documents/Cline/MCP/cline_mcp_settings.json"]
        agent ["CLINE_ACTIVE"]
    "codex" "Codex" "2026-11" Restart false [
        any "$CODEX_HOME|~/.codex/config.toml", any "~/.codex/*.config.toml", any ".codex/config.toml",
        any "~/.codex/plugins/*/.mcp.json", linux "/etc/codex/config.toml",
        win r"%ProgramData%\OpenAI\Codex\config.toml"]
        agent ["CODEX_SANDBOX", "CODEX_THREAD_ID"]
    "gemini-cli" "Gemini CLI" "2026-11" Restart true [
        any "~/.gemini/settings.json", any ".gemini/settings.json",
        any "~/.gemini/extensions/*/gemini-extension.json"]
        agent ["GEMINI_CLI"]
    "antigravity" "Antigravity" "2026-11" Restart false [
        any "~/.gemini/config/mcp_config.json", old "~/.gemini/antigravity/mcp_config.json",
        old "~/.gemini/antigravity-cli/mcp_config.json", any ".agents/mcp_config.json", old ".agent/mcp_config.json"]
        agent ["ANTIGRAVITY_AGENT"]
    "copilot-cli" "GitHub Copilot CLI" "2026-11" Nothing true [
        any "$COPILOT_HOME|~/.copilot/mcp-config.json", any ".github/mcp.json"]
        agent ["COPILOT_AGENT_SESSION_ID"]
    "opencode" "opencode" "2026-11" Restart true [
        any "~/.config/opencode/opencode.json", any "~/.config/opencode/opencode.jsonc",
        any "~/.config/opencode/config.json", any "~/.opencode/opencode.json", any "opencode.json",
        any "opencode.jsonc", any ".opencode/opencode.json", any ".opencode/opencode.jsonc",
        any "~/.agents/mcp.json", any ".agents/mcp.json", linux "/etc/opencode/opencode.json",
        mac "/Library/Application Support/opencode/opencode.json", win r"%ProgramData%\opencode\opencode.json"]
        agent ["OPENCODE"]
    "kilo" "Kilo Code" "2026-11" Restart true [
        any "~/.config/kilo/kilo.json", any "~/.config/kilo/kilo.jsonc", any "kilo.json", any "kilo.jsonc",
        any ".kilo/kilo.json", any ".kilo/kilo.jsonc", old ".kilocode/mcp.json",
        old "~/.kilocode/cli/global/settings/mcp_settings.json",
        old_linux "~/.config/*/User/globalStorage/kilocode.kilo-code/settings/mcp_settings.json",
        old_mac "~/Library/Application Support/*/User/globalStorage/kilocode.kilo-code/settings/mcp_settings.json"]
    "goose" "Goose" "2026-11" Restart false [
        any "~/.config/goose/config.yaml", win r"%APPDATA%\Block\goose\config\config.yaml"]
        agent ["GOOSE_TERMINAL"]
    "continue" "Continue" "2026-11" Nothing true [
        any "~/.continue/config.yaml", old "~/.continue/config.json", any ".continue/mcpServers/*.yaml",
        any ".continue/mcpServers/*.json", any "~/.continue/mcpServers/*.yaml"]
    "lm-studio" "LM Studio" "2026-11" Nothing false [any "~/.lmstudio/mcp.json", old "~/.cache/lm-studio/mcp.json"]
    "kiro" "Kiro" "2026-11" Nothing true [
        any "~/.kiro/settings/mcp.json", any ".kiro/settings/mcp.json", any "~/.kiro/agents/*.json",
        any ".kiro/agents/*.json", any "~/.kiro/powers/installed/*/mcp.json"]
    "amazon-q" "Amazon Q" "2026-11" Restart true [
        any "~/.aws/amazonq/mcp.json", any "~/.aws/amazonq/default.json", any "~/.aws/amazonq/agents/*.json",
        any "~/.aws/amazonq/cli-agents/*.json", any ".amazonq/mcp.json", any ".amazonq/default.json"]
    "junie" "Junie" "2026-11" Nothing false [any "~/.junie/mcp/mcp.json", any ".junie/mcp/mcp.json"]
    "qwen-code" "Qwen Code" "2026-11" Restart true [any "~/.qwen/settings.json", any ".qwen/settings.json"]
        agent ["QWEN_CODE"]
    "crush" "Crush" "2026-11" Restart true [
        any "$CRUSH_GLOBAL_CONFIG|~/.config/crush/crush.json", any "crush.json", any ".crush.json",
        win r"%LOCALAPPDATA%\crush\crush.json"]
    "amp" "Amp" "2026-11" RestartAndApprove true [
        any "~/.config/amp/settings.json", any "~/.config/amp/settings.jsonc", any ".amp/settings.json",
        any ".amp/settings.jsonc", win r"%APPDATA%\amp\settings.json"]
    "factory" "Factory droid" "2026-11" Restart true [
        any "~/.factory/mcp.json", any ".factory/mcp.json",
        old_mac "~/Library/Application Support/Factory Bridge/mcp.json"]
    "warp" "Warp" "2026-11" Nothing false [any "~/.warp/.mcp.json", any ".warp/.mcp.json"]
    "trae" "Trae" "2026-11" Restart false [
        mac "~/Library/Application Support/Trae/User/mcp.json", linux "~/.config/Trae/User/mcp.json",
        mac "~/Library/Application Support/Trae CN/User/mcp.json", win r"%APPDATA%\Trae\User\mcp.json",
        any ".trae/mcp.json"]
    // Less common clients, which use the same formats.
    "roo" "Roo Code" "2026-11" Nothing true [
        old ".roo/mcp.json",
        old_linux "~/.config/*/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
        old_mac "~/Library/Application Support/*/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json"]
    "qoder" "Qoder" "2026-11" Restart false [
        any "~/.qoder/mcp.json", any "~/.qoder.json", win r"%APPDATA%\Qoder\SharedClientCache\mcp.json"]
    "kimi" "Kimi" "2026-11" Restart false [any "~/.kimi/mcp.json"]
    "mistral-vibe" "Mistral Vibe" "2026-11" Restart false [any "~/.vibe/config.toml"]
    "hermes" "Hermes" "2026-11" Restart false [any "~/.hermes/config.yaml"]
    "openclaw" "OpenClaw" "2026-11" Restart false [any "~/.openclaw/openclaw.json"]
    "iflow" "iFlow" "2026-11" Restart false [any "~/.iflow/settings.json"]
    "tabnine" "Tabnine" "2026-11" Restart false [any "~/.tabnine/agent/settings.json"]
    "forge" "Forge" "2026-11" Restart false [any "~/.forge/.mcp.json"]
    "pi" "Pi" "2026-11" Restart false [any "~/.pi/agent/mcp.json"]
    "mcporter" "MCPorter" "2026-11" Nothing true [
        any "~/.mcporter/mcporter.json", any "~/.mcporter/mcporter.jsonc", any "config/mcporter.json"]
    "nanobot" "Nanobot" "2026-11" Restart false [any "~/.nanobot/config.json"]
    "mcphub" "mcphub.nvim" "2026-11" Restart true [any "~/.config/mcphub/servers.json"]
    "librechat" "LibreChat" "2026-11" Restart true [any "librechat.yaml"]
    "firebase-studio" "Firebase Studio" "2026-11" Restart false [any ".idx/mcp.json"]
    "boltai" "BoltAI" "2026-11" Restart false [any "~/.boltai/mcp.json"]
    "tome" "Tome" "2026-11" Restart false [any "~/.tome/mcp_config.json"]
    "augment" "Augment" "2026-11" Restart false [any "~/.augment/settings.json"]
        agent ["AUGMENT_AGENT"]
    "copilot-ide" "Copilot for JetBrains and Xcode" "2026-11" Restart false [
        any "~/.config/github-copilot/intellij/mcp.json", any "~/.config/github-copilot/xcode/mcp.json"]
}

/// The client with this ID.
pub fn client(id: &str) -> Option<&'static KnownClient> {
    CLIENTS.iter().find(|client| client.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_places_are_well_formed() {
        let mut ids: Vec<_> = CLIENTS.iter().map(|client| client.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), CLIENTS.len());
        for place in CLIENTS.iter().flat_map(|client| client.places) {
            let windows = place.path.starts_with('%');
            assert_eq!(place.os == Os::Windows, windows, "{}", place.path);
            assert!(!place.path.contains('\\') || windows, "{}", place.path);
        }
    }
}
