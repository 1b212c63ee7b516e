//! The report as JSON, as docs/checks.md describes it.

use serde_json::{Value, json};

use super::finding::Finding;
use super::report::{CheckReport, CheckSummary};
use super::rules::{Rule, rule};

/// Grows when a field changes its meaning or is removed; new fields do not count.
const VERSION: u32 = 1;

/// The whole report.
pub fn json(report: &CheckReport) -> Value {
    let ignored = report.ignored.iter().map(|ignored| {
        let mut value = finding(&ignored.finding);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("reason".to_owned(), ignored.reason.as_str().into());
            fields.insert("inline".to_owned(), ignored.inline.into());
        }
        value
    });
    json!({
        "version": VERSION,
        "scope": if report.machine { "machine" } else { "files" },
        "files": report.files,
        "paths": report.paths,
        "servers": report.servers,
        "checks": report.checks.iter().map(check).collect::<Vec<_>>(),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "ignored": ignored.collect::<Vec<_>>(),
    })
}

fn check(check: &CheckSummary) -> Value {
    let status = match (check.skipped, check.found) {
        (Some(_), _) => "skipped",
        (None, 0) => "ok",
        (None, _) => "findings",
    };
    json!({
        "id": check.rule.name,
        "tags": check.rule.tags(),
        "title": check.rule.title,
        "severity": check.rule.severity,
        "status": status,
        "checked": check.checked,
        "noun": check.rule.noun,
        "findings": check.found,
        "ignored": check.ignored,
        "skip_reason": check.skipped,
    })
}

fn finding(finding: &Finding) -> Value {
    let location = &finding.location;
    let number = |n: usize| (n > 0).then_some(n);
    json!({
        "check": finding.check,
        "tags": rule(finding.check).map(Rule::tags).unwrap_or_default(),
        "severity": finding.severity,
        "file": location.file,
        "line": number(location.line),
        "column": number(location.column),
        "server": finding.server,
        "value": finding.value,
        "what": finding.what,
        "why": finding.why,
        "fix": finding.fix.text(),
        "command": finding.fix.command(),
        "fingerprint": finding.fingerprint(),
    })
}
