//! Where a new entry goes in the config of each client, and its form there.
//!
//! Pure. A client without a row reads no file of the user's own in which its form is known.

use super::tree::quoted;

/// The form of a new entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryForm {
    /// `command` and `args`.
    Plain,
    /// The same with `type = "stdio"`.
    Typed,
    /// opencode: the program and its arguments are one list.
    Local,
    /// GitHub Copilot CLI: the tools that it may use.
    Copilot,
    /// Goose: `cmd`.
    Goose,
    /// An item of a list, with its name.
    Listed,
    /// The same with the kind of the transport.
    ListedTransport,
}

/// Where a new entry goes.
#[derive(Clone, Copy, Debug)]
pub struct EntryHome {
    pub client: &'static str,
    /// The files, as in the table of clients. The first one that exists is used, else the first.
    pub files: &'static [&'static str],
    /// The keys that lead to the servers.
    pub keys: &'static [&'static str],
    pub form: EntryForm,
}

macro_rules! homes {
    ($($client:literal $form:ident [$($key:literal),+] [$($file:literal),+])+) => {
        /// Every client whose own config can get a new entry.
        pub const HOMES: &[EntryHome] = &[$(EntryHome {
            client: $client, files: &[$($file),+], keys: &[$($key),+], form: EntryForm::$form,
        }),+];
    };
}

homes! {
    "claude-desktop" Plain ["mcpServers"] ["~/Library/Application Support/Claude/claude_desktop_config.json",
        "~/.config/Claude/claude_desktop_config.json", "~/.config/claude/claude_desktop_config.json"]
    "claude-code" Typed ["mcpServers"] ["$CLAUDE_CONFIG_DIR/.claude.json", "~/.claude.json"]
    "cursor" Plain ["mcpServers"] ["~/.cursor/mcp.json"]
    "vscode" Typed ["servers"] ["~/Library/Application Support/Code/User/mcp.json",
        "~/.config/Code/User/mcp.json", "~/.vscode-server/data/User/mcp.json",
        "~/Library/Application Support/Code - Insiders/User/mcp.json",
        "~/.config/Code - Insiders/User/mcp.json", "~/Library/Application Support/VSCodium/User/mcp.json",
        "~/.config/VSCodium/User/mcp.json", "~/Library/Application Support/Code - OSS/User/mcp.json",
        "~/.config/Code - OSS/User/mcp.json", "~/.local/share/code-server/User/mcp.json"]
    "windsurf" Plain ["mcpServers"] ["~/.codeium/windsurf/mcp_config.json", "~/.config/devin/mcp_config.json"]
    "zed" Plain ["context_servers"] ["~/.config/zed/settings.json"]
    "cline" Plain ["mcpServers"] ["$CLINE_MCP_SETTINGS_PATH",
        "$CLINE_DATA_DIR/settings/cline_mcp_settings.json", "$CLINE_DIR/data/settings/cline_mcp_settings.json",
        "~/.cline/data/settings/cline_mcp_settings.json", "~/.cline/mcp.json"]
    "codex" Plain ["mcp_servers"] ["$CODEX_HOME/config.toml", "~/.codex/config.toml"]
    "gemini-cli" Plain ["mcpServers"] ["~/.gemini/settings.json"]
    "antigravity" Plain ["mcpServers"] ["~/.gemini/config/mcp_config.json"]
    "copilot-cli" Copilot ["mcpServers"] ["$COPILOT_HOME/mcp-config.json", "~/.copilot/mcp-config.json"]
    "opencode" Local ["mcp"] ["$OPENCODE_CONFIG", "~/.config/opencode/opencode.json",
        "~/.config/opencode/opencode.jsonc"]
    "kilo" Local ["mcp"] ["$KILO_CONFIG", "~/.config/kilo/kilo.json", "~/.config/kilo/kilo.jsonc"]
    "goose" Goose ["extensions"] ["$GOOSE_PATH_ROOT/config/config.yaml", "~/.config/goose/config.yaml"]
    "continue" Listed ["mcpServers"] ["$CONTINUE_GLOBAL_DIR/config.yaml", "~/.continue/config.yaml"]
    "lm-studio" Plain ["mcpServers"] ["~/.lmstudio/mcp.json"]
    "kiro" Plain ["mcpServers"] ["~/.kiro/settings/mcp.json"]
    "amazon-q" Plain ["mcpServers"] ["~/.aws/amazonq/mcp.json"]
    "junie" Plain ["mcpServers"] ["~/.junie/mcp/mcp.json"]
    "qwen-code" Plain ["mcpServers"] ["~/.qwen/settings.json"]
    "crush" Typed ["mcp"] ["$CRUSH_GLOBAL_CONFIG", "~/.config/crush/crush.json"]
    "amp" Plain ["amp.mcpServers"] ["$AMP_SETTINGS_FILE", "~/.config/amp/settings.json",
        "~/.config/amp/settings.jsonc"]
    "factory" Typed ["mcpServers"] ["~/.factory/mcp.json"]
    "warp" Plain ["mcpServers"] ["~/.warp/.mcp.json"]
    "trae" Plain ["mcpServers"] ["~/Library/Application Support/Trae/User/mcp.json",
        "~/.config/Trae/User/mcp.json"]
    "qoder" Plain ["mcpServers"] ["~/.qoder/mcp.json"]
    "kimi" Plain ["mcpServers"] ["$KIMI_CODE_HOME/mcp.json", "~/.kimi-code/mcp.json", "~/.kimi/mcp.json"]
    "mistral-vibe" ListedTransport ["mcp_servers"] ["$VIBE_HOME/config.toml", "~/.vibe/config.toml"]
    "hermes" Plain ["mcp_servers"] ["$HERMES_HOME/config.yaml", "~/.hermes/config.yaml"]
    "openclaw" Plain ["mcp", "servers"] ["$OPENCLAW_CONFIG_PATH", "~/.openclaw/openclaw.json"]
    "iflow" Plain ["mcpServers"] ["~/.iflow/settings.json"]
    "tabnine" Plain ["mcpServers"] ["~/.tabnine/agent/settings.json"]
    "forge" Plain ["mcpServers"] ["~/.forge/.mcp.json"]
    "grok" Plain ["mcp_servers"] ["$GROK_HOME/config.toml", "~/.grok/config.toml"]
    "mcporter" Plain ["mcpServers"] ["$MCPORTER_CONFIG", "~/.mcporter/mcporter.json"]
    "nanobot" Plain ["tools", "mcpServers"] ["~/.nanobot/config.json"]
    "mcphub" Plain ["mcpServers"] ["~/.config/mcphub/servers.json"]
    "boltai" Plain ["mcpServers"] ["~/.boltai/mcp.json"]
    "copilot-ide" Plain ["servers"] ["~/.config/github-copilot/intellij/mcp.json",
        "~/.config/github-copilot/mcp.json"]
}

/// The row of a client.
pub fn home_of(client: &str) -> Option<&'static EntryHome> {
    HOMES.iter().find(|home| home.client == client)
}

/// A value of a field.
#[derive(Clone, Debug)]
pub(super) enum FieldValue {
    Text(String),
    List(Vec<String>),
    /// The same in all formats.
    Bare(&'static str),
}

impl FieldValue {
    pub(super) fn written(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::List(words) => {
                let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
                format!("[{}]", words.join(", "))
            }
            Self::Bare(text) => (*text).to_owned(),
        }
    }
}

impl EntryForm {
    /// Whether the servers are a list.
    pub(super) const fn is_listed(self) -> bool {
        matches!(self, Self::Listed | Self::ListedTransport)
    }

    /// The fields of an entry, in order.
    pub(super) fn fields(
        self,
        name: &str,
        program: &str,
        arguments: &[String],
    ) -> Vec<(&'static str, FieldValue)> {
        let text = |text: &str| FieldValue::Text(text.to_owned());
        let command = ("command", text(program));
        let args = ("args", FieldValue::List(arguments.to_vec()));
        match self {
            Self::Plain => vec![command, args],
            Self::Typed => vec![("type", text("stdio")), command, args],
            Self::Local => {
                let mut words = vec![program.to_owned()];
                words.extend(arguments.iter().cloned());
                vec![
                    ("type", text("local")),
                    ("command", FieldValue::List(words)),
                    ("enabled", FieldValue::Bare("true")),
                ]
            }
            Self::Copilot => vec![
                ("type", text("local")),
                command,
                args,
                ("tools", FieldValue::List(vec!["*".to_owned()])),
            ],
            Self::Goose => vec![
                ("name", text(name)),
                ("type", text("stdio")),
                ("enabled", FieldValue::Bare("true")),
                ("cmd", text(program)),
                args,
                ("timeout", FieldValue::Bare("300")),
            ],
            Self::Listed => vec![("name", text(name)), command, args],
            Self::ListedTransport => vec![
                ("name", text(name)),
                ("transport", text("stdio")),
                command,
                args,
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::places::is_relative;
    use crate::client::table::{CLIENTS, client};

    #[test]
    fn every_row_is_of_a_client_and_its_files_are_read_by_it() {
        for home in HOMES {
            let client = client(home.client).unwrap_or_else(|| panic!("{}", home.client));
            for file in home.files {
                let is_read = client
                    .places
                    .iter()
                    .any(|place| place.path == *file && !place.old);
                assert!(is_read, "{}: {file}", home.client);
            }
        }
        let mut ids: Vec<_> = HOMES.iter().map(|home| home.client).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), HOMES.len());
    }

    /// Clients without a row: the form of their entries is not confirmed, or they are dead.
    #[test]
    fn clients_without_a_row_are_known() {
        let without: Vec<_> = CLIENTS
            .iter()
            .filter(|client| home_of(client.id).is_none())
            .filter(|client| {
                let mut places = client.places.iter();
                places.any(|place| !place.old && !is_relative(place.path))
            })
            .map(|client| client.id)
            .collect();
        assert_eq!(
            without,
            [
                "visual-studio",
                "pi",
                "mastra",
                "nanocoder",
                "fx",
                "tome",
                "augment"
            ]
        );
    }
}
