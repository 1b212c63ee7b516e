//! Records as OpenTelemetry logs: the JSON of OTLP over HTTP.
//!
//! Attribute names follow the semantic conventions for MCP, generative AI, JSON-RPC and processes
//! (status: development) where one exists; others start with `mcpwrap.`. The body is the record.

use serde_json::{Value, json};

use super::super::event::{Event, Outcome};
use super::super::record::Record;

/// The request body for some records, each with its line.
pub fn request(records: &[(Record, String)]) -> Value {
    let logs: Vec<_> = records
        .iter()
        .map(|(record, line)| log(record, line))
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    json!({ "resourceLogs": [{
        "resource": { "attributes": [
            text("service.name", "mcpwrap"),
            text("service.version", version),
        ]},
        "scopeLogs": [{
            "scope": { "name": "mcpwrap.audit", "version": version },
            "logRecords": logs,
        }],
    }]})
}

fn log(record: &Record, line: &str) -> Value {
    let nanos = record.time.as_nanosecond().to_string();
    let (number, severity) = match record.outcome {
        Outcome::Intent | Outcome::Ok => (9, "INFO"),
        Outcome::Refused | Outcome::Failed => (13, "WARN"),
    };
    json!({
        "timeUnixNano": nanos,
        "observedTimeUnixNano": nanos,
        "severityNumber": number,
        "severityText": severity,
        "eventName": format!("mcpwrap.{}", record.event),
        "body": { "stringValue": line },
        "attributes": attributes(record),
    })
}

fn attributes(record: &Record) -> Vec<Value> {
    let mut all = OtlpAttributes(Vec::with_capacity(24));
    all.number("mcpwrap.seq", Some(record.seq));
    all.text("mcpwrap.outcome", Some(&record.outcome));
    all.text("user.id", Some(&record.uid));
    all.text("user.name", record.user.as_ref());
    all.text("mcpwrap.server", record.server.as_ref());
    all.text("mcpwrap.run", record.run.as_ref());
    all.text("mcpwrap.policy", record.policy.as_ref());
    all.text("mcpwrap.profile", record.profile.as_ref());
    all.text("mcpwrap.reason", record.reason.as_ref());
    if let Some(secret) = &record.secret {
        all.text("mcpwrap.secret.name", Some(&secret.name));
        all.text("mcpwrap.secret.variable", secret.variable.as_ref());
        all.text("mcpwrap.secret.fingerprint", secret.fingerprint.as_ref());
    }
    if let Some(client) = &record.client {
        all.text("mcpwrap.client.name", client.name.as_ref());
        all.text("mcpwrap.client.version", client.version.as_ref());
        all.text("mcpwrap.client.executable", client.exe.as_ref());
        all.number("mcpwrap.client.pid", client.pid);
    }
    details(record, &mut all);
    all.0
}

fn details(record: &Record, all: &mut OtlpAttributes) {
    let detail = &record.detail;
    all.text("process.executable.name", detail.program.as_ref());
    all.text("process.executable.path", detail.path.as_ref());
    all.text("mcpwrap.executable.sha256", detail.digest.as_ref());
    all.number("process.pid", detail.pid);
    all.number("process.exit.code", detail.code);
    all.number("mcpwrap.signal", detail.signal);
    all.number("mcpwrap.generation", detail.generation);
    all.number("mcpwrap.duration_ms", detail.duration_ms);
    all.number("mcpwrap.records", detail.records);
    all.text("mcpwrap.package", detail.package.as_ref());
    all.text("mcpwrap.note", detail.note.as_ref());
    all.text("mcpwrap.by", detail.by.as_ref());
    all.text("mcpwrap.agent", detail.agent.as_ref());
    all.text("mcpwrap.file", detail.file.as_ref());
    all.text("server.address", detail.host.as_ref());
    if record.event != Event::Call {
        return;
    }
    all.text("mcp.method.name", detail.method.as_ref());
    all.text("gen_ai.tool.name", detail.tool.as_ref());
    all.text(
        "gen_ai.operation.name",
        detail.tool.as_ref().map(|_| &"execute_tool"),
    );
    all.text("jsonrpc.request.id", detail.id.as_ref());
    all.text("rpc.response.status_code", detail.error.as_ref());
    all.text("network.transport", Some(&"pipe"));
    if record.outcome == Outcome::Failed {
        let code = detail
            .error
            .map_or_else(|| "tool_error".to_owned(), |code| code.to_string());
        all.text("error.type", Some(&code));
    }
}

/// Attributes in OTLP's JSON form. Fields that a record does not have are omitted.
struct OtlpAttributes(Vec<Value>);

impl OtlpAttributes {
    fn text(&mut self, name: &str, value: Option<&impl ToString>) {
        self.0
            .extend(value.map(|value| text(name, &value.to_string())));
    }

    /// 64-bit numbers are written as strings.
    fn number(&mut self, name: &str, value: Option<impl ToString>) {
        let entry = |number: String| json!({ "key": name, "value": { "intValue": number } });
        self.0.extend(value.map(|value| entry(value.to_string())));
    }
}

fn text(name: &str, value: &str) -> Value {
    json!({ "key": name, "value": { "stringValue": value } })
}
