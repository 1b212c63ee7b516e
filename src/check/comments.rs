//! Reads `mcpwrap-ignore` comments, and finds the lines that each is about.

use std::ops::RangeInclusive;

use super::file::ConfigFile;
use crate::client::document::Document;
use crate::client::regions::regions;
use crate::client::tree::{Node, line_of};

const MARK: &str = "mcpwrap-ignore";

/// One comment that ignores something.
pub(super) struct Comment {
    pub(super) at: usize,
    pub(super) lines: RangeInclusive<usize>,
    pub(super) checks: Vec<String>,
    pub(super) reason: String,
}

/// The comments of a file that ignore something.
pub(super) fn comments(file: &ConfigFile) -> Vec<Comment> {
    let text = file.text.as_str();
    let Ok(document) = &file.document else {
        return Vec::new();
    };
    let marks = text.match_indices(MARK).map(|(at, _)| at);
    marks
        .filter(|at| !file.values.iter().any(|value| value.span.contains(at)))
        .filter(|at| !is_value(&document.root, *at))
        .filter_map(|at| comment(file, document, at))
        .collect()
}

fn comment(file: &ConfigFile, document: &Document, at: usize) -> Option<Comment> {
    let text = file.text.as_str();
    let start = text.get(..at)?.rfind('\n').map_or(0, |n| n + 1);
    let before = text.get(start..at)?;
    let open = ["//", "#", "/*"];
    let opens = open.iter().filter_map(|open| before.find(open)).min()?;
    let code = before.get(..opens)?;
    let rest = text.get(at + MARK.len()..)?.lines().next()?;
    let rest = rest.trim_end().trim_end_matches("*/");
    let (ids, reason) = rest.split_once(':').unwrap_or((rest, ""));
    let checks = ids
        .split([',', ' '])
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .collect();
    let own = line_of(text, at);
    let lines = if code.trim().is_empty() {
        below(file, document, own)
    } else {
        own..=own
    };
    Some(Comment {
        at,
        lines,
        checks,
        reason: reason.trim().to_owned(),
    })
}

/// The lines of a comment that is alone on its line: the next line of code, or the entry there.
fn below(file: &ConfigFile, document: &Document, own: usize) -> RangeInclusive<usize> {
    let is_code = |line: &&str| {
        let line = line.trim_start();
        !line.is_empty()
            && !line.starts_with("//")
            && !line.starts_with(['#', '*'])
            && !line.starts_with("/*")
    };
    let skipped = file
        .text
        .lines()
        .skip(own)
        .take_while(|line| !is_code(line));
    let next = own + 1 + skipped.count();
    let entry = file.servers.iter().find_map(|server| {
        let regions = regions(document, &server.entry.path);
        let first = regions.first()?;
        let last = regions.last()?;
        let start = document.line(first.start);
        // The name of an entry may be on the line above its value.
        (start == next || start == next + 1 && is_key_only(file, next))
            .then(|| document.line(last.end))
    });
    next..=entry.unwrap_or(next)
}

/// `name:` alone on a line, as in YAML.
fn is_key_only(file: &ConfigFile, line: usize) -> bool {
    let text = file.text.lines().nth(line - 1).unwrap_or_default();
    text.trim_end().ends_with(':')
}

fn is_value(node: &Node, at: usize) -> bool {
    let inside = node
        .map()
        .iter()
        .any(|member| member.key_span.contains(&at) || is_value(&member.node, at))
        || node.list().iter().any(|item| is_value(item, at));
    let leaf = node.map().is_empty() && node.list().is_empty() && node.text().is_some();
    inside || leaf && node.span.contains(&at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(name: &str, text: &str) -> Vec<(RangeInclusive<usize>, String)> {
        let file = ConfigFile::new(name.to_owned(), None, true, text.as_bytes().to_vec());
        comments(&file)
            .into_iter()
            .map(|comment| (comment.lines, comment.reason))
            .collect()
    }

    #[test]
    fn comments_and_what_they_are_about() {
        let json = "{\n  \"mcpServers\": {\n    // mcpwrap-ignore unpinned-server: a demo\n    \"x\": {\n      \"command\": \"npx\", \"args\": [\"x\"] // mcpwrap-ignore insecure-transport: same line\n    }\n  }\n}\n";
        assert_eq!(
            reasons("a.json", json),
            [
                (4..=6, "a demo".to_owned()),
                (5..=5, "same line".to_owned())
            ]
        );
        let toml = "# mcpwrap-ignore unpinned-server: why\n[mcp_servers.x]\ncommand = \"npx\"\nargs = [\"x\"]\n\n[mcp_servers.y]\ncommand = \"npx\"\n";
        assert_eq!(reasons("a.toml", toml), [(2..=4, "why".to_owned())]);
        let yaml = "mcpServers:\n  # mcpwrap-ignore unpinned-server: why\n  x:\n    command: npx\n    args: [x]\n";
        assert_eq!(reasons("a.yaml", yaml), [(3..=5, "why".to_owned())]);
        let value = "{\"mcpServers\": {\"x\": {\"command\": \"x\", \"args\": [\"// mcpwrap-ignore unpinned-server: no\"]}}}";
        assert_eq!(reasons("a.json", value), []);
    }
}
