//! Records as lines of a table: time, event, server, run, outcome, details.
//!
//! Invariants: one line per record and one pass, because columns have fixed widths; no control
//! characters.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::audit::text::shown;
use crate::audit::{Detail, Event, Outcome, Record};
use crate::cli::print;

/// The heading of [`row`].
pub fn heading() -> String {
    line("TIME", "EVENT", "SERVER", "RUN", "OUTCOME", "WHAT")
}

/// One record.
pub fn row(record: &Record, zone: &TimeZone) -> String {
    let server = record.server.as_ref().map_or("-", |server| server.as_str());
    let run = record
        .run
        .as_ref()
        .and_then(|run| run.as_str().get(..8))
        .unwrap_or("-");
    let outcome = record.outcome.name();
    line(
        &local(record.time, zone),
        record.event.name(),
        &shown(server),
        &shown(run),
        outcome,
        &what(record),
    )
}

fn line(time: &str, event: &str, server: &str, run: &str, outcome: &str, what: &str) -> String {
    format!("{time:<19}  {event:<13}  {server:<16}  {run:<8}  {outcome:<7}  {what}")
        .trim_end()
        .to_owned()
}

/// A time in the user's zone, to the second.
pub fn local(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned_datetime(zone.clone())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// The details, in a few words.
fn what(record: &Record) -> String {
    let detail = &record.detail;
    let mut parts = Vec::new();
    match record.event {
        Event::Call => parts.extend(call(detail)),
        Event::Log => parts.extend(log_details(record)),
        _ => {
            parts.extend(record.reason.clone());
            parts.extend(detail.note.as_ref().map(|note| format!("\"{note}\"")));
        }
    }
    if let Some(secret) = &record.secret {
        let mut text = secret.name.to_string();
        if let Some(variable) = &secret.variable {
            text = format!("{text} as {variable}");
        }
        if let Some(fingerprint) = &secret.fingerprint {
            text = format!("{text} ({fingerprint})");
        }
        parts.push(text);
    }
    parts.extend(detail.host.clone());
    parts.extend(detail.program.clone().or_else(|| detail.package.clone()));
    parts.extend(
        detail
            .code
            .filter(|_| record.event == Event::Exit)
            .map(|code| format!("code {code}")),
    );
    parts.extend(detail.signal.map(|signal| format!("signal {signal}")));
    if let Some(by) = detail.by.as_deref().filter(|by| *by != "terminal") {
        parts.push(format!("by {by}"));
    }
    parts.extend(detail.agent.as_ref().map(|agent| format!("agent {agent}")));
    if record.event != Event::Log {
        parts.extend(detail.file.clone());
        parts.extend(
            detail
                .records
                .map(|count| format!("{} dropped", print::count(count, "record"))),
        );
    }
    parts.extend(detail.duration_ms.map(duration));
    parts.extend(record.client.as_ref().and_then(client));
    shown(&parts.join(", "))
}

fn call(detail: &Detail) -> Option<String> {
    let mut text = detail.method.clone()?;
    if let Some(tool) = &detail.tool {
        text = format!("{text} {tool}");
    }
    if let Some(error) = detail.error {
        text = format!("{text} error {error}");
    }
    Some(text)
}

/// The details of a record about the log itself.
fn log_details(record: &Record) -> Option<String> {
    let detail = &record.detail;
    let reason = record.reason.as_deref()?;
    let mut text = reason.to_owned();
    if let (Some(first), Some(last)) = (detail.first, detail.last) {
        text = format!("{text}: records {first} to {last}");
    }
    if let Some(records) = detail.records.filter(|_| record.outcome == Outcome::Failed) {
        text = format!("{text}: {}", print::count(records, "record"));
    }
    if let Some(bytes) = detail.bytes {
        text = format!(
            "{text}: {} of an incomplete record",
            print::count(bytes, "byte")
        );
    }
    if let Some(file) = &detail.file {
        text = format!("{text} in {file}");
    }
    Some(text)
}

fn client(client: &crate::audit::ClientIdentity) -> Option<String> {
    let exe = client.exe.as_deref().and_then(|exe| exe.rsplit('/').next());
    let name = client.name.as_deref().or(exe)?;
    Some(match &client.version {
        Some(version) => format!("client {name} {version}"),
        None => format!("client {name}"),
    })
}

fn duration(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{ms} ms"),
        10_000..600_000 => format!("{} s", ms / 1000),
        _ => format!("{} min", ms / 60_000),
    }
}
