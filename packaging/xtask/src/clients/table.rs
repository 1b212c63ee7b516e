//! The clients that npm and PyPI bring, and how each is driven without a terminal and without an account.

mod open;
mod python;
mod vendors;

/// One client.
pub struct TestedClient {
    pub id: &'static str,
    pub registry: Registry,
    pub package: &'static str,
    pub version: &'static str,
    pub bin: &'static str,
    /// Whether it is run in `ci`: the three that install fastest, of those that connect.
    pub is_quick: bool,
    /// The client that `adopt` knows, or its file.
    pub adopt: Option<&'static str>,
    /// Below the home.
    pub config: &'static str,
    /// What is written below the home before anything else, for example which model is asked.
    pub files: &'static [(&'static str, &'static str)],
    /// What the client is told before anything else.
    pub set_up: Option<&'static str>,
    pub add: Add,
    /// The arguments with which it writes a remote entry.
    pub add_remote: Option<&'static str>,
    pub env: &'static [(&'static str, &'static str)],
    /// What makes it connect without a call, if anything does without an account, and what it says then.
    pub connect: Option<Script>,
    pub connected: &'static str,
    /// What calls the tool `echo`, by itself or because the scripted model wants it.
    pub call: Option<Script>,
    /// Whether it writes its config at other times too.
    pub rewrites: bool,
    /// What it does only with an account, or not at all.
    pub untested: &'static str,
}

/// Where a client comes from.
pub enum Registry {
    /// npm, with what is installed beside it. There is a Node for clients that need a newer one than
    /// most machines have.
    Npm(&'static [&'static str]),
    /// PyPI: `tests/real/pypi` has its lock file.
    PyPi,
}

/// How the server gets into its config.
///
/// In all texts, `SERVER` (for a remote one its URL), `TOKEN`, `BEARER` (a header's value with it),
/// `HEADER` (a whole header), `MODEL` (the URL of the scripted model), `ASK` (a question to it) and `ECHO`
/// are replaced. Arguments are words.
#[derive(Clone, Copy)]
pub enum Add {
    Command(&'static str),
    /// The same for a client that asks: the answer is yes.
    Yes(&'static str),
    File(&'static str),
}

/// One run of a client.
pub enum Script {
    /// Its arguments.
    Words(&'static str),
    /// A program that speaks its protocol; its arguments are the client and the text.
    Python(&'static str),
}

pub fn all() -> impl Iterator<Item = &'static TestedClient> {
    [open::CLIENTS, vendors::CLIENTS, python::CLIENTS]
        .into_iter()
        .flatten()
}

/// What is the same for most clients.
const NPM: TestedClient = TestedClient {
    id: "",
    registry: Registry::Npm(&[]),
    package: "",
    version: "",
    bin: "",
    is_quick: false,
    adopt: None,
    config: "",
    files: &[],
    set_up: None,
    add: Add::Command("mcp add probe --env DEMO_KEY=TOKEN -- SERVER"),
    add_remote: None,
    env: &[],
    connect: None,
    connected: "",
    call: None,
    rewrites: false,
    untested: "nothing: it needs no account",
};

const PYPI: TestedClient = TestedClient {
    registry: Registry::PyPi,
    ..NPM
};

/// A Node of npm.
const NODE_22: &str = "node@22.23.3";

/// A config as most clients have it.
const MCP_SERVERS: Add = Add::File(
    r#"{
  "mcpServers": {
    "probe": { "command": "SERVER", "args": [], "env": { "DEMO_KEY": "TOKEN" } }
  }
}
"#,
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::{read, root};

    #[test]
    fn each_client_is_there_once_and_says_how_it_is_driven() {
        let mut ids: Vec<_> = all().map(|client| client.id).collect();
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count);
        for client in all() {
            for part in [
                client.package,
                client.version,
                client.bin,
                client.config,
                client.untested,
            ] {
                assert!(!part.is_empty(), "{}", client.id);
            }
        }
        assert_eq!(all().filter(|client| client.is_quick).count(), 3);
    }

    #[test]
    fn what_pypi_brings_is_locked() {
        for client in all().filter(|client| matches!(client.registry, Registry::PyPi)) {
            let lock = root().join(format!("tests/real/pypi/{}.txt", client.id));
            let lock = String::from_utf8(read(&lock).expect("the lock")).expect("text");
            // With or without optional parts of it in brackets.
            let is_pinned = |line: &str| {
                let (name, version) = line.split_once("==").unwrap_or_default();
                let name = name.split('[').next().unwrap_or_default();
                name == client.package && version.trim_end_matches(" \\") == client.version
            };
            assert!(lock.lines().any(is_pinned), "{}", client.id);
        }
    }
}
