//! Where a new entry goes in the config of each client, and its form there.
//!
//! Pure. A client without a row reads no file of the user's own in which its form is known.

use std::path::Path;

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

/// Files of a project in which a client reads entries of the same form as in its own.
const IN_PROJECTS: &[(&str, &[&str])] = &[
    ("claude-code", &[".mcp.json"]),
    ("cursor", &[".cursor/mcp.json"]),
    ("vscode", &[".vscode/mcp.json"]),
    ("windsurf", &[".windsurf/mcp_config.json"]),
    ("zed", &[".zed/settings.json"]),
    ("cline", &[".cline/mcp.json"]),
    ("codex", &[".codex/config.toml"]),
    ("gemini-cli", &[".gemini/settings.json"]),
    ("copilot-cli", &[".github/mcp.json"]),
    (
        "opencode",
        &[
            ".opencode/opencode.json",
            ".opencode/opencode.jsonc",
            "opencode.json",
            "opencode.jsonc",
        ],
    ),
    (
        "kilo",
        &[
            ".kilo/kilo.json",
            ".kilo/kilo.jsonc",
            "kilo.json",
            "kilo.jsonc",
        ],
    ),
    ("continue", &[".continue/config.yaml"]),
    ("kiro", &[".kiro/settings/mcp.json"]),
    ("amazon-q", &[".amazonq/mcp.json"]),
    ("junie", &[".junie/mcp/mcp.json"]),
    ("qwen-code", &[".qwen/settings.json"]),
    ("crush", &["crush.json", ".crush.json"]),
    ("amp", &[".amp/settings.json", ".amp/settings.jsonc"]),
    ("factory", &[".factory/mcp.json"]),
    ("warp", &[".warp/.mcp.json"]),
    ("trae", &[".trae/mcp.json"]),
    ("qoder", &[".qoder/mcp.json"]),
    ("kimi", &[".kimi-code/mcp.json"]),
    ("mistral-vibe", &[".vibe/config.toml"]),
    ("iflow", &[".iflow/settings.json"]),
    ("tabnine", &[".tabnine/agent/settings.json"]),
    ("grok", &[".grok/config.toml"]),
    ("mcporter", &["config/mcporter.json"]),
];

/// The forms of files that no known client reads, by the keys that lead to the servers. The first one is
/// that of a new file.
pub const OF_OTHERS: &[EntryHome] = &[
    other(&["mcpServers"], EntryForm::Plain),
    other(&["servers"], EntryForm::Typed),
    other(&["context_servers"], EntryForm::Plain),
    other(&["mcp_servers"], EntryForm::Plain),
];

const fn other(keys: &'static [&'static str], form: EntryForm) -> EntryHome {
    EntryHome {
        client: "",
        files: &[],
        keys,
        form,
    }
}

/// The client that reads a file of a project, and its row. The longest name counts: `.warp/.mcp.json` is
/// not `.mcp.json`.
pub fn of_project(path: &Path) -> Option<&'static EntryHome> {
    let rows = IN_PROJECTS.iter();
    let files = rows.flat_map(|(client, files)| files.iter().map(move |file| (*client, *file)));
    let fits = files.filter(|(_, file)| path.ends_with(file));
    let (client, _) = fits.max_by_key(|(_, file)| file.len())?;
    home_of(client)
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

    #[test]
    fn the_files_of_projects_are_read_by_their_client() {
        for (id, files) in IN_PROJECTS {
            let client = client(id).unwrap_or_else(|| panic!("{id}"));
            assert!(home_of(id).is_some(), "{id}");
            for file in *files {
                let places = client.places.iter();
                let mut all = places.filter(|place| !place.old);
                assert!(all.any(|place| place.path == *file), "{id}: {file}");
            }
        }
        let of = |path: &str| of_project(Path::new(path)).map(|home| home.client);
        assert_eq!(of("/srv/app/.mcp.json"), Some("claude-code"));
        assert_eq!(of("/srv/app/.warp/.mcp.json"), Some("warp"));
        assert_eq!(of("/srv/app/mcp.json"), None);
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
