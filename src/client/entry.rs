//! One server in a client config, in the form that all other modules use.
//!
//! Pure. Clients write `command` as a string, an array, an object or a whole command line; `env` as
//! `env`, `envs` or `environment`; the URL as `url`, `serverUrl`, `httpUrl` or `uri`. The span of
//! each piece is kept, so that it can be replaced in place.

use std::ops::Range;

use super::document::Document;
use super::find;
use super::tree::{Node, PathStep};

/// One server of a file.
#[derive(Clone, Debug)]
pub struct ServerEntry {
    /// The client's name for it.
    pub name: String,
    /// The path from the root of the file.
    pub path: Vec<PathStep>,
    /// The program and its arguments, as written. Empty if the server is remote.
    pub words: Vec<SpannedText>,
    /// The form of `command`.
    pub program: Program,
    /// The path of the argument list within the entry, if there is one.
    pub args: Option<Vec<PathStep>>,
    pub env_path: Option<Vec<PathStep>>,
    pub env: Vec<SpannedText>,
    pub headers: Vec<SpannedText>,
    pub url: Option<SpannedText>,
    /// Fields that the client passes on in its own way.
    pub settings: Vec<SpannedText>,
    pub cwd: Option<String>,
    /// The policy that it runs, if adopted.
    pub wrapped: Option<String>,
    /// Names of variables that the client passes through from its own environment or keyring.
    pub pass: Vec<String>,
    /// Whether the client reads an env file for it.
    pub env_file: bool,
}

/// How an entry says which program to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// `command: "npx"`; a whole command line if it has spaces.
    Text(Vec<PathStep>),
    /// `command: ["npx", "-y", …]`.
    Array(Vec<PathStep>),
    /// None: the server is remote, or an extension of the client.
    None,
}

/// A string of an entry, and its span.
#[derive(Clone, Debug)]
pub struct SpannedText {
    /// Its key; empty for an argument.
    pub name: String,
    pub text: String,
    pub span: Range<usize>,
}

/// All entries of a file, in order.
pub fn entries(document: &Document) -> Vec<ServerEntry> {
    let places = places(document).into_iter();
    places.map(Spot::read).collect()
}

/// The locations of all entries of a file, in order.
pub fn places(document: &Document) -> Vec<Spot<'_>> {
    let spot = |(name, path): (String, Vec<PathStep>)| {
        let node = document.find(&path)?;
        Some(Spot { name, path, node })
    };
    let found = find::entries(document).into_iter();
    found.filter_map(spot).collect()
}

/// The location of one entry.
#[derive(Clone, Debug)]
pub struct Spot<'a> {
    /// The client's name for it.
    pub name: String,
    /// From the root of the file.
    pub path: Vec<PathStep>,
    pub node: &'a Node,
}

impl Spot<'_> {
    /// Reads the entry.
    pub fn read(self) -> ServerEntry {
        entry(self.name, self.path, self.node)
    }

    /// Whether a command in it may start mcpwrap.
    pub fn may_be_wrapped(&self) -> bool {
        let is_mcpwrap = |node: &Node| node.text().is_some_and(|text| text.contains("mcpwrap"));
        let within = |node: &Node| {
            is_mcpwrap(node)
                || node.list().iter().any(is_mcpwrap)
                || node.map().iter().any(|member| is_mcpwrap(&member.node))
        };
        self.node.map().iter().any(|member| within(&member.node))
    }
}

fn key(name: &str) -> PathStep {
    PathStep::Key(name.to_owned())
}

fn entry(name: String, path: Vec<PathStep>, node: &Node) -> ServerEntry {
    let first = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| Some((*name, node.get(name)?)))
            .map(|(name, node)| (key(name), node))
    };
    let mut entry = ServerEntry {
        name,
        path,
        words: Vec::new(),
        program: Program::None,
        args: None,
        env_path: None,
        env: Vec::new(),
        headers: Vec::new(),
        url: None,
        settings: Vec::new(),
        cwd: node.get("cwd").and_then(Node::text).map(str::to_owned),
        wrapped: None,
        pass: names(node),
        env_file: node.get("envFile").is_some(),
    };
    if let Some((step, command)) = first(&["command", "cmd"]) {
        program(&mut entry, step, command, node);
    }
    if let Some((step, env)) = first(&["env", "envs", "environment"]) {
        entry.env = words(env);
        entry.env_path = Some(vec![step]);
    }
    if let Some((_, url)) = first(&["url", "serverUrl", "httpUrl", "uri"]) {
        entry.url = word("url", url);
    }
    for headers in [
        node.get("headers"),
        node.get("http_headers"),
        node.get("requestOptions").and_then(|o| o.get("headers")),
    ] {
        entry.headers.extend(headers.map(words).unwrap_or_default());
    }
    for field in [
        "bearer_token",
        "apiKey",
        "api_key",
        "token",
        "oauth_client_secret",
    ] {
        entry
            .settings
            .extend(node.get(field).and_then(|node| word(field, node)));
    }
    for field in ["settings", "auth", "oauth"] {
        if let Some(node) = node.get(field) {
            deep(field, node, &mut entry.settings);
        }
    }
    entry.wrapped = wrapped(&entry.words);
    entry
}

fn program(entry: &mut ServerEntry, step: PathStep, command: &Node, node: &Node) {
    let list = |node: &Node| {
        node.list()
            .iter()
            .filter_map(|item| word("", item))
            .collect::<Vec<_>>()
    };
    let (text, args, path) = if command.is_map() {
        // The old format of Zed: `command: { path, args, env }`.
        entry.env = command.get("env").map(words).unwrap_or_default();
        entry.env_path = command.get("env").map(|_| vec![step.clone(), key("env")]);
        let args = command
            .get("args")
            .map(|args| (vec![step.clone(), key("args")], args));
        (
            command.get("path").and_then(|path| word("", path)),
            args,
            vec![step, key("path")],
        )
    } else if command.list().is_empty() {
        let args = node.get("args").map(|args| (vec![key("args")], args));
        (word("", command), args, vec![step])
    } else {
        entry.words = list(command);
        entry.program = Program::Array(vec![step]);
        return;
    };
    let Some(text) = text else { return };
    entry.words.push(text);
    entry.program = Program::Text(path);
    if let Some((path, args)) = args {
        entry.words.extend(list(args));
        entry.args = Some(path);
    }
}

fn word(name: &str, node: &Node) -> Option<SpannedText> {
    let text = node.text()?.to_owned();
    Some(SpannedText {
        name: name.to_owned(),
        text,
        span: node.span.clone(),
    })
}

fn words(node: &Node) -> Vec<SpannedText> {
    node.map()
        .iter()
        .filter_map(|member| word(&member.key, &member.node))
        .collect()
}

fn deep(name: &str, node: &Node, found: &mut Vec<SpannedText>) {
    found.extend(word(name, node));
    for member in node.map() {
        deep(&member.key, &member.node, found);
    }
    for item in node.list() {
        deep(name, item, found);
    }
}

/// Codex's `env_vars` and Goose's `env_keys`.
fn names(node: &Node) -> Vec<String> {
    let lists = ["env_vars", "env_keys"]
        .into_iter()
        .filter_map(|key| node.get(key));
    lists
        .flat_map(|list| list.list().iter().filter_map(Node::text))
        .map(str::to_owned)
        .collect()
}

/// The policy that a command line runs: `…/mcpwrap run NAME`.
pub fn wrapped(words: &[SpannedText]) -> Option<String> {
    let mut words = words.iter().map(|word| word.text.as_str());
    let program = words.next()?;
    let is_ours = program
        .rsplit(['/', '\\'])
        .next()
        .is_some_and(|name| name == "mcpwrap" || name == "mcpwrap.exe");
    let run = words.next()? == "run";
    let name = words.find(|word| !word.starts_with('-'))?;
    (is_ours && run).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tree::FileFormat;

    fn read(format: FileFormat, text: &str) -> Vec<ServerEntry> {
        entries(&Document::read(format, text.as_bytes().to_vec()).unwrap())
    }

    const SHAPES: &[(FileFormat, &str)] = &[
        (
            FileFormat::Json,
            r#"{"mcpServers": {"x": {"command": "npx", "args": ["-y"], "env": {"A": "b"}}}}"#,
        ),
        (
            FileFormat::Json,
            r#"{"servers": {"x": {"command": "npx", "args": ["-y"], "env": {"A": "b"}}}, "inputs": []}"#,
        ),
        (
            FileFormat::Json,
            r#"{"mcp": {"x": {"type": "local", "command": ["npx", "-y"], "environment": {"A": "b"}}}}"#,
        ),
        (
            FileFormat::Json,
            r#"{"context_servers": {"x": {"command": {"path": "npx", "args": ["-y"], "env": {"A": "b"}}}}}"#,
        ),
        (
            FileFormat::Json,
            r#"{"projects": {"/p": {"mcpServers": {"x": {"command": "npx", "args": ["-y"], "env": {"A": "b"}}}}}}"#,
        ),
        (
            FileFormat::Json,
            r#"{"x": {"command": "npx", "args": ["-y"], "env": {"A": "b"}}}"#,
        ),
        (
            FileFormat::Json,
            r#"{"amp.mcpServers": {"x": {"command": "npx", "args": ["-y"], "env": {"A": "b"}}}}"#,
        ),
        (
            FileFormat::Json,
            r#"{"mcp": {"servers": {"x": {"command": "npx", "args": ["-y"], "env": {"A": "b"}}}}}"#,
        ),
        (
            FileFormat::Toml,
            "[mcp_servers.x]\ncommand = \"npx\"\nargs = [\"-y\"]\nenv = { A = \"b\" }\n",
        ),
        (
            FileFormat::Toml,
            "[[mcp_servers]]\nname = \"x\"\ncommand = \"npx\"\nargs = [\"-y\"]\nenv.A = \"b\"\n",
        ),
        (
            FileFormat::Yaml,
            "extensions:\n  x:\n    cmd: npx\n    args: [-y]\n    envs: {A: b}\n  y:\n    type: builtin\n",
        ),
        (
            FileFormat::Yaml,
            "mcpServers:\n  - name: x\n    command: npx\n    args:\n      - -y\n    env:\n      A: b\n",
        ),
    ];

    #[test]
    fn all_forms_of_an_entry() {
        for &(format, text) in SHAPES {
            let found = read(format, text);
            let [entry] = found.as_slice() else {
                panic!("{text}: {found:?}")
            };
            assert_eq!(entry.name, "x", "{text}");
            assert_eq!(
                entry
                    .words
                    .iter()
                    .map(|w| w.text.as_str())
                    .collect::<Vec<_>>(),
                ["npx", "-y"],
                "{text}"
            );
            assert_eq!(
                entry
                    .env
                    .iter()
                    .map(|w| (w.name.as_str(), w.text.as_str()))
                    .collect::<Vec<_>>(),
                [("A", "b")],
                "{text}"
            );
        }
    }

    #[test]
    fn adopted_entries_are_recognized() {
        let found = read(
            FileFormat::Json,
            r#"{"mcpServers": {"x": {"command": "/opt/mcpwrap", "args": ["run", "gh", "--", "npx"]}}}"#,
        );
        assert_eq!(found[0].wrapped.as_deref(), Some("gh"));
    }
}
