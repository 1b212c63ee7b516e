//! Withdraws what runs left behind that are no longer alive, and what `revoke` ends.
//!
//! Invariant: a maker that does not answer is waited for once, however many credentials it made.

use std::cell::RefCell;
use std::collections::BTreeSet;

use jiff::Timestamp;

use super::access;
use super::kept::{KeptMint, KeptRun, WithdrawIndex, WithdrawRow, note, stores_of};
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
    /// Those of runs that are no longer alive, except those that their policy leaves.
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
    let silent = RefCell::default();
    for (run, row) in wanted {
        let Ok(run) = RunId::parse(&run) else {
            continue;
        };
        let (mints, ends) = (row.mints.clone(), row.ends);
        let all = matches!(which, LeftBehind::Of(_));
        let done = of_run(dirs, &run, &row, all, &silent);
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

/// Returns how many were withdrawn. `silent`: the makers that did not answer.
fn of_run(
    dirs: &Dirs,
    run: &RunId,
    row: &WithdrawRow,
    all: bool,
    silent: &RefCell<BTreeSet<String>>,
) -> Result<usize> {
    let now = Timestamp::now().as_second();
    let supervisor = (row.supervisor, row.started);
    let nothing = KeptRun::new(row.server.clone());
    // First the item, to know which stores are needed.
    let kept = access::open(dirs, &BTreeSet::new(), |_, store| KeptRun::read(store, run))?;
    let Some(kept) = kept else {
        note(dirs, run, &nothing, None, supervisor)?;
        return Ok(0);
    };
    let is_over = |mint: &KeptMint| mint.ends.is_some_and(|ends| ends <= now);
    let (over, valid): (Vec<_>, Vec<_>) = kept.mints.into_iter().partition(is_over);
    let is_due = |mint: &KeptMint| all || mint.on_exit == OnExit::Revoke;
    let due = valid.into_iter().filter(is_due);
    let is_silent = |mint: &KeptMint| silent.borrow().contains(&mint.maker.shown());
    let (skipped, due): (Vec<_>, Vec<_>) = due.partition(is_silent);
    access::open(dirs, &stores_of(&due), |access, store| {
        let (mut gone, failed) = access.withdraw_each(&due, |mint, done| {
            let code = done.as_ref().err().map(|error| error.code);
            if matches!(code, Some(Code::StoreTimeout | Code::StoreUnavailable)) {
                silent.borrow_mut().insert(mint.maker.shown());
            }
        });
        let failed = failed.or_else(|| skipped.first().map(not_asked));
        let count = gone.len();
        gone.extend(over.into_iter().map(|mint| mint.id));
        let left = KeptRun::forget(store, run, &gone)?.unwrap_or(nothing);
        let code = failed.as_ref().map(|error| error.code);
        note(dirs, run, &left, code, supervisor)?;
        failed.map_or(Ok(count), Err)
    })
}

fn not_asked(mint: &KeptMint) -> Error {
    let maker = mint.maker.shown();
    Error::new(Code::StoreTimeout, "it was not tried to withdraw it").cause(format!(
        "{maker} did not answer for another credential just now"
    ))
}
