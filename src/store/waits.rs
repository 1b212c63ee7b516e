//! What a session waits for while it reads values: the dialog of a store, or other sessions that ask the same store.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::secret::StoreName;

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreWait {
    /// Other processes that ask the store, or whose dialog is open.
    Turn(StoreName),
    /// The program of the store, which may ask the user.
    Dialog(StoreName),
}

/// What one session waits for at the moment. Its preparation writes it, its supervisor reads it.
pub struct StoreWaits {
    is_wanted: Box<dyn Fn() -> bool + Send + Sync>,
    current: Mutex<Vec<StoreWait>>,
}

impl fmt::Debug for StoreWaits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = &*self.locked();
        f.debug_tuple("StoreWaits").field(current).finish()
    }
}

impl StoreWaits {
    /// `is_wanted`: whether the session may still use what it waits for.
    pub fn new(is_wanted: impl Fn() -> bool + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            is_wanted: Box::new(is_wanted),
            current: Mutex::default(),
        })
    }

    /// Whether the session may still use what it waits for: a dialog must not open for a server that was
    /// revoked in the meantime.
    pub fn is_wanted(&self) -> bool {
        (self.is_wanted)()
    }

    /// Notes a wait, until the result is dropped.
    pub fn begin(self: &Arc<Self>, wait: StoreWait) -> NotedWait {
        self.locked().push(wait.clone());
        NotedWait {
            waits: Arc::clone(self),
            wait,
        }
    }

    /// A wait that has not ended; first one that the user can end.
    pub fn current(&self) -> Option<StoreWait> {
        let waits = self.locked();
        let dialog = waits
            .iter()
            .find(|wait| matches!(wait, StoreWait::Dialog(_)));
        dialog.or_else(|| waits.first()).cloned()
    }

    fn locked(&self) -> MutexGuard<'_, Vec<StoreWait>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait, while it lasts.
#[derive(Debug)]
pub struct NotedWait {
    waits: Arc<StoreWaits>,
    wait: StoreWait,
}

impl Drop for NotedWait {
    fn drop(&mut self) {
        let mut waits = self.waits.locked();
        if let Some(at) = waits.iter().position(|wait| *wait == self.wait) {
            waits.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_is_named_first() {
        let name = |name| StoreName::new(name).unwrap();
        let waits = StoreWaits::new(|| true);
        assert_eq!(waits.current(), None);
        let turn = waits.begin(StoreWait::Turn(name("a")));
        let dialog = waits.begin(StoreWait::Dialog(name("b")));
        assert_eq!(waits.current(), Some(StoreWait::Dialog(name("b"))));
        drop(dialog);
        assert_eq!(waits.current(), Some(StoreWait::Turn(name("a"))));
        drop(turn);
        assert_eq!(waits.current(), None);
    }
}
