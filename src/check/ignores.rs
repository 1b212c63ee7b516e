//! Findings that a person has looked at and accepts, each with the reason.
//!
//! A comment `mcpwrap-ignore unpinned-server: reason` on the line, or alone on the line above it or above an
//! entry; or `[[ignore]]` in `.mcpwrap-check.toml`. *Never* without a reason: such an ignore ignores
//! nothing and is reported. *Always* shown as ignored, never gone.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use serde::Deserialize;

use super::facts::Facts;
use super::file::ConfigFile;
use super::finding::{Finding, Fix, Location, Severity};
use super::rules::{INVALID_IGNORE, OTHER_RULES, RULES};
use crate::client::regions::regions;
use crate::client::tree::{Document, Node, line_of};

const MARK: &str = "mcpwrap-ignore";
const WHY: &str = "a finding that is ignored without a reason is ignored for ever";

/// A finding that is ignored.
#[derive(Debug)]
pub struct Ignored {
    pub finding: Finding,
    pub reason: String,
    /// In a comment of the file itself, and not in the list beside it.
    pub inline: bool,
}

/// The list beside the files, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Ignores {
    rules: Vec<IgnoreRule>,
    faults: Vec<Finding>,
}

#[derive(Debug)]
struct IgnoreRule {
    checks: Vec<String>,
    files: Option<Gitignore>,
    /// The list's directory.
    root: String,
    server: Option<String>,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IgnoreList {
    #[serde(default)]
    ignore: Vec<toml::Spanned<IgnoreItem>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IgnoreItem {
    check: OneOrMore,
    file: Option<String>,
    server: Option<String>,
    #[serde(default)]
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// The name of the list, at the root of what is looked at.
pub const LIST: &str = ".mcpwrap-check.toml";

impl Ignores {
    /// Takes a list in. `shown` is its path; the patterns in it begin at `root`.
    pub fn add(&mut self, shown: &str, root: &str, text: &str) {
        let list: IgnoreList = match toml::from_str(text) {
            Ok(list) => list,
            Err(error) => {
                let line = error.span().map_or(0, |span| line_of(text, span.start));
                let what = format!("the list is not understood: {}", error.message());
                self.faults.push(fault(Location::line(shown, line), what));
                return;
            }
        };
        for item in list.ignore {
            let line = line_of(text, item.span().start);
            let item = item.into_inner();
            let checks = match item.check {
                OneOrMore::One(check) => vec![check],
                OneOrMore::More(checks) => checks,
            };
            let files = item.file.as_deref().map(|pattern| patterns(root, pattern));
            let problem = problem(&checks, &item.reason).or_else(|| {
                matches!(files, Some(None)).then(|| "its `file` is no pattern".to_owned())
            });
            if let Some(problem) = problem {
                self.faults
                    .push(fault(Location::line(shown, line), problem));
                continue;
            }
            self.rules.push(IgnoreRule {
                checks,
                files: files.flatten(),
                root: root.to_owned(),
                server: item.server,
                reason: item.reason,
            });
        }
    }

    /// Says that a list could not be read.
    pub fn unread(&mut self, shown: &str, why: &str) {
        let what = format!("the list is not read: {why}");
        self.faults.push(fault(Location::whole(shown), what));
    }

    pub(super) fn faults(&self) -> &[Finding] {
        &self.faults
    }

    /// Splits findings into those that are left and those that are ignored.
    pub(super) fn apply(&self, facts: &Facts, all: Vec<Finding>) -> (Vec<Finding>, Vec<Ignored>) {
        let mut left = Vec::new();
        let mut ignored = Vec::new();
        let inline: BTreeMap<&str, Vec<Comment>> = facts
            .files
            .iter()
            .map(|file| (file.shown.as_str(), comments(file)))
            .collect();
        for finding in all {
            let comments = inline.get(finding.location.file.as_str());
            let inline = comments.and_then(|comments| reason(comments, &finding));
            let listed = || self.rules.iter().find(|rule| rule.fits(&finding));
            match inline {
                Some(reason) => ignored.push(Ignored {
                    finding,
                    reason,
                    inline: true,
                }),
                None => match listed() {
                    Some(rule) => ignored.push(Ignored {
                        reason: rule.reason.clone(),
                        finding,
                        inline: false,
                    }),
                    None => left.push(finding),
                },
            }
        }
        (left, ignored)
    }
}

impl IgnoreRule {
    fn fits(&self, finding: &Finding) -> bool {
        let file = self.files.as_ref().is_none_or(|files| {
            let path = Path::new(&finding.location.file);
            // A path outside of the list's directory is none of its business.
            path.starts_with(&self.root)
                && !path.starts_with("..")
                && files.matched_path_or_any_parents(path, false).is_ignore()
        });
        let server = self
            .server
            .as_ref()
            .is_none_or(|server| finding.server.as_ref() == Some(server));
        file && server && self.checks.iter().any(|check| check == finding.check)
    }
}

fn patterns(root: &str, pattern: &str) -> Option<Gitignore> {
    let mut builder = GitignoreBuilder::new(root);
    builder.add_line(None, pattern).ok()?;
    builder.build().ok().filter(|built| built.num_ignores() > 0)
}

fn fault(location: Location, what: String) -> Finding {
    let fix = "write the check and the reason: `mcpwrap-ignore unpinned-server: reason`";
    let rule = (INVALID_IGNORE, Severity::Medium);
    Finding::new(rule, location, what, WHY, Fix::Act(fix.to_owned()))
}

fn problem(checks: &[String], reason: &str) -> Option<String> {
    let known = |id: &String| {
        RULES.iter().any(|check| check.name == id)
            || OTHER_RULES.iter().any(|(rule, ..)| rule == id)
    };
    match checks.iter().find(|id| !known(id)) {
        Some(unknown) => Some(format!("no check `{unknown}` is known")),
        None if checks.is_empty() => Some("it names no check".to_owned()),
        None if reason.trim().is_empty() => {
            Some("it gives no reason, so it ignores nothing".to_owned())
        }
        None => None,
    }
}

/// One comment that ignores something.
struct Comment {
    at: usize,
    lines: RangeInclusive<usize>,
    checks: Vec<String>,
    reason: String,
}

/// The reason, if a comment of its file ignores the finding.
fn reason(comments: &[Comment], finding: &Finding) -> Option<String> {
    comments
        .iter()
        .filter(|comment| problem(&comment.checks, &comment.reason).is_none())
        .find(|comment| {
            comment.lines.contains(&finding.location.line)
                && comment.checks.iter().any(|check| check == finding.check)
        })
        .map(|comment| comment.reason.clone())
}

/// What is wrong with the comments of a file.
pub(super) fn inline_faults(file: &ConfigFile) -> Vec<Finding> {
    let faults = comments(file).into_iter().filter_map(|comment| {
        let problem = problem(&comment.checks, &comment.reason)?;
        Some(fault(file.location(comment.at), problem))
    });
    faults.collect()
}

fn comments(file: &ConfigFile) -> Vec<Comment> {
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

/// What a comment alone on its line is about: the next line of code, or the entry that begins there.
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
        // The name of an entry may stand on the line above its value.
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

    #[test]
    fn a_list_without_reason_ignores_nothing() {
        let mut ignores = Ignores::default();
        ignores.add(
            "repo/.mcpwrap-check.toml",
            "repo",
            "[[ignore]]\ncheck = \"unpinned-server\"\n[[ignore]]\ncheck = \"no-such-rule\"\nreason = \"x\"\n",
        );
        ignores.add(
            "x",
            "",
            "[[ignore]]\ncheck = \"unpinned-server\"\nreasn = \"x\"\n",
        );
        assert_eq!((ignores.rules.len(), ignores.faults.len()), (0, 3));
        assert_eq!(ignores.faults[1].location.line, 3);
    }

    #[test]
    fn files_as_in_gitignore() {
        let mut ignores = Ignores::default();
        ignores.add(
            "repo/.mcpwrap-check.toml",
            "repo",
            "[[ignore]]\ncheck = [\"unpinned-server\", \"insecure-transport\"]\nfile = \"docs/\"\nreason = \"examples\"\n",
        );
        let finding = |file: &str| {
            let fix = Fix::Act(String::new());
            Finding::new(
                ("unpinned-server", Severity::High),
                Location::whole(file),
                "",
                "",
                fix,
            )
        };
        let rule = &ignores.rules[0];
        assert!(rule.fits(&finding("repo/docs/a/.mcp.json")));
        assert!(!rule.fits(&finding("repo/src/.mcp.json")));
        assert!(!rule.fits(&finding("other/docs/.mcp.json")));
    }
}
