//! The values masked in a session.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Driver;
use crate::error::Code;
use crate::mask::Masker;
use crate::secret::Secret;
use crate::supervise::generation::Generation;

/// How many of the latest values of exited servers stay masked: a server may have written one to a
/// file that the next one reads. Each costs memory and search time, and older values have long been
/// replaced.
const RETIRED_MAX: usize = 16;
/// How often it is looked whether the last output of an exited server was relayed.
const RELAYS_LOOK: Duration = Duration::from_millis(200);

/// A masker that a thread makes for a server that starts.
#[derive(Debug)]
pub(super) struct PendingMasker {
    attempt: u32,
    /// The version of the masker that was in use. If it has changed, values may be missing here.
    version: u64,
    thread: JoinHandle<Masker>,
}

impl Driver {
    /// Masks the values of current and former servers.
    pub(super) fn update_masker(&self) {
        self.use_masker(self.masker(&[]));
    }

    /// Masks the values of current, pending (`more`) and former servers.
    pub(super) fn masker(&self, more: &[(String, Secret)]) -> Masker {
        masker_of(self.values(more).collect())
    }

    fn values<'a>(
        &'a self,
        more: &'a [(String, Secret)],
    ) -> impl Iterator<Item = &'a (String, Secret)> {
        let current = self.generations.iter().flat_map(|server| &server.values);
        current.chain(more).chain(&self.retired)
    }

    /// Makes a masker in a thread. `None` if there is no thread.
    pub(super) fn begin_masker(
        &self,
        attempt: u32,
        more: &[(String, Secret)],
    ) -> Option<PendingMasker> {
        let values: Vec<_> = self.values(more).cloned().collect();
        let version = self.shared.lock().masker_version;
        let make = move || masker_of(values.iter().collect());
        let thread = std::thread::Builder::new().name("masker".to_owned());
        Some(PendingMasker {
            attempt,
            version,
            thread: thread.spawn(make).ok()?,
        })
    }

    /// Waits for a masker. `None` if it is not for this attempt, or values may have been added since.
    pub(super) fn finish_masker(&self, begun: PendingMasker, attempt: u32) -> Option<Masker> {
        let version = self.shared.lock().masker_version;
        let is_current = begun.attempt == attempt && begun.version == version;
        is_current.then(|| begun.thread.join().ok()).flatten()
    }

    pub(super) fn use_masker(&self, masker: Masker) {
        let mut inner = self.shared.lock();
        inner.masker = Arc::new(masker);
        inner.masker_version += 1;
    }

    /// Forgets the values of exited servers of a revoked session. Output that is still on its way has to
    /// be masked first: then returns when to look again.
    pub(super) fn forget_values(&mut self) -> Option<Instant> {
        let over = self.generations.is_empty() && self.prepared.is_empty();
        let revoked = self.state.trouble() == Some(Code::Revoked);
        if self.retired.is_empty() || !over || !revoked {
            return None;
        }
        self.relaying.retain(|tail| tail.strong_count() > 0);
        if self.relaying.is_empty() {
            self.retired.clear();
            self.update_masker();
            return None;
        }
        Some(Instant::now() + RELAYS_LOOK)
    }

    /// Keeps masking the values of a server that exited.
    pub(super) fn keep_masking(&mut self, server: &Generation) {
        self.relaying.push(Arc::downgrade(&server.tail));
        for (name, value) in &server.values {
            self.retired.retain(|(_, known)| known != value);
            self.retired.push_back((name.clone(), value.clone()));
        }
        while self.retired.len() > RETIRED_MAX {
            self.retired.pop_front();
        }
    }
}

fn masker_of(values: Vec<&(String, Secret)>) -> Masker {
    let named = values
        .into_iter()
        .map(|(name, value)| (name.clone(), value));
    Masker::new(&named.collect::<Vec<_>>())
}
