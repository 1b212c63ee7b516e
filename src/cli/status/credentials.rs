//! The short-lived credentials of runs, as `mcpwrap status` shows them.

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::print;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::mint::kept::{WithdrawIndex, WithdrawRow};
use crate::mint::left::{self, LeftBehind};
use crate::secret::ServerName;

/// The credentials of one run; `docs/secrets.md` describes the JSON.
#[derive(Serialize)]
pub(super) struct CredentialStatus {
    server: ServerName,
    /// Each with who made it.
    credentials: Vec<String>,
    /// Whether their session is alive. If not, they should have been withdrawn.
    in_use: bool,
    /// The code of the last failure to withdraw them.
    error: Option<String>,
    /// When the last of them ends by itself.
    ends: Option<Timestamp>,
}

/// Withdraws what killed runs left, and returns what there is.
pub(super) fn credentials(dirs: &Dirs) -> Result<Vec<CredentialStatus>> {
    for done in left::withdraw(dirs, LeftBehind::Dead)? {
        let (server, mints) = (&done.server, done.mints.join(", "));
        if done.error.is_none() {
            print::note(&format!("withdrawn now: {mints} for {server}"));
        }
    }
    let index = WithdrawIndex::load(dirs)?;
    Ok(index.runs.into_values().map(row).collect())
}

fn row(row: WithdrawRow) -> CredentialStatus {
    CredentialStatus {
        in_use: left::is_alive(&row),
        server: row.server,
        credentials: row.mints,
        error: row.failed,
        ends: row.ends.and_then(|end| Timestamp::from_second(end).ok()),
    }
}

/// The lines of these credentials.
pub(super) fn lines(all: &[CredentialStatus]) -> Vec<String> {
    all.iter().map(line).collect()
}

fn line(one: &CredentialStatus) -> String {
    let what = format!("{}: {}", one.server, one.credentials.join(", "));
    let end = one.ends.map_or_else(String::new, |end| {
        let end = end.to_zoned_datetime(jiff::tz::TimeZone::system());
        format!(", ends at {}", end.strftime("%Y-%m-%d %H:%M:%S"))
    });
    match (&one.error, one.in_use) {
        (Some(code), _) => format!(
            "{what}{end}: not withdrawn ({code}), `mcpwrap revoke {}` tries again",
            one.server
        ),
        (None, true) => format!("{what}{end}: in use"),
        (None, false) => format!("{what}{end}: left by a session that was killed"),
    }
}
