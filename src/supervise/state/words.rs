//! The errors of a session, in words.

use super::limits::HANDSHAKE_LIMIT;
use crate::error::{Code, Error};
use crate::secret::ServerName;
use crate::supervise::pipeline::ServerExit;

/// A server ended by itself.
pub(super) fn crashed(
    name: &ServerName,
    exit: ServerExit,
    established: bool,
    last_lines: &[String],
) -> Error {
    let when = if established {
        ""
    } else {
        " before it answered the handshake"
    };
    let error = Error::new(Code::ServerExited, format!("server `{name}` {exit}{when}"));
    let error = if last_lines.is_empty() {
        error.cause("it wrote nothing to stderr")
    } else {
        error.cause(format!("its last words: {}", last_lines.join(" | ")))
    };
    error.hint(format!(
        "`mcpwrap log --server {name}` shows its starts and ends"
    ))
}

/// [`crashed`], and not for the first time.
pub(super) fn crashed_often(name: &ServerName, error: Error, often: usize) -> Error {
    error
        .cause(format!(
            "it ended {often} times within a minute, so it is not started again by itself"
        ))
        .hint(format!("`mcpwrap renew {name}`"))
}

/// A new server answered the handshake in a way that does not fit the session.
pub(super) fn cannot_stand_in(name: &ServerName, why: String) -> Error {
    Error::new(
        Code::RenewFailed,
        format!("server `{name}` not renewed: the new one cannot stand in"),
    )
    .cause(why)
    .hint(format!("`mcpwrap renew {name}` tries again"))
}

/// A new server did not answer the handshake.
pub(super) fn no_handshake(name: &ServerName) -> Error {
    Error::new(
        Code::RenewFailed,
        format!("server `{name}` not renewed: the new one does not answer"),
    )
    .cause(format!(
        "no answer to the handshake within {} s",
        HANDSHAKE_LIMIT.as_secs()
    ))
    .hint(format!("`mcpwrap renew {name}` tries again"))
}

/// The preparation takes longer than the client waits.
pub(super) fn start_timeout(name: &ServerName) -> Error {
    Error::new(Code::StartTimeout, "its secrets did not come in time")
        .not_started(name)
        .cause("the store has not answered, and the client does not wait longer")
        .hint("`mcpwrap status` shows whether the store works")
}

/// A server put a secret in the id of a message.
pub(super) fn secret_in_id(name: &ServerName) -> Error {
    Error::new(
        Code::SecretInId,
        format!("server `{name}` stopped: it put a secret in the id of a message"),
    )
    .cause("the id was masked, and nobody can tell any more which request it is of")
    .hint(format!(
        "find out why; `mcpwrap renew {name}` starts it again"
    ))
}
