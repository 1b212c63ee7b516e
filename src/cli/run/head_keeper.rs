//! Stores the head of the log after each launch, without delaying the server.
//!
//! One thread for all launches of a session: each thread that opens the vault would keep memory of
//! its own.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::audit::Head;
use crate::cli::print;
use crate::dirs::Dirs;
use crate::error::Code;
use crate::ops::head;

/// How long after the last launch the head is stored: encrypting and syncing the vault would take a
/// processor and the disk from the server that starts.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct HeadKeeper {
    sender: Sender<Head>,
    thread: JoinHandle<()>,
}

impl HeadKeeper {
    /// `None` if no thread can be started: then the store keeps an older head.
    pub(super) fn start(dirs: &Dirs) -> Option<Self> {
        let (sender, heads) = channel();
        let dirs = dirs.clone();
        let thread = std::thread::Builder::new().name("head".to_owned());
        let thread = thread.spawn(move || keep_all(&dirs, &heads)).ok()?;
        Some(Self { sender, thread })
    }

    pub(super) fn keep(&self, head: Head) {
        // The thread ends only with the sender.
        crate::sys::ignore(self.sender.send(head));
    }

    /// Waits until the last head is stored, up to a limit.
    pub(super) fn finish(self, limit: Duration) {
        drop(self.sender);
        let end = Instant::now() + limit;
        while !self.thread.is_finished() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn keep_all(dirs: &Dirs, heads: &Receiver<Head>) {
    while let Ok(head) = heads.recv() {
        // Not beside the start of the server. The end of the session ends the wait.
        let mut newest = head;
        while let Ok(newer) = heads.recv_timeout(PAUSE) {
            newest = newer;
        }
        match head::keep_if_cheap(dirs, newest) {
            Err(error) if error.code == Code::AuditBroken => print::error(&error),
            // A locked store keeps the head of an earlier release.
            Err(_) | Ok(()) => {}
        }
    }
}
