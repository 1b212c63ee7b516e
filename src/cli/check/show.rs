//! The report for people: one line per check, then the findings, worst first.
//!
//! On a terminal it fits on one screen and counts what does not fit. It is coloured on a terminal,
//! unless `NO_COLOR` is set.

use std::collections::BTreeMap;

use crate::check::{
    CheckReport, CheckSummary, CheckVerdict, Finding, RULES, Severity, UNREADABLE_FILE,
};
use crate::cli::print;
use crate::dirs;
use crate::error::printable;

/// Lines of the report without findings, and of the prompt after it.
const LINES_OTHER: usize = RULES.len() + 10;
/// Lines of a group of findings.
const LINES_GROUP: usize = 5;
/// Names of servers in one line.
const NAMES_MAX: usize = 4;

/// Prints the report.
pub(super) fn report(report: &CheckReport, clients: &[String], no_limit: bool) {
    let screen = print::screen_lines();
    let paint = Paint(screen.is_some() && !dirs::no_colour());
    print::line(&scope(report));
    if report.adopts > 0 {
        let selected = clients.iter().map(|id| format!(" --client {id}"));
        let command = format!("mcpwrap adopt{}", selected.collect::<String>());
        let resolves = format!(
            "`{command}` resolves {} of the {} below",
            report.adopts,
            print::count(report.findings.len(), "finding")
        );
        print::line(&paint.with("36", &resolves));
    }
    print::line("");
    for check in &report.checks {
        print::line(&row(check, paint));
    }
    let groups = groups(&report.findings);
    let others = LINES_OTHER + report.not_checked.len();
    let shown = match screen {
        Some(lines) if !no_limit => (lines.saturating_sub(others) / LINES_GROUP).max(1),
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
    if !report.not_checked.is_empty() {
        print::line("\nnot looked into:");
        for what in &report.not_checked {
            print::line(&format!("  {what}"));
        }
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
    let counts = [
        (report.files, "file"),
        (report.servers, "server entry"),
        (report.policies, "policy"),
        (report.stored, "stored secret"),
    ];
    let counts = counts.iter().filter(|(number, _)| *number > 0);
    let counts: Vec<_> = counts
        .map(|(number, noun)| print::count(*number, noun))
        .collect();
    let none = if report.files == 0 {
        "no client config found"
    } else {
        ""
    };
    let none = Some(none.to_owned()).filter(|none| !none.is_empty());
    let all: Vec<_> = none.into_iter().chain(counts).collect();
    format!("checked {what}: {}", all.join(", "))
}

/// What a rule checked: "3 server entries, 2 policies".
fn checked(check: &CheckSummary) -> String {
    let counts = check.checked.iter().filter(|(_, number)| *number > 0);
    let counts: Vec<_> = counts
        .map(|(noun, number)| print::count(*number, noun.name()))
        .collect();
    counts.join(", ")
}

fn row(check: &CheckSummary, paint: Paint) -> String {
    let rule = check.rule;
    let of = checked(check);
    let score = match &check.verdict {
        CheckVerdict::Nothing(why) => paint.with("2", &format!("nothing to check: {why}")),
        CheckVerdict::Ok => paint.with("32", &format!("ok, {of} checked")),
        CheckVerdict::Findings => {
            let of = if of.is_empty() {
                String::new()
            } else {
                format!(" in {of}")
            };
            let unread = match check.unread {
                0 => String::new(),
                _ => "; not everything could be read".to_owned(),
            };
            let found = match check.found {
                0 => "no finding".to_owned(),
                found => print::count(found, "finding"),
            };
            paint.severity(rule.severity, &format!("{found}{of}{unread}"))
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
    if report.is_empty() {
        return "nothing to check".to_owned();
    }
    let count =
        |fits: fn(&CheckSummary) -> bool| report.checks.iter().filter(|one| fits(one)).count();
    let good = count(|check| check.verdict == CheckVerdict::Ok);
    let nothing = count(|check| matches!(check.verdict, CheckVerdict::Nothing(_)));
    let nothing = match nothing {
        0 => String::new(),
        number => format!(", {number} had nothing to check"),
    };
    let unread = report
        .findings
        .iter()
        .filter(|one| one.check == UNREADABLE_FILE);
    let unread = match unread.count() {
        0 => String::new(),
        number => format!("; {} could not be read", print::count(number, "file")),
    };
    let score = format!(
        "{good} of {} checks passed{nothing}{unread}",
        report.checks.len()
    );
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
