//! `mcpwrap run`: what a client config calls.
//!
//! The pipeline of a launch, one step per line (see [`Pipeline::prepare`]); `supervise` keeps the
//! session. Invariant: `records` logs the launch before it happens.

mod files;
mod head_keeper;
mod known;
mod local;
mod mint_records;
mod places;
mod poll;
mod records;
mod remote;
mod suspects;
mod values;
mod waits;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser as _;

use self::known::LocalLaunch;
use self::records::Records;
use super::{Context, print};
use crate::audit::RunId;
use crate::bridge::channel::Rejection;
use crate::client::reconnect::reconnect;
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::launch::injected::Injected;
use crate::launch::mark::{self, RunMark};
use crate::launch::start::{self, GuardLabel};
use crate::launch::value_cache::ValueCache;
use crate::launch::values::ValuePlan;
use crate::launch::work::WorkDirectory;
use crate::mint::left::{self, LeftBehind};
use crate::mint::{MintKeeper, MintReport};
use crate::network::{self, NetworkRecord};
use crate::oauth::index::OAuthIndex;
use crate::oauth::later;
use crate::ops::secrets::{self, Learnt};
use crate::policy::{self, OnFailure, Policy};
use crate::secret::{Keys, ProfileName, SecretName, ServerName};
use crate::session::{Answered, ClientName, FailureText};
use crate::store::types::LocalValues;
use crate::store::waits::StoreWaits;
use crate::store::{self, Index, Prompt, SecretBatch};
use crate::supervise::{self, Fact, FailureJudgement, Options, Pipeline, Prepared};
use crate::sys::{fds, harden};
use crate::{grant, links, package, session_lock};

/// How long the end of a session waits for the withdrawal of its credentials.
const WITHDRAW_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Server to run
    server: ServerName,
    /// Policy profile, e.g. `prod`
    #[arg(long)]
    profile: Option<ProfileName>,
    /// Must equal the policy's command
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// A parser of this command only.
#[derive(Debug, clap::Parser)]
struct RunAlone {
    #[command(flatten)]
    args: Args,
}

impl Args {
    /// The arguments of a correct `mcpwrap run`. To build the parser of all commands takes as long as the
    /// rest of this process's start.
    pub fn alone(args: &[OsString]) -> Option<Self> {
        let [_, run, ..] = args else { return None };
        if run != "run" {
            return None;
        }
        let parsed = RunAlone::try_parse_from(args.get(1..)?);
        parsed.ok().map(|alone| alone.args)
    }
}

/// Runs the server; returns its exit code, or the code of the reason why it did not start.
pub fn run(args: Args, cx: &Context) -> Result<u8> {
    harden::harden();
    fds::close_inherited_on_exec();
    let dirs = cx.dirs.clone();
    let file = policy::load::path(&dirs, &args.server);
    let mut watched = vec![
        grant::path(&dirs, &args.server),
        file.clone(),
        dirs.secrets_index(),
        OAuthIndex::path(&dirs),
        session_lock::path(&dirs),
    ];
    // A policy behind a link changes where the link leads.
    watched.extend(links::target(&file).ok().filter(|target| *target != file));
    let runtime = dirs.runtime().to_path_buf();
    let launch = Arc::new(LaunchPipeline::new(args, dirs)?);
    // Asks issuers for what has nothing to do with this start, which does not wait for it.
    let own = launch.dirs.clone();
    std::thread::spawn(move || end_earlier(&own));
    let pipeline: Arc<dyn Pipeline> = Arc::<LaunchPipeline>::clone(&launch);
    let options = Options {
        label: GuardLabel {
            server: launch.server.clone(),
            run: launch.run.as_str().to_owned(),
            home: launch.home.clone(),
        },
        pipeline,
        watched,
        runtime: Some(runtime),
        reconnect,
    };
    let code = supervise::supervise(options);
    launch.leave_work();
    launch.mints.finish(WITHDRAW_LIMIT);
    launch.records.finish();
    code
}

/// Ends at issuers what earlier runs left: tokens that were kept, and credentials of runs that were killed.
fn end_earlier(dirs: &Dirs) {
    later::start(dirs);
    if let Err(error) = left::withdraw(dirs, LeftBehind::Dead) {
        tracing::warn!("cannot withdraw what an earlier run left: {}", error.text());
    }
}

/// One `mcpwrap run`, which may launch several servers.
struct LaunchPipeline {
    dirs: Dirs,
    server: ServerName,
    profile: Option<ProfileName>,
    command: Vec<OsString>,
    run: RunId,
    /// See [`mark::home`].
    home: String,
    records: Arc<Records>,
    /// Makes short-lived credentials, and withdraws them.
    mints: Arc<MintKeeper>,
    stub: AtomicBool,
    launches: AtomicU32,
    token: remote::TokenState,
    /// Held while the run lives: see `launch::secret_files`.
    locks: Mutex<Vec<File>>,
    work: Mutex<Option<WorkDirectory>>,
    said_ignored: AtomicBool,
    /// The weak values that the user was told of.
    said_unmasked: Mutex<BTreeSet<String>>,
    /// When other credentials were looked for, because a service refused those in use.
    asked_others: Mutex<Option<Instant>>,
    /// What the preparation waits for.
    waits: Arc<StoreWaits>,
    /// The values of stores that this session keeps.
    cache: ValueCache,
    /// The index when the last launch was prepared. If another program changed the store and the index
    /// cannot be written, it differs from the store for good; that must not cause a restart each time.
    seen: Mutex<Index>,
}

impl LaunchPipeline {
    fn new(args: Args, dirs: Dirs) -> Result<Self> {
        let run = RunId::random().map_err(|error| {
            Error::new(
                Code::LaunchFailed,
                format!("cannot start server `{}`", args.server),
            )
            .cause(crate::files::io_text(&error))
        })?;
        let records = Records::new(&dirs, &args.server, args.profile.as_ref(), &run);
        let records = Arc::new(records);
        let report: MintReport = Box::new({
            let records = Arc::clone(&records);
            move |fact| records.mint(&fact)
        });
        let mints = MintKeeper::new(&dirs, &run, &args.server, report);
        Ok(Self {
            home: mark::home(&dirs),
            waits: waits::of(&dirs, &args.server, args.profile.as_ref()),
            dirs,
            run,
            records,
            mints,
            server: args.server,
            profile: args.profile,
            command: args.command,
            stub: AtomicBool::new(false),
            launches: AtomicU32::new(0),
            token: remote::TokenState::default(),
            locks: Mutex::default(),
            work: Mutex::default(),
            said_ignored: AtomicBool::new(false),
            said_unmasked: Mutex::default(),
            asked_others: Mutex::default(),
            cache: ValueCache::default(),
            seen: Mutex::default(),
        })
    }

    fn seen(&self) -> MutexGuard<'_, Index> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locks(&self) -> MutexGuard<'_, Vec<File>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self, keys: &Keys) -> RunMark {
        RunMark::new(keys, &self.home, &self.server, &self.run)
    }

    fn load(&self) -> Result<Policy> {
        session_lock::check(&self.dirs, &self.server)?;
        policy::load(&self.dirs, &self.server, self.profile.as_ref())
    }

    fn note_policy(&self, policy: &Policy) {
        let has_stub = policy.session.on_failure == OnFailure::Stub;
        self.stub.store(has_stub, Ordering::Relaxed);
        self.records.set_policy(&policy.digest);
    }

    fn note_index(&self) {
        *self.seen() = Index::load(&self.dirs).unwrap_or_default();
    }

    /// Keeps what this launch learnt about values that another program changed. A launch does not fail
    /// because of it.
    fn learn(&self, names: &[SecretName], batch: &SecretBatch, keys: &Keys) {
        let items = names.iter().zip(&batch.items);
        let learnt: Vec<_> = items
            .filter_map(|(name, item)| Some(Learnt::new(name, item.as_ref().ok()?, keys)))
            .collect();
        let before = self.seen().clone();
        if let Err(error) = secrets::learn(&self.dirs, &before, &learnt) {
            tracing::warn!(error = %error.line(), "cannot write what was learnt into the secret index");
        }
    }

    /// Says once that the client's network settings are not used.
    fn say_ignored(&self, record: Option<&NetworkRecord>) {
        let ignored = network::ignored(record, &start::client_variable);
        if !ignored.is_empty() && !self.said_ignored.swap(true, Ordering::Relaxed) {
            print::note(&format!(
                "{} of the client {} not used for server `{}`: run `mcpwrap config network` to \
                 approve network settings",
                ignored.join(", "),
                if ignored.len() == 1 { "is" } else { "are" },
                self.server
            ));
        }
    }
}

impl Pipeline for LaunchPipeline {
    fn prepare(&self, is_fresh: bool) -> Result<Prepared> {
        let policy = self.load()?;
        self.note_policy(&policy);
        let config = Config::load(&self.dirs)?;
        let grant = grant::find(&self.dirs, &policy);
        if matches!(&grant, Err(error) if error.code == Code::NotGranted) {
            // The package is pinned first, because the grant covers the pin.
            package::check_pinned(&policy, &config)?;
        }
        let grant = grant?;
        let workspace = policy.check_command(&self.command, self.dirs.home())?;
        package::check_pinned(&policy, &config)?;
        // Before the values are read, so that a change in between is noticed.
        self.note_index();
        let record = network::find(&self.dirs)?;
        let of_network: Vec<_> = record.iter().flat_map(NetworkRecord::secrets).collect();
        let plan = ValuePlan::new(&policy, &config)?;
        let mut names = plan.local();
        let own = names.len();
        names.extend_from_slice(&of_network);
        let (installed, loaded) = package::entry_while(&policy, &self.dirs, || {
            let store = store::open(&self.dirs, &config, Prompt::Never)?;
            Ok((store.get_all(&names)?, store))
        });
        let (batch, store) = loaded?;
        let keys = batch.keys()?;
        grant.verify(&keys)?;
        self.records.set_keys(&keys);
        self.say_ignored(record.as_ref());
        self.learn(&names, &batch, &keys);
        let network = network::verify(&self.dirs, record, &keys)?;
        let proxies = batch.items.iter().skip(own).cloned();
        let proxies: Vec<_> = of_network.into_iter().zip(proxies).collect();
        let local: LocalValues = names.into_iter().zip(batch.items).collect();
        let invocation = self.invocation(&grant, &policy)?;
        // First, because a changed pin has a hint of its own.
        let installed = installed?;
        let verify = || invocation.verify(&policy.server);
        let program = policy.remote.is_none().then(verify).transpose()?.flatten();
        let with = (&config, &network);
        let (values, mints) = self.values((&policy, &plan), with, &local, (&*store, is_fresh))?;
        let poll = plan.poll();
        let prepared = if policy.remote.is_some() {
            let network = (&network, proxies);
            self.prepare_remote(policy, &*store, (values, mints), network, &keys)?
        } else {
            drop(store);
            self.prepare_local(LocalLaunch {
                policy,
                installed,
                invocation,
                program,
                values,
                mints,
                network,
                proxies,
                workspace,
                keys,
            })?
        };
        Ok(Prepared { poll, ..prepared })
    }

    fn prepare_again(&self, rejection: &Rejection, injected: &[Injected]) -> Result<Prepared> {
        self.renew_token(rejection)?;
        self.mints.reject_tokens();
        let prepared = self.prepare(true)?;
        if prepared.env.injected() == injected {
            return Err(remote::refused(&prepared, rejection));
        }
        Ok(prepared)
    }

    fn waits_for(&self) -> Option<Error> {
        self.why_waiting()
    }

    fn asks_user(&self, error: &Error) -> bool {
        self.opens_dialog(error)
    }

    fn may_run(&self) -> Result<()> {
        self.allowed()
    }

    fn is_outdated(&self, injected: &[Injected]) -> bool {
        self.outdated(injected)
    }

    fn has_changed(&self, injected: &[Injected]) -> Result<bool> {
        self.changed(injected)
    }

    fn judge_failure(&self, failure: &FailureText, injected: &[Injected]) -> FailureJudgement {
        self.judge(failure, injected)
    }

    fn ignored_settings(&self) -> Vec<String> {
        let record = network::find(&self.dirs).ok().flatten();
        network::ignored(record.as_ref(), &start::client_variable)
    }

    fn has_stub(&self) -> bool {
        self.stub.load(Ordering::Relaxed)
    }

    fn record_launch(
        &self,
        prepared: &Prepared,
        generation: u32,
        client: &ClientName,
    ) -> Result<()> {
        self.forget_suspects(prepared.env.injected());
        self.records.launch(prepared, generation, client)
    }

    fn record_injections(&self, prepared: &Prepared, generation: u32) -> Result<()> {
        self.forget_suspects(prepared.env.injected());
        self.records.injections(prepared, generation)
    }

    fn record(&self, fact: &Fact) {
        self.records.fact(fact);
    }

    fn call(&self, answered: Answered) {
        self.records.call(answered);
    }
}
