//! The grant file of a server: read, written, sealed.
//!
//! *Never* takes a file that cannot be read for one that is not there. Old files that another
//! version wrote are refused, not guessed at.

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
use crate::files::{self, Problem};
use crate::secret::{Keys, ServerName};

/// Where the grant of a server is kept. Supervisors watch this file.
pub fn path(dirs: &Dirs, server: &ServerName) -> PathBuf {
    dirs.grants().join(format!("{server}.toml"))
}

/// How the user agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// By an answer on the terminal.
    Terminal,
    /// By `--yes`.
    Yes,
}

impl By {
    /// The word in the grant and in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Yes => "yes",
        }
    }
}

/// What the file says about its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantState {
    Granted,
    Revoked,
}

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
    /// The policy that was granted, to show later what changed.
    pub(super) policy: Option<String>,
}

pub(super) fn read(dirs: &Dirs, server: &ServerName) -> Result<Option<GrantFile>> {
    let path = path(dirs, server);
    let bytes = match files::read_private(&path) {
        Ok(bytes) => bytes,
        Err(Problem::Missing) => return Ok(None),
        Err(problem) => return Err(unusable(dirs, server, problem)),
    };
    let text = str::from_utf8(&bytes).map_err(|_| broken(dirs, server, "it is not UTF-8"))?;
    let file: GrantFile =
        toml::from_str(text).map_err(|_| broken(dirs, server, "it is not a grant file"))?;
    if file.version != 1 {
        return Err(broken(dirs, server, "another version of mcpwrap wrote it"));
    }
    Ok(Some(file))
}

pub(super) fn write(dirs: &Dirs, server: &ServerName, file: &GrantFile) -> Result<()> {
    let text = toml::to_string(file).expect("a grant file has plain fields only");
    files::replace(&path(dirs, server), text.as_bytes())
        .map_err(|problem| unusable(dirs, server, problem))
}

/// Removes or empties a grant file, whatever it holds; says whether nothing of it is left.
pub(super) fn erase(dirs: &Dirs, server: &ServerName) -> bool {
    let path = path(dirs, server);
    match std::fs::remove_file(&path) {
        Ok(()) => return true,
        Err(error) if error.kind() == ErrorKind::NotFound => return true,
        Err(_) => {}
    }
    // Never waits for a FIFO, and never empties what a link leads to.
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(flags)
        .open(&path);
    file.and_then(|file| file.set_len(0)).is_ok()
}

/// The message under the seal: each part has a fixed alphabet without newlines, so no two grants
/// share one.
pub(super) fn sealing(
    keys: &Keys,
    server: &ServerName,
    digest: &str,
    at: Timestamp,
    by: By,
) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&*keys.seal).expect("HMAC takes any key");
    mac.update(format!("grant v1\n{server}\n{digest}\n{at}\n{}\n", by.name()).as_bytes());
    mac
}

pub(super) fn broken(dirs: &Dirs, server: &ServerName, cause: &str) -> Error {
    Error::new(
        Code::GrantBroken,
        format!("grant of server `{server}` not accepted"),
    )
    .cause(format!("{}: {cause}", dirs.tilde(&path(dirs, server))))
    .hint(format!(
        "`mcpwrap grant {server}` shows the policy and asks again"
    ))
}

fn unusable(dirs: &Dirs, server: &ServerName, problem: Problem) -> Error {
    let what = format!("cannot use the grant of server `{server}`");
    problem.explain(Code::FileUnusable, what, &dirs.tilde(&path(dirs, server)))
}

/// Whole seconds are enough, and stay the same when they are written and read.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
