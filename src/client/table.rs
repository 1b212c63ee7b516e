//! The known MCP clients: where each keeps its servers, and how it notices a change.
//!
//! One entry per client, one line per location. `~` is the home directory, `$NAME` a variable of the
//! client that names a directory or file, `*` any one name, `**` any directories. Other locations
//! are in a project: the working directory and its parents, up to the root of the repository, and
//! the projects that clients name. `old` locations are those of older versions. The structure of a
//! file is recognized by its content. The text after the user's action is how a file refers to the
//! variable `NAME`; `agent` has the variables that a client sets for the commands of its agent.

use super::location::{all, any, linux, mac, mcp, old, old_linux, old_mac, win};

pub use super::location::{After, ConfigLocation, KnownClient, Os};

macro_rules! clients {
    ($($id:literal $name:literal $verified:literal $after:ident $reference:literal [$($os:ident $path:literal),+ $(,)?]
        $(agent [$($variable:literal),+])?
        $(backups [$($backup:literal),+ $(,)?])?
        $(histories [$($history:literal),+ $(,)?])?
        $(logs [$($kind:ident $log:literal),+ $(,)?])?
        $(projects [$($project:literal),+ $(,)?])?)+) => {
        /// Every known client.
        pub const CLIENTS: &[KnownClient] = &[$(KnownClient {
            id: $id, name: $name, verified: $verified, after: After::$after,
            fills_in: !$reference.is_empty(), reference: $reference,
            places: &[$($os($path)),+], agent: &[$($($variable),+)?],
            backups: &[$($($backup),+)?], histories: &[$($($history),+)?],
            logs: &[$($($kind($log)),+)?], projects: &[$($($project),+)?],
        }),+];
    };
}

clients! {
    "claude-desktop" "Claude Desktop" "2026-11" Restart "" [
        mac "~/Library/Application Support/Claude/claude_desktop_config.json",
        linux "~/.config/Claude/claude_desktop_config.json",
        linux "~/.config/claude/claude_desktop_config.json",
        win r"%APPDATA%\Claude\claude_desktop_config.json",
        win r"%LOCALAPPDATA%\Packages\Claude_*\LocalCache\Roaming\Claude\claude_desktop_config.json"]
        logs [all "~/Library/Logs/Claude", all "~/.config/Claude/logs"]
    "claude-code" "Claude Code" "2026-11" Restart "${NAME}" [
        any "~/.claude.json", any "$CLAUDE_CONFIG_DIR/.claude.json", any "~/.claude/settings.json",
        any "$CLAUDE_CONFIG_DIR/settings.json", any "$CLAUDE_CONFIG_DIR/settings.local.json",
        any "~/.claude/settings.local.json", any ".mcp.json", any ".claude/settings.json",
        any ".claude/settings.local.json", any ".claude-plugin/plugin.json",
        any "~/.claude/plugins/**/.mcp.json", any "~/.claude/plugins/**/.claude-plugin/plugin.json",
        any "$CLAUDE_CONFIG_DIR/plugins/**/.mcp.json", any "$CLAUDE_CONFIG_DIR/plugins/**/.claude-plugin/plugin.json",
        any "~/.claude/agents/**/*.md", any ".claude/agents/*.md",
        mac "/Library/Application Support/ClaudeCode/managed-settings.json",
        linux "/etc/claude-code/managed-settings.json",
        mac "/Library/Application Support/ClaudeCode/managed-mcp.json",
        linux "/etc/claude-code/managed-mcp.json", win r"%ProgramFiles%\ClaudeCode\managed-mcp.json"]
        agent ["CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT"]
        backups ["~/.claude/backups", "~/.claude/file-history", "$CLAUDE_CONFIG_DIR/backups", "$CLAUDE_CONFIG_DIR/file-history"]
        histories ["~/.claude/history.jsonl", "~/.claude/shell-snapshots"]
        logs [mcp "~/.cache/claude-cli-nodejs", mcp "~/Library/Caches/claude-cli-nodejs"]
    "cursor" "Cursor" "2026-11" Approve "${env:NAME}" [
        any "~/.cursor/mcp.json", any ".cursor/mcp.json", any "~/.cursor-server/data/User/mcp.json",
        linux "~/.config/Cursor/User/mcp.json", linux "~/.config/Cursor/User/settings.json",
        mac "~/Library/Application Support/Cursor/User/settings.json",
        any "~/.cursor/plugins/**/.mcp.json", any "~/.cursor/plugins/**/mcp.json", any ".cursor/agents/*.md"]
        agent ["CURSOR_AGENT"]
        histories ["~/.config/Cursor/User/History", "~/.cursor-server/data/User/History",
            "~/Library/Application Support/Cursor/User/History"]
        logs [mcp "~/.config/Cursor/logs", mcp "~/Library/Application Support/Cursor/logs", mcp "~/.cursor-server/data/logs"]
        projects ["~/.config/Cursor/User/workspaceStorage/*/workspace.json",
            "~/Library/Application Support/Cursor/User/workspaceStorage/*/workspace.json",
            "~/.cursor-server/data/User/workspaceStorage/*/workspace.json"]
    "vscode" "VS Code" "2026-11" Approve "${env:NAME}" [
        mac "~/Library/Application Support/Code/User/mcp.json",
        mac "~/Library/Application Support/Code/User/settings.json",
        mac "~/Library/Application Support/Code/User/profiles/*/mcp.json",
        mac "~/Library/Application Support/Code - Insiders/User/mcp.json",
        linux "~/.config/Code/User/mcp.json", linux "~/.config/Code/User/settings.json",
        linux "~/.config/Code/User/profiles/*/mcp.json",
        linux "~/.config/Code - Insiders/User/mcp.json", linux "~/.config/Code - Insiders/User/profiles/*/mcp.json",
        linux "~/.config/VSCodium/User/mcp.json", linux "~/.config/VSCodium/User/settings.json",
        linux "~/.config/VSCodium/User/profiles/*/mcp.json", linux "~/.config/VSCodium - Insiders/User/mcp.json",
        linux "~/.config/Code - OSS/User/mcp.json", linux "~/.config/Code - OSS/User/settings.json",
        linux "~/.config/Code - OSS/User/profiles/*/mcp.json", linux "~/.config/Positron/User/mcp.json",
        mac "~/Library/Application Support/VSCodium/User/mcp.json",
        mac "~/Library/Application Support/Code - OSS/User/mcp.json",
        any "$VSCODE_PORTABLE/user-data/User/mcp.json", any "~/.vscode-server-insiders/data/User/mcp.json",
        any "~/.vscodium-server/data/User/mcp.json", any "~/.vscode-remote/data/User/mcp.json",
        any "~/.vscode-oss/data/User/mcp.json", any "~/.local/share/code-server/User/mcp.json",
        win r"%APPDATA%\Code\User\mcp.json", win r"%APPDATA%\Code\User\profiles\*\mcp.json",
        any "~/.vscode-server/data/User/mcp.json", any ".vscode/mcp.json", any ".vscode/settings.json",
        any "*.code-workspace", any ".devcontainer/devcontainer.json", any ".devcontainer.json",
        any ".github/agents/*.md", any "~/.vscode-server/data/User/profiles/*/mcp.json"]
        histories ["~/.config/Code/User/History", "~/.config/Code - Insiders/User/History", "~/.config/VSCodium/User/History",
            "~/.config/Code - OSS/User/History", "~/.vscode-server/data/User/History",
            "~/Library/Application Support/Code/User/History"]
        logs [mcp "~/.config/Code/logs", mcp "~/.config/Code - Insiders/logs", mcp "~/.config/VSCodium/logs",
            mcp "~/.vscode-server/data/logs", mcp "~/Library/Application Support/Code/logs"]
        projects ["~/.config/Code/User/workspaceStorage/*/workspace.json",
            "~/.config/Code - Insiders/User/workspaceStorage/*/workspace.json",
            "~/.config/Code - OSS/User/workspaceStorage/*/workspace.json",
            "~/.config/VSCodium/User/workspaceStorage/*/workspace.json",
            "~/.vscode-server/data/User/workspaceStorage/*/workspace.json",
            "~/Library/Application Support/Code/User/workspaceStorage/*/workspace.json",
            "~/Library/Application Support/Code - Insiders/User/workspaceStorage/*/workspace.json"]
    "visual-studio" "Visual Studio" "2026-11" Nothing "${env:NAME}" [
        win r"%USERPROFILE%\.mcp.json", any ".vs/mcp.json"]
    "windsurf" "Windsurf (Devin Desktop)" "2026-11" Restart "${env:NAME}" [
        any "~/.codeium/windsurf/mcp_config.json", any "~/.codeium/mcp_config.json",
        any "~/.config/devin/mcp_config.json", any "~/.config/devin/config.json",
        win r"%APPDATA%\devin\mcp_config.json", any ".devin/mcp_config.json", any ".devin/config.json",
        any ".devin/config.local.json", any ".windsurf/mcp_config.json", any "~/.codeium/windsurf-next/mcp_config.json"]
        histories ["~/.config/Windsurf/User/History", "~/Library/Application Support/Windsurf/User/History"]
        logs [mcp "~/.config/Windsurf/logs", mcp "~/Library/Application Support/Windsurf/logs"]
        projects ["~/.config/Windsurf/User/workspaceStorage/*/workspace.json",
            "~/Library/Application Support/Windsurf/User/workspaceStorage/*/workspace.json"]
    "zed" "Zed" "2026-11" Nothing "" [
        any "~/.config/zed/settings.json", win r"%APPDATA%\Zed\settings.json", any ".zed/settings.json"]
    "cline" "Cline" "2026-11" Nothing "${env:NAME}" [
        any "~/.cline/data/settings/cline_mcp_settings.json", any "~/.cline/mcp.json", any "$CLINE_MCP_SETTINGS_PATH",
        any "$CLINE_DATA_DIR/settings/cline_mcp_settings.json", any "$CLINE_DIR/data/settings/cline_mcp_settings.json",
        any "$CLINE_DIR/mcp.json", any ".cline/mcp.json",
        old_linux "~/.config/*/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
        old_mac "~/Library/Application Support/*/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
        win r"%APPDATA%\*\User\globalStorage\saoudrizwan.claude-dev\settings\cline_mcp_settings.json",
        old "~/Documents/Cline/MCP/cline_mcp_settings.json"]
        agent ["CLINE_ACTIVE"]
        logs [mcp "~/.cline/data/logs"]
    "codex" "Codex" "2026-11" Restart "" [
        any "~/.codex/config.toml", any "$CODEX_HOME/config.toml", any "~/.codex/*.config.toml",
        any "$CODEX_HOME/*.config.toml", any ".codex/config.toml", any ".codex-plugin/plugin.json",
        any "~/.codex/plugins/**/.mcp.json", any "~/.codex/plugins/**/.codex-plugin/plugin.json",
        any "$CODEX_HOME/plugins/**/.mcp.json", any "$CODEX_HOME/plugins/**/.codex-plugin/plugin.json",
        linux "/etc/codex/managed_config.toml", linux "/etc/codex/config.toml",
        win r"%ProgramData%\OpenAI\Codex\config.toml"]
        agent ["CODEX_SANDBOX", "CODEX_THREAD_ID"]
        histories ["~/.codex/history.jsonl"]
        logs [all "~/.codex/log"]
    "gemini-cli" "Gemini CLI" "2026-11" Restart "$NAME" [
        any "~/.gemini/settings.json", any ".gemini/settings.json",
        any "~/.gemini/extensions/*/gemini-extension.json", any ".gemini/extensions/*/gemini-extension.json",
        any "gemini-extension.json", any "$GEMINI_CLI_SYSTEM_SETTINGS_PATH", linux "/etc/gemini-cli/settings.json",
        mac "/Library/Application Support/GeminiCli/settings.json"]
        agent ["GEMINI_CLI"]
        projects ["~/.gemini/projects.json", "~/.gemini/trustedFolders.json"]
    "antigravity" "Antigravity" "2026-11" Restart "" [
        any "~/.gemini/config/mcp_config.json", old "~/.gemini/antigravity/mcp_config.json",
        old "~/.gemini/antigravity-cli/mcp_config.json", any ".agents/mcp_config.json", old ".agent/mcp_config.json"]
        agent ["ANTIGRAVITY_AGENT"]
    "copilot-cli" "GitHub Copilot CLI" "2026-11" Nothing "${NAME}" [
        any "~/.copilot/mcp-config.json", any "$COPILOT_HOME/mcp-config.json", any "~/.copilot/agents/*.md", any ".github/mcp.json"]
        agent ["COPILOT_AGENT_SESSION_ID"]
        logs [all "~/.copilot/logs"]
    "opencode" "opencode" "2026-11" Restart "{env:NAME}" [
        any "~/.config/opencode/opencode.json", any "$OPENCODE_CONFIG", any "$OPENCODE_CONFIG_DIR/opencode.json",
        any "$OPENCODE_CONFIG_DIR/opencode.jsonc", any "~/.local/share/opencode/mcp-local.json", any "~/.config/opencode/opencode.jsonc",
        any "~/.config/opencode/config.json", any "~/.opencode/opencode.json", any "opencode.json",
        any "opencode.jsonc", any ".opencode/opencode.json", any ".opencode/opencode.jsonc",
        any "~/.agents/mcp.json", any ".agents/mcp.json", linux "/etc/opencode/opencode.json",
        mac "/Library/Application Support/opencode/opencode.json", win r"%ProgramData%\opencode\opencode.json"]
        agent ["OPENCODE"]
        logs [all "~/.local/share/opencode/log"]
    "kilo" "Kilo Code" "2026-11" Restart "{env:NAME}" [
        any "~/.config/kilo/kilo.json", any "$KILO_CONFIG", any "$KILO_CONFIG_DIR/kilo.json", any "~/.config/kilo/opencode.json", any "~/.config/kilo/kilo.jsonc", any "kilo.json", any "kilo.jsonc",
        any ".kilo/kilo.json", any ".kilo/kilo.jsonc", old ".kilocode/mcp.json",
        old "~/.kilocode/cli/global/settings/mcp_settings.json",
        old_linux "~/.config/*/User/globalStorage/kilocode.kilo-code/settings/mcp_settings.json",
        old_mac "~/Library/Application Support/*/User/globalStorage/kilocode.kilo-code/settings/mcp_settings.json"]
    "goose" "Goose" "2026-11" Restart "" [
        any "~/.config/goose/config.yaml", any "$GOOSE_PATH_ROOT/config/config.yaml", linux "/etc/goose/config.yaml", win r"%APPDATA%\Block\goose\config\config.yaml"]
        agent ["GOOSE_TERMINAL"]
        logs [all "~/.local/state/goose/logs"]
    "continue" "Continue" "2026-11" Nothing "${{ secrets.NAME }}" [
        any "~/.continue/config.yaml", any "$CONTINUE_GLOBAL_DIR/config.yaml", any ".continue/config.yaml",
        any "~/.continue/agents/*.yaml", any ".continue/agents/*.yaml", old "~/.continue/config.json", any ".continue/mcpServers/*.yaml",
        any ".continue/mcpServers/*.json", any "~/.continue/mcpServers/*.yaml"]
    "lm-studio" "LM Studio" "2026-11" Nothing "" [any "~/.lmstudio/mcp.json", old "~/.cache/lm-studio/mcp.json"]
    "kiro" "Kiro" "2026-11" Nothing "${NAME}" [
        any "~/.kiro/settings/mcp.json", any ".kiro/settings/mcp.json", any "~/.kiro/agents/*.json",
        any ".kiro/agents/*.json", any "~/.kiro/powers/installed/*/mcp.json"]
        histories ["~/.config/Kiro/User/History"]
        logs [mcp "~/.config/Kiro/logs"]
        projects ["~/.config/Kiro/User/workspaceStorage/*/workspace.json"]
    "amazon-q" "Amazon Q" "2026-11" Restart "${env:NAME}" [
        any "~/.aws/amazonq/mcp.json", any "~/.aws/amazonq/default.json", any "~/.aws/amazonq/agents/*.json",
        any "~/.aws/amazonq/cli-agents/*.json", any ".amazonq/mcp.json", any ".amazonq/default.json"]
    "junie" "Junie" "2026-11" Nothing "" [any "~/.junie/mcp/mcp.json", any ".junie/mcp/mcp.json"]
    "qwen-code" "Qwen Code" "2026-11" Restart "$NAME" [any "~/.qwen/settings.json", any ".qwen/settings.json"]
        agent ["QWEN_CODE"]
    "crush" "Crush" "2026-11" Restart "$NAME" [
        any "~/.config/crush/crush.json", any "$CRUSH_GLOBAL_CONFIG", any "$CRUSH_GLOBAL_CONFIG/crush.json", any "crush.json", any ".crush.json",
        win r"%LOCALAPPDATA%\crush\crush.json"]
    "amp" "Amp" "2026-11" RestartAndApprove "${NAME}" [
        any "~/.config/amp/settings.json", any "~/.config/amp/settings.jsonc", any ".amp/settings.json",
        any ".amp/settings.jsonc", any "$AMP_SETTINGS_FILE", linux "/etc/ampcode/managed-settings.json",
        mac "/Library/Application Support/ampcode/managed-settings.json",
        win r"%ProgramData%\ampcode\managed-settings.json", win r"%APPDATA%\amp\settings.json"]
    "factory" "Factory droid" "2026-11" Restart "${NAME}" [
        any "~/.factory/mcp.json", any ".factory/mcp.json",
        old_mac "~/Library/Application Support/Factory Bridge/mcp.json"]
    "warp" "Warp" "2026-11" Nothing "" [any "~/.warp/.mcp.json", any ".warp/.mcp.json"]
    "trae" "Trae" "2026-11" Restart "" [
        mac "~/Library/Application Support/Trae/User/mcp.json", linux "~/.config/Trae/User/mcp.json",
        mac "~/Library/Application Support/Trae CN/User/mcp.json", win r"%APPDATA%\Trae\User\mcp.json",
        any ".trae/mcp.json", linux "~/.config/Trae CN/User/mcp.json"]
        histories ["~/.config/Trae/User/History"]
        logs [mcp "~/.config/Trae/logs"]
        projects ["~/.config/Trae/User/workspaceStorage/*/workspace.json"]
    // Less common clients, which use the same formats.
    "roo" "Roo Code" "2026-11" Nothing "${env:NAME}" [
        old ".roo/mcp.json",
        old_linux "~/.config/*/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
        old_mac "~/Library/Application Support/*/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json"]
    "qoder" "Qoder" "2026-11" Restart "${NAME}" [
        any "~/.qoder/mcp.json", any "~/.qoder.json", any "~/.qoder/settings.json", any ".qoder/settings.json",
        any ".qoder/settings.local.json", any ".qoder/mcp.json", any "~/.qoder-cn/settings.json",
        linux "~/.config/Qoder/SharedClientCache/mcp.json", linux "~/.config/Qoder/User/mcp.json",
        mac "~/Library/Application Support/Qoder/SharedClientCache/mcp.json",
        win r"%APPDATA%\Qoder\SharedClientCache\mcp.json"]
        histories ["~/.config/Qoder/User/History"]
        logs [all "~/.qoder/logs", mcp "~/.config/Qoder/logs", mcp "~/.config/Qoder/SharedClientCache/logs",
            all "~/.config/Qoder/SharedClientCache/cache/mcp", mcp "~/Library/Application Support/Qoder/logs"]
        projects ["~/.config/Qoder/User/workspaceStorage/*/workspace.json"]
    "kimi" "Kimi Code" "2026-11" Restart "" [
        any "~/.kimi-code/mcp.json", any "$KIMI_CODE_HOME/mcp.json", any ".kimi-code/mcp.json", any "~/.kimi/mcp.json",
        any "$KIMI_SHARE_DIR/mcp.json", any "~/.kimi/config.toml", any "~/.kimi-code/config.toml"]
        logs [all "~/.kimi-code/logs", all "~/.kimi/logs"]
    "mistral-vibe" "Mistral Vibe" "2026-11" Restart "" [
        any "~/.vibe/config.toml", any "$VIBE_HOME/config.toml", any ".vibe/config.toml"]
    "hermes" "Hermes" "2026-11" Restart "${NAME}" [any "~/.hermes/config.yaml", any "$HERMES_HOME/config.yaml"]
    "openclaw" "OpenClaw" "2026-11" Restart "" [
        any "~/.openclaw/openclaw.json", any "$OPENCLAW_CONFIG_PATH", any "$OPENCLAW_STATE_DIR/openclaw.json"]
    "iflow" "iFlow" "2026-11" Restart "" [any "~/.iflow/settings.json", any ".iflow/settings.json"]
    "tabnine" "Tabnine" "2026-11" Restart "" [
        any "~/.tabnine/agent/settings.json", any ".tabnine/agent/settings.json", any "~/.tabnine/mcp_servers.json",
        any ".tabnine/mcp_servers.json", linux "/etc/tabnine-cli/settings.json",
        mac "/Library/Application Support/TabnineCli/settings.json"]
    "forge" "Forge" "2026-11" Restart "" [any "~/.forge/.mcp.json"]
    "pi" "Pi" "2026-11" Restart "${NAME}" [
        any "~/.pi/agent/mcp.json", any "$PI_CODING_AGENT_DIR/mcp.json", any ".pi/mcp.json", any "~/.config/mcp/mcp.json",
        any "~/.agents/mcp/mcp.json"]
    "grok" "Grok Build" "2026-11" Restart "${NAME}" [
        any "~/.grok/config.toml", any "$GROK_HOME/config.toml", any ".grok/config.toml", any "~/.grok/user-settings.json",
        any ".grok/settings.json", any "~/.grok/plugins/**/.mcp.json"]
    "mastra" "Mastra Code" "2026-11" Restart "" [any "~/.mastracode/mcp.json", any ".mastracode/mcp.json"]
    "nanocoder" "Nanocoder" "2026-11" Restart "${NAME}" [
        any "~/.config/nanocoder/.mcp.json", any "~/.config/nanocoder/agents.config.json", any "agents.config.json",
        any ".nanocoder/mcp.json", any ".nanocoder/mcp.local.json",
        any "$NANOCODER_CONFIG_DIR/.mcp.json", any "$NANOCODER_CONFIG_DIR/agents.config.json",
        mac "~/Library/Preferences/nanocoder/.mcp.json", mac "~/Library/Preferences/nanocoder/agents.config.json"]
    "fx" "fx" "" Restart "" [any "~/.fx/mcp.json", any ".fx/mcp.json"]
    "mcporter" "MCPorter" "2026-11" Nothing "${NAME}" [
        any "~/.mcporter/mcporter.json", any "$MCPORTER_CONFIG", any "~/.mcporter/mcporter.jsonc", any "config/mcporter.json"]
    "nanobot" "Nanobot" "2026-11" Restart "${NAME}" [any "~/.nanobot/config.json"]
    "fast-agent" "fast-agent" "2026-11" Restart "${NAME}" [any "fastagent.config.yaml", any "fastagent.secrets.yaml"]
    "mcphub" "mcphub.nvim" "2026-11" Restart "${NAME}" [any "~/.config/mcphub/servers.json"]
    "librechat" "LibreChat" "2026-11" Restart "${NAME}" [any "librechat.yaml"]
    "firebase-studio" "Firebase Studio" "2026-11" Restart "" [any ".idx/mcp.json"]
    "boltai" "BoltAI" "2026-11" Restart "" [any "~/.boltai/mcp.json"]
    "tome" "Tome" "2026-11" Restart "" [any "~/.tome/mcp_config.json"]
    "augment" "Augment" "2026-11" Restart "" [
        any "~/.augment/settings.json", any ".augment/settings.json", any ".augment/settings.local.json",
        any "~/.augment/mcp.json",
        linux "~/.config/Code/User/globalStorage/augment.vscode-augment/augment-global-state/mcpServers.json",
        mac "~/Library/Application Support/Code/User/globalStorage/augment.vscode-augment/augment-global-state/mcpServers.json"]
        agent ["AUGMENT_AGENT"]
    "copilot-ide" "Copilot for JetBrains and Xcode" "2026-11" Restart "" [
        any "~/.config/github-copilot/intellij/mcp.json", any "~/.config/github-copilot/mcp.json", any "~/.config/github-copilot/xcode/mcp.json"]
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
