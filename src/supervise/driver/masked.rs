//! The values masked in a session.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Driver;
use super::pending::PendingLaunch;
use crate::error::Code;
use crate::launch::resolve::ServerEnv;
use crate::launch::start::WaitingGuard;
use crate::mask::Masker;
use crate::secret::Secret;
use crate::supervise::generation::Generation;

/// How many of the latest values of exited servers stay masked: a server may have written one to a
/// file that the next one reads. Each costs memory and search time, and older values have long been
/// replaced.
const RETIRED_MAX: usize = 16;
/// How often it is looked whether the last output of an exited server was relayed.
const RELAYS_LOOK: Duration = Duration::from_millis(200);

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

    /// Makes a masker, and a guard unless one waits, for a launch whose record is being written.
    pub(super) fn begin(
        &self,
        attempt: u32,
        waiting: Option<WaitingGuard>,
        env: &ServerEnv,
    ) -> PendingLaunch {
        let values: Vec<_> = self.values(env.values()).cloned().collect();
        let make = move || masker_of(values.iter().collect());
        let thread = std::thread::Builder::new().name("masker".to_owned());
        PendingLaunch {
            attempt,
            version: self.shared.lock().masker_version,
            guard: waiting.or_else(|| WaitingGuard::start(&self.label).ok()),
            masker: thread.spawn(make).ok(),
        }
    }

    /// Waits for a masker. `None` if there is none, or values may have been added since.
    pub(super) fn finish_masker(&self, begun: PendingLaunch) -> Option<Masker> {
        let is_current = begun.version == self.shared.lock().masker_version;
        begun.masker.filter(|_| is_current)?.join().ok()
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
        self.retire(server.values.clone());
    }

    /// Keeps masking values that are no longer in use.
    pub(super) fn retire(&mut self, values: Vec<(String, Secret)>) {
        for (name, value) in values {
            self.retired.retain(|(_, known)| *known != value);
            self.retired.push_back((name, value));
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
