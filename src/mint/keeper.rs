//! Makes, extends and withdraws the credentials of one run.
//!
//! Invariants: a credential that can be withdrawn is used only after its handle is in the local store. What
//! fails to be withdrawn stays there. Nothing here holds a lock while it waits for a maker.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::access::{self, MadeCredential, MintAccess};
use super::account::AccountTokens;
use super::clock::{MintClock, random};
use super::fact::{MintEvent, MintFact, MintReport};
use super::kept::{KeptMint, KeptRun, note, stores_of};
use super::live::{Extension, LiveMint, LiveMints, MintOwner};
use super::minted::MintedValues;
use crate::audit::RunId;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::policy::mint::OnExit;
use crate::policy::{MintRules, Policy};
use crate::secret::{MintName, Secret, ServerName};
use crate::store::Store;
use crate::store::source::{MintLife, Minted};
use crate::sys::{clock, tree};

/// See the module.
pub struct MintKeeper {
    dirs: Dirs,
    run: RunId,
    server: ServerName,
    report: MintReport,
    /// What is being made, and withdrawals that are on their way.
    open: Mutex<usize>,
    done: Condvar,
    /// What can be withdrawn and was not yet.
    live: Mutex<Vec<KeptMint>>,
    /// The session is over: nothing that is made from now on is used.
    closed: AtomicBool,
    /// Held while the item of the run is changed.
    item: Mutex<()>,
    /// The tokens of accounts that the servers have.
    accounts: AccountTokens,
}

impl fmt::Debug for MintKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MintKeeper")
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

impl MintKeeper {
    pub fn new(dirs: &Dirs, run: &RunId, server: &ServerName, report: MintReport) -> Arc<Self> {
        Arc::new(Self {
            dirs: dirs.clone(),
            run: run.clone(),
            server: server.clone(),
            report,
            open: Mutex::default(),
            done: Condvar::new(),
            live: Mutex::default(),
            closed: AtomicBool::new(false),
            item: Mutex::default(),
            accounts: AccountTokens::default(),
        })
    }

    fn open(&self) -> MutexGuard<'_, usize> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> MutexGuard<'_, Vec<KeptMint>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something begins that [`Self::finish`] waits for; it ends when the answer is dropped.
    fn begin(self: &Arc<Self>) -> OpenWork {
        *self.open() += 1;
        OpenWork(Arc::clone(self))
    }

    /// Makes the credentials that the policy's variables refer to.
    ///
    /// # Errors
    /// `mint-refused`, and those of the makers. Then nothing is left behind.
    pub fn make(
        self: &Arc<Self>,
        policy: &Policy,
        access: &MintAccess<'_>,
        store: &dyn Store,
    ) -> Result<MintedValues> {
        let mut made = MintedValues::default();
        if policy.used_mints().next().is_none() {
            return Ok(made);
        }
        let _work = self.begin();
        let mut live = Vec::new();
        for (name, rules) in policy.used_mints() {
            match self.make_one(policy, (name, rules), access, store) {
                Ok((mint, fields)) => {
                    live.push(mint);
                    made.fields.insert(name.clone(), fields);
                }
                Err(error) => {
                    // What was made before is withdrawn.
                    drop(self.live_mints(live));
                    return Err(error
                        .not_started(&self.server)
                        .required_by(policy.place(rules.line)));
                }
            }
        }
        made.live = self.live_mints(live);
        if self.closed.load(Ordering::SeqCst) {
            // Dropping them withdraws them.
            return Err(Error::new(Code::MintRefused, "the session is over"));
        }
        Ok(made)
    }

    /// A service refused the credentials of the current server.
    pub fn reject_tokens(&self) {
        self.accounts.reject();
    }

    /// Whether a server has the token of an account that was replaced or removed.
    pub fn is_outdated(&self) -> bool {
        self.accounts.is_outdated(&self.dirs)
    }

    /// Whether the tokens of accounts that this run had are still there.
    ///
    /// # Errors
    /// `login-needed` if the user logged out.
    pub fn check_tokens(&self, policy: &Policy) -> Result<()> {
        self.accounts.check(&self.dirs, policy)
    }

    fn live_mints(self: &Arc<Self>, mints: Vec<LiveMint>) -> LiveMints {
        let owner = Arc::clone(self);
        LiveMints::new(mints, owner)
    }

    fn make_one(
        &self,
        policy: &Policy,
        (name, rules): (&MintName, &MintRules),
        access: &MintAccess<'_>,
        store: &dyn Store,
    ) -> Result<(LiveMint, BTreeMap<String, Secret>)> {
        let sent = clock::since_boot();
        let made = access.make(rules, |oauth| {
            let from = (&self.dirs, store);
            self.accounts.take(from, policy, (name, oauth))
        })?;
        let MadeCredential {
            minted:
                Minted {
                    fields,
                    life,
                    handle,
                    granted,
                },
            by,
            maker,
            holder,
        } = made;
        let ends = end(life);
        let kept = maker
            .zip(handle)
            .map(|(maker, handle)| KeptMint::new(name, maker, &handle, ends, rules.on_exit))
            .transpose()?;
        let refused = if life.seconds.is_some_and(|life| rules.is_too_short(life)) {
            let seconds = life.seconds.unwrap_or_default();
            Some(
                Error::new(Code::MintRefused, format!("`mint:{name}` lives too short"))
                    .cause(format!("{by} gave it {seconds} s"))
                    .hint("ask its issuer for a longer life, or set `min_life` in the policy"),
            )
        } else {
            kept.as_ref()
                .and_then(|kept| self.keep(kept, store).err())
                .map(|error| {
                    let what = format!("`mint:{name}` cannot be kept for its withdrawal");
                    Error::new(Code::MintRefused, what).caused_by(error)
                })
        };
        if let Some(error) = refused {
            if let Some(kept) = &kept {
                // Best effort: it ends by itself soon.
                self.report_withdrawal(kept, &access.withdraw(kept));
            }
            return Err(error);
        }
        self.report(name, by, MintEvent::Made(life.seconds, granted));
        let clock = MintClock::new(sent, life, random());
        let mint = LiveMint {
            name: name.clone(),
            clock,
            ends,
            kept,
            holder,
        };
        Ok((mint, fields))
    }

    fn report(&self, mint: &MintName, maker: String, event: MintEvent) {
        (self.report)(MintFact {
            mint: mint.clone(),
            maker,
            event,
        });
    }

    /// Writes a handle into the local store, and a row into the index.
    fn keep(&self, kept: &KeptMint, store: &dyn Store) -> Result<()> {
        let _item = self.item.lock().unwrap_or_else(PoisonError::into_inner);
        let mut run =
            KeptRun::read(store, &self.run)?.unwrap_or_else(|| KeptRun::new(self.server.clone()));
        run.mints.push(kept.clone());
        // The row first: a row without an item is harmless.
        self.note(&run, None)?;
        run.write(store, &self.run)?;
        self.live().push(kept.clone());
        Ok(())
    }

    fn note(&self, kept: &KeptRun, failed: Option<Code>) -> Result<()> {
        let pid = i32::try_from(std::process::id()).unwrap_or(0);
        note(
            &self.dirs,
            &self.run,
            kept,
            failed,
            (pid, tree::started(pid)),
        )
    }

    fn extend_all(&self, mints: &[LiveMint]) -> Vec<Extension> {
        let kept: Vec<_> = mints.iter().filter_map(|mint| mint.kept.clone()).collect();
        let stores = stores_of(&kept);
        let answers = access::open(&self.dirs, &stores, |access, _| {
            Ok(mints
                .iter()
                .map(|mint| self.extend_one(mint, access))
                .collect())
        });
        answers.unwrap_or_else(|error| {
            let failed = |mint: &LiveMint| Extension {
                name: mint.name.clone(),
                result: Err(error.clone()),
            };
            mints.iter().map(failed).collect()
        })
    }

    fn extend_one(&self, mint: &LiveMint, access: &MintAccess<'_>) -> Extension {
        let name = mint.name.clone();
        let Some(kept) = &mint.kept else {
            return Extension {
                name,
                result: Ok(None),
            };
        };
        let sent = clock::since_boot();
        let deadline = Instant::now() + access.limit(&kept.maker);
        let handle = kept.handle();
        let result = access.with_maker(&kept.maker, |minter| minter.extend(&handle, deadline));
        if let Ok(Some(life)) = &result {
            self.report(&name, kept.maker.shown(), MintEvent::Extended(life.seconds));
        }
        let result = result.map(|life| life.map(|life| (sent, life)));
        Extension { name, result }
    }

    /// Withdraws credentials in a thread. Those that the policy leaves are only withdrawn by `revoke`.
    fn withdraw_some(self: &Arc<Self>, kept: Vec<KeptMint>) {
        let kept: Vec<_> = kept
            .into_iter()
            .filter(|kept| kept.on_exit == OnExit::Revoke)
            .collect();
        if kept.is_empty() {
            return;
        }
        let work = self.begin();
        // Without a thread, the end of the session withdraws them.
        let thread = std::thread::Builder::new().name("withdraw".to_owned());
        drop(thread.spawn(move || work.0.withdraw_all(&kept)));
    }

    fn withdraw_all(&self, kept: &[KeptMint]) {
        let stores = stores_of(kept);
        let done = access::open(&self.dirs, &stores, |access, store| {
            let report = |one: &KeptMint, done: &Result<()>| self.report_withdrawal(one, done);
            let (gone, failed) = access.withdraw_each(kept, report);
            self.live().retain(|one| !gone.contains(&one.id));
            let _item = self.item.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(run) = KeptRun::forget(store, &self.run, &gone)? {
                self.note(&run, failed.map(|error| error.code))?;
            }
            Ok(())
        });
        if let Err(error) = done {
            tracing::warn!("cannot withdraw credentials: {}", error.text());
        }
    }

    fn report_withdrawal(&self, kept: &KeptMint, done: &Result<()>) {
        let event = match done {
            Ok(()) => MintEvent::Withdrawn,
            Err(error) => MintEvent::NotWithdrawn(error.code),
        };
        self.report(&kept.mint, kept.maker.shown(), event);
    }

    /// The session is over and no server is alive: withdraws what is left, and waits up to a limit.
    pub fn finish(self: &Arc<Self>, limit: Duration) {
        let end = Instant::now() + limit;
        self.closed.store(true, Ordering::SeqCst);
        self.wait(limit);
        // What was prepared and never used.
        let left = self.live().clone();
        self.withdraw_some(left);
        self.wait(end.saturating_duration_since(Instant::now()));
    }

    fn wait(&self, limit: Duration) {
        let open = self.open();
        let waited = self.done.wait_timeout_while(open, limit, |open| *open > 0);
        drop(waited);
    }
}

impl MintOwner for MintKeeper {
    fn extend(&self, mints: &[LiveMint]) -> Vec<Extension> {
        self.extend_all(mints)
    }

    fn withdraw(self: Arc<Self>, kept: Vec<KeptMint>) {
        self.withdraw_some(kept);
    }
}

/// See [`MintKeeper::begin`].
#[derive(Debug)]
struct OpenWork(Arc<MintKeeper>);

impl Drop for OpenWork {
    fn drop(&mut self) {
        *self.0.open() -= 1;
        self.0.done.notify_all();
    }
}

fn end(life: MintLife) -> Option<i64> {
    let seconds = i64::try_from(life.seconds?).ok()?;
    Some(Timestamp::now().as_second().saturating_add(seconds))
}
