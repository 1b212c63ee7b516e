//! What is masked in a session, and a server that puts a secret where masking cannot reach.

use std::sync::Arc;

use super::{Candidate, Keeper};
use crate::error::{Code, Error};
use crate::mask::Masker;
use crate::secret::Secret;
use crate::supervise::generation::Generation;

/// Values of servers that are gone are masked on: a server may have written one to a file, and the
/// next may read it. So many of the latest are kept; each costs memory and a share of every search,
/// and a session that outlives more rotations than that has a value which was worthless long ago.
const RETIRED_MAX: usize = 16;

impl Keeper {
    /// What is masked: the values of every server that is alive, of one that is to be, and of those
    /// that were.
    pub(in crate::supervise) fn update_masker(&self, more: &[(String, Secret)]) {
        let values: Vec<_> = self
            .generations()
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
    pub(in crate::supervise) fn keep_masking(&mut self, server: &Generation) {
        for (name, value) in &server.values {
            self.retired.retain(|(_, known)| known != value);
            self.retired.push_back((name.clone(), value.clone()));
        }
        while self.retired.len() > RETIRED_MAX {
            self.retired.pop_front();
        }
    }

    /// A server put a secret in the id of a message. It was masked like everything, but nobody can
    /// tell any more which request it is of, so there is no way to go on with that server.
    pub(in crate::supervise) fn on_secret_in_id(&mut self, generation: u32) {
        let name = &self.options.server;
        let error = Error::new(
            Code::SecretInId,
            format!("server `{name}` stopped: it put a secret in the id of a message"),
        )
        .cause("the id was masked, and nobody can tell any more which request it is of")
        .hint(format!(
            "find out why; `mcpwrap renew {name}` starts it again"
        ));
        let is_candidate = matches!(
            &self.candidate,
            Some(Candidate::Probation { server, .. } | Candidate::Ready { server, .. })
                if server.number == generation
        );
        if is_candidate {
            self.candidate_failed(error);
        } else if self
            .current
            .as_ref()
            .is_some_and(|server| server.number == generation)
        {
            self.shared.lock().session.forget_asked();
            self.revoke(error);
        }
    }
}
