//! One server in a client config, in the form that all other modules use.
//!
//! Pure. Clients write `command` as a string, an array, an object or a whole command line; `env` as
//! `env`, `envs` or `environment`; the URL as `url`, `serverUrl`, `httpUrl` or `uri`. The span of
//! each piece is kept, so that it can be replaced in place.

use super::document::Document;
use super::fields::{
    ADDRESSES, ARGUMENTS, PROGRAMS, VARIABLES, body, first, named, passed, rest, texts, word,
};
use super::find;
use super::tree::{Node, PathStep};

pub use super::fields::{SpannedText, not_understood, pair, split_line};

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
    /// Why its form is not understood, if it is not.
    pub unknown: Option<&'static str>,
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

    /// Whether its form is not understood.
    pub fn is_unknown(&self) -> bool {
        not_understood(self.node).is_some()
    }

    /// Whether a command in it may start mcpwrap.
    pub fn may_be_wrapped(&self) -> bool {
        self.may_start("mcpwrap")
    }

    /// Whether its client may log in to a remote server for it.
    pub fn may_log_in(&self) -> bool {
        first(body(self.node).1, ADDRESSES).is_some() || self.may_start("mcp-remote")
    }

    /// Whether its values may be in another store.
    pub fn may_use_store(&self) -> bool {
        let is_it = |text: &str| {
            let name = text.rsplit('/').next().unwrap_or(text);
            STORE_PROGRAMS.contains(&name) || text.starts_with("op://")
        };
        holds(self.node, &is_it) || holds(body(self.node).1, &is_it)
    }

    fn may_start(&self, program: &str) -> bool {
        let is_it = |text: &str| text.contains(program);
        holds(self.node, &is_it) || holds(body(self.node).1, &is_it)
    }
}

/// Programs that start a command with values of a store.
const STORE_PROGRAMS: &[&str] = &["op", "doppler", "infisical", "bws", "sops"];

fn holds(node: &Node, is_it: &dyn Fn(&str) -> bool) -> bool {
    let is_named = |node: &Node| node.text().is_some_and(is_it);
    let within = |node: &Node| {
        is_named(node)
            || node.list().iter().any(is_named)
            || node.map().iter().any(|member| is_named(&member.node))
    };
    node.map().iter().any(|member| within(&member.node))
}

fn key(name: &str) -> PathStep {
    PathStep::Key(name.to_owned())
}

fn entry(name: String, path: Vec<PathStep>, node: &Node) -> ServerEntry {
    let (inside, inner) = body(node);
    let either = |name: &str| inner.get(name).or_else(|| node.get(name));
    let mut pass = passed(node);
    if !inside.is_empty() {
        pass.extend(passed(inner));
    }
    let cwd = ["cwd", "working_directory", "workingDirectory"];
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
        cwd: cwd
            .iter()
            .find_map(|key| either(key)?.text())
            .map(str::to_owned),
        wrapped: None,
        pass,
        env_file: either("envFile").is_some(),
        unknown: not_understood(node),
    };
    fill(&mut entry, node, &inside, inner);
    entry.wrapped = wrapped(&entry.words);
    entry
}

/// Reads the command, the variables, the address, and everything else as headers and settings.
fn fill(entry: &mut ServerEntry, node: &Node, inside: &[PathStep], inner: &Node) {
    let step = |name: &str| {
        inside
            .iter()
            .cloned()
            .chain([key(name)])
            .collect::<Vec<_>>()
    };
    let body_keys = inside.iter().filter_map(|step| match step {
        PathStep::Key(key) => Some(key.as_str()),
        PathStep::Index(_) => None,
    });
    let mut read: Vec<&str> = body_keys.collect();
    if let Some((name, command)) = first(inner, PROGRAMS) {
        program(entry, &step(name), command, inner, &step);
        read.extend([name, "args", "arguments"]);
    }
    // A client may keep the variables beside the body.
    let variables = first(inner, VARIABLES)
        .map(|(name, env)| (step(name), name, env))
        .or_else(|| first(node, VARIABLES).map(|(name, env)| (vec![key(name)], name, env)));
    let (mut headers, mut settings) = (Vec::new(), Vec::new());
    if let Some((path, name, env)) = variables {
        entry.env = named(env);
        entry.env_path = Some(path);
        // What is not text is a setting.
        let others = env.map().iter();
        for member in others.filter(|member| member.node.text().is_none()) {
            rest(&member.key, &member.node, &mut headers, &mut settings);
        }
        read.push(name);
    }
    if let Some((name, url)) = first(inner, ADDRESSES) {
        entry.url = word("url", url);
        read.push(name);
    }
    let outer = (!inside.is_empty()).then_some(node);
    let members = inner.map().iter();
    for member in members.chain(outer.into_iter().flat_map(Node::map)) {
        if !read.contains(&member.key.as_str()) {
            rest(&member.key, &member.node, &mut headers, &mut settings);
        }
    }
    entry.headers = headers;
    entry.settings = settings;
}

fn program(
    entry: &mut ServerEntry,
    path: &[PathStep],
    command: &Node,
    inner: &Node,
    step: &dyn Fn(&str) -> Vec<PathStep>,
) {
    let below = |name: &str| path.iter().cloned().chain([key(name)]).collect::<Vec<_>>();
    let (text, args, path) = if command.is_map() {
        // The old format of Zed: `command: { path, args, env }`.
        entry.env = command.get("env").map(named).unwrap_or_default();
        entry.env_path = command.get("env").map(|_| below("env"));
        let args = command.get("args").map(|args| (below("args"), args));
        let text = command.get("path").and_then(|path| word("", path));
        (text, args, below("path"))
    } else if command.list().is_empty() {
        let args = first(inner, ARGUMENTS).map(|(name, args)| (step(name), args));
        (word("", command), args, path.to_vec())
    } else {
        entry.words = texts(command);
        entry.program = Program::Array(path.to_vec());
        // Some clients take the program as a list and more arguments beside it.
        entry.words.extend(
            first(inner, ARGUMENTS)
                .into_iter()
                .flat_map(|(_, args)| texts(args)),
        );
        return;
    };
    let Some(text) = text else { return };
    entry.words.push(text);
    entry.program = Program::Text(path);
    if let Some((path, args)) = args {
        entry.words.extend(texts(args));
        entry.words.extend(word("", args));
        entry.args = Some(path);
    }
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
mod tests;
