//! One configuration file: its servers, the command of each, and its values with a verdict.
//!
//! The text is kept even if it cannot be parsed, because known tokens are searched for in any text.
//! A file of variables (`.env`) is a file without servers.

use std::ops::Range;

use super::finding::{Location, quoted, word};
use crate::catalog::{self, KnownServer};
use crate::client::document::Document;
use crate::client::entry::{ServerEntry, entries};
use crate::client::table::KnownClient;
use crate::client::tree::Refused;
use crate::detect::{self, ValueSite, Verdict};
use crate::package::{self, ParsedCommand};

/// One file.
#[derive(Debug)]
pub struct ConfigFile {
    /// The path as users write it.
    pub shown: String,
    pub client: Option<&'static KnownClient>,
    /// The text; empty if the file could not be read.
    pub text: String,
    /// The parsed file, or why it cannot be read or parsed.
    pub document: Result<Document, Unread>,
    /// Whether a client certainly reads this file, so that a parse error matters.
    pub certain: bool,
    pub servers: Vec<CheckedServer>,
    pub values: Vec<ConfigValue>,
    /// Where each line begins.
    lines: Vec<usize>,
}

/// Why it is not known what a file holds.
#[derive(Debug)]
pub struct Unread {
    pub why: String,
    /// The line that it is about, if there is one.
    pub line: Option<usize>,
}

impl From<Refused> for Unread {
    fn from(refused: Refused) -> Self {
        Self {
            why: refused.to_string(),
            line: refused.line(),
        }
    }
}

/// One server of a file.
#[derive(Debug)]
pub struct CheckedServer {
    pub entry: ServerEntry,
    /// Its command; `None` for a remote server and for `mcpwrap run NAME` alone.
    pub launch: Option<ParsedCommand>,
    pub shipped: Option<&'static KnownServer>,
    /// Where the entry begins.
    pub start: usize,
}

/// One value of a server, or of a file of variables.
#[derive(Debug)]
pub struct ConfigValue {
    /// Its server, by index.
    pub server: Option<usize>,
    pub kind: FieldKind,
    /// The variable, header or field; the flag before an argument; may be empty.
    pub name: String,
    pub text: String,
    pub span: Range<usize>,
    pub verdict: Verdict,
}

/// In which part of its entry a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    Argument,
    Env,
    Header,
    Url,
    Setting,
}

impl ConfigFile {
    /// A client config.
    pub fn new(
        shown: String,
        client: Option<&'static KnownClient>,
        certain: bool,
        bytes: Vec<u8>,
    ) -> Self {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let name = shown.rsplit('/').next().unwrap_or_default().to_owned();
        let document = Document::read_any(&name, bytes).map_err(Unread::from);
        let lines = lines(&text);
        let mut file = Self {
            shown,
            client,
            text,
            document,
            certain,
            servers: Vec::new(),
            values: Vec::new(),
            lines,
        };
        if let Ok(document) = &file.document {
            for entry in entries(document) {
                let start = document.find(&entry.path).map_or(0, |node| node.span.start);
                file.servers.push(CheckedServer::new(entry, start));
            }
        }
        for (n, server) in file.servers.iter().enumerate() {
            file.values.extend(values(n, &server.entry));
        }
        file
    }

    /// A file that could not be read.
    pub fn unread(shown: String, client: Option<&'static KnownClient>, why: String) -> Self {
        Self {
            shown,
            client,
            text: String::new(),
            document: Err(Unread { why, line: None }),
            certain: true,
            servers: Vec::new(),
            values: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// A copy of a client config that no client reads: searched for known tokens only.
    pub fn remains(shown: String, text: String) -> Self {
        Self {
            values: Vec::new(),
            ..Self::of_variables(shown, text)
        }
    }

    /// A file of variables: lines of `NAME=value`.
    pub fn of_variables(shown: String, text: String) -> Self {
        let mut values = Vec::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            values.extend(variable(line, at));
            at += line.len();
        }
        let document = Document::read_any("none.json", b"{}".to_vec());
        let lines = lines(&text);
        Self {
            shown,
            client: None,
            text,
            document: document.map_err(Unread::from),
            certain: true,
            servers: Vec::new(),
            values,
            lines,
        }
    }

    /// The location of a byte.
    pub fn location(&self, at: usize) -> Location {
        let line = self.lines.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|n| self.lines.get(n));
        let before = self.text.get(start.copied().unwrap_or(0)..at);
        Location {
            file: self.shown.clone(),
            line: line.max(1),
            column: 1 + before.unwrap_or_default().chars().count(),
        }
    }

    /// The location of a part of a value: exact, unless the value has escapes.
    pub fn location_of(&self, value: &ConfigValue, range: &Range<usize>) -> Location {
        let part = value.text.get(range.clone()).unwrap_or_default();
        let raw = self.text.get(value.span.clone()).unwrap_or_default();
        let inner = raw.find(part).unwrap_or(0);
        self.location(value.span.start + inner)
    }

    /// The name of a value's server.
    pub fn server_of(&self, value: &ConfigValue) -> Option<&CheckedServer> {
        self.servers.get(value.server?)
    }

    /// The command that adopts this file.
    pub fn adopt(&self) -> String {
        format!("mcpwrap adopt --config {}", quoted(&self.shown))
    }

    /// The command that adopts one server of this file, even one without a secret.
    pub fn adopt_server(&self, name: &str) -> String {
        // A name that begins with `-` needs the `=`, or it would be an option.
        let sign = if name.starts_with('-') { '=' } else { ' ' };
        format!("{} --server{sign}{}", self.adopt(), word(name))
    }
}

impl CheckedServer {
    fn new(entry: ServerEntry, start: usize) -> Self {
        let words: Vec<String> = entry.words.iter().map(|word| word.text.clone()).collect();
        let own = match &entry.wrapped {
            None => Some(words.as_slice()).filter(|words| !words.is_empty()),
            Some(_) => words
                .iter()
                .position(|word| word == "--")
                .and_then(|at| words.get(at + 1..))
                .filter(|words| !words.is_empty()),
        };
        let launch = own.map(|own| package::parse(&split_program(own)));
        let host = entry.url.as_ref().and_then(|url| host(&url.text));
        let shipped = launch
            .as_ref()
            .and_then(|launch| catalog::of_package(launch.package.as_deref()?))
            .or_else(|| catalog::of_host(host?));
        Self {
            entry,
            launch,
            shipped,
            start,
        }
    }

    /// The URL of a remote server.
    pub fn url(&self) -> Option<&str> {
        let url = self.entry.url.as_ref()?;
        self.entry.words.is_empty().then_some(url.text.as_str())
    }

    /// The position of the word that names the package, else of the program.
    pub fn spec_at(&self) -> usize {
        let words = &self.entry.words;
        let spec = self.launch.as_ref().and_then(|l| l.spec.as_deref());
        let named = spec.and_then(|spec| words.iter().find(|word| word.text.contains(spec)));
        named
            .or_else(|| words.first())
            .map_or(self.start, |word| word.span.start)
    }
}

/// A command line in the place of the program, with more arguments beside it, as its words.
fn split_program(words: &[String]) -> Vec<String> {
    let Some((first, rest)) = words.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return words.to_vec();
    };
    let pieces: Vec<&str> = first.split_whitespace().collect();
    // `C:\Program Files\x.exe` and `/opt/my app/x` are programs with a space.
    let is_path = pieces
        .first()
        .is_some_and(|piece| piece.contains(['/', '\\']));
    if pieces.len() < 2 || is_path || first.contains(['"', '\'']) {
        return words.to_vec();
    }
    let pieces = pieces.into_iter().map(str::to_owned);
    pieces.chain(rest.iter().cloned()).collect()
}

/// Where the lines of a text begin.
fn lines(text: &str) -> Vec<usize> {
    let ends = memchr::memchr_iter(b'\n', text.as_bytes());
    std::iter::once(0).chain(ends.map(|at| at + 1)).collect()
}

/// The host of a URL.
pub fn host(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit('@').next()?;
    if host.starts_with('[') {
        return host.split_inclusive(']').next();
    }
    host.split(':').next().filter(|host| !host.is_empty())
}

fn values(server: usize, entry: &ServerEntry) -> Vec<ConfigValue> {
    let judged = detect::entry(entry);
    // The command line comes first, so an index is also the position of its word.
    let secret: Vec<bool> = judged
        .iter()
        .map(|one| !one.verdict.secrets().is_empty())
        .collect();
    judged
        .into_iter()
        .map(|judged| {
            let before = judged.index.checked_sub(1).filter(|n| {
                // `-pPASSWORD` is not a flag, and what begins with `-` has no flag before it.
                secret.get(*n) == Some(&false) && !judged.word.text.starts_with('-')
            });
            let before = before
                .and_then(|n| entry.words.get(n))
                .map_or("", |word| word.text.as_str());
            let (kind, name) = match judged.slot {
                ValueSite::Command | ValueSite::Argument => (FieldKind::Argument, flag(before)),
                ValueSite::Env(name) => (FieldKind::Env, name),
                ValueSite::Header(name) => (FieldKind::Header, name),
                ValueSite::Url => (FieldKind::Url, ""),
                ValueSite::Setting(name) => (FieldKind::Setting, name),
            };
            ConfigValue {
                server: Some(server),
                kind,
                name: name.to_owned(),
                text: judged.word.text.clone(),
                span: judged.word.span.clone(),
                verdict: judged.verdict,
            }
        })
        .collect()
}

fn flag(before: &str) -> &str {
    if before.starts_with('-') && !before.contains('=') {
        before
    } else {
        ""
    }
}

/// The value of a line of a file of variables that begins at `at`.
fn variable(line: &str, at: usize) -> Option<ConfigValue> {
    let trimmed = line.trim();
    let body = trimmed.strip_prefix("export ").unwrap_or(trimmed);
    let (name, value) = body.split_once('=').filter(|_| !body.starts_with('#'))?;
    let value = value.trim();
    let inner = ['"', '\''].iter().find_map(|quote| {
        let inner = value.strip_prefix(*quote)?;
        inner.strip_suffix(*quote)
    });
    let text = inner.unwrap_or(value);
    let start = at + line.find(text).unwrap_or(0);
    let name = name.trim();
    Some(ConfigValue {
        server: None,
        kind: FieldKind::Env,
        name: name.to_owned(),
        text: text.to_owned(),
        span: start..start + text.len(),
        verdict: detect::value(ValueSite::Env(name), text),
    })
}

/// The name of a value, for the user.
pub(super) fn label(value: &ConfigValue, part: &str) -> String {
    match value.kind {
        FieldKind::Env => format!("`{}`", value.name),
        FieldKind::Header => format!("the header `{}`", value.name),
        FieldKind::Setting => format!("the field `{}`", value.name),
        FieldKind::Url if part.is_empty() => "part of the URL".to_owned(),
        FieldKind::Url => format!("`{part}` in the URL"),
        FieldKind::Argument if !value.name.is_empty() => format!("the argument `{}`", value.name),
        FieldKind::Argument if !part.is_empty() => format!("the argument `{part}`"),
        FieldKind::Argument => "an argument".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_addresses() {
        for (address, expected) in [
            ("https://a.example/mcp", Some("a.example")),
            ("https://u:p@a.example:8443?x", Some("a.example")),
            ("http://[::1]:80/x", Some("[::1]")),
            ("https:///x", None),
            ("a.example", None),
        ] {
            assert_eq!(host(address), expected, "{address}");
        }
    }

    #[test]
    fn a_file_of_variables() {
        let text = "# TOKEN=x\nexport API_TOKEN=\"tok_hB3xKw8sVd1mPf6yRj4nTc2g7q9Z\"\nPORT=80\n";
        let file = ConfigFile::of_variables(".env".to_owned(), text.to_owned());
        let secret: Vec<_> = file
            .values
            .iter()
            .filter(|value| !value.verdict.secrets().is_empty())
            .collect();
        assert_eq!(secret.len(), 1);
        assert_eq!(secret[0].name, "API_TOKEN");
        let location = file.location_of(secret[0], &secret[0].verdict.secrets()[0].range);
        assert_eq!((location.line, location.column), (2, 19));
    }

    #[test]
    fn columns_are_characters() {
        let text = "{\"mcpServers\": {\"é\": {\"command\": \"npx\"}}}";
        let file = ConfigFile::new("m.json".to_owned(), None, true, text.as_bytes().to_vec());
        let at = text.find("{\"command").unwrap();
        assert_eq!(file.location(at).column, 22);
        assert_eq!(file.servers[0].start, at);
    }
}
