//! Where the servers are in a file, recognized by content alone.
//!
//! The same file name has three formats (`.mcp.json` has `mcpServers`, `servers`, or entries at the
//! top level), and users name any file with `--config`. So the keys are searched at every location
//! that a known client uses; the table of clients only says which files to read.

use super::document::Document;
use super::tree::{Node, PathStep};

/// Keys that hold servers at any location.
const ALWAYS: &[&str] = &[
    "mcpServers",
    "mcp_servers",
    "context_servers",
    "amp.mcpServers",
    "mcp.servers",
    "augment.mcpServers",
    "kilo-code.mcpServers",
    "cody.mcpServers",
];

/// Keys that hold servers only if their values look like servers.
const PERHAPS: &[&str] = &["servers", "mcp", "extensions"];

/// `projects.<path>.mcpServers` of `~/.claude.json` is the deepest known.
const DEPTH_MAX: usize = 5;

/// The paths of all entries of a file, in order.
pub(super) fn entries(document: &Document) -> Vec<(String, Vec<PathStep>)> {
    let mut found = Vec::new();
    walk(&document.root, &mut Vec::new(), &mut found);
    if found.is_empty() && !document.root.map().is_empty() {
        let members = document.root.map().iter();
        if members.clone().all(|member| looks_like_entry(&member.node)) {
            found.extend(
                members.map(|member| (member.key.clone(), vec![PathStep::Key(member.key.clone())])),
            );
        }
    }
    found
}

fn walk(node: &Node, path: &mut Vec<PathStep>, found: &mut Vec<(String, Vec<PathStep>)>) {
    if path.len() >= DEPTH_MAX {
        return;
    }
    for member in node.map() {
        path.push(PathStep::Key(member.key.clone()));
        let key = member.key.as_str();
        let perhaps = PERHAPS.contains(&key)
            && member
                .node
                .map()
                .iter()
                .any(|entry| looks_like_entry(&entry.node));
        if ALWAYS.contains(&key) || perhaps {
            collect(&member.node, path, found, perhaps);
        } else if member.node.is_map() {
            walk(&member.node, path, found);
        }
        path.pop();
    }
}

fn collect(
    node: &Node,
    path: &[PathStep],
    found: &mut Vec<(String, Vec<PathStep>)>,
    only_entries: bool,
) {
    let step = |step: PathStep| path.iter().cloned().chain(Some(step)).collect::<Vec<_>>();
    for member in node.map() {
        if member.node.is_map() && (!only_entries || looks_like_entry(&member.node)) {
            found.push((member.key.clone(), step(PathStep::Key(member.key.clone()))));
        }
    }
    for (index, item) in node.list().iter().enumerate() {
        let name = item
            .get("name")
            .and_then(Node::text)
            .map_or_else(|| index.to_string(), str::to_owned);
        if item.is_map() {
            found.push((name, step(PathStep::Index(index))));
        }
    }
}

fn looks_like_entry(node: &Node) -> bool {
    ["command", "cmd", "url", "serverUrl", "httpUrl", "uri"]
        .iter()
        .any(|key| node.get(key).is_some())
}
