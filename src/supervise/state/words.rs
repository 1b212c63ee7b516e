//! The errors of a session.

use super::event::ServerEnd;
use super::limits::HANDSHAKE_LIMIT;
use crate::error::{Code, Error};
use crate::secret::ServerName;
use crate::supervise::pipeline::ServerExit;

/// A server ended by itself.
pub(super) fn crashed(
    name: &ServerName,
    exit: ServerExit,
    established: bool,
    end: &ServerEnd,
) -> Error {
    let when = if established {
        ""
    } else {
        " before it answered the handshake"
    };
    let error = Error::new(Code::ServerExited, format!("server `{name}` {exit}{when}"));
    let error = if end.last_lines.is_empty() {
        error.cause("no output on stderr")
    } else {
        error.cause(format!(
            "last stderr output: {}",
            end.last_lines.join(" | ")
        ))
    };
    let error = if !end.ignored.is_empty() && end.last_lines.iter().any(|line| is_of_network(line))
    {
        error.hint(format!(
            "run `mcpwrap config network` if the server needs the client's {}, which it does not get",
            end.ignored.join(", ")
        ))
    } else {
        error
    };
    error.hint(format!(
        "run `mcpwrap log --server {name}` to see its starts and exits"
    ))
}

/// Whether a line of stderr is about a connection: the words of Node.js, Python, Go and curl.
fn is_of_network(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    let words = [
        "econn",
        "enotfound",
        "eai_again",
        "etimedout",
        "ehostunreach",
        "enetunreach",
        "getaddrinfo",
        "fetch failed",
        "connection",
        "connect to",
        "resolve host",
        "name resolution",
        "no such host",
        "network",
        "proxy",
        "timed out",
        "timeout",
        "certificate",
        "self-signed",
        "self signed",
        "ssl",
        "tls",
    ];
    words.iter().any(|word| line.contains(word))
}

/// [`crashed`], after too many crashes for another automatic start.
pub(super) fn crashed_often(name: &ServerName, error: Error, often: usize) -> Error {
    error
        .cause(format!(
            "{often} exits within a minute, so it is not restarted automatically"
        ))
        .hint(format!("run `mcpwrap renew {name}` to start it again"))
}

/// A new server answered the handshake in a way that does not fit the session.
pub(super) fn incompatible_server(name: &ServerName, why: String) -> Error {
    Error::new(
        Code::RenewFailed,
        "the new server cannot take over the session",
    )
    .context(format!("cannot restart server `{name}`"))
    .cause(why)
    .hint(format!("run `mcpwrap renew {name}` to try again"))
}

/// A new server did not answer the handshake.
pub(super) fn no_handshake(name: &ServerName) -> Error {
    Error::new(Code::RenewFailed, "the new server does not answer")
        .context(format!("cannot restart server `{name}`"))
        .cause(format!(
            "no answer to the handshake within {} s",
            HANDSHAKE_LIMIT.as_secs()
        ))
        .hint(format!("run `mcpwrap renew {name}` to try again"))
}

/// The preparation takes longer than the client's timeout.
pub(super) fn start_timeout(name: &ServerName) -> Error {
    Error::new(Code::StartTimeout, "its secrets were not available in time")
        .not_started(name)
        .cause("the store did not answer before the client's timeout")
        .hint("run `mcpwrap status` to see whether the store works")
}

/// The server was ended by `revoke`, which then changes the grant.
pub(super) fn revoked_on_request(name: &ServerName) -> Error {
    Error::new(Code::Revoked, format!("server `{name}` is revoked"))
        .cause("`mcpwrap revoke` ended it")
        .hint(format!("run `mcpwrap grant {name}` to allow it again"))
}

/// A server used a secret as the ID of a message.
pub(super) fn secret_in_id(name: &ServerName) -> Error {
    Error::new(
        Code::SecretInId,
        format!("stopped server `{name}`: it sent a secret in a JSON-RPC ID"),
    )
    .cause("after masking, the ID matches no open request, so the session cannot continue")
    .hint(format!(
        "find out why, then run `mcpwrap renew {name}` to start it again"
    ))
}
