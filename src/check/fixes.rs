//! What resolves a finding about a file, in the words of the client that reads the file.
//!
//! On this machine, `mcpwrap adopt` moves what it can. A file of a repository is shared with people
//! who have other machines, so its fixes are edits that work for all of them.

use super::facts::Facts;
use super::file::{CheckedServer, ConfigFile, ConfigValue, FieldKind};
use super::finding::{Fix, quoted};
use crate::client::table::{KnownClient, client};
use crate::package::{ParsedCommand, Registry};
use crate::policy::web::{RemoteUrl, is_of_bridge};

/// The form in which a client reads a variable of its own environment; `NAME` stands for the
/// variable. `None`: the client passes values on as they are.
fn form(client: &KnownClient) -> Option<&'static str> {
    (!client.reference.is_empty()).then_some(client.reference)
}

/// A reference to a variable in a file, or how else the client that reads it takes a value.
fn reference(file: &ConfigFile, name: &str) -> Option<String> {
    // Files that several clients share, such as `.mcp.json`, are read by Claude Code.
    let form = file.client.map_or(Some("${NAME}"), form)?;
    Some(format!("`{}`", form.replace("NAME", name)))
}

/// The client that reads a file, for the user.
fn reader(file: &ConfigFile) -> &'static str {
    file.client.map_or("the client", |client| client.name)
}

/// The name of the variable that a value should come from: its own, if it has one.
fn variable(value: &ConfigValue) -> &str {
    let is_name = |name: &str| {
        let first = name.chars().next();
        first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if value.kind == FieldKind::Env && is_name(&value.name) {
        &value.name
    } else {
        "NAME"
    }
}

/// A secret in plaintext.
pub(super) fn plaintext(facts: &Facts, file: &ConfigFile, value: &ConfigValue) -> Fix {
    let in_repository = facts.machine.is_none();
    let Some(server) = file.server_of(value) else {
        return variables(facts, file);
    };
    if server.url().is_some() {
        return if in_repository || !is_movable(server, value) {
            remote(file, value)
        } else {
            Fix::Run(file.adopt())
        };
    }
    if server.entry.words.is_empty() {
        let act = "remove it, pass it to the client another way if there is one, then rotate it";
        return Fix::Act(act.to_owned());
    }
    if !in_repository {
        return Fix::Run(file.adopt());
    }
    Fix::Act(match reference(file, variable(value)) {
        Some(reference) => format!(
            "replace it with {reference}, which {} reads from its environment, then rotate it: \
             git keeps the old value",
            reader(file)
        ),
        None => format!(
            "move the entry to your own config of {} and run `mcpwrap adopt`, then rotate it: git \
             keeps the old value",
            reader(file)
        ),
    })
}

/// A secret in a file of variables.
pub(super) fn variables(facts: &Facts, file: &ConfigFile) -> Fix {
    if facts.machine.is_some() {
        return Fix::Run(format!("mcpwrap secret import {}", quoted(&file.shown)));
    }
    Fix::Act("keep the file out of git (`.gitignore`), then rotate the secret".to_owned())
}

/// Whether `adopt` can move the credential of a remote server into a policy.
fn is_movable(server: &CheckedServer, value: &ConfigValue) -> bool {
    let is_sent = match value.kind {
        FieldKind::Header => !is_of_bridge(&value.name),
        FieldKind::Url => true,
        _ => false,
    };
    is_sent && server.url().is_some_and(|url| RemoteUrl::new(url).is_ok())
}

/// The credential of a remote server.
pub(super) fn remote(file: &ConfigFile, value: &ConfigValue) -> Fix {
    let header = (value.kind == FieldKind::Header).then_some(value.name.as_str());
    // Files that several clients share, such as `.mcp.json`, are read by Claude Code.
    let client = file.client.or_else(|| client("claude-code"));
    Fix::Act(format!("{}, then rotate it", remote_words(client, header)))
}

/// How a client can take the credential of a remote server from elsewhere than its config. `header`:
/// the header that has it, if it is one.
fn remote_words(client: Option<&KnownClient>, header: Option<&str>) -> String {
    let bearer = header.is_some_and(|name| name.eq_ignore_ascii_case("authorization"));
    let Some(client) = client else {
        return "sign in with OAuth, or use a reference if the client knows one".to_owned();
    };
    match (client.id, header) {
        ("codex", _) if bearer => {
            "remove it and set `bearer_token_env_var = \"NAME\"`, or sign in \
             with `codex mcp login`, which uses the keyring"
                .to_owned()
        }
        ("codex", Some(header)) => {
            format!("remove it and set `env_http_headers = {{ \"{header}\" = \"NAME\" }}`")
        }
        ("claude-code", Some(_)) => {
            "replace it with `${NAME}` (`headersHelper` works too, but then \
             whoever changes the file decides what runs)"
                .to_owned()
        }
        ("vscode" | "visual-studio", _) => {
            "replace it with `${input:NAME}`, which the editor asks for and stores".to_owned()
        }
        _ => match form(client) {
            Some(form) => format!("replace it with `{form}`"),
            None => format!(
                "sign in with OAuth if the server offers it, because {} reads no variables; or start \
                 it through a bridge (`npx mcp-remote URL --header …`) and run `mcpwrap adopt`",
                client.name
            ),
        },
    }
}

/// A credential that is missing.
pub(super) fn missing(file: &ConfigFile, value: &ConfigValue) -> Fix {
    Fix::Act(match reference(file, variable(value)) {
        Some(reference) => {
            format!("set it to {reference}, or store it and name it in a policy")
        }
        None => "store it with `mcpwrap secret set`, and name it in a policy".to_owned(),
    })
}

/// What `adopt` does for one server on this machine, and `act` in a repository.
pub(super) fn server(facts: &Facts, file: &ConfigFile, server: &CheckedServer, act: &str) -> Fix {
    if facts.machine.is_some() {
        Fix::Run(file.adopt_server(&server.entry.name))
    } else {
        Fix::Act(act.to_owned())
    }
}

/// What `adopt` does for the values of a file on this machine, and `act` in a repository.
pub(super) fn values(facts: &Facts, file: &ConfigFile, act: &str) -> Fix {
    if facts.machine.is_some() {
        Fix::Run(file.adopt())
    } else {
        Fix::Act(act.to_owned())
    }
}

/// How a command names one version.
pub(super) fn exact_version(launch: &ParsedCommand) -> String {
    let Some(name) = launch.package.as_deref() else {
        return "use an exact version".to_owned();
    };
    let example = match launch.registry {
        Registry::Npm => format!("`{name}@VERSION`"),
        Registry::Pypi => format!("`{name}==VERSION`"),
        Registry::Image => format!("`{name}@sha256:DIGEST`"),
        _ => return "use an exact version".to_owned(),
    };
    format!("write an exact version: {example}")
}
