//! Ends all servers, and keeps their sessions waiting.

use crate::dirs::Dirs;
use crate::error::Error;
use crate::ops::revoke::{EndedContainers, end_containers};
use crate::secret::ServerName;
use crate::session_lock;
use crate::supervise::find;
use crate::supervise::running::{self, Ended, Order};

/// What ended.
#[derive(Debug)]
pub struct LockedSessions {
    pub ended: Vec<Ended>,
    pub containers: EndedContainers,
    /// Why the servers may start again.
    pub error: Option<Error>,
}

/// Locks the sessions and ends what runs. If they cannot be locked, what runs is ended all the same, and
/// stays away until its files change.
pub fn lock_sessions(dirs: &Dirs) -> LockedSessions {
    // A supervisor that sees the lock ends its server at once: what ran has to be known before.
    let mut seen = running::look_all(find::find(dirs, true).running);
    let error = session_lock::lock(dirs).err();
    let order = if error.is_some() {
        Order::Revoke
    } else {
        Order::Check
    };
    let mut begun = find::find(dirs, true).running;
    begun.retain(|one| !seen.iter().any(|other| other.running.is_run(one)));
    seen.extend(running::look_all(begun));
    let ended = running::end_all(seen, order);
    let mut servers: Vec<ServerName> = ended.iter().map(|one| one.running.server.clone()).collect();
    servers.sort();
    servers.dedup();
    LockedSessions {
        containers: end_containers(dirs, &servers),
        ended,
        error,
    }
}
