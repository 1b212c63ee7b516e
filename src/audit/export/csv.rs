//! Records as CSV for spreadsheets and databases (RFC 4180).
//!
//! Invariant: no cell is interpreted as a formula; such a text gets a leading `'`.

use super::super::record::Record;
use super::super::text::{one_line, shown};

/// The columns in order. The last one contains the details as JSON.
pub const COLUMNS: &[&str] = &[
    "seq",
    "time",
    "event",
    "server",
    "run",
    "policy",
    "profile",
    "client_name",
    "client_version",
    "client_pid",
    "client_exe",
    "uid",
    "user",
    "secret",
    "variable",
    "fingerprint",
    "outcome",
    "reason",
    "method",
    "tool",
    "duration_ms",
    "detail",
];

/// The header line.
pub fn heading() -> String {
    COLUMNS.join(",")
}

/// One record.
pub fn line(record: &Record) -> String {
    let client = record.client.clone().unwrap_or_default();
    let secret = record.secret.as_ref();
    let detail = &record.detail;
    let cells = [
        record.seq.to_string(),
        format!("{:.6}", record.time),
        record.event.to_string(),
        text(record.server.as_ref()),
        text(record.run.as_ref()),
        text(record.policy.as_ref()),
        text(record.profile.as_ref()),
        text(client.name.as_ref()),
        text(client.version.as_ref()),
        text(client.pid.as_ref()),
        text(client.exe.as_ref()),
        record.uid.to_string(),
        text(record.user.as_ref()),
        text(secret.map(|secret| &secret.name)),
        text(secret.and_then(|secret| secret.variable.as_ref())),
        text(secret.and_then(|secret| secret.fingerprint.as_ref())),
        record.outcome.to_string(),
        text(record.reason.as_ref()),
        text(detail.method.as_ref()),
        text(detail.tool.as_ref()),
        text(detail.duration_ms.as_ref()),
        one_line(detail),
    ];
    cells.map(|text| cell(&shown(&text))).join(",")
}

fn text(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        "'"
    } else {
        ""
    };
    if guard.is_empty() && !text.contains(['"', ',', '\n', '\r']) {
        return text.to_owned();
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::super::super::{ClientIdentity, Event, Hash, NewRecord, Outcome};
    use super::*;
    use crate::audit::record::User;

    #[test]
    fn cells_are_quoted_and_not_formulas() {
        assert_eq!(cell("plain"), "plain");
        assert_eq!(cell("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        assert_eq!(cell("=HYPERLINK(1)"), "\"'=HYPERLINK(1)\"");
        let client = ClientIdentity {
            name: Some("@evil,\"".to_owned()),
            ..ClientIdentity::default()
        };
        let entry = NewRecord::new(Event::Call, Outcome::Ok).client(&client);
        let time = "2026-11-23T14:03:00Z".parse().unwrap();
        let line = line(&Record::new(
            &entry,
            7,
            time,
            &User {
                id: 1000,
                name: None,
            },
            Hash::START,
        ));
        assert_eq!(
            line,
            "7,2026-11-23T14:03:00.000000Z,call,,,,,\"'@evil,\"\"\",,,,1000,,,,,ok,,,,,{}"
        );
    }
}
