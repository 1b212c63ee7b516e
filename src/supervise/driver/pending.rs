//! What is made for a launch while its record is written.

use std::thread::JoinHandle;

use crate::launch::start::WaitingGuard;
use crate::mask::Masker;

/// Both are missing if the kernel gave no process or thread: then they are made after the record.
#[derive(Debug)]
pub(super) struct PendingLaunch {
    pub(super) attempt: u32,
    /// The version of the masker in use. If it has changed, values may be missing in the new one.
    pub(super) version: u64,
    pub(super) guard: Option<WaitingGuard>,
    pub(super) masker: Option<JoinHandle<Masker>>,
}
