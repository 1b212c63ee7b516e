//! `mcpwrap run`: what a client's config calls.
//!
//! The pipeline of a launch, one step a line (see [`Pipeline::prepare`]), and what is written down of
//! it. *Always* the record before the launch. The session itself is kept by `supervise`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Context, print};
use crate::audit::{CallLog, Client, Detail, Entry, Event, Log, Outcome, RunId, SecretUse};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::policy::{self, Delivery, OnFailure, Policy};
use crate::resolve::{self, Injected};
use crate::secret::{Fingerprint, Keys, ProfileName, SecretName, ServerName};
use crate::session::{Answered, ClientName};
use crate::store::{self, Index, Prompt};
use crate::supervise::{self, Fact, Options, Pipeline, Prepared, Status};
use crate::sys::{fds, harden, tree};
use crate::{grant, launch, package};

/// How long the last records may take when the session is over and nothing of the server is alive.
const LAST_RECORDS_LIMIT: Duration = Duration::from_secs(2);

/// Start a server with the secrets that its policy names, and relay its stdio
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The server's policy
    server: ServerName,
    /// The profile of the policy: dev, prod, …
    #[arg(long)]
    profile: Option<ProfileName>,
    /// The command; if it is given, it has to be the one that the policy allows
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs the server; the exit code is the server's own, or says why there was none.
pub fn run(args: Args, cx: &Context) -> Result<u8> {
    harden::harden();
    fds::close_inherited_on_exec();
    let dirs = cx.dirs.clone();
    let watched = vec![
        grant::path(&dirs, &args.server),
        policy::load::path(&dirs, &args.server),
        dirs.secrets_index(),
    ];
    let runtime = dirs.runtime().to_path_buf();
    let server = args.server.clone();
    let launch = Arc::new(Launch::new(args, dirs)?);
    let pipeline: Arc<dyn Pipeline> = Arc::<Launch>::clone(&launch);
    let options = Options {
        server,
        pipeline,
        watched,
        runtime: Some(runtime),
    };
    let code = supervise::supervise(options);
    launch.finish();
    code
}

/// One `mcpwrap run`, which may launch several servers.
struct Launch {
    dirs: Dirs,
    server: ServerName,
    profile: Option<ProfileName>,
    command: Vec<OsString>,
    run: RunId,
    parent: Client,
    stub: AtomicBool,
    launches: AtomicU32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The fingerprints in the index when the last launch was prepared. A store that another program
    /// changed has other values than the index says; that is no reason to renew again and again.
    seen: BTreeMap<SecretName, Fingerprint>,
    keys: Option<Keys>,
    digest: Option<String>,
    records: Option<CallLog>,
}

impl Launch {
    fn new(args: Args, dirs: Dirs) -> Result<Self> {
        let run = RunId::random().map_err(|error| {
            Error::new(
                Code::LaunchFailed,
                format!("server `{}` not started", args.server),
            )
            .cause(crate::files::io_text(&error))
        })?;
        Ok(Self {
            dirs,
            server: args.server,
            profile: args.profile,
            command: args.command,
            run,
            parent: parent(),
            stub: AtomicBool::new(false),
            launches: AtomicU32::new(0),
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load(&self) -> Result<Policy> {
        policy::load(&self.dirs, &self.server, self.profile.as_ref())
    }

    /// An entry of this run.
    fn entry(&self, event: Event, outcome: Outcome, client: &ClientName) -> Entry {
        let client = Client {
            name: client.name.clone(),
            version: client.version.clone(),
            ..self.parent.clone()
        };
        let mut entry = Entry::new(event, outcome)
            .server(&self.server)
            .run(&self.run)
            .profile(self.profile.as_ref())
            .client(&client);
        entry.policy.clone_from(&self.state().digest);
        entry
    }

    /// Writes an entry down behind the session's back: nothing waits for it.
    fn write(&self, entry: Entry) {
        let mut state = self.state();
        if state.records.is_none() {
            let log = Log::open(&self.dirs, state.keys.as_ref());
            let records = log.and_then(|log| {
                CallLog::start(log).map_err(|error| {
                    Error::new(Code::AuditUnwritable, "no thread for the audit log")
                        .cause(crate::files::io_text(&error))
                })
            });
            match records {
                Ok(records) => state.records = Some(records),
                Err(error) => return print::error(&error),
            }
        }
        if let Some(records) = &state.records {
            records.write(entry);
        }
    }

    /// Writes what is left, in the time that there is.
    fn finish(&self) {
        if let Some(records) = self.state().records.take()
            && !records.finish(LAST_RECORDS_LIMIT)
        {
            print::warning("the last records of the audit log were not written in time");
        }
    }

    fn note_index(&self) {
        let index = Index::load(&self.dirs).unwrap_or_default();
        let entries = index.secrets.into_iter();
        self.state().seen = entries
            .map(|(name, entry)| (name, entry.fingerprint))
            .collect();
    }

    /// Where values go that the server wants as files.
    fn files_dir(&self) -> PathBuf {
        let number = self.launches.fetch_add(1, Ordering::Relaxed);
        self.dirs
            .runtime()
            .join(format!("files-{}-{number}", self.run))
    }
}

impl Pipeline for Launch {
    fn prepare(&self) -> Result<Prepared> {
        let policy = self.load()?;
        self.stub.store(
            policy.session.on_failure == OnFailure::Stub,
            Ordering::Relaxed,
        );
        self.state().digest = Some(policy.digest.clone());
        let grant = grant::find(&self.dirs, &policy)?;
        policy.check_command(&self.command)?;
        let config = Config::load(&self.dirs)?;
        package::check_pinned(&policy, &config)?;
        // Before the values: one that is changed in between is noticed.
        self.note_index();
        let (installed, batch) = package::entry_while(&policy, &self.dirs, || {
            let store = store::open(&self.dirs, &config, Prompt::Never)?;
            store.get_all(&resolve::names(&policy))
        });
        let batch = batch?;
        let keys = batch.keys()?;
        grant.verify(&keys)?;
        self.state().keys = Some(keys.clone());
        let mut inherited = launch::inherited(&policy.env.pass);
        let mut directory = policy.cwd.as_deref().map(|cwd| self.dirs.expand(cwd));
        let (mut program, mut policy) = (None, policy);
        if let Some(installed) = installed? {
            program = installed.program();
            directory = installed.directory(directory);
            policy = installed.stand_in(policy, &mut inherited);
        }
        let env = resolve::resolve(&policy, inherited, batch, &keys, &self.files_dir())?;
        Ok(Prepared {
            policy,
            env,
            program,
            directory,
        })
    }

    fn standing(&self) -> Result<()> {
        let path = policy::load::path(&self.dirs, &self.server);
        if path
            .metadata()
            .is_ok_and(|meta| meta.is_file() && meta.len() == 0)
        {
            // An emptied policy allows nothing: the same as one that was removed. Like that one, it
            // may be in the middle of being written by an editor.
            return Err(Error::new(
                Code::PolicyNotFound,
                format!("server `{}` not started: its policy is empty", self.server),
            )
            .cause(format!("`{}` has no content", self.dirs.tilde(&path)))
            .hint(format!(
                "restore the policy, then `mcpwrap grant {}`",
                self.server
            )));
        }
        let policy = self.load()?;
        let _grant = grant::find(&self.dirs, &policy)?;
        policy.check_command(&self.command)
    }

    fn is_outdated(&self, injected: &[Injected]) -> bool {
        let state = self.state();
        Index::load(&self.dirs).is_ok_and(|index| {
            injected.iter().any(|one| {
                index.secrets.get(&one.name).is_some_and(|entry| {
                    entry.fingerprint != one.fingerprint
                        && state.seen.get(&one.name) != Some(&entry.fingerprint)
                })
            })
        })
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
        let entry = |event| self.entry(event, Outcome::Intent, client);
        let detail = Detail {
            program: prepared.policy.command.first().cloned(),
            package: prepared.policy.package.as_ref().map(policy::Package::label),
            generation: Some(generation),
            ..Detail::default()
        };
        let mut entries = vec![entry(Event::Launch).detail(detail)];
        for one in prepared.env.injected() {
            let to = match one.to {
                Delivery::Env => "env",
                Delivery::File => "file",
            };
            let detail = Detail {
                to: Some(to.to_owned()),
                generation: Some(generation),
                ..Detail::default()
            };
            let secret = SecretUse {
                name: one.name.clone(),
                variable: Some(one.variable.clone()),
                fingerprint: Some(one.fingerprint.clone()),
            };
            entries.push(entry(Event::Inject).secret(secret).detail(detail));
        }
        let keys = self.state().keys.clone();
        Log::open(&self.dirs, keys.as_ref())?.append(&entries)
    }

    fn record(&self, fact: &Fact<'_>) {
        let nobody = ClientName::default();
        let launched = self.state().records.is_some();
        let entry = match fact {
            Fact::Aborted => {
                let what = format!("server `{}` not started: the client left", self.server);
                print::note(&what);
                self.entry(Event::Refuse, Outcome::Refused, &nobody)
                    .reason("aborted")
            }
            Fact::Launched { generation, pid } => {
                let detail = Detail {
                    started: tree::started(*pid),
                    ..Detail::of_process(*generation, *pid)
                };
                self.entry(Event::Launch, Outcome::Ok, &nobody)
                    .detail(detail)
            }
            Fact::Suspended(error) => {
                print::error(error);
                let (event, outcome) = if launched {
                    (Event::Suspend, Outcome::Ok)
                } else {
                    (Event::Refuse, Outcome::Refused)
                };
                self.entry(event, outcome, &nobody)
                    .reason(error.code.name())
            }
            Fact::Exited {
                generation,
                pid,
                status,
                ran,
                client,
            } => {
                let (code, signal) = match status {
                    Status::Exited(code) => (Some(*code), None),
                    Status::Died(signal) => (None, Some(*signal)),
                };
                let detail = Detail {
                    code,
                    signal,
                    duration_ms: u64::try_from(ran.as_millis()).ok(),
                    ..Detail::of_process(*generation, *pid)
                };
                self.entry(Event::Exit, Outcome::Ok, client).detail(detail)
            }
            Fact::Renewed {
                generation,
                took,
                cause,
            } => {
                let detail = Detail {
                    generation: Some(*generation),
                    duration_ms: u64::try_from(took.as_millis()).ok(),
                    ..Detail::default()
                };
                self.entry(Event::Renew, Outcome::Ok, &nobody)
                    .reason(cause)
                    .detail(detail)
            }
            Fact::NotRenewed { error, cause: _ } => {
                print::error(error);
                self.entry(Event::Renew, Outcome::Failed, &nobody)
                    .reason(error.code.name())
            }
        };
        self.write(entry);
    }

    fn call(&self, answered: Answered) {
        const WRITTEN_DOWN: &[&str] = &["tools/call", "resources/read", "prompts/get"];
        if !WRITTEN_DOWN.contains(&answered.method.as_str()) {
            return;
        }
        let failed = answered.error.is_some() || answered.tool_error;
        let outcome = if failed { Outcome::Failed } else { Outcome::Ok };
        let reason = answered.tool_error.then_some("tool-error");
        let detail = Detail {
            id: Some(answered.id.as_str().to_owned()),
            method: Some(answered.method),
            tool: answered.tool,
            error: answered.error,
            duration_ms: u64::try_from(answered.took.as_millis()).ok(),
            ..Detail::default()
        };
        let mut entry = self
            .entry(Event::Call, outcome, &ClientName::default())
            .detail(detail);
        entry.reason = reason.map(str::to_owned);
        self.write(entry);
    }
}

/// The process that started us: the MCP client, or something between.
fn parent() -> Client {
    let pid = nix::unistd::getppid();
    Client {
        pid: u32::try_from(pid.as_raw()).ok(),
        exe: tree::executable(pid).map(|path| path.display().to_string()),
        ..Client::default()
    }
}
