//! Reads, writes and seals the grant file of a server.
//!
//! Invariant: an unreadable file is an error, never a missing one. Files of other versions are refused.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, PendingFile, Problem};
use crate::invocation::Invocation;
use crate::secret::{Keys, ServerName};
use crate::sys::files::place_all;

/// The path of a server's grant file. Supervisors watch it.
pub fn path(dirs: &Dirs, server: &ServerName) -> PathBuf {
    dirs.grants().join(format!("{server}.toml"))
}

/// How the user approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// By answering on the terminal.
    Terminal,
    /// By `--yes`.
    Yes,
}

impl By {
    /// The name in the grant and in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Yes => "yes",
        }
    }
}

/// The state in a grant file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantState {
    Granted,
    Revoked,
}

/// The version of the format. The first one did not cover what the command runs.
pub(super) const VERSION: u32 = 2;

/// The content of a grant file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantFile {
    pub(super) version: u32,
    pub(super) state: GrantState,
    /// The SHA-256 of the policy that was granted, in hex.
    pub(super) digest: Option<String>,
    pub(super) at: Timestamp,
    pub(super) by: Option<By>,
    /// Why it was revoked.
    pub(super) reason: Option<String>,
    pub(super) seal: Option<String>,
    /// Of a revocation: when the revoked grant was made, and the digest of its seal. It proves the text
    /// below to whoever has the key, and nobody can make the seal from it.
    #[serde(default)]
    pub(super) granted: Option<Timestamp>,
    #[serde(default)]
    pub(super) evidence: Option<String>,
    /// The text of the granted policy, to show later what changed.
    pub(super) policy: Option<String>,
    /// What the command runs.
    pub(super) invocation: Option<Invocation>,
}

impl GrantFile {
    fn text(&self) -> String {
        toml::to_string(self).expect("a grant file has plain fields only")
    }
}

pub(super) fn read(dirs: &Dirs, server: &ServerName) -> Result<Option<GrantFile>> {
    let path = path(dirs, server);
    let bytes = match files::read_private(&path) {
        Ok(bytes) => bytes,
        Err(Problem::Missing) => return Ok(None),
        Err(problem) => return Err(unusable(dirs, server, problem)),
    };
    let text = str::from_utf8(&bytes).map_err(|_| broken(dirs, server, "not UTF-8"))?;
    let file: GrantFile =
        toml::from_str(text).map_err(|_| broken(dirs, server, "not a grant file"))?;
    if !(1..=VERSION).contains(&file.version) {
        return Err(broken(
            dirs,
            server,
            "written by another version of mcpwrap",
        ));
    }
    Ok(Some(file))
}

pub(super) fn write(dirs: &Dirs, server: &ServerName, file: &GrantFile) -> Result<()> {
    files::replace(&path(dirs, server), file.text().as_bytes())
        .map_err(|problem| unusable(dirs, server, problem))
}

/// [`fn@write`] of several files.
pub(super) fn write_all(
    dirs: &Dirs,
    grants: impl Iterator<Item = (ServerName, GrantFile)>,
) -> Result<()> {
    let pending = grants.map(|(server, file)| {
        PendingFile::write(path(dirs, &server), file.text().as_bytes())
            .map_err(|problem| unusable(dirs, &server, problem))
    });
    let pending: Vec<_> = pending.collect::<Result<_>>()?;
    place_all(&pending).map_err(|(path, problem)| {
        problem.explain(
            Code::FileUnusable,
            "cannot write the grants",
            &dirs.tilde(&path),
        )
    })
}

/// Removes or empties a grant file, valid or not. Returns whether its content is gone.
pub(super) fn erase(dirs: &Dirs, server: &ServerName) -> bool {
    let path = path(dirs, server);
    match std::fs::remove_file(&path) {
        Ok(()) => return true,
        Err(error) if error.kind() == ErrorKind::NotFound => return true,
        Err(_) => {}
    }
    // Does not block on a FIFO, and does not empty the target of a symlink.
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(flags)
        .open(&path);
    file.and_then(|file| file.set_len(0)).is_ok()
}

/// The MAC over the sealed message. No part before the last can contain a newline, so no two grants
/// have the same message.
pub(super) fn sealing(
    keys: &Keys,
    server: &ServerName,
    digest: &str,
    at: Timestamp,
    by: By,
    invocation: &Invocation,
) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&*keys.seal).expect("HMAC takes any key");
    mac.update(format!("grant v2\n{server}\n{digest}\n{at}\n{}\n", by.name()).as_bytes());
    mac.update(&serde_json::to_vec(invocation).expect("an invocation has plain fields only"));
    mac
}

pub(super) fn broken(dirs: &Dirs, server: &ServerName, cause: &str) -> Error {
    Error::new(
        Code::GrantBroken,
        format!("cannot accept the grant of server `{server}`"),
    )
    .cause(format!("{}: {cause}", dirs.tilde(&path(dirs, server))))
    .hint(format!(
        "run `mcpwrap grant {server}` to review and approve the policy"
    ))
}

/// A grant without a program.
pub fn incomplete(dirs: &Dirs, server: &ServerName) -> Error {
    broken(dirs, server, "it names no program")
}

fn unusable(dirs: &Dirs, server: &ServerName, problem: Problem) -> Error {
    let what = format!("cannot use the grant of server `{server}`");
    problem.explain(Code::FileUnusable, what, &dirs.tilde(&path(dirs, server)))
}

/// The current time in whole seconds, which does not change when it is written and read.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
