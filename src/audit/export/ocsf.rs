//! Records as events of the Open Cybersecurity Schema Framework, version 1.5.0.
//!
//! Classes: launch and exit are Process Activity (1007), a call is API Activity (6003), a change of a
//! secret, a policy or a server entry is Entity Management (3004), suspend, renew and pin are
//! Application Lifecycle (6002), and records about the log are Event Log Activity (1008). The record
//! itself is in `raw_data`.

use serde_json::{Map, Value, json};

use super::super::event::{Event, Outcome};
use super::super::record::Record;

/// The version of the schema.
pub const VERSION: &str = "1.5.0";

/// A class, its category, and its name for the activity.
struct Class {
    uid: u32,
    activity: u32,
    fields: Map<String, Value>,
}

/// One record. `host` is the name of this machine.
pub fn event(record: &Record, line: &str, host: &str) -> Value {
    let Class {
        uid,
        activity,
        fields,
    } = class(record, host);
    let failed = matches!(record.outcome, Outcome::Refused | Outcome::Failed);
    let mut event = json!({
        "class_uid": uid,
        "category_uid": uid / 1000,
        "activity_id": activity,
        "type_uid": u64::from(uid) * 100 + u64::from(activity),
        "time": record.time.as_millisecond(),
        "severity_id": if failed { 3 } else { 1 },
        "status_id": if failed { 2 } else { 1 },
        "message": message(record),
        "metadata": {
            "version": VERSION,
            "product": {
                "name": "mcpwrap",
                "vendor_name": "mcpwrap",
                "version": env!("CARGO_PKG_VERSION"),
            },
            "log_name": "audit",
            "sequence": record.seq,
            "event_code": record.event.name(),
        },
        "raw_data": line,
    });
    if let Some(all) = event.as_object_mut() {
        if activity == 99 {
            all.insert("activity_name".to_owned(), json!(record.event.name()));
        }
        if let Some(reason) = &record.reason {
            all.insert("status_code".to_owned(), json!(reason));
        }
        if let Some(metadata) = all.get_mut("metadata").and_then(Value::as_object_mut) {
            if uid == 6002 {
                // With this profile the class has an actor and a device.
                metadata.insert("profiles".to_owned(), json!(["host"]));
            }
            metadata.extend(
                record
                    .run
                    .as_ref()
                    .map(|run| ("correlation_uid".to_owned(), json!(run))),
            );
        }
        all.extend(fields);
    }
    event
}

fn class(record: &Record, host: &str) -> Class {
    match record.event {
        Event::Launch | Event::Refuse => process(record, host, 1),
        Event::Exit => process(record, host, 2),
        Event::Call => call(record, host),
        Event::Inject | Event::Release => entity(record, 2),
        Event::SecretSet | Event::Login | Event::Mint => entity(record, 1),
        Event::SecretRotate
        | Event::Refresh
        | Event::Adopt
        | Event::Undo
        | Event::Config
        | Event::Network => entity(record, 3),
        Event::SecretRm | Event::Logout => entity(record, 4),
        Event::Grant => entity(record, 8),
        Event::Revoke => entity(record, 9),
        Event::Pin => application(record, host, 1),
        Event::Suspend => application(record, host, 4),
        Event::Renew => application(record, host, 5),
        Event::Log => own(record, host),
    }
}

fn process(record: &Record, host: &str, activity: u32) -> Class {
    let detail = &record.detail;
    // A process that is about to be started has no PID yet.
    let run = record
        .run
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let uid = format!("{run}/{}", detail.generation.unwrap_or(1));
    let mut process = json!({ "name": server(record), "uid": uid });
    if let Some(process) = process.as_object_mut() {
        process.extend(detail.pid.map(|pid| ("pid".to_owned(), json!(pid))));
        process.extend(detail.program.as_ref().map(|program| {
            let name = program.rsplit('/').next().unwrap_or(program);
            let path = detail.path.as_ref().unwrap_or(program);
            let mut file = json!({ "name": name, "path": path, "type_id": 1 });
            if let (Some(digest), Some(file)) = (&detail.digest, file.as_object_mut()) {
                let hash = json!({ "algorithm": "SHA-256", "algorithm_id": 3, "value": digest });
                file.insert("hashes".to_owned(), json!([hash]));
            }
            ("file".to_owned(), file)
        }));
    }
    let mut fields = object(json!({
        "process": process,
        "actor": actor(record),
        "device": device(host),
    }));
    fields.extend(
        detail
            .code
            .map(|code| ("exit_code".to_owned(), json!(code))),
    );
    fields.extend(
        detail
            .duration_ms
            .map(|ms| ("duration".to_owned(), json!(ms))),
    );
    Class {
        uid: 1007,
        activity,
        fields,
    }
}

fn call(record: &Record, host: &str) -> Class {
    let detail = &record.detail;
    let operation = detail.method.as_deref().unwrap_or("unknown");
    let mut api = json!({
        "operation": operation,
        "service": { "name": server(record) },
    });
    if let Some(api) = api.as_object_mut() {
        let id = detail.id.as_ref().map(|id| json!({ "uid": id }));
        api.extend(id.map(|id| ("request".to_owned(), id)));
        let code = detail.error.map(|code| json!({ "code": code }));
        api.extend(code.map(|code| ("response".to_owned(), code)));
    }
    let mut fields = object(json!({
        "api": api,
        "actor": actor(record),
        "src_endpoint": { "hostname": host },
    }));
    let tool = detail
        .tool
        .as_ref()
        .map(|tool| json!([{ "name": tool, "type": "tool" }]));
    fields.extend(tool.map(|tool| ("resources".to_owned(), tool)));
    fields.extend(
        detail
            .duration_ms
            .map(|ms| ("duration".to_owned(), json!(ms))),
    );
    Class {
        uid: 6003,
        activity: 99,
        fields,
    }
}

fn entity(record: &Record, activity: u32) -> Class {
    let entity = match (&record.secret, record.event) {
        (Some(secret), _) => json!({
            "name": secret.name,
            "type": "Secret",
            "uid": secret.fingerprint,
            "data": {
                "variable": secret.variable,
                "server": record.server,
                "host": record.detail.host,
                "file": record.detail.file,
            },
        }),
        (None, Event::Grant | Event::Revoke) => json!({
            "name": server(record),
            "type": "Policy",
            "uid": record.policy,
        }),
        (None, _) => json!({
            "name": record.detail.file.as_deref().unwrap_or_else(|| server(record)),
            "type": "Configuration",
        }),
    };
    let fields = object(json!({ "entity": without_nulls(entity), "actor": actor(record) }));
    Class {
        uid: 3004,
        activity,
        fields,
    }
}

fn application(record: &Record, host: &str, activity: u32) -> Class {
    let package = record.detail.package.as_deref();
    let app = json!({ "name": server(record), "vendor_name": package.unwrap_or("unknown") });
    let fields = object(json!({ "app": app, "actor": actor(record), "device": device(host) }));
    Class {
        uid: 6002,
        activity,
        fields,
    }
}

fn own(record: &Record, host: &str) -> Class {
    let pruned = record.reason.as_deref() == Some("pruned");
    let fields = object(json!({
        "log_name": "audit",
        "log_provider": "mcpwrap",
        "actor": actor(record),
        "device": device(host),
    }));
    Class {
        uid: 1008,
        activity: if pruned { 2 } else { 99 },
        fields,
    }
}

/// The user and the client's process.
fn actor(record: &Record) -> Value {
    let mut user = object(json!({ "uid": record.uid.to_string() }));
    user.extend(
        record
            .user
            .iter()
            .map(|name| ("name".to_owned(), json!(name))),
    );
    let mut actor = object(json!({ "user": user }));
    if let Some(client) = &record.client {
        let exe = client.exe.as_deref();
        let name = client
            .name
            .as_deref()
            .or_else(|| exe.and_then(|exe| exe.rsplit('/').next()));
        actor.extend(name.map(|name| ("app_name".to_owned(), json!(name))));
        let file = exe.map(|exe| {
            let name = exe.rsplit('/').next().unwrap_or(exe);
            json!({ "name": name, "path": exe, "type_id": 1 })
        });
        let process = client
            .pid
            .map(|pid| json!({ "pid": pid, "file": file, "name": name }));
        actor.extend(process.map(|process| ("process".to_owned(), without_nulls(process))));
    }
    Value::Object(actor)
}

fn device(host: &str) -> Value {
    json!({ "hostname": host, "type_id": 0 })
}

fn server(record: &Record) -> &str {
    record
        .server
        .as_ref()
        .map_or("unknown", |server| server.as_str())
}

fn message(record: &Record) -> String {
    match &record.server {
        Some(server) => format!("{} {server}: {}", record.event, record.outcome),
        None => format!("{}: {}", record.event, record.outcome),
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn without_nulls(value: Value) -> Value {
    let mut map = object(value);
    map.retain(|_, value| !value.is_null());
    for value in map.values_mut().filter(|value| value.is_object()) {
        *value = without_nulls(value.take());
    }
    Value::Object(map)
}
