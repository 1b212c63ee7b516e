//! Shows the user how far several installations are.
//!
//! On a terminal: a line for each that runs, redrawn each second. Elsewhere: a line when one begins, and one
//! every ten seconds for each that still runs.

use std::time::{Duration, Instant};

use super::print;
use crate::package::{self, InstallPhase, InstallProgress, Snapshot};
use crate::policy::Policy;

/// How often a pipe gets a sign of life.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// How often the terminal is drawn: the files so far are counted each time.
const DRAWN_EVERY: Duration = Duration::from_secs(1);

/// The installations of one command.
#[derive(Debug)]
pub(super) struct Installing {
    jobs: Vec<InstallRow>,
    draws: bool,
    last: Option<Instant>,
}

#[derive(Debug)]
struct InstallRow {
    name: String,
    is_begun: bool,
    is_done: bool,
}

impl Installing {
    pub(super) fn new(policies: &[Policy]) -> Self {
        let job = |policy: &Policy| {
            let spec = package::parse(&policy.command).spec;
            let spec = spec.map(|spec| format!(" ({spec})")).unwrap_or_default();
            InstallRow {
                name: format!("server `{}`{spec}", policy.server),
                is_begun: false,
                is_done: false,
            }
        };
        Self {
            jobs: policies.iter().map(job).collect(),
            draws: print::draws_progress(),
            last: None,
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, all: &[InstallProgress]) {
        for (at, progress) in all.iter().enumerate() {
            if progress.phase() != InstallPhase::Waiting {
                self.begin(at);
            }
        }
        let every = if self.draws { DRAWN_EVERY } else { TOLD_EVERY };
        let last = *self.last.get_or_insert_with(Instant::now);
        if last.elapsed() < every {
            return;
        }
        self.last = Some(Instant::now());
        let jobs = self.jobs.iter().zip(all);
        let running = jobs.filter(|(job, _)| job.is_begun && !job.is_done);
        let lines: Vec<_> = running
            .map(|(job, progress)| shown(&job.name, progress.snapshot(), self.draws))
            .collect();
        if self.draws {
            let done = self.jobs.iter().filter(|job| job.is_done).count();
            let all = format!("{done} of {} installed", self.jobs.len());
            print::progress(&[lines, vec![all]].concat());
        } else {
            for line in &lines {
                print::note(line);
            }
        }
    }

    /// One has ended. Its result may be printed after this.
    pub(super) fn done(&mut self, at: usize) {
        self.begin(at);
        if let Some(job) = self.jobs.get_mut(at) {
            job.is_done = true;
        }
    }

    /// Says once that one begins.
    fn begin(&mut self, at: usize) {
        let nth = self.jobs.iter().filter(|job| job.is_begun).count() + 1;
        let all = self.jobs.len();
        let Some(job) = self.jobs.get_mut(at).filter(|job| !job.is_begun) else {
            return;
        };
        job.is_begun = true;
        if !self.draws {
            let counter = if all > 1 {
                format!("[{nth}/{all}] ")
            } else {
                String::new()
            };
            print::note(&format!("{counter}pinning {}", job.name));
        }
    }
}

impl Drop for Installing {
    fn drop(&mut self) {
        if self.draws {
            print::progress(&[]);
        }
    }
}

/// The name comes last where a long line is cut.
fn shown(name: &str, at: Snapshot, is_cut: bool) -> String {
    let size = match at.bytes.div_ceil(1 << 20) {
        0 => String::new(),
        mib => format!(", {mib} MiB"),
    };
    let state = format!("{}{size}, {} s", at.phase.word(), at.seconds);
    if is_cut {
        format!("{state}: {name}")
    } else {
        format!("{name}: {state}")
    }
}
