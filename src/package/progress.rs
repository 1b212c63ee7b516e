//! How far an installation is, for the user who waits.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::tree::measure;

/// What is being done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InstallPhase {
    /// Its turn has not come.
    #[default]
    Waiting,
    /// The versions are chosen.
    Resolving,
    /// The archives are downloaded and unpacked.
    Installing,
    /// The files are compared with the archives.
    Checking,
    /// The registry is asked about what was installed.
    Asking,
    /// The files are hashed, synced and moved into place.
    Storing,
}

impl InstallPhase {
    /// The word for the user.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Resolving => "resolving",
            Self::Installing => "installing",
            Self::Checking => "checking the files",
            Self::Asking => "asking the registry",
            Self::Storing => "storing",
        }
    }
}

/// The progress of one installation. Written by its thread, read by the one that shows it.
#[derive(Debug, Default)]
pub struct InstallProgress(Mutex<ProgressState>);

#[derive(Debug, Default)]
struct ProgressState {
    phase: InstallPhase,
    begun: Option<Instant>,
    dir: Option<PathBuf>,
}

/// What is shown of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub phase: InstallPhase,
    /// The size of the files so far.
    pub bytes: u64,
    /// Since it began.
    pub seconds: u64,
}

impl InstallProgress {
    /// Something begins.
    pub fn set(&self, phase: InstallPhase) {
        let mut state = self.state();
        state.phase = phase;
        state.begun.get_or_insert_with(Instant::now);
    }

    pub(super) fn builds_in(&self, dir: &Path) {
        self.state().dir = Some(dir.to_path_buf());
    }

    /// What is being done now.
    pub fn phase(&self) -> InstallPhase {
        self.state().phase
    }

    /// How far it is now. Counts its files.
    pub fn snapshot(&self) -> Snapshot {
        let (phase, dir, seconds) = {
            let state = self.state();
            let seconds = state.begun.map_or(0, |begun| begun.elapsed().as_secs());
            (state.phase, state.dir.clone(), seconds)
        };
        let bytes = dir.map_or(0, |dir| measure(&dir.join("tree")).1);
        Snapshot {
            phase,
            bytes,
            seconds,
        }
    }

    fn state(&self) -> MutexGuard<'_, ProgressState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
