//! `mcpwrap ps`: lists running servers. Does not open the store.

use serde_json::{Value, json};

use super::{Context, print};
use crate::launch::container::Container;
use crate::launch::engine::EngineContainer;
use crate::supervise::find::{self, Found, Stray};
use crate::supervise::running::Running;
use crate::sys::tree;

const DAY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON with all supervisor details
    #[arg(long)]
    json: bool,
}

/// Asks every supervisor of this user.
pub fn run(args: &Args, cx: &Context) -> u8 {
    let Found { running, strays } = find::find(&cx.dirs, true);
    let mut states: Vec<Value> = std::thread::scope(|scope| {
        let asked: Vec<_> = running
            .iter()
            .map(|one| scope.spawn(|| state_of(one)))
            .collect();
        asked
            .into_iter()
            .filter_map(|answer| answer.join().ok())
            .collect()
    });
    states.extend(strays.iter().map(outside));
    add_containers(&Container::noted(&cx.dirs), &mut states);
    if args.json {
        print::json(&json!({"servers": states}));
        return 0;
    }
    if states.is_empty() {
        print::note("no servers running");
        return 0;
    }
    let head = [
        "SERVER",
        "STATE",
        "PID",
        "TREE",
        "CLIENT",
        "SINCE",
        "POLICY",
        "RENEWALS",
        "CONTAINER",
        "HOST",
        "SECRETS",
    ];
    print::table(&head, states.iter().map(row));
    0
}

/// The state that a supervisor reports, or that it does not answer.
fn state_of(one: &Running) -> Value {
    let mut status = one.status().unwrap_or_else(|| {
        let is_stopped = |pid| tree::is_stopped(nix::unistd::Pid::from_raw(pid));
        json!({
            "server": one.server.as_str(), "supervisor": one.pid(), "tree": one.tree(),
            "state": match one.pid() {
                None => "orphaned",
                Some(pid) if is_stopped(pid) => "stopped",
                Some(_) => "not answering",
            },
        })
    });
    if let Some(fields) = status.as_object_mut() {
        fields.remove("v");
        fields.remove("ok");
    }
    status
}

/// A process with a server's secrets that is not in its tree.
fn outside(stray: &Stray) -> Value {
    json!({
        "server": stray.server.as_str(), "supervisor": null, "state": "outside",
        "pid": stray.pid, "tree": [stray.pid], "program": stray.program,
    })
}

/// Adds the container of each server, and those that have no supervisor anymore.
fn add_containers(noted: &[Container], states: &mut Vec<Value>) {
    for container in noted {
        let alive = container.alive();
        let ids: Vec<&str> = alive.iter().flatten().map(EngineContainer::short).collect();
        let own = |state: &&mut Value| {
            let supervisor = state.get("supervisor").and_then(Value::as_u64);
            supervisor.is_some() && supervisor == container.supervisor.map(u64::from)
        };
        if let Some(fields) = states.iter_mut().find(own).and_then(Value::as_object_mut) {
            fields.insert("containers".to_owned(), json!(ids));
        } else if alive.is_err() || !ids.is_empty() {
            states.push(json!({
                "server": container.server.as_str(), "supervisor": null, "containers": ids,
                "state": if alive.is_err() { "unknown container" } else { "container" },
            }));
        }
    }
}

fn row(status: &Value) -> Vec<String> {
    let text = |pointer: &str| match status.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => "-".to_owned(),
    };
    let list = |pointer: &str| status.pointer(pointer).and_then(Value::as_array);
    let containers = list("/containers").map_or("-".to_owned(), |ids| {
        let ids: Vec<_> = ids.iter().filter_map(Value::as_str).collect();
        ids.join(" ")
    });
    let since: Option<jiff::Timestamp> = text("/since").parse().ok();
    let since = since.map_or("-".to_owned(), |at| local(at, "%Y-%m-%d %H:%M:%S"));
    let secrets = list("/secrets").map_or("-".to_owned(), |secrets| {
        let one = |secret: &Value| {
            let field = |name| secret.get(name).and_then(Value::as_str).unwrap_or("-");
            format!("{}:{}", field("name"), field("fingerprint"))
        };
        secrets.iter().map(one).collect::<Vec<_>>().join(" ")
    });
    let client = match (text("/client/name"), text("/client/version")) {
        (name, version) if version == "-" => name,
        (name, version) => format!("{name} {version}"),
    };
    let state = match text("/code") {
        code if code == "-" => text("/state"),
        code => format!("{} ({code})", text("/state")),
    };
    let state = match credentials_end(status) {
        Some(end) => format!("{state}, credential ends {end}"),
        None => state,
    };
    let refused = status.get("credentials_refused").and_then(Value::as_i64);
    let refused = refused.and_then(|second| jiff::Timestamp::from_second(second).ok());
    let state = match refused {
        Some(at) => format!("{state}, credentials refused at {}", local(at, "%H:%M:%S")),
        None => state,
    };
    vec![
        text("/server"),
        state,
        text("/pid"),
        list("/tree").map_or(0, Vec::len).to_string(),
        client,
        since,
        text("/policy").chars().take(8).collect(),
        text("/renewals"),
        containers,
        host(status).unwrap_or_else(|| "-".to_owned()),
        secrets,
    ]
}

/// When the first short-lived credential ends, and whether it cannot be replaced.
fn credentials_end(status: &Value) -> Option<String> {
    let second = status.get("credentials_end")?.as_i64()?;
    let end = soon(
        jiff::Timestamp::from_second(second).ok()?,
        jiff::Timestamp::now(),
    );
    Some(match status.get("renewal_failed").and_then(Value::as_str) {
        Some(code) => format!("{end}, not replaced ({code})"),
        None => end,
    })
}

/// The host of a remote server, what was agreed with it, when its OAuth token ends, and until when it asked for a
/// pause.
fn host(status: &Value) -> Option<String> {
    let remote = status.get("remote")?;
    let host = remote.get("host")?.as_str()?.to_owned();
    let now = jiff::Timestamp::now();
    let time = |field| {
        let second = remote.get(field).and_then(Value::as_i64)?;
        jiff::Timestamp::from_second(second).ok()
    };
    let mut facts = Vec::new();
    facts.extend(status.get("era").and_then(Value::as_str).map(str::to_owned));
    if remote.get("session") == Some(&Value::Bool(true)) {
        facts.push("session".to_owned());
    }
    facts.extend(time("token_expires").map(|end| format!("token ends {}", soon(end, now))));
    let until = time("paused_until").filter(|until| *until > now);
    facts.extend(until.map(|until| format!("paused until {}", soon(until, now))));
    Some(if facts.is_empty() {
        host
    } else {
        format!("{host} ({})", facts.join(", "))
    })
}

/// A time that is usually near: with its date if it is more than a day away.
fn soon(at: jiff::Timestamp, now: jiff::Timestamp) -> String {
    let is_near = at.duration_since(now).abs() <= DAY;
    local(
        at,
        if is_near {
            "%H:%M:%S"
        } else {
            "%Y-%m-%d %H:%M:%S"
        },
    )
}

fn local(at: jiff::Timestamp, format: &str) -> String {
    let here = at.to_zoned_datetime(jiff::tz::TimeZone::system());
    here.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_far_end_has_its_date() {
        let now: jiff::Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
        for (at, length) in [
            ("2026-03-10T12:00:01Z", "12:00:01".len()),
            ("2026-03-11T12:00:00Z", "12:00:00".len()),
            ("2026-03-11T12:00:01Z", "2026-03-11 12:00:01".len()),
            ("2026-06-08T00:30:00Z", "2026-06-08 00:30:00".len()),
            ("2026-03-01T00:30:00Z", "2026-03-01 00:30:00".len()),
        ] {
            let shown = soon(at.parse().unwrap(), now);
            assert_eq!(shown.len(), length, "{at}: {shown}");
        }
    }
}
