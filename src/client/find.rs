//! Where the servers are in a file, recognized by content alone.
//!
//! The same file name has three formats (`.mcp.json` has `mcpServers`, `servers`, or entries at the
//! top level), and users name any file with `--config`. So the keys are searched at every location
//! that a known client uses; the table of clients only says which files to read.

use super::document::Document;
use super::fields::is_entry;
use super::tree::{Member, Node, PathStep};

/// Keys that hold servers only if their values look like servers.
const PERHAPS: &[&str] = &["servers", "mcp", "extensions"];

/// Keys of a file whose other keys are servers.
const BESIDE: &[&str] = &[
    "version",
    "name",
    "description",
    "inputs",
    "metadata",
    "comment",
];

/// No known client nests deeper.
const DEPTH_MAX: usize = 8;

/// A name and the path of an entry.
type FoundEntry = (String, Vec<PathStep>);

/// The paths of all entries of a file, in order.
pub(super) fn entries(document: &Document) -> Vec<FoundEntry> {
    let mut found = Vec::new();
    let root = &document.root;
    walk(root, &mut Vec::new(), &mut found);
    if found.is_empty() && is_flat(root) {
        let members = root.map().iter().filter(|member| is_entry(&member.node));
        found.extend(members.map(|member| (member.key.clone(), vec![key(member)])));
    }
    if found.is_empty() && !root.list().is_empty() && root.list().iter().all(is_entry) {
        list(root, &[], &mut found);
    }
    found
}

fn key(member: &Member) -> PathStep {
    PathStep::Key(member.key.clone())
}

/// Whether the members of a file are servers, apart from what describes the file.
fn is_flat(root: &Node) -> bool {
    let beside = |member: &Member| {
        member.key.starts_with(['$', '_', '/']) || BESIDE.contains(&member.key.as_str())
    };
    let others = root.map().iter().filter(|member| !beside(member));
    root.map().iter().any(|member| is_entry(&member.node))
        && others.into_iter().all(|member| is_entry(&member.node))
}

/// `mcpServers`, `mcp_servers`, `mcp-servers`, `amp.mcpServers`, `context_servers`, `mcp.servers`.
fn is_always(key: &str) -> bool {
    let plain: String = key
        .chars()
        .filter(|c| !matches!(c, '-' | '_'))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    matches!(
        plain.as_str(),
        "mcpservers" | "contextservers" | "mcp.servers"
    ) || plain.ends_with(".mcpservers")
}

fn walk(node: &Node, path: &mut Vec<PathStep>, found: &mut Vec<FoundEntry>) {
    if path.len() >= DEPTH_MAX {
        return;
    }
    for member in node.map() {
        path.push(key(member));
        let inner = &member.node;
        if is_always(&member.key) {
            collect(inner, path, found);
        } else if PERHAPS.contains(&member.key.as_str()) && has_entries(inner) {
            some(inner, path, found);
        } else {
            walk(inner, path, found);
        }
        path.pop();
    }
    for (index, item) in node.list().iter().enumerate() {
        if item.is_map() {
            path.push(PathStep::Index(index));
            walk(item, path, found);
            path.pop();
        }
    }
}

fn has_entries(node: &Node) -> bool {
    node.map().iter().any(|member| is_entry(&member.node)) || node.list().iter().any(is_entry)
}

/// What looks like an entry, and what is in the rest: opencode has servers at both depths.
fn some(node: &Node, path: &mut Vec<PathStep>, found: &mut Vec<FoundEntry>) {
    for member in node.map() {
        path.push(key(member));
        if PERHAPS.contains(&member.key.as_str()) && has_entries(&member.node) {
            some(&member.node, path, found);
        } else if is_entry(&member.node) {
            found.push((member.key.clone(), path.clone()));
        } else if is_always(&member.key) {
            collect(&member.node, path, found);
        } else {
            walk(&member.node, path, found);
        }
        path.pop();
    }
    list(node, path, found);
}

/// All that stands where only servers do.
fn collect(node: &Node, path: &[PathStep], found: &mut Vec<FoundEntry>) {
    for member in node.map() {
        let is_text = member.node.text().is_some_and(|text| !text.is_empty());
        if member.node.is_map() || is_text {
            let path = path.iter().cloned().chain([key(member)]);
            found.push((member.key.clone(), path.collect()));
        }
    }
    list(node, path, found);
}

/// The tables of a list: with a name, or with one member that names the server. Texts in it name
/// servers that are elsewhere.
fn list(node: &Node, path: &[PathStep], found: &mut Vec<FoundEntry>) {
    for (index, item) in node.list().iter().enumerate() {
        let at = path.iter().cloned().chain([PathStep::Index(index)]);
        if let [only] = item.map()
            && is_entry(&only.node)
            && !is_entry(item)
        {
            found.push((only.key.clone(), at.chain([key(only)]).collect()));
        } else if item.is_map() {
            let name = ["name", "id", "title"]
                .iter()
                .find_map(|key| item.get(key)?.text());
            let name = name.map_or_else(|| index.to_string(), str::to_owned);
            found.push((name, at.collect()));
        }
    }
}
