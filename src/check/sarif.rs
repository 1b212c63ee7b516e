//! The report as SARIF 2.1.0, for code scanning.
//!
//! A test validates it against the schema. Beyond that, an upload needs a location for each result,
//! relative to the checked directory, and fingerprints that survive moved lines.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::finding::{Finding, Severity};
use super::ignores::Ignored;
use super::report::CheckReport;
use super::rules::{OTHER_RULES, RULES};

/// A page about the risks. The documentation of a rule is in its `help`.
const HELP: &str = "https://owasp.org/www-project-mcp-top-10/";

/// The whole report.
pub fn sarif(report: &CheckReport) -> Value {
    let mut rules: Vec<Value> = RULES
        .iter()
        .map(|one| rule(one.name, one.severity, one.title, one.about, one.tags()))
        .collect();
    let others = OTHER_RULES.iter();
    rules.extend(others.map(|(id, severity, about)| rule(id, *severity, about, about, Vec::new())));
    let mut seen = BTreeMap::new();
    let mut results: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| result(finding, &mut seen))
        .collect();
    for Ignored {
        finding,
        reason,
        inline,
    } in &report.ignored
    {
        let mut value = result(finding, &mut seen);
        if let Some(fields) = value.as_object_mut() {
            let kind = if *inline { "inSource" } else { "external" };
            let suppression = json!([{"kind": kind, "justification": reason}]);
            fields.insert("suppressions".to_owned(), suppression);
        }
        results.push(value);
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "mcpwrap",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": true,
                "toolExecutionNotifications": not_checked(report),
            }],
            "results": results,
        }],
    })
}

fn rule(id: &str, severity: Severity, title: &str, about: &str, own: Vec<String>) -> Value {
    let tags: Vec<String> = ["security", "mcp", "secrets"]
        .map(str::to_owned)
        .into_iter()
        .chain(own)
        .collect();
    json!({
        "id": id,
        "name": title,
        "shortDescription": {"text": title},
        "fullDescription": {"text": title},
        "help": {"text": plain(about), "markdown": about},
        "helpUri": HELP,
        "defaultConfiguration": {"level": level(severity)},
        "properties": {
            "security-severity": score(severity),
            "precision": "high",
            "tags": tags,
        },
    })
}

/// What was not looked into.
fn not_checked(report: &CheckReport) -> Vec<Value> {
    let note = |what: &String| {
        let text = format!("not looked into: {}", crate::error::printable(what));
        json!({"level": "note", "message": {"text": text}})
    };
    report.not_checked.iter().map(note).collect()
}

/// Markdown without markup.
fn plain(about: &str) -> String {
    about.replace("**", "").replace('`', "'")
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

/// The number by which code scanning sorts.
const fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.3",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
    }
}

fn result(finding: &Finding, seen: &mut BTreeMap<String, u32>) -> Value {
    let ids = RULES.iter().map(|check| check.name);
    let index = ids
        .chain(OTHER_RULES.iter().map(|(id, ..)| *id))
        .position(|id| id == finding.check);
    let server = finding
        .server
        .as_ref()
        .map_or_else(String::new, |server| format!("{server}: "));
    let value = finding
        .value
        .as_ref()
        .map_or_else(String::new, |value| format!(" {value}"));
    let text = format!(
        "{server}{}{value}. {}. Fix: {}",
        finding.what,
        capital(finding.why),
        finding.fix.text()
    );
    // A finding about a whole file is at its first line.
    let region = json!({
        "startLine": finding.location.line.max(1),
        "startColumn": finding.location.column.max(1),
    });
    let fingerprint = finding.fingerprint();
    let count = seen.entry(fingerprint.clone()).or_default();
    *count += 1;
    let fingerprint = format!("{fingerprint}:{count}");
    json!({
        "ruleId": finding.check,
        "ruleIndex": index,
        "level": level(finding.severity),
        "message": {"text": crate::error::printable(&text)},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(&finding.location.file)},
            "region": region,
        }}],
        "partialFingerprints": {
            "mcpwrap/v1": fingerprint,
            "primaryLocationLineHash": fingerprint,
        },
    })
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

/// A path as a URI reference.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let mut out = String::with_capacity(path.len());
    if path.starts_with('/') {
        out.push_str("file://");
    }
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format_byte(byte));
        }
    }
    out
}

fn format_byte(byte: u8) -> String {
    format!("%{byte:02X}")
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_as_uris() {
        for (path, expected) in [
            (".vscode/mcp.json", ".vscode/mcp.json"),
            ("./a b/é.json", "a%20b/%C3%A9.json"),
            ("/x/y", "file:///x/y"),
            ("a:b#c?d", "a%3Ab%23c%3Fd"),
        ] {
            assert_eq!(uri(path), expected);
        }
    }
}
