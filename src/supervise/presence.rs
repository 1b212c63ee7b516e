//! Notices that the client is gone although stdin does not end: its reader of our stdout is gone, or
//! its process has exited while another process holds the pipes, which it had inherited.
//!
//! Invariant: a client that handed its pipes to another process stays. The process that made the pipes
//! may exit (a daemon, a shell that starts one), so whoever has both of them then is asked, with a
//! `ping`. Who cannot be asked, because the protocol has no such request or the handshake is not done,
//! has inherited them by accident.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shared::{Shared, spawn_detached};
use super::state::KeeperEvent;
use crate::sys::far_end::{Departure, FarEnds, Heirs};

/// How long the heir of the pipes may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(20);

/// The thread that waits for the end of the client.
pub(super) fn watch(stdin: File, stdout: File, shared: &Arc<Shared>) {
    let mut ends = FarEnds::find(stdin, stdout);
    while ends.wait() == Departure::Process {
        let next = match ends.heirs() {
            Heirs::None => break,
            Heirs::Some(heir) => match asked(&ends, shared) {
                Some(true) => heir,
                Some(false) | None => break,
            },
            Heirs::Unknown => match asked(&ends, shared) {
                Some(true) | None => None,
                Some(false) => break,
            },
        };
        ends.set_client(next);
    }
    shared.post_event(KeeperEvent::ClientGone);
}

/// Asks whoever reads our stdout. Returns whether something arrived on stdin since; `None` if the
/// client cannot be asked.
fn asked(ends: &FarEnds, shared: &Arc<Shared>) -> Option<bool> {
    let before = shared.heard() + ends.unread();
    {
        let mut inner = shared.lock();
        let question = inner.session.ping()?;
        inner.outbox.extend(question);
    }
    let flusher = Arc::clone(shared);
    spawn_detached(move || flusher.flush());
    let deadline = Instant::now() + ANSWER_LIMIT;
    while Instant::now() < deadline && ends.is_read_for(LOOK) {
        if shared.heard() + ends.unread() > before {
            return Some(true);
        }
    }
    Some(false)
}
