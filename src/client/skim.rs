//! Large JSON, read without building what cannot hold servers.
//!
//! Claude Code keeps histories in the file that has its servers, which grows to hundreds of
//! megabytes. The value of a key for servers is read as usual, however large. Any other large value in
//! which no such key occurs is passed over and becomes `TreeValue::Other`; the rest is read as usual.
//! All spans are those of the usual reader.

use std::collections::HashSet;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use memchr::{memchr, memchr2};

use super::json;
use super::tree::{FileFormat, Member, Node, Refused, TreeValue, line_of};

/// Larger files are skimmed (bytes).
const LARGE_BYTES: usize = 1 << 20;
/// Smaller values are always read (bytes).
const SMALL_BYTES: usize = 4 << 10;
/// As deep as the usual reader goes.
const DEPTH_MAX: usize = 256;

/// What a file with servers has in its keys.
const MARKS: &[&str] = &[
    "mcpServers",
    "mcp_servers",
    "mcp-servers",
    "context_servers",
    "mcp.servers",
    "\"mcp\"",
    "\"servers\"",
    "\"extensions\"",
];

/// Whether a text is read with [`parse`].
pub(super) fn is_large(text: &str) -> bool {
    text.len() > LARGE_BYTES
}

/// Reads a text.
pub(super) fn parse(text: &str) -> Result<Node, Refused> {
    static FINDER: OnceLock<AhoCorasick> = OnceLock::new();
    let finder = FINDER.get_or_init(|| AhoCorasick::new(MARKS).expect("the marks are plain texts"));
    let skimmer = Skimmer {
        text,
        bytes: text.as_bytes(),
        marks: finder.find_iter(text).map(|hit| hit.start()).collect(),
    };
    let start = skimmer.blank(0)?;
    let end = skimmer.end_of(start)?;
    if skimmer.blank(end)? != text.len() {
        return Err(skimmer.broken(end));
    }
    skimmer.value(start, end, 0)
}

struct Skimmer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    /// Where the marks are, in order.
    marks: Vec<usize>,
}

impl Skimmer<'_> {
    fn broken(&self, at: usize) -> Refused {
        Refused::Broken {
            format: FileFormat::Json,
            line: line_of(self.text, at),
        }
    }

    fn value(&self, start: usize, end: usize, depth: usize) -> Result<Node, Refused> {
        if end - start <= SMALL_BYTES {
            return self.whole(start, end);
        }
        let marked = self.has_mark(start, end);
        let value = match self.bytes.get(start) {
            _ if depth > DEPTH_MAX => return Err(self.broken(start)),
            Some(b'{') if marked || depth == 0 => {
                TreeValue::Map(self.members(start, depth)?.into())
            }
            Some(b'[') if marked => TreeValue::List(self.items(start, depth)?),
            _ => TreeValue::Other,
        };
        Ok(Node {
            span: start..end,
            value,
        })
    }

    /// Whether a mark begins between two places.
    fn has_mark(&self, start: usize, end: usize) -> bool {
        let next = self.marks.partition_point(|at| *at < start);
        self.marks.get(next).is_some_and(|at| *at < end)
    }

    /// A value with all that is in it.
    fn whole(&self, start: usize, end: usize) -> Result<Node, Refused> {
        let text = self.text.get(start..end).unwrap_or_default();
        let mut node =
            json::parse(text).map_err(|refused| refused.below(line_of(self.text, start) - 1))?;
        node.shift(start);
        Ok(node)
    }

    fn members(&self, open: usize, depth: usize) -> Result<Vec<Member>, Refused> {
        let (mut members, mut seen) = (Vec::new(), HashSet::new());
        let mut at = self.blank(open + 1)?;
        while self.bytes.get(at) != Some(&b'}') {
            let end = self.string(at)?;
            let Ok(key) =
                serde_json::from_str::<String>(self.text.get(at..end).unwrap_or_default())
            else {
                return Err(self.broken(at));
            };
            if !seen.insert(key.clone()) {
                return Err(Refused::Duplicate {
                    line: line_of(self.text, at),
                });
            }
            let colon = self.blank(end)?;
            if self.bytes.get(colon) != Some(&b':') {
                return Err(self.broken(colon));
            }
            let start = self.blank(colon + 1)?;
            let stop = self.end_of(start)?;
            let node = if self.has_mark(at, end) {
                self.whole(start, stop)?
            } else {
                self.value(start, stop, depth + 1)?
            };
            members.push(Member {
                key,
                key_span: at..end,
                node,
            });
            at = self.after(stop, b'}')?;
        }
        Ok(members)
    }

    fn items(&self, open: usize, depth: usize) -> Result<Vec<Node>, Refused> {
        let mut items = Vec::new();
        let mut at = self.blank(open + 1)?;
        while self.bytes.get(at) != Some(&b']') {
            let stop = self.end_of(at)?;
            items.push(self.value(at, stop, depth + 1)?);
            at = self.after(stop, b']')?;
        }
        Ok(items)
    }

    /// The start of the next element, or the closing bracket.
    fn after(&self, end: usize, close: u8) -> Result<usize, Refused> {
        let at = self.blank(end)?;
        match self.bytes.get(at) {
            Some(b',') => self.blank(at + 1),
            Some(byte) if *byte == close => Ok(at),
            _ => Err(self.broken(at)),
        }
    }

    /// The end of blanks and comments.
    fn blank(&self, mut at: usize) -> Result<usize, Refused> {
        loop {
            match (self.bytes.get(at), self.bytes.get(at + 1)) {
                (Some(b' ' | b'\t' | b'\n' | b'\r'), _) => at += 1,
                (Some(b'/'), Some(b'/' | b'*')) => at = self.comment(at)?,
                _ => return Ok(at),
            }
        }
    }

    fn comment(&self, at: usize) -> Result<usize, Refused> {
        let rest = self.bytes.get(at + 2..).unwrap_or_default();
        if self.bytes.get(at + 1) == Some(&b'/') {
            return Ok(at + 2 + memchr(b'\n', rest).unwrap_or(rest.len()));
        }
        let end = memchr::memmem::find(rest, b"*/").ok_or_else(|| self.broken(at))?;
        Ok(at + 2 + end + 2)
    }

    /// The end of a string literal.
    fn string(&self, open: usize) -> Result<usize, Refused> {
        let mut at = open + 1;
        if self.bytes.get(open) != Some(&b'"') {
            return Err(self.broken(open));
        }
        while let Some(next) = memchr2(b'"', b'\\', self.bytes.get(at..).unwrap_or_default()) {
            at += next;
            if self.bytes.get(at) == Some(&b'"') {
                return Ok(at + 1);
            }
            at += 2;
        }
        Err(self.broken(open))
    }

    /// The end of any value: brackets are matched, what is between them is not looked at.
    fn end_of(&self, start: usize) -> Result<usize, Refused> {
        let mut open: Vec<u8> = Vec::new();
        let mut at = start;
        loop {
            match self.bytes.get(at) {
                Some(b'"') => at = self.string(at)?,
                Some(b'{') => {
                    open.push(b'}');
                    at += 1;
                }
                Some(b'[') => {
                    open.push(b']');
                    at += 1;
                }
                Some(byte @ (b'}' | b']')) => {
                    if open.pop() != Some(*byte) {
                        return Err(self.broken(at));
                    }
                    at += 1;
                }
                Some(b'/') if matches!(self.bytes.get(at + 1), Some(b'/' | b'*')) => {
                    at = self.comment(at)?;
                }
                Some(b',' | b':' | b' ' | b'\t' | b'\n' | b'\r') if !open.is_empty() => at += 1,
                Some(b',' | b':' | b' ' | b'\t' | b'\n' | b'\r') | None => {
                    return Err(self.broken(at));
                }
                // A number, `true`, `false`, `null`.
                Some(_) => {
                    let rest = self.bytes.get(at..).unwrap_or_default();
                    let word = |b: &u8| b.is_ascii_alphanumeric() || b"+-.".contains(b);
                    let length = rest.iter().take_while(|b| word(b)).count();
                    if length == 0 {
                        return Err(self.broken(at));
                    }
                    at += length;
                }
            }
            if open.is_empty() {
                return Ok(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn large(inner: &str) -> String {
        let history = format!(
            "[{}\"end\"]",
            "{\"display\": \"a \\\" ] } b\"}, ".repeat(400)
        );
        format!(
            "{{\n  \"numStartups\": 9, // x\n  \"mcpServers\": {{\"t\": {{\"command\": \"node\"}}}},\n  \
             \"projects\": {{\"/p\": {{\"history\": {history}, \"mcpServers\": {inner}}}, \"/q\": {{\"history\": {history}}}}}\n}}\n"
        )
    }

    #[test]
    fn servers_are_read_as_usual_and_histories_are_not() {
        let text = large("{\"s\": {\"command\": \"npx\", \"args\": [\"é\"]}}");
        let (skimmed, full) = (parse(&text).unwrap(), json::parse(&text).unwrap());
        let servers = |root: &Node| {
            let project = root.get("projects").and_then(|all| all.get("/p")).cloned();
            let servers = project
                .as_ref()
                .and_then(|project| project.get("mcpServers"));
            format!("{servers:?} {:?}", root.get("mcpServers"))
        };
        assert_eq!(servers(&skimmed), servers(&full));
        assert!(servers(&full).contains("npx"));
        let history = skimmed
            .get("projects")
            .and_then(|all| all.get("/p")?.get("history"));
        assert!(history.is_some_and(|history| history.list().is_empty()));
        assert!(
            skimmed
                .get("projects")
                .is_some_and(|all| all.get("/q").is_some())
        );
    }

    #[test]
    fn many_servers_are_read_as_usual() {
        let servers: Vec<_> = (0..400)
            .map(|n| {
                format!("\"s{n}\": {{\"command\": \"npx\", \"env\": {{\"TOKEN\": \"t{n}\"}}}}")
            })
            .collect();
        let text = large(&format!("{{{}}}", servers.join(", ")));
        let (skimmed, full) = (parse(&text).unwrap(), json::parse(&text).unwrap());
        let servers = |root: &Node| {
            let project = root.get("projects").and_then(|all| all.get("/p"));
            format!("{:?}", project.and_then(|one| one.get("mcpServers")))
        };
        assert!(servers(&full).contains("t399"));
        assert_eq!(servers(&skimmed), servers(&full));
    }

    #[test]
    fn broken_texts_are_refused_with_the_line() {
        for text in [
            large("{\"s\": }"),
            large("{\"s\": {}, \"s\": {}}"),
            large("{\"s\" {}}"),
            large("{").trim_end().to_owned(),
        ] {
            assert!(
                parse(&text)
                    .unwrap_err()
                    .line()
                    .is_some_and(|line| line > 3),
                "{}",
                text.len()
            );
        }
    }
}
