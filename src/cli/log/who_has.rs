//! `mcpwrap log who-has NAME`: the running servers that hold a secret, and all servers that ever
//! received it, with fingerprints, which show outdated values.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::secrets::{Use, Uses};
use super::table::local;
use super::{Context, print, read, warn_skipped};
use crate::audit::query::Filter;
use crate::audit::text::shown;
use crate::audit::{Event, Outcome, Record};
use crate::error::{EXIT_NO, Result};
use crate::secret::{Fingerprint, SecretName};
use crate::store::Index;
use crate::sys::tree;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the secret
    #[arg(value_name = "NAME")]
    name: SecretName,
    /// Print JSON (see docs/audit.md)
    #[arg(long)]
    json: bool,
}

/// A run, and the number of the server in its session.
type RunKey = (String, u32);

/// A run that received the secret and has not ended.
#[derive(Clone, Debug, Serialize)]
struct Holder {
    server: String,
    run: String,
    since: Timestamp,
    fingerprint: Option<String>,
    /// Whether its value differs from the one in the store.
    old: bool,
    /// The server's process.
    pid: Option<u32>,
    /// When the kernel started it.
    #[serde(skip)]
    started: Option<u64>,
    /// The number of the record of the injection.
    #[serde(skip)]
    seq: u64,
}

#[derive(Debug, Serialize)]
struct WhoHasOutput {
    secret: SecretName,
    /// The value in the store.
    current: Option<String>,
    now: Vec<Holder>,
    ever: Vec<Use>,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let filter = Filter {
        secret: Some(args.name.clone()),
        ..Filter::default()
    };
    let mut uses = Uses::default();
    let mut holders = BTreeMap::new();
    let mut current = None;
    let skipped = read(&filter, cx, |_, record| {
        let fingerprint = record
            .secret
            .as_ref()
            .and_then(|secret| secret.fingerprint.clone());
        match record.event {
            Event::Inject => {
                track_holder(&mut holders, &record);
                uses.see(record);
            }
            Event::SecretSet | Event::SecretRotate if record.outcome == Outcome::Ok => {
                current = fingerprint;
            }
            Event::SecretRm if record.outcome == Outcome::Ok => current = None,
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    follow_runs(&mut holders, cx)?;
    // The secret index also has what was stored before the log began.
    let index = Index::load(&cx.dirs).ok();
    let listed = index.and_then(|index| Some(index.secrets.get(&args.name)?.fingerprint.clone()));
    let current = listed.or(current).as_ref().map(Fingerprint::to_string);
    let mut now: Vec<Holder> = holders.into_values().collect();
    for holder in &mut now {
        holder.old = current.is_some() && holder.fingerprint != current;
    }
    let answer = WhoHasOutput {
        secret: args.name.clone(),
        current,
        now,
        ever: uses.into_list(),
    };
    let never_injected = answer.ever.is_empty();
    if args.json {
        print::line(&serde_json::to_string_pretty(&answer).unwrap_or_default());
    } else {
        show(&answer);
    }
    Ok(warn_skipped(&skipped).max(if never_injected { EXIT_NO } else { 0 }))
}

/// A server holds the value that it was started with.
fn track_holder(holders: &mut BTreeMap<RunKey, Holder>, record: &Record) {
    let Some(run) = record.run.as_ref().map(ToString::to_string) else {
        return;
    };
    let secret = record.secret.as_ref();
    let holder = Holder {
        server: record
            .server
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        run: run.clone(),
        since: record.time,
        fingerprint: secret
            .and_then(|s| s.fingerprint.as_ref())
            .map(ToString::to_string),
        old: false,
        pid: None,
        started: None,
        seq: record.seq,
    };
    holders.insert(key(record), holder);
}

/// Removes the runs that ended, and those whose server exited without a record.
fn follow_runs(holders: &mut BTreeMap<RunKey, Holder>, cx: &Context) -> Result<()> {
    let Some(since) = holders.values().map(|holder| holder.since).min() else {
        return Ok(());
    };
    for event in [
        Event::Launch,
        Event::Exit,
        Event::Refuse,
        Event::Renew,
        Event::Suspend,
    ] {
        let filter = Filter {
            since: Some(since),
            event: Some(event),
            ..Filter::default()
        };
        read(&filter, cx, |_, record| {
            let key = key(&record);
            match event {
                Event::Exit => drop(holders.remove(&key)),
                Event::Launch => {
                    if let (Some(holder), Some(pid)) = (holders.get_mut(&key), record.detail.pid) {
                        holder.pid = Some(pid);
                        holder.started = record.detail.started;
                    }
                }
                // A start that failed.
                _ => holders.retain(|(run, _), holder| {
                    *run != key.0 || holder.pid.is_some() || holder.seq > record.seq
                }),
            }
            ControlFlow::Continue(())
        })?;
    }
    holders.retain(|_, holder| holder.pid.is_none_or(|pid| is_alive(pid, holder.started)));
    Ok(())
}

fn key(record: &Record) -> RunKey {
    let run = record.run.as_ref().map(ToString::to_string);
    (
        run.unwrap_or_default(),
        record.detail.generation.unwrap_or(1),
    )
}

/// Whether this process is alive, and not another with the same pid.
fn is_alive(pid: u32, started: Option<u64>) -> bool {
    let found = i32::try_from(pid).ok().and_then(tree::started);
    found.is_some_and(|found| started.is_none_or(|started| started == found))
}

fn show(answer: &WhoHasOutput) {
    let zone = TimeZone::system();
    if answer.ever.is_empty() {
        print::note(&format!("`{}` was never injected", answer.secret));
        return;
    }
    print::line(&format!("running servers with `{}`:", answer.secret));
    for holder in &answer.now {
        let value = holder.fingerprint.as_deref().unwrap_or("-");
        let old = if holder.old {
            format!(
                "  outdated value; run `mcpwrap renew {}` to update",
                holder.server
            )
        } else {
            String::new()
        };
        let pid = holder
            .pid
            .map(|pid| format!("process {pid}"))
            .unwrap_or_default();
        let line = format!(
            "  {:<16}  since {}  value {value}  {pid}{old}",
            shown(&holder.server),
            local(holder.since, &zone)
        );
        print::line(&shown(line.trim_end()));
    }
    if answer.now.is_empty() {
        print::line("  none");
    }
    print::line("all servers that received it:");
    for found in &answer.ever {
        let server = found.server.as_ref().map_or("-", |server| server.as_str());
        let values: Vec<_> = found.fingerprints.iter().map(String::as_str).collect();
        print::line(&shown(&format!(
            "  {server:<16}  {}, last {}  values {}",
            print::count(found.times, "time"),
            local(found.last, &zone),
            values.join(" ")
        )));
    }
    if let Some(current) = &answer.current {
        print::line(&format!("fingerprint of the stored value: {current}"));
    }
}
