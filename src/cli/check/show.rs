//! The report for people: one line per check, then the findings, worst first.
//!
//! On a terminal it fits on one screen and counts what does not fit. It is coloured on a terminal,
//! unless `NO_COLOR` is set.

use std::collections::BTreeMap;

use crate::check::{CheckReport, CheckSummary, Finding, RULES, Severity, UNREADABLE_FILE};
use crate::cli::print;
use crate::dirs;
use crate::error::printable;

/// Lines of the report without findings, and of the prompt after it.
const LINES_OTHER: usize = RULES.len() + 7;
/// Lines of a group of findings.
const LINES_GROUP: usize = 5;
/// Names of servers in one line.
const NAMES_MAX: usize = 4;

/// Prints the report.
pub(super) fn report(report: &CheckReport, no_limit: bool) {
    let screen = print::screen_lines();
    let paint = Paint(screen.is_some() && !dirs::no_colour());
    print::line(&scope(report));
    print::line("");
    for check in &report.checks {
        print::line(&row(check, paint));
    }
    let groups = groups(&report.findings);
    let shown = match screen {
        Some(lines) if !no_limit => (lines.saturating_sub(LINES_OTHER) / LINES_GROUP).max(1),
        _ => groups.len(),
    };
    for group in groups.iter().take(shown) {
        print::line("");
        for text in lines(group, paint) {
            print::line(&text);
        }
    }
    let hidden: usize = groups.iter().skip(shown).map(Vec::len).sum();
    if hidden > 0 {
        print::line(&format!(
            "\nand {hidden} more; run `mcpwrap check --no-limit` to see all"
        ));
    }
    print::line("");
    print::line(&total(report, paint));
}

/// A colour, or none.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    fn severity(self, severity: Severity, text: &str) -> String {
        match severity {
            Severity::Critical => self.with("1;31", text),
            Severity::High => self.with("31", text),
            Severity::Medium => self.with("33", text),
            Severity::Low => self.with("2", text),
        }
    }
}

fn scope(report: &CheckReport) -> String {
    let what = if report.machine {
        "this machine"
    } else {
        "the given paths"
    };
    if report.files == 0 {
        return format!("checked {what}: no client config found");
    }
    format!(
        "checked {what}: {}, {}",
        print::count(report.files, "file"),
        print::count(report.servers, "server")
    )
}

/// A number of what a rule checks; the noun of a rule is a plural.
fn checked(number: usize, nouns: &str) -> String {
    print::count(number, nouns.strip_suffix('s').unwrap_or(nouns))
}

fn row(check: &CheckSummary, paint: Paint) -> String {
    let rule = check.rule;
    let score = match (check.skipped, check.found) {
        (Some(why), _) => paint.with("2", &format!("skipped: {why}")),
        (None, 0) => {
            let text = format!("ok, {} checked", checked(check.checked, rule.noun));
            paint.with("32", &text)
        }
        (None, found) => {
            let text = format!(
                "{} in {}",
                print::count(found, "finding"),
                checked(check.checked, rule.noun)
            );
            paint.severity(rule.severity, &text)
        }
    };
    let ignored = if check.ignored > 0 {
        format!(", {} ignored", check.ignored)
    } else {
        String::new()
    };
    let (names, titles) = widths();
    format!(
        "{:<names$}  {:<titles$}  {score}{ignored}",
        rule.name, rule.title
    )
}

/// The widths of the columns of names and titles.
fn widths() -> (usize, usize) {
    let name = RULES.iter().map(|rule| rule.name.len()).max();
    let title = RULES.iter().map(|rule| rule.title.len()).max();
    (name.unwrap_or(0), title.unwrap_or(0))
}

/// Findings that differ only in their server and location in a file.
fn groups(findings: &[Finding]) -> Vec<Vec<&Finding>> {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    let mut known = BTreeMap::new();
    for finding in findings {
        let place = finding.location.file.as_str();
        let key = (
            finding.check,
            finding.severity,
            place,
            finding.what.as_str(),
        );
        let group = *known.entry(key).or_insert(groups.len());
        match groups.get_mut(group) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups
}

fn lines(group: &[&Finding], paint: Paint) -> Vec<String> {
    let Some(first) = group.first() else {
        return Vec::new();
    };
    let place = match (first.location.line, first.location.column) {
        (0, _) => first.location.file.clone(),
        (line, 0) => format!("{}:{line}", first.location.file),
        (line, column) => format!("{}:{line}:{column}", first.location.file),
    };
    let servers: Vec<&str> = group
        .iter()
        .filter_map(|finding| finding.server.as_deref())
        .collect();
    let mut names = servers
        .iter()
        .take(NAMES_MAX)
        .map(|name| printable(name))
        .collect::<Vec<_>>()
        .join(", ");
    if servers.len() > NAMES_MAX {
        names = format!("{names} and {} more", servers.len() - NAMES_MAX);
    }
    let about = if names.is_empty() {
        String::new()
    } else {
        format!("{names}: ")
    };
    let value = first
        .value
        .as_ref()
        .map_or_else(String::new, |value| format!(" {}", printable(value)));
    let head = format!("{} {}", first.severity.name(), first.check);
    vec![
        format!(
            "{} {}",
            paint.severity(first.severity, &head),
            printable(&place)
        ),
        format!("    {about}{}{value}", printable(&first.what)),
        format!("    {}", printable(first.why)),
        format!("    {} {}", paint.with("36", "->"), printable(&fix(group))),
    ]
}

/// The fix for a group: one command for all its servers where possible.
fn fix(group: &[&Finding]) -> String {
    let first = group.first().map_or("", |finding| finding.fix.text());
    let Some((head, _)) = first.split_once(" --server ") else {
        return first.to_owned();
    };
    let mut all = first.to_owned();
    for finding in group.iter().skip(1) {
        let server = finding.fix.text().strip_prefix(head);
        all.push_str(server.unwrap_or_default());
    }
    all
}

fn total(report: &CheckReport, paint: Paint) -> String {
    let done = report.checks.iter().filter(|check| check.skipped.is_none());
    let good = done.clone().filter(|check| check.found == 0).count();
    let unread = report
        .findings
        .iter()
        .filter(|one| one.check == UNREADABLE_FILE);
    let unread = match unread.count() {
        0 => String::new(),
        number => format!("; {} could not be read", print::count(number, "file")),
    };
    let score = format!("{good} of {} checks passed{unread}", done.count());
    if report.findings.is_empty() {
        return paint.with("32", &score);
    }
    let levels = [
        Severity::Critical,
        Severity::High,
        Severity::Medium,
        Severity::Low,
    ];
    let counts = levels.iter().filter_map(|severity| {
        let own = report.findings.iter();
        let count = own.filter(|finding| finding.severity == *severity).count();
        (count > 0).then(|| format!("{count} {}", severity.name()))
    });
    let all = print::count(report.findings.len(), "finding");
    format!("{score}; {all}: {}", counts.collect::<Vec<_>>().join(", "))
}
