//! The values masked in a session.

use std::sync::Arc;

use super::Driver;
use crate::mask::Masker;
use crate::secret::Secret;
use crate::supervise::generation::Generation;

/// How many of the latest values of exited servers stay masked: a server may have written one to a
/// file that the next one reads. Each costs memory and search time, and older values have long been
/// replaced.
const RETIRED_MAX: usize = 16;

impl Driver {
    /// Masks the values of current, pending (`more`) and former servers.
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

    /// Keeps masking the values of a server that exited.
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
