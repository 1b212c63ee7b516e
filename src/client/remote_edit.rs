//! Turns an entry with a URL into one that starts mcpwrap, in the client's own form.
//!
//! Invariants: the address is replaced by the command, and what only a remote server has (headers, their
//! references, OAuth) is removed, because clients refuse it beside a command; all other fields stay.
//! Splices are within the entry, so that undo restores it.

use std::ops::Range;

use super::document::Document;
use super::edit::{Splice, is_inline, line_head, newline};
use super::entry::ServerEntry;
use super::fields::{ADDRESSES, body};
use super::tree::{FileFormat, Member, Node, PathStep, quoted};

/// Fields with which a client is told how to speak to a remote server.
const OF_REMOTE: &[&str] = &[
    "requestOptions",
    "requestInit",
    "request_options",
    "eventSourceInit",
    "bearer_token_env_var",
    "bearer_token",
    "bearerToken",
    "oauth",
    "auth",
    "sessionId",
    "reconnectionOptions",
];
/// A field that names a program whose output is headers.
const HELPER: &str = "headersHelper";
/// Fields with the OAuth settings of a client.
const OAUTH: &[&str] = &["oauth", "auth"];
/// Fields with the kind of a server.
const KINDS: &[&str] = &["type", "transport", "transportType", "transport_type"];
/// The kinds of remote servers, without `-` and `_`, in lower case.
const REMOTE_KINDS: &[&str] = &[
    "http",
    "https",
    "sse",
    "streamablehttp",
    "httpstream",
    "url",
];

/// A header whose value is a variable of the client's environment, as Codex has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableHeader {
    pub name: String,
    pub variable: String,
    /// Whether the value is a bearer token, without that word.
    pub is_bearer: bool,
}

/// The headers of an entry that come from variables: `bearer_token_env_var`, `env_http_headers`.
pub fn variable_headers(node: &Node) -> Vec<VariableHeader> {
    let (_, inner) = body(node);
    let mut found = Vec::new();
    if let Some(variable) = inner.get("bearer_token_env_var").and_then(Node::text) {
        found.push(VariableHeader {
            name: "Authorization".to_owned(),
            variable: variable.to_owned(),
            is_bearer: true,
        });
    }
    let named = inner.get("env_http_headers").map_or(&[][..], Node::map);
    found.extend(named.iter().filter_map(|member| {
        Some(VariableHeader {
            name: member.key.clone(),
            variable: member.node.text()?.to_owned(),
            is_bearer: false,
        })
    }));
    found
}

/// Whether an entry says that its server speaks HTTP+SSE.
pub fn is_sse(node: &Node) -> bool {
    let (_, inner) = body(node);
    kind_of(inner).or_else(|| kind_of(node)) == Some("sse")
}

/// Whether a program of the client makes the headers of an entry.
pub fn has_header_program(node: &Node) -> bool {
    let (_, inner) = body(node);
    inner.get(HELPER).is_some() || node.get(HELPER).is_some()
}

/// What an entry says about OAuth, which its client does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientOAuth {
    /// Nothing but that it may.
    Plain,
    /// The client must not.
    Off,
    /// The settings in this field, e.g. those of a client that was registered beforehand.
    Own(&'static str),
}

/// What an entry says about OAuth.
pub fn oauth_of(document: &Document, node: &Node) -> ClientOAuth {
    let (_, inner) = body(node);
    let is_off = |node: &Node| document.at(&node.span).trim() == "false";
    for field in OAUTH {
        let Some(found) = inner.get(field).or_else(|| node.get(field)) else {
            continue;
        };
        if is_off(found) || found.get("enabled").is_some_and(is_off) {
            return ClientOAuth::Off;
        }
        if found.map().iter().any(|member| member.key != "enabled") {
            return ClientOAuth::Own(field);
        }
    }
    ClientOAuth::Plain
}

/// Whether a field of an entry is a bearer token.
pub fn is_bearer_field(name: &str) -> bool {
    matches!(name, "bearer_token" | "bearerToken")
}

/// The splices that replace the address of an entry by a command.
///
/// # Errors
/// Why the entry's layout does not allow it.
pub fn to_command(
    document: &Document,
    entry: &ServerEntry,
    program: &str,
    arguments: &[String],
) -> Result<Vec<Splice>, &'static str> {
    let node = document.find(&entry.path).ok_or("no longer in the file")?;
    let (inside, inner) = body(node);
    let addresses = inner.map().iter();
    let mut addresses = addresses.filter(|member| ADDRESSES.contains(&member.key.as_str()));
    let address = addresses.next().ok_or("it has no address")?;
    if addresses.next().is_some() {
        return Err("it has two addresses");
    }
    let mut splices = Vec::new();
    let is_typed_remote = kind_of(inner) == Some("remote");
    let words = Words {
        program,
        arguments,
        as_list: is_typed_remote,
        key: if address.key == "uri" {
            "cmd"
        } else {
            "command"
        },
    };
    splices.push(Splice {
        range: address.key_span.start..address.node.span.end,
        text: words.text(document, inner, address),
    });
    let local = if is_typed_remote { "local" } else { "stdio" };
    clean(document, inner, local, &mut splices)?;
    if !inside.is_empty() {
        let of_body = |member: &&Member| inside.first() != Some(&PathStep::Key(member.key.clone()));
        let outer: Vec<&Member> = node.map().iter().filter(of_body).collect();
        if outer.iter().any(|member| is_removed(member)) {
            return Err("it has headers beside its `transport`");
        }
        kinds(&outer, local, &mut splices);
    }
    Ok(splices)
}

fn kind_of(node: &Node) -> Option<&str> {
    KINDS.iter().find_map(|key| node.get(key)?.text())
}

/// The command to write.
struct Words<'a> {
    program: &'a str,
    arguments: &'a [String],
    /// Whether the program and its arguments are one list.
    as_list: bool,
    key: &'static str,
}

impl Words<'_> {
    fn text(&self, document: &Document, map: &Node, address: &Member) -> String {
        let list = |words: &mut dyn Iterator<Item = &str>| {
            let quoted: Vec<_> = words.map(quoted).collect();
            format!("[{}]", quoted.join(", "))
        };
        let mut arguments = self.arguments.iter().map(String::as_str);
        let sign = |key: &str| match document.format {
            FileFormat::Json => format!("\"{key}\": "),
            FileFormat::Toml => format!("{key} = "),
            FileFormat::Yaml | FileFormat::FrontMatter => format!("{key}: "),
        };
        if self.as_list {
            let mut all = [self.program].into_iter().chain(arguments);
            return sign(self.key) + &list(&mut all);
        }
        let command = sign(self.key) + &quoted(self.program);
        let args = sign("args") + &list(&mut arguments);
        command + &separator(document, map, address) + &args
    }
}

/// What stands between two members of a map.
fn separator(document: &Document, map: &Node, member: &Member) -> String {
    let head = line_head(document, member.key_span.start);
    let newline = newline(document);
    let is_flow = is_inline(document, map);
    let own_line = head.chars().all(|c| c.is_whitespace() || c == '-');
    let indent: String = head
        .chars()
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    match document.format {
        FileFormat::Json if own_line => format!(",{newline}{indent}"),
        FileFormat::Json => ", ".to_owned(),
        _ if is_flow => ", ".to_owned(),
        FileFormat::Toml => format!("{newline}{head}"),
        FileFormat::Yaml | FileFormat::FrontMatter => format!("{newline}{indent}"),
    }
}

fn is_removed(member: &Member) -> bool {
    let key = member.key.as_str();
    OF_REMOTE.contains(&key) || key.to_ascii_lowercase().ends_with("headers")
}

/// Removes what only a remote server has, and says that it is a local one.
fn clean(
    document: &Document,
    map: &Node,
    local: &str,
    splices: &mut Vec<Splice>,
) -> Result<(), &'static str> {
    if map.get(HELPER).is_some() {
        return Err("a program of the client makes its headers (`headersHelper`)");
    }
    kinds(&map.map().iter().collect::<Vec<_>>(), local, splices);
    let is_section = document.format == FileFormat::Toml && !is_inline(document, map);
    let mut all = Vec::new();
    if is_section {
        lines(document, map, false, &mut all);
        all.sort_by_key(|(_, range)| range.start);
    } else {
        all.extend(map.map().iter().map(|member| {
            let own = member.key_span.start..member.node.span.end;
            (is_removed(member), own)
        }));
    }
    let mut kept = None;
    for (n, (removed, own)) in all.iter().enumerate() {
        if !removed {
            kept = Some(own.end);
            continue;
        }
        let next = all.get(n + 1).map_or(own.end, |(_, next)| next.start);
        splices.push(Splice {
            range: match kept {
                Some(before) => before..own.end,
                None => own.start..next,
            },
            text: String::new(),
        });
        if kept.is_some() {
            kept = Some(own.end);
        }
    }
    Ok(())
}

/// The lines of a TOML table and of the tables in it: whether each is removed, and its range.
fn lines(document: &Document, map: &Node, removed: bool, all: &mut Vec<(bool, Range<usize>)>) {
    if document.at(&map.span).starts_with('[') {
        all.push((removed, map.span.clone()));
    }
    for member in map.map() {
        let removed = removed || is_removed(member);
        if member.node.is_map() && !is_inline(document, &member.node) {
            lines(document, &member.node, removed, all);
            continue;
        }
        let start = member.key_span.start - line_head(document, member.key_span.start).len();
        all.push((removed, start..member.node.span.end));
    }
}

/// Names the kind of a local server where a kind of a remote one stands.
fn kinds(members: &[&Member], local: &str, splices: &mut Vec<Splice>) {
    let kinds = members.iter();
    for member in kinds.filter(|member| KINDS.contains(&member.key.as_str())) {
        let text = member.node.text().unwrap_or_default();
        let plain = text.to_ascii_lowercase().replace(['-', '_'], "");
        if REMOTE_KINDS.contains(&plain.as_str()) || plain == "remote" {
            splices.push(Splice {
                range: member.node.span.clone(),
                text: quoted(local),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::edit::apply;
    use crate::client::entry::entries;

    #[track_caller]
    fn case(format: FileFormat, before: &str, after: &str) {
        let document = Document::read(format, before.as_bytes().to_vec()).unwrap();
        let entry = entries(&document)
            .into_iter()
            .find(|entry| entry.url.is_some())
            .unwrap();
        let words = ["run".to_owned(), "x".to_owned()];
        let splices = to_command(&document, &entry, "/m", &words).unwrap();
        let text = apply(before, &splices).unwrap();
        assert_eq!(text, after);
        let new = Document::read(format, text.into_bytes()).unwrap();
        let found = entries(&new);
        let own = found.iter().find(|one| one.path == entry.path).unwrap();
        assert!(own.url.is_none() && own.headers.is_empty(), "{own:?}");
        assert_eq!(own.words.len(), 3);
    }

    #[test]
    fn json() {
        let json = |before: &str, after: &str| {
            let whole = |entry: &str| format!("{{\"mcpServers\": {{\"x\": {entry}}}}}");
            case(FileFormat::Json, &whole(before), &whole(after));
        };
        json(
            r#"{"url": "https://h/m"}"#,
            r#"{"command": "/m", "args": ["run", "x"]}"#,
        );
        json(
            r#"{"headers": {"A": "b"}, "httpUrl": "https://h/m", "timeout": 3, "headers2": 1}"#,
            r#"{"command": "/m", "args": ["run", "x"], "timeout": 3, "headers2": 1}"#,
        );
        json(
            "{\n  \"type\": \"streamable-http\",\n  \"url\": \"https://h/m\",\n  \"headers\": {\n    \"A\": \"b\"\n  },\n  \"disabled\": false\n}",
            "{\n  \"type\": \"stdio\",\n  \"command\": \"/m\",\n  \"args\": [\"run\", \"x\"],\n  \"disabled\": false\n}",
        );
        json(
            r#"{"disabled": true, "transport": {"type": "sse", "url": "https://h/m", "headers": {"A": "b"}}}"#,
            r#"{"disabled": true, "transport": {"type": "stdio", "command": "/m", "args": ["run", "x"]}}"#,
        );
        json(
            r#"{"url": "https://h/m", "requestInit": {"headers": {"A": "b"}}}"#,
            r#"{"command": "/m", "args": ["run", "x"]}"#,
        );
        case(
            FileFormat::Json,
            r#"{"mcp": {"x": {"type": "remote", "url": "https://h/m", "enabled": true, "oauth": false}}}"#,
            r#"{"mcp": {"x": {"type": "local", "command": ["/m", "run", "x"], "enabled": true}}}"#,
        );
    }

    #[test]
    fn toml() {
        case(
            FileFormat::Toml,
            "[mcp_servers.x]\nurl = \"https://h/m\" # main\nenabled = true\n\n[mcp_servers.x.http_headers]\nA = \"b\"\n\n[tui]\nx = 1\n",
            "[mcp_servers.x]\ncommand = \"/m\"\nargs = [\"run\", \"x\"] # main\nenabled = true\n\n[tui]\nx = 1\n",
        );
        case(
            FileFormat::Toml,
            "[mcp_servers.x]\nhttp_headers = { A = \"b\" }\nbearer_token_env_var = \"T\"\nurl = \"https://h/m\"\n",
            "[mcp_servers.x]\ncommand = \"/m\"\nargs = [\"run\", \"x\"]\n",
        );
        case(
            FileFormat::Toml,
            "[mcp_servers]\nx.url = \"https://h/m\"\nx.http_headers.A = \"b\"\n",
            "[mcp_servers]\nx.command = \"/m\"\nx.args = [\"run\", \"x\"]\n",
        );
        case(
            FileFormat::Toml,
            "[mcp_servers]\nx = { url = \"https://h/m\", http_headers = { A = \"b\" } }\n",
            "[mcp_servers]\nx = { command = \"/m\", args = [\"run\", \"x\"] }\n",
        );
    }

    #[test]
    fn yaml() {
        case(
            FileFormat::Yaml,
            "extensions:\n  x:\n    type: streamable_http\n    uri: https://h/m\n    headers:\n      A: b\n    timeout: 300\n",
            "extensions:\n  x:\n    type: \"stdio\"\n    cmd: \"/m\"\n    args: [\"run\", \"x\"]\n    timeout: 300\n",
        );
        case(
            FileFormat::Yaml,
            "mcpServers:\n  - name: x\n    url: https://h/m\n    requestOptions:\n      headers:\n        A: b\n",
            "mcpServers:\n  - name: x\n    command: \"/m\"\n    args: [\"run\", \"x\"]\n",
        );
    }
}
