//! Withdraws what runs left behind that are not alive any more, and what `revoke` ends.

use jiff::Timestamp;

use super::access;
use super::kept::{KeptRun, WithdrawIndex, WithdrawRow, note, stores_of};
use crate::audit::RunId;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::policy::mint::OnExit;
use crate::secret::ServerName;
use crate::sys::tree;

/// What became of the credentials of one run.
#[derive(Clone, Debug)]
pub struct WithdrawnMints {
    pub server: ServerName,
    /// The credentials, for users.
    pub mints: Vec<String>,
    /// Why they are still valid.
    pub error: Option<Error>,
    /// When the last of them ends by itself: seconds of Unix time.
    pub ends: Option<i64>,
}

/// Which credentials are withdrawn.
#[derive(Clone, Copy, Debug)]
pub enum LeftBehind<'a> {
    /// Those of runs that are not alive any more, except those that their policy leaves.
    Dead,
    /// All of these servers, also of runs that are alive.
    Of(&'a [ServerName]),
}

/// Whether the supervisor of a run is alive.
pub fn is_alive(row: &WithdrawRow) -> bool {
    tree::started(row.supervisor).is_some_and(|started| Some(started) == row.started)
}

/// Withdraws credentials. Without any it opens no store.
///
/// # Errors
/// `file-unusable` if the index cannot be read. What cannot be withdrawn is in the answer.
pub fn withdraw(dirs: &Dirs, which: LeftBehind<'_>) -> Result<Vec<WithdrawnMints>> {
    let index = WithdrawIndex::load(dirs)?;
    let is_wanted = |row: &WithdrawRow| match which {
        LeftBehind::Dead => !is_alive(row),
        LeftBehind::Of(servers) => servers.contains(&row.server),
    };
    let wanted = index.runs.into_iter().filter(|(_, row)| is_wanted(row));
    let mut answers = Vec::new();
    for (run, row) in wanted {
        let Ok(run) = RunId::parse(&run) else {
            continue;
        };
        let (mints, ends) = (row.mints.clone(), row.ends);
        let done = of_run(dirs, &run, &row, matches!(which, LeftBehind::Of(_)));
        match done {
            Ok(0) => {}
            done => answers.push(WithdrawnMints {
                server: row.server,
                mints,
                error: done.err(),
                ends,
            }),
        }
    }
    Ok(answers)
}

/// Returns how many were withdrawn.
fn of_run(dirs: &Dirs, run: &RunId, row: &WithdrawRow, all: bool) -> Result<usize> {
    let now = Timestamp::now().as_second();
    // First the item, to know which stores are needed.
    let kept = access::open(dirs, &std::collections::BTreeSet::new(), |_, store| {
        KeptRun::read(store, run)
    })?;
    let Some(mut kept) = kept else {
        let nothing = KeptRun::new(row.server.clone());
        note(dirs, run, &nothing, None, (row.supervisor, row.started))?;
        return Ok(0);
    };
    kept.mints
        .retain(|mint| mint.ends.is_none_or(|ends| ends > now));
    let (gone, mut failed) = access::open(dirs, &stores_of(&kept.mints), |access, _| {
        let (mut gone, mut failed) = (Vec::new(), None);
        for mint in &kept.mints {
            if mint.on_exit == OnExit::Leave && !all {
                continue;
            }
            match access.withdraw(mint) {
                Ok(()) => gone.push(mint.id.clone()),
                Err(error) => failed = Some(error),
            }
        }
        Ok((gone, failed))
    })?;
    kept.mints.retain(|mint| !gone.contains(&mint.id));
    let code: Option<Code> = failed.as_ref().map(|error| error.code);
    access::open(dirs, &std::collections::BTreeSet::new(), |_, store| {
        kept.write(store, run)
    })?;
    note(dirs, run, &kept, code, (row.supervisor, row.started))?;
    match failed.take() {
        Some(error) => Err(error),
        None => Ok(gone.len()),
    }
}
