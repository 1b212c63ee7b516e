//! What is masked in a session.

use std::sync::Arc;

use super::Driver;
use crate::mask::Masker;
use crate::secret::Secret;
use crate::supervise::generation::Generation;

/// Values of servers that are gone are masked on: a server may have written one to a file, and the
/// next may read it. So many of the latest are kept; each costs memory and a share of every search,
/// and a session that outlives more rotations than that has a value which was worthless long ago.
const RETIRED_MAX: usize = 16;

impl Driver {
    /// What is masked: the values of every server that is alive, of one that is to be, and of those
    /// that were.
    pub(super) fn update_masker(&self, more: &[(String, Secret)]) {
        let values: Vec<_> = self
            .generations
            .iter()
            .flat_map(|server| &server.values)
            .chain(more)
            .chain(&self.retired)
            .map(|(name, value)| (name.clone(), value))
            .collect();
        let masker = Arc::new(Masker::new(&values));
        let mut inner = self.shared.lock();
        inner.masker = masker;
        inner.masker_version += 1;
    }

    /// Remembers what a server had that is gone.
    pub(super) fn keep_masking(&mut self, server: &Generation) {
        for (name, value) in &server.values {
            self.retired.retain(|(_, known)| known != value);
            self.retired.push_back((name.clone(), value.clone()));
        }
        while self.retired.len() > RETIRED_MAX {
            self.retired.pop_front();
        }
    }
}
