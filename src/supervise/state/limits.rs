//! How long things may take.

use std::time::Duration;

/// The client gets an answer before its own patience ends (15 s is the shortest that was seen).
pub(super) const PREPARE_LIMIT: Duration = Duration::from_millis(7_500);
/// How long a client that left may be waited for with a launch in preparation.
pub(super) const ABORT_AFTER: Duration = Duration::from_millis(300);
/// How long a new server may take to answer the handshake.
pub(super) const HANDSHAKE_LIMIT: Duration = Duration::from_secs(30);
/// How long requests in flight may take before a new server takes over.
pub(super) const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// How long after a launch its pages are given back: not in the way of the first answers.
pub(super) const TRIM_AFTER: Duration = Duration::from_secs(2);
/// A client that has not said a word when its server ends gets this long to say one.
pub(super) const FIRST_WORD_LIMIT: Duration = Duration::from_millis(500);
/// How long the output of an ended server is waited for, if something else holds its pipe.
pub(super) const OUTPUT_PATIENCE: Duration = Duration::from_millis(500);
/// The same, once we were signalled.
pub(super) const HURRY: Duration = Duration::from_millis(100);
/// How often a client that does not read is looked after, when only its last lines are left.
pub(super) const SLOW_CLIENT_LOOK: Duration = Duration::from_millis(50);
/// So many crashes within a minute suspend the session.
pub(super) const CRASHES_MAX: usize = 5;
pub(super) const CRASH_WINDOW: Duration = Duration::from_mins(1);
/// A policy file that is gone may be in the middle of being replaced by an editor.
pub(super) const SETTLE: Duration = Duration::from_millis(300);
/// After a renewal the next one waits until nothing has changed for so long …
pub(super) const QUIET: Duration = Duration::from_millis(500);
/// … but no longer than this after the last one: a storm of rotations causes two renewals.
pub(super) const QUIET_LIMIT: Duration = Duration::from_secs(5);
