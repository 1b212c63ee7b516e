//! What one `mcpwrap run` writes into the audit log.
//!
//! Invariants: the record of a launch is on disk before the launch, or there is no launch. One thread
//! writes all other records, and the session does not wait for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::head_keeper::HeadKeeper;
use crate::audit::record::ChainKey;
use crate::audit::{
    CallLog, ClientIdentity, Detail, Event, Head, Log, NewRecord, Outcome, RunId, SecretUse,
};
use crate::cli::print;
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::ops::actor::keys_if_open;
use crate::policy;
use crate::secret::{Keys, ProfileName, ServerName};
use crate::session::{Answered, ClientName};
use crate::store;
use crate::supervise::{Fact, Prepared, ServerExit, Target};
use crate::sys::{fence, table, tree};

/// How long the last records may take after the session and the server's processes ended.
const LAST_RECORDS_LIMIT: Duration = Duration::from_secs(2);

/// The records of one run, which may launch several servers.
pub(super) struct Records {
    dirs: Dirs,
    server: ServerName,
    state: Mutex<RecorderState>,
}

struct RecorderState {
    /// It seals records. A session keeps no key of grants, fingerprints or marks.
    key: Option<ChainKey>,
    /// The fields that all records have in common.
    common: Arc<NewRecord>,
    log: Option<CallLog>,
    /// The head after the records of the last launch.
    released: Option<Head>,
    /// Stores that head; started with the first launch.
    keeper: Option<HeadKeeper>,
}

impl Records {
    pub(super) fn new(
        dirs: &Dirs,
        server: &ServerName,
        profile: Option<&ProfileName>,
        run: &RunId,
    ) -> Self {
        let common = NewRecord::new(Event::Launch, Outcome::Intent)
            .server(server)
            .run(run)
            .profile(profile)
            .client(&parent());
        Self {
            dirs: dirs.clone(),
            server: server.clone(),
            state: Mutex::new(RecorderState {
                key: None,
                common: Arc::new(common),
                log: None,
                released: None,
                keeper: None,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, RecorderState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The policy of the following records.
    pub(super) fn set_policy(&self, digest: &str) {
        Arc::make_mut(&mut self.state().common).policy = Some(digest.to_owned());
    }

    /// The keys whose one for the log seals the records.
    pub(super) fn set_keys(&self, keys: &Keys) {
        self.state().key = Some(ChainKey::new(keys));
    }

    /// A record of this run.
    pub(super) fn record(&self, event: Event, outcome: Outcome, client: &ClientName) -> NewRecord {
        let mut record = NewRecord {
            event,
            outcome,
            ..NewRecord::clone(&self.state().common)
        };
        if let Some(own) = &mut record.client {
            own.name.clone_from(&client.name);
            own.version.clone_from(&client.version);
        }
        record
    }

    /// Queues a record; nothing waits for it.
    pub(super) fn write(&self, record: NewRecord) {
        self.with_log(&mut self.state(), |log| log.write(record));
    }

    /// The log, opened on first use, when the key is known.
    fn with_log(&self, state: &mut RecorderState, act: impl FnOnce(&CallLog)) {
        if state.log.is_none() {
            let log = Log::sealed(&self.dirs, state.key.clone());
            let log = log.and_then(|log| {
                CallLog::start(log).map_err(|error| {
                    Error::new(
                        Code::AuditUnwritable,
                        "cannot start a thread for the audit log",
                    )
                    .cause(crate::files::io_text(&error))
                })
            });
            match log {
                Ok(log) => state.log = Some(log),
                Err(error) => return print::error(&error),
            }
        }
        if let Some(log) = &state.log {
            act(log);
        }
    }

    /// Stores the head of the log after a launch.
    fn keep_head(&self) {
        let mut state = self.state();
        let Some(released) = state.released.take() else {
            return;
        };
        if state.keeper.is_none() {
            state.keeper = HeadKeeper::start(&self.dirs);
        }
        if let Some(keeper) = &state.keeper {
            keeper.keep(released);
        }
    }

    /// The key for the record of a refusal that came before the store was opened. Not from a
    /// store that may take seconds while the client waits.
    fn find_keys(&self) {
        let mut state = self.state();
        if state.key.is_none()
            && let Ok(config) = Config::load(&self.dirs)
            && store::backend(config.store).is_quick
        {
            state.key = keys_if_open(&self.dirs, &config)
                .as_ref()
                .map(ChainKey::new);
        }
    }

    /// Writes the last records, within a time limit.
    pub(super) fn finish(&self) {
        let keeper = self.state().keeper.take();
        if let Some(keeper) = keeper {
            keeper.finish(LAST_RECORDS_LIMIT);
        }
        if let Some(log) = self.state().log.take()
            && !log.finish(LAST_RECORDS_LIMIT)
        {
            print::warning("the last records of the audit log were not written in time");
        }
    }

    /// Records the launch and each injected secret; returns when they are on disk.
    ///
    /// # Errors
    /// `audit-unwritable`: the server must not be launched.
    pub(super) fn launch(
        &self,
        prepared: &Prepared,
        generation: u32,
        client: &ClientName,
    ) -> Result<()> {
        let (path, digest) = match &prepared.target {
            Target::Program { program, .. } => (
                Some(program.path.display().to_string()),
                Some(program.digest.clone()),
            ),
            Target::Remote { .. } => (None, None),
        };
        let detail = Detail {
            program: prepared.policy.command.first().cloned(),
            path,
            digest,
            host: host(prepared),
            package: prepared.policy.package.as_ref().map(policy::Package::label),
            generation: Some(generation),
            fence: Some(fence_word(prepared).to_owned()),
            mark: prepared.env.mark().map(|mark| mark.mac.clone()),
            supervisor: Some(std::process::id()),
            supervisor_started: tree::started(nix::unistd::getpid().as_raw()),
            ..Detail::default()
        };
        let launch = self
            .record(Event::Launch, Outcome::Intent, client)
            .detail(detail);
        let mut records = vec![launch];
        records.extend(self.of_injections(prepared, generation, client));
        let head = self.append(&records)?;
        self.state().released = Some(head);
        Ok(())
    }

    /// Records the secrets that a running bridge gets; returns when they are on disk.
    ///
    /// # Errors
    /// `audit-unwritable`: the bridge must not get them.
    pub(super) fn injections(&self, prepared: &Prepared, generation: u32) -> Result<()> {
        let records = self.of_injections(prepared, generation, &ClientName::default());
        let head = self.append(&records)?;
        self.state().released = Some(head);
        self.keep_head();
        Ok(())
    }

    fn append(&self, records: &[NewRecord]) -> Result<Head> {
        let key = self.state().key.clone();
        Log::sealed(&self.dirs, key)?.append_to_head(records)
    }

    fn of_injections(
        &self,
        prepared: &Prepared,
        generation: u32,
        client: &ClientName,
    ) -> Vec<NewRecord> {
        let mut records = Vec::new();
        for one in prepared.env.injected() {
            let detail = Detail {
                to: Some(one.to.name().to_owned()),
                host: host(prepared),
                generation: Some(generation),
                ..Detail::default()
            };
            let secret = SecretUse {
                name: one.name.clone(),
                variable: Some(one.variable.clone()),
                fingerprint: Some(one.fingerprint.clone()),
            };
            let record = self.record(Event::Inject, Outcome::Intent, client);
            records.push(record.secret(secret).detail(detail));
        }
        records
    }

    /// Records a fact, and prints what the user should know.
    pub(super) fn fact(&self, fact: &Fact) {
        match fact {
            Fact::Launched { .. } => self.keep_head(),
            Fact::Suspended(_) => self.find_keys(),
            _ => {}
        }
        let record = self.record_of(fact);
        self.write(record);
    }

    fn record_of(&self, fact: &Fact) -> NewRecord {
        let unknown = ClientName::default();
        let launched = self.state().log.is_some();
        match fact {
            Fact::Aborted => {
                let what = format!(
                    "cannot start server `{}`: the client disconnected",
                    self.server
                );
                print::note(&what);
                self.record(Event::Refuse, Outcome::Refused, &unknown)
                    .reason("aborted")
            }
            Fact::Launched {
                generation,
                pid,
                has_group,
            } => {
                let detail = Detail::of_start(*generation, *pid, tree::started(*pid), *has_group);
                self.record(Event::Launch, Outcome::Ok, &unknown)
                    .detail(detail)
            }
            Fact::Suspended(error) => {
                print::error(error);
                let (event, outcome) = if launched {
                    (Event::Suspend, Outcome::Ok)
                } else {
                    (Event::Refuse, Outcome::Refused)
                };
                self.record(event, outcome, &unknown)
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
                    ServerExit::Exited(code) => (Some(*code), None),
                    ServerExit::Died(signal) => (None, Some(*signal)),
                };
                let detail = Detail {
                    code,
                    signal,
                    duration_ms: u64::try_from(ran.as_millis()).ok(),
                    ..Detail::of_process(*generation, *pid)
                };
                self.record(Event::Exit, Outcome::Ok, client).detail(detail)
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
                self.record(Event::Renew, Outcome::Ok, &unknown)
                    .reason(cause)
                    .detail(detail)
            }
            Fact::NotRenewed { error } => {
                print::error(error);
                self.record(Event::Renew, Outcome::Failed, &unknown)
                    .reason(error.code.name())
            }
        }
    }

    /// Records an answered request; the caller does not wait.
    pub(super) fn call(&self, answered: Answered) {
        const RECORDED: &[&str] = &["tools/call", "resources/read", "prompts/get"];
        if !RECORDED.contains(&answered.method.as_str()) {
            return;
        }
        let mut state = self.state();
        let common = Arc::clone(&state.common);
        self.with_log(&mut state, |log| {
            log.call(move || call_record(&common, answered));
        });
    }
}

/// The host of a remote server.
fn host(prepared: &Prepared) -> Option<String> {
    prepared.policy.remote.as_ref().map(policy::Remote::host)
}

/// The fence that the server starts in.
fn fence_word(prepared: &Prepared) -> &'static str {
    if prepared.policy.fence {
        fence::kind().name()
    } else {
        "off"
    }
}

/// The record of an answered request.
fn call_record(common: &NewRecord, answered: Answered) -> NewRecord {
    let failed = answered.error.is_some() || answered.tool_error;
    NewRecord {
        event: Event::Call,
        outcome: if failed { Outcome::Failed } else { Outcome::Ok },
        reason: answered.tool_error.then(|| "tool-error".to_owned()),
        detail: Detail {
            id: Some(answered.id.as_str().to_owned()),
            method: Some(answered.method),
            tool: answered.tool,
            error: answered.error,
            duration_ms: u64::try_from(answered.took.as_millis()).ok(),
            ..Detail::default()
        },
        ..common.clone()
    }
}

/// The process that started mcpwrap: the MCP client, or a process between.
fn parent() -> ClientIdentity {
    let pid = nix::unistd::getppid();
    ClientIdentity {
        pid: u32::try_from(pid.as_raw()).ok(),
        exe: table::executable(pid).map(|path| path.display().to_string()),
        ..ClientIdentity::default()
    }
}
