//! The fields of a policy file: one Rust field per TOML field.
//!
//! Users read the doc comments: `mcpwrap policy schema` and `docs/policy.md` are generated from them.
//! Invariant: unknown fields are refused. `check` validates the fields against each other.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::mint_table::MintTable;
use super::package::Package;
use super::remote::{OAuthTable, RemoteTransport};

/// What one MCP server may have and run. A policy contains references to secrets, never a secret.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "mcpwrap policy")]
pub(super) struct PolicyFile {
    /// The version of this format: `1`.
    pub(super) version: u32,
    /// What the server is for, in your own words.
    #[serde(default)]
    pub(super) description: Option<String>,
    /// The program and its arguments. The command in `mcpwrap run SERVER -- COMMAND` must equal it,
    /// argument by argument, if one is given. `{secret.NAME}` is replaced by the value of
    /// `[secrets.NAME]`, and needs `argv_secrets = true`. `{client.workspace}`, alone or after a fixed
    /// `--name=`, stands for the folder that the client has opened: the client writes its path there,
    /// and it must be an existing directory of yours, neither your home nor above it. It never names
    /// the program, a script or a module.
    #[serde(default)]
    pub(super) command: Vec<String>,
    /// The address of a remote server, instead of `command`: `https:`, or `http:` to this machine.
    /// `{secret.NAME}` in its path or query is replaced by the value of `[secrets.NAME]`,
    /// percent-encoded.
    #[serde(default)]
    pub(super) url: Option<String>,
    /// How a remote server is spoken to.
    #[serde(default)]
    pub(super) transport: RemoteTransport,
    /// Headers that are sent with each request to a remote server, e.g. `Authorization = "Bearer
    /// {secret.TOKEN}"`. `{secret.NAME}` is replaced by the value of `[secrets.NAME]`.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// The remote server asks for OAuth: `mcpwrap login SERVER` gets the token. An empty table is
    /// enough for most servers.
    #[serde(default)]
    pub(super) oauth: Option<OAuthTable>,
    /// Allows `{secret.NAME}` in `command`. Every user of the machine can see arguments with `ps`, so
    /// use it only for a server that accepts its secret in no other way. `mcpwrap check` reports it.
    #[serde(default)]
    pub(super) argv_secrets: bool,
    /// The working directory: an absolute path, or one that starts with `~/`; `client` for that of the
    /// client. By default, an empty private directory for each run, so that no file of a project
    /// changes what the server does.
    #[serde(default)]
    pub(super) cwd: Option<String>,
    /// Whether the server starts inside the fence, which keeps it from signalling processes outside,
    /// from tracing them and from reading their memory (Linux). `false` is for programs that need to:
    /// debuggers, process managers, `sudo`, and other programs that run with more rights than yours.
    #[serde(default = "default_fence")]
    pub(super) fence: bool,
    /// The server's environment. It starts empty; "Environment" below lists what is always
    /// inherited.
    #[serde(default)]
    pub(super) env: EnvTable,
    /// One table per secret: `[secrets.VARIABLE]`, where VARIABLE is the environment variable in
    /// which the server expects the value.
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, SecretTable>,
    /// Short-lived credentials that are made for each session: `[mint.NAME]`.
    #[serde(default)]
    pub(super) mint: BTreeMap<String, MintTable>,
    /// Changes for one profile: `[profile.prod]` applies to `mcpwrap run SERVER --profile prod`.
    #[serde(default)]
    pub(super) profile: BTreeMap<String, ProfileTable>,
    /// How the server is started again, and what the client sees if it cannot be started.
    #[serde(default)]
    pub(super) session: SessionRules,
    /// What the server may not do.
    #[serde(default)]
    pub(super) limits: Limits,
    /// What `mcpwrap pin` installed, and what is started instead of `command`.
    #[serde(default)]
    pub(super) package: Option<Package>,
}

const fn default_fence() -> bool {
    true
}

/// The environment in addition to the base list and the network list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EnvTable {
    /// Names of variables that the server inherits from the client's environment.
    pub(super) pass: Vec<String>,
    /// Variables with their values, e.g. `set = { LOG_LEVEL = "info" }`. `{secret.NAME}` in a value is
    /// replaced by the value of `[secrets.NAME]`, e.g. in a connection string.
    pub(super) set: BTreeMap<String, String>,
}

/// Where the value of one variable comes from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretTable {
    /// Where the value comes from: `secret:NAME` in the local store (`mcpwrap secret set NAME` stores it),
    /// `STORE:PATH#FIELD` in a store of `config.toml`, `op://VAULT/ITEM/FIELD` in the only 1Password store, or
    /// `mint:NAME#FIELD` of a short-lived credential below `[mint.NAME]`.
    pub(super) from: String,
    /// How the server gets the value.
    #[serde(default)]
    pub(super) to: Delivery,
    /// Whether the server starts without it if the store has no such secret, or an empty one.
    #[serde(default)]
    pub(super) optional: bool,
}

/// What one profile changes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProfileTable {
    /// Names that are inherited in addition to those of `[env]`, and values that replace those of
    /// `[env]`, name by name.
    pub(super) env: EnvTable,
    /// Secrets that replace those of `[secrets]`, variable by variable.
    pub(super) secrets: BTreeMap<String, SecretTable>,
}

/// How the server gets a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// The variable holds the value.
    #[default]
    Env,
    /// The variable holds the path of a file in memory (mode 0400) with the value, which is removed when
    /// the server exits. Not on macOS, which has no file system in memory.
    File,
    /// The same on disk, where deleted data may remain.
    DiskFile,
}

/// How the server is started again, and what the client sees if it cannot be started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionRules {
    /// What happens when a secret is rotated while the server is running.
    pub renew: Renew,
    /// What happens when the server exits by itself.
    pub restart: Restart,
    /// What the client sees when the server cannot be started.
    pub on_failure: OnFailure,
}

/// What happens when a secret is rotated while the server is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Renew {
    /// The new server is started before the old one is stopped, so that no call is lost.
    #[default]
    Overlap,
    /// The old server is stopped first. For servers that hold a port or a lock.
    StopFirst,
    /// Nothing, until `mcpwrap renew SERVER`.
    Manual,
}

/// What happens when the server exits by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// It is started again, after a pause that grows each time.
    #[default]
    OnFailure,
    /// The session ends with it.
    Never,
}

/// What the client sees when the server cannot be started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Each request is answered with an error that contains the reason.
    #[default]
    Error,
    /// A substitute server with one status tool, which an agent can call.
    Stub,
}

/// What the server may not do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Whether a command may start a package without an exact, installed version.
    pub unpinned: Unpinned,
    /// The output streams of the server in which secrets are masked.
    pub mask: Vec<Stream>,
    /// What the server may write to its stdout.
    pub stdout: StdoutRule,
    /// Whether tool calls are logged in the audit log: names and outcomes, never arguments.
    pub log_calls: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            unpinned: Unpinned::default(),
            mask: vec![Stream::Stdout, Stream::Stderr],
            stdout: StdoutRule::default(),
            log_calls: true,
        }
    }
}

/// Whether a command may start a package without an exact, installed version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unpinned {
    /// It does not start.
    #[default]
    Refuse,
    /// It starts, and `mcpwrap policy lint` and `mcpwrap check` report it.
    Allow,
}

/// One output stream of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// The MCP messages. Only strings inside messages are masked.
    Stdout,
    /// What the server logs.
    Stderr,
}

/// What the server may write to its stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StdoutRule {
    /// Lines that can be MCP messages. Other lines go to stderr, because they break clients.
    #[default]
    Mcp,
    /// Anything.
    Raw,
}

/// The JSON Schema of a policy file, for editors.
pub fn json_schema() -> schemars::Schema {
    schemars::schema_for!(PolicyFile)
}

/// The table that a field belongs to, for messages; the outermost if there are several.
/// Fields that are tables themselves are skipped.
pub(super) fn home_of(field: &str) -> Option<String> {
    let homes = homes();
    let (home, _) = homes.into_iter().find(|(_, name)| name == field)?;
    Some(home)
}

/// Each field with the table it belongs to, from the schema, outer tables first.
fn homes() -> Vec<(String, String)> {
    let schema = json_schema().to_value();
    let (mut outer, mut inner) = (Vec::new(), Vec::new());
    for (name, field) in properties(&schema) {
        let Some((table, is_map)) = table_of(&schema, field) else {
            outer.push(("the top of the file".to_owned(), name.clone()));
            continue;
        };
        let home = match name.as_str() {
            "secrets" => "`[secrets.VARIABLE]`".to_owned(),
            "package" => "`[package]`, which `mcpwrap pin` writes".to_owned(),
            name if is_map => format!("`[{name}.NAME]`"),
            name => format!("`[{name}]`"),
        };
        for (name, field) in properties(table) {
            if table_of(&schema, field).is_none() {
                inner.push((home.clone(), name.clone()));
            }
        }
    }
    outer.append(&mut inner);
    outer
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten()
}

/// The table that a field contains, alone or in a map, and whether it is a map.
fn table_of<'a>(schema: &'a Value, field: &'a Value) -> Option<(&'a Value, bool)> {
    let own = |value: &'a Value| {
        let target = value.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
        let table = schema.get("$defs")?.get(target)?;
        table.get("properties").map(|_| table)
    };
    if let Some(map) = field.get("additionalProperties") {
        return own(map).map(|table| (table, true));
    }
    let choices = field.get("anyOf").and_then(Value::as_array);
    let mut choices = choices.into_iter().flatten().chain([field]);
    choices.find_map(own).map(|table| (table, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serde_words::Refusal;

    #[test]
    fn every_field_is_valid_in_the_table_of_its_hint() {
        let homes = homes();
        assert!(homes.len() > 20, "{homes:?}");
        for (home, field) in homes {
            let table = match home.strip_prefix('`') {
                None => String::new(),
                Some(rest) => rest.split('`').next().unwrap().to_owned(),
            };
            // A value that no field accepts, so that only the field name matters.
            let text = format!("{table}\n{field} = 1979-05-27\n");
            let error = toml::from_str::<PolicyFile>(&text).unwrap_err();
            let refusal = Refusal::read(error.message());
            assert!(
                !matches!(refusal, Refusal::UnknownField { .. }),
                "{home} {field}: {error}"
            );
        }
    }

    #[test]
    fn the_outermost_table_is_the_home() {
        for (field, home) in [
            ("version", Some("the top of the file")),
            ("cwd", Some("the top of the file")),
            ("pass", Some("`[env]`")),
            ("from", Some("`[secrets.VARIABLE]`")),
            ("renew", Some("`[session]`")),
            ("log_calls", Some("`[limits]`")),
            ("tree", Some("`[package]`, which `mcpwrap pin` writes")),
            ("env", None),
            ("secert", None),
        ] {
            assert_eq!(home_of(field).as_deref(), home, "{field}");
        }
    }
}
