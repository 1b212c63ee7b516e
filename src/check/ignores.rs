//! Findings that a person accepts, each with a reason.
//!
//! Either a comment (`mcpwrap-ignore unpinned-server: reason`) or an `[[ignore]]` of the list
//! `.mcpwrap-check.toml`. Without a reason an ignore has no effect and is a finding itself; ignored
//! findings stay in the report.

use std::collections::BTreeMap;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use serde::Deserialize;

use super::comments::{Comment, comments};
use super::facts::Facts;
use super::file::ConfigFile;
use super::finding::{Finding, Fix, Location, Severity};
use super::rules::{INVALID_IGNORE, names, new_name};
use crate::client::tree::line_of;
use crate::serde_words::Refusal;
use crate::suggest::nearest;

const WHY: &str = "an ignore that is invalid or has no reason has no effect";

/// A finding that is ignored.
#[derive(Debug)]
pub struct Ignored {
    pub finding: Finding,
    pub reason: String,
    /// In a comment of the file, not in the list.
    pub inline: bool,
}

/// A name in an ignore from before the rules had names.
#[derive(Clone, Debug)]
pub(super) struct OldName {
    pub(super) old: String,
    pub(super) new: &'static str,
    pub(super) location: Location,
}

/// The lists, with their errors.
#[derive(Debug, Default)]
pub struct Ignores {
    rules: Vec<IgnoreRule>,
    faults: Vec<Finding>,
    old_names: Vec<OldName>,
}

#[derive(Debug)]
struct IgnoreRule {
    checks: Vec<String>,
    files: Option<Gitignore>,
    /// The directory of the list.
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

/// The name of the list, at the root of the checked directory.
pub const LIST: &str = ".mcpwrap-check.toml";

impl Ignores {
    /// Reads a list. `shown` is its path; its patterns are relative to `root`.
    pub fn add(&mut self, shown: &str, root: &str, text: &str) {
        let list: IgnoreList = match toml::from_str(text) {
            Ok(list) => list,
            Err(error) => {
                let line = error.span().map_or(0, |span| line_of(text, span.start));
                let what = format!("invalid list: {}", Refusal::read(error.message()));
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
                matches!(files, Some(None)).then(|| "invalid pattern in `file`".to_owned())
            });
            if let Some(problem) = problem {
                self.faults
                    .push(fault(Location::line(shown, line), problem));
                continue;
            }
            self.old_names
                .extend(old_names(&checks, &Location::line(shown, line)));
            self.rules.push(IgnoreRule {
                checks,
                files: files.flatten(),
                root: root.to_owned(),
                server: item.server,
                reason: item.reason,
            });
        }
    }

    /// Notes that a list could not be read.
    pub fn unread(&mut self, shown: &str, why: &str) {
        let what = format!("cannot read the list: {why}");
        self.faults.push(fault(Location::whole(shown), what));
    }

    /// The old names in the lists.
    pub(super) fn old_names(&self) -> &[OldName] {
        &self.old_names
    }

    pub(super) fn faults(&self) -> &[Finding] {
        &self.faults
    }

    /// Splits findings into remaining and ignored ones.
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
            // The list has no say outside its directory.
            path.starts_with(&self.root)
                && !path.starts_with("..")
                && files.matched_path_or_any_parents(path, false).is_ignore()
        });
        let server = self
            .server
            .as_ref()
            .is_none_or(|server| finding.server.as_ref() == Some(server));
        file && server && covers(&self.checks, finding)
    }
}

fn patterns(root: &str, pattern: &str) -> Option<Gitignore> {
    let mut builder = GitignoreBuilder::new(root);
    builder.add_line(None, pattern).ok()?;
    builder.build().ok().filter(|built| built.num_ignores() > 0)
}

fn fault(location: Location, what: String) -> Finding {
    let fix = "name the check and give a reason, e.g. `mcpwrap-ignore unpinned-server: a demo`";
    let rule = (INVALID_IGNORE, Severity::Medium);
    Finding::new(rule, location, what, WHY, Fix::Act(fix.to_owned()))
}

/// Whether an ignore of these checks is about the finding.
fn covers(checks: &[String], finding: &Finding) -> bool {
    let is = |check: &String| check == finding.check || new_name(check) == Some(finding.check);
    checks.iter().any(is)
}

fn old_names(checks: &[String], location: &Location) -> impl Iterator<Item = OldName> {
    checks.iter().filter_map(|check| {
        Some(OldName {
            old: check.clone(),
            new: new_name(check)?,
            location: location.clone(),
        })
    })
}

fn problem(checks: &[String], reason: &str) -> Option<String> {
    let known = |check: &String| names().any(|name| name == check) || new_name(check).is_some();
    match checks.iter().find(|check| !known(check)) {
        Some(unknown) => Some(match nearest(unknown, names()) {
            Some(near) => format!("unknown check `{unknown}`; did you mean `{near}`?"),
            None => format!("unknown check `{unknown}`"),
        }),
        None if checks.is_empty() => Some("the ignore names no check".to_owned()),
        None if reason.trim().is_empty() => Some("the ignore gives no reason".to_owned()),
        None => None,
    }
}

/// The reason, if a comment of its file ignores the finding.
fn reason(comments: &[Comment], finding: &Finding) -> Option<String> {
    comments
        .iter()
        .filter(|comment| problem(&comment.checks, &comment.reason).is_none())
        .find(|comment| {
            comment.lines.contains(&finding.location.line) && covers(&comment.checks, finding)
        })
        .map(|comment| comment.reason.clone())
}

/// The old names in the comments of a file.
pub(super) fn inline_old_names(file: &ConfigFile) -> Vec<OldName> {
    let comments = comments(file).into_iter();
    comments
        .flat_map(|comment| {
            let location = file.location(comment.at);
            old_names(&comment.checks, &location).collect::<Vec<_>>()
        })
        .collect()
}

/// Invalid ignore comments of a file.
pub(super) fn inline_faults(file: &ConfigFile) -> Vec<Finding> {
    let faults = comments(file).into_iter().filter_map(|comment| {
        let problem = problem(&comment.checks, &comment.reason)?;
        Some(fault(file.location(comment.at), problem))
    });
    faults.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// A value typed in a wrong place may be a token.
    #[test]
    fn a_fault_does_not_repeat_a_value() {
        for text in [
            "[[ignore]]\ncheck = \"kill-switch\"\nfile = 5\n",
            "[[ignore]]\ncheck = \"kill-switch\"\nreason = [\"ghp_0123456789abcdef\"]\n",
            "ignore = \"ghp_0123456789abcdef\"\n",
            "[[ignore]]\ncheck = ghp_0123456789abcdef\n",
        ] {
            let mut ignores = Ignores::default();
            ignores.add("x", "", text);
            let [fault] = ignores.faults.as_slice() else {
                panic!("{text}")
            };
            assert!(!fault.what.contains("ghp_"), "{}", fault.what);
        }
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
