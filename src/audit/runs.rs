//! The runs in the log whose processes may still be alive.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use jiff::Timestamp;

use super::event::Event;
use super::query::{Filter, scan_existing};
use crate::secret::ServerName;

/// A process as the log names it: its pid, and when the kernel started it.
pub type LoggedProcess = (i32, u64);

/// What the log says about one run.
#[derive(Clone, Debug)]
pub struct LoggedRun {
    pub server: ServerName,
    pub mark: Option<String>,
    pub supervisor: Option<LoggedProcess>,
    /// Its servers, also those that exited.
    pub servers: Vec<LoggedProcess>,
}

/// The runs since this time, by ID. What cannot be read is left out: other ways find it.
pub fn since(dir: &Path, since: Option<Timestamp>) -> BTreeMap<String, LoggedRun> {
    let mut runs = BTreeMap::new();
    let filter = Filter {
        since,
        event: Some(Event::Launch),
        ..Filter::default()
    };
    let scanned = scan_existing(dir, &filter, |_, record| {
        let (Some(run), Some(server)) = (record.run, record.server) else {
            return ControlFlow::Continue(());
        };
        let entry = runs.entry(run.as_str().to_owned());
        let run = entry.or_insert_with(|| LoggedRun {
            server,
            mark: None,
            supervisor: None,
            servers: Vec::new(),
        });
        let detail = record.detail;
        let process = |pid: Option<u32>, started| Some((i32::try_from(pid?).ok()?, started?));
        if let Some(supervisor) = process(detail.supervisor, detail.supervisor_started) {
            run.supervisor = Some(supervisor);
        }
        run.servers.extend(process(detail.pid, detail.started));
        run.mark = detail.mark.or(run.mark.take());
        ControlFlow::Continue(())
    });
    if let Err(problem) = scanned {
        tracing::warn!(%problem, "cannot read the audit log to find what runs");
    }
    runs
}
