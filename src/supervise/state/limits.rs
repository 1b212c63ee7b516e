//! How long things may take.

use std::time::Duration;

/// The client gets an answer before its own timeout (15 s is the shortest known).
pub(super) const PREPARE_LIMIT: Duration = Duration::from_millis(7_500);
/// How long a launch in preparation may continue after a client that sent nothing closed its input, or
/// after the client left.
pub(super) const ABORT_AFTER: Duration = Duration::from_millis(300);
/// How long a new server may take to answer the handshake.
pub(super) const HANDSHAKE_LIMIT: Duration = Duration::from_secs(30);
/// How long requests in flight may take before a new server takes over.
pub(super) const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// How long after a launch its memory is released, so as not to delay the first answers.
pub(super) const TRIM_AFTER: Duration = Duration::from_secs(2);
/// How long a server may take for its last answers to a client that closed our stdin and reads on. As
/// without mcpwrap, the client decides: it leaves or sends a signal. This limit is for a forgotten one.
pub(super) const LAST_ANSWERS_LIMIT: Duration = Duration::from_hours(1);
/// How long to wait for the first line of a client after its server exited.
pub(super) const FIRST_WORD_LIMIT: Duration = Duration::from_millis(500);
/// How long to wait for the output of an exited server whose pipe another process holds open.
pub(super) const OUTPUT_TIMEOUT: Duration = Duration::from_millis(500);
/// The same, after a signal.
pub(super) const HURRIED_OUTPUT_TIMEOUT: Duration = Duration::from_millis(100);
/// How often to check a client that does not read, when only its last lines are left.
pub(super) const SLOW_CLIENT_LOOK: Duration = Duration::from_millis(50);
/// This many crashes within [`CRASH_WINDOW`] suspend the session.
pub(super) const CRASHES_MAX: usize = 5;
pub(super) const CRASH_WINDOW: Duration = Duration::from_mins(1);
/// A missing policy file may be in the middle of being replaced by an editor.
pub(super) const SETTLE: Duration = Duration::from_millis(300);
/// After a renewal, the next one waits until nothing has changed for this long …
pub(super) const QUIET: Duration = Duration::from_millis(500);
/// … but no longer than this after the last one: a storm of rotations causes two renewals.
pub(super) const QUIET_LIMIT: Duration = Duration::from_secs(5);
