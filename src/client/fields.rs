//! The fields of an entry in all the forms that clients write them in.
//!
//! Pure. Says also when a form is not known, so that no entry counts as read that was not.

use std::ops::Range;

use super::tree::{Node, PathStep};

/// A string of an entry, and its span.
#[derive(Clone, Debug)]
pub struct SpannedText {
    /// Its key; empty for an argument.
    pub name: String,
    pub text: String,
    pub span: Range<usize>,
}

pub(super) const PROGRAMS: &[&str] = &["command", "cmd"];
pub(super) const ARGUMENTS: &[&str] = &["args", "arguments"];
pub(super) const VARIABLES: &[&str] = &[
    "env",
    "envs",
    "environment",
    "environmentVariables",
    "environment_variables",
];
pub(super) const ADDRESSES: &[&str] = &[
    "url",
    "serverUrl",
    "httpUrl",
    "uri",
    "server_url",
    "http_url",
    "sseUrl",
    "baseUrl",
    "base_url",
    "endpoint",
];

/// Fields in which some clients put all of an entry.
const BODIES: &[&str] = &[
    "transport",
    "server",
    "config",
    "connection",
    "mcp_config",
    "stdio",
    "http",
    "local",
    "remote",
    "spec",
];

/// Fields that neither start anything nor name an address.
const HARMLESS: &[&str] = &[
    "$schema",
    "type",
    "name",
    "id",
    "title",
    "display_name",
    "displayName",
    "description",
    "icon",
    "version",
    "source",
    "enabled",
    "disabled",
    "disable",
    "settings",
    "auth",
    "oauth",
    "tools",
    "timeout",
    "env",
    "envs",
    "environment",
    "environmentVariables",
    "environment_variables",
    "env_vars",
    "env_keys",
    "envFile",
    "env_file",
    "headers",
    "http_headers",
    "env_http_headers",
    "bearer_token_env_var",
    "autoApprove",
    "alwaysAllow",
    "disabledTools",
    "enabledTools",
    "enabled_tools",
    "disabled_tools",
    "startup_timeout_sec",
    "tool_timeout_sec",
    "startup_timeout_ms",
    "trust",
    "scopes",
    "bundled",
    "available_tools",
    "metadata",
    "gallery",
    "comment",
    "_comment",
    "//",
    "required",
    "default_tools_approval_mode",
    "approval_mode",
    "includeTools",
    "excludeTools",
    "cwd",
    "note",
    "notes",
    "lifecycle",
    "provider",
    "category",
    "tags",
];

/// The part of an entry that has its command or address, and its path within the entry.
pub(super) fn body(node: &Node) -> (Vec<PathStep>, &Node) {
    if starts_something(node) {
        return (Vec::new(), node);
    }
    let inner = BODIES.iter().find_map(|key| {
        let inner = node.get(key)?;
        starts_something(inner).then(|| (vec![PathStep::Key((*key).to_owned())], inner))
    });
    inner.unwrap_or((Vec::new(), node))
}

/// Whether a value looks like an entry.
pub(super) fn is_entry(node: &Node) -> bool {
    starts_something(body(node).1)
}

fn starts_something(node: &Node) -> bool {
    let has = |key: &&str| {
        node.get(key).is_some_and(|value| {
            value.text().is_some() || value.is_map() || !value.list().is_empty()
        })
    };
    PROGRAMS.iter().any(has)
        || ADDRESSES
            .iter()
            .any(|key| node.get(key).is_some_and(|value| value.text().is_some()))
}

/// The first of these fields.
pub(super) fn first<'a>(
    node: &'a Node,
    names: &[&'static str],
) -> Option<(&'static str, &'a Node)> {
    names.iter().find_map(|name| Some((*name, node.get(name)?)))
}

/// Why the form of an entry is not understood, if it is not.
pub fn not_understood(node: &Node) -> Option<&'static str> {
    if !node.is_map() {
        return Some("it is neither a table nor a command with arguments");
    }
    let (_, inner) = body(node);
    if !starts_something(inner) {
        let odd = |key: &str, value: &Node| {
            !HARMLESS.contains(&key)
                && (value.text().is_some_and(|text| !text.is_empty())
                    || value.is_map()
                    || !value.list().is_empty())
        };
        let odd = node
            .map()
            .iter()
            .any(|member| odd(&member.key, &member.node));
        return odd.then_some("it has neither a `command` nor a `url`");
    }
    if let Some((_, command)) = first(inner, PROGRAMS) {
        let table = command.is_map() && command.get("path").and_then(Node::text).is_none();
        if table
            || !command.list().is_empty() && command.list().iter().all(|word| word.text().is_none())
        {
            return Some("its `command` has an unknown form");
        }
    }
    if let Some((_, args)) = first(inner, ARGUMENTS)
        && (args.text().is_some() || args.is_map())
    {
        return Some("its `args` are not a list");
    }
    let text = |node: &Node| node.text().is_some_and(|text| !text.is_empty());
    if let Some((_, env)) = first(inner, VARIABLES)
        && (text(env) || env.list().iter().any(|item| named_item(item).is_none()))
    {
        return Some("its `env` has an unknown form");
    }
    let headers = inner.get("headers").filter(|headers| {
        text(headers)
            || headers.list().iter().any(|item| named_item(item).is_none())
            || headers
                .map()
                .iter()
                .any(|member| member.node.text().is_none())
    });
    headers.map(|_| "its `headers` have an unknown form")
}

pub(super) fn word(name: &str, node: &Node) -> Option<SpannedText> {
    let text = node.text()?.to_owned();
    Some(SpannedText {
        name: name.to_owned(),
        text,
        span: node.span.clone(),
    })
}

/// The strings of a list.
pub(super) fn texts(node: &Node) -> Vec<SpannedText> {
    let items = node.list().iter();
    items.filter_map(|item| word("", item)).collect()
}

/// Named values: a table, a list of tables with a name and a value, a list of `NAME=value`.
pub(super) fn named(node: &Node) -> Vec<SpannedText> {
    let members = node.map().iter();
    let members = members.filter_map(|member| word(&member.key, &member.node));
    let items = node.list().iter().filter_map(named_item);
    members.chain(items).collect()
}

fn named_item(item: &Node) -> Option<SpannedText> {
    if let Some((name, _)) = pair(item) {
        let value = item.get("value")?;
        return word(name, value);
    }
    let (name, text, _) = split_line(item.text()?)?;
    Some(SpannedText {
        name: name.to_owned(),
        text: text.to_owned(),
        span: item.span.clone(),
    })
}

/// `{"name": "A", "value": "b"}`.
pub fn pair(node: &Node) -> Option<(&str, &str)> {
    let name = ["name", "key", "variable"]
        .iter()
        .find_map(|key| node.get(key)?.text());
    Some((name?, node.get("value")?.text()?))
}

/// `NAME=value` or `Name: value`, and where the value begins.
pub fn split_line(text: &str) -> Option<(&str, &str, usize)> {
    let sign = text.find(['=', ':'])?;
    let (name, rest) = (text.get(..sign)?, text.get(sign + 1..)?);
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    let value = rest.trim_start();
    (is_name && !rest.starts_with("//")).then(|| (name, value, text.len() - value.len()))
}

/// The name in an item of a list of named values.
pub(super) fn name_of(item: &Node) -> Option<String> {
    named_item(item).map(|one| one.name)
}

/// Codex's `env_vars` and Goose's `env_keys`: variables that the client passes on.
pub(super) fn passed(node: &Node) -> Vec<String> {
    let lists = ["env_vars", "env_keys"]
        .into_iter()
        .filter_map(|key| node.get(key));
    lists
        .flat_map(|list| list.list().iter().filter_map(Node::text))
        .map(str::to_owned)
        .collect()
}

/// All strings of a field that a client passes on in its own way: headers, wherever they are, and
/// settings.
pub(super) fn rest(
    name: &str,
    node: &Node,
    headers: &mut Vec<SpannedText>,
    settings: &mut Vec<SpannedText>,
) {
    let lower = name.to_ascii_lowercase();
    if lower.ends_with("headers") && !lower.starts_with("env") {
        headers.extend(named(node));
        return;
    }
    settings.extend(word(name, node));
    if let Some((name, _)) = pair(node) {
        settings.extend(node.get("value").and_then(|value| word(name, value)));
    }
    for member in node.map() {
        rest(&member.key, &member.node, headers, settings);
    }
    for item in node.list() {
        rest(name, item, headers, settings);
    }
}
