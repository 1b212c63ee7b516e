//! The report as JSON, as docs/checks.md describes it.

use serde_json::{Value, json};

use super::finding::Finding;
use super::report::{CheckReport, CheckSummary, CheckVerdict};
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
        "policies": report.policies,
        "stored_secrets": report.stored,
        "not_checked": report.not_checked,
        "resolved_by_adopt": report.adopts,
        "checks": report.checks.iter().map(check).collect::<Vec<_>>(),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "ignored": ignored.collect::<Vec<_>>(),
    })
}

fn check(check: &CheckSummary) -> Value {
    let (status, reason) = match &check.verdict {
        CheckVerdict::Ok => ("ok", None),
        CheckVerdict::Findings => ("findings", None),
        CheckVerdict::Nothing(why) => ("nothing-to-check", Some(why)),
    };
    let counted = check.checked.iter().filter(|(_, number)| *number > 0);
    let checked: serde_json::Map<_, _> = counted
        .map(|(noun, number)| (noun.key().to_owned(), Value::from(*number)))
        .collect();
    json!({
        "id": check.rule.name,
        "tags": check.rule.tags(),
        "title": check.rule.title,
        "severity": check.rule.severity,
        "status": status,
        "reason": reason,
        "checked": checked,
        "unread": check.unread,
        "findings": check.found,
        "ignored": check.ignored,
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
