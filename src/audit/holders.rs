//! Who holds a secret: running servers that have it now, and all who ever received it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::event::{Event, Outcome};
use super::query::{Filter, Skipped, scan_existing};
use super::record::Record;
use super::uses::{SecretRelease, SecretUsage, SecretUsages};
use crate::files::Problem;
use crate::reference::SecretLabel;
use crate::secret::Fingerprint;
use crate::sys::tree;

/// A run, and the number of the server in its session.
type RunKey = (String, u32);

/// A run that received the secret and has not ended.
#[derive(Clone, Debug, Serialize)]
pub struct Holder {
    pub server: String,
    pub run: String,
    pub since: Timestamp,
    pub fingerprint: Option<String>,
    /// Whether its value is no longer the one in the store.
    pub old: bool,
    /// The server's process.
    pub pid: Option<u32>,
    /// When the kernel started that process, in its own unit.
    #[serde(skip)]
    started: Option<u64>,
    /// The number of the record of the injection.
    #[serde(skip)]
    seq: u64,
}

/// The result; `docs/audit.md` describes its JSON.
#[derive(Debug, Serialize)]
pub struct SecretHolders {
    pub secret: SecretLabel,
    /// The value in the store.
    pub current: Option<String>,
    pub now: Vec<Holder>,
    pub ever: Vec<SecretUsage>,
    /// How it left mcpwrap without a server.
    pub released: Vec<SecretRelease>,
}

/// Searches the log in `dir` for the servers that hold a secret or ever did. `listed`: the fingerprint
/// in the secret index, whose value may have been set before the log began.
///
/// # Errors
/// If the log cannot be read.
pub fn who_has(
    dir: &Path,
    name: &SecretLabel,
    listed: Option<Fingerprint>,
) -> Result<(SecretHolders, Skipped), Problem> {
    let filter = Filter {
        secret: Some(name.clone()),
        ..Filter::default()
    };
    let mut uses = SecretUsages::default();
    let mut holders = BTreeMap::new();
    let mut current = None;
    let mut released = Vec::new();
    let skipped = scan_existing(dir, &filter, |_, record| {
        let fingerprint = record
            .secret
            .as_ref()
            .and_then(|secret| secret.fingerprint.clone());
        match record.event {
            Event::Inject => {
                track_holder(&mut holders, &record);
                uses.count(record);
            }
            Event::Release => released.extend(SecretRelease::of(record)),
            Event::SecretSet | Event::SecretRotate if record.outcome == Outcome::Ok => {
                current = fingerprint;
            }
            Event::SecretRm if record.outcome == Outcome::Ok => current = None,
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    follow_runs(&mut holders, dir)?;
    let current = listed.or(current).as_ref().map(Fingerprint::to_string);
    let mut now: Vec<Holder> = holders.into_values().collect();
    for holder in &mut now {
        holder.old = current.is_some() && holder.fingerprint != current;
    }
    let answer = SecretHolders {
        secret: name.clone(),
        current,
        now,
        ever: uses.into_list(),
        released,
    };
    Ok((answer, skipped))
}

/// Adds the server of an injection: it holds the value that it was started with.
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

/// Removes the runs that ended, and those whose process is gone without a record.
fn follow_runs(holders: &mut BTreeMap<RunKey, Holder>, dir: &Path) -> Result<(), Problem> {
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
        scan_existing(dir, &filter, |_, record| {
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

/// Whether this process is running, and its PID was not reused.
fn is_alive(pid: u32, started: Option<u64>) -> bool {
    let found = i32::try_from(pid).ok().and_then(tree::started);
    found.is_some_and(|found| started.is_none_or(|started| started == found))
}
