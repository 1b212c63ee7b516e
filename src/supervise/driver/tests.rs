//! The driver with a pipeline without files and a pipe as the client. No server is started, because
//! its program does not exist.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::Driver;
use crate::audit::RunId;
use crate::bridge::channel::Rejection;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::invocation::Ran;
use crate::launch::injected::Injected;
use crate::launch::resolve::{self, Sources};
use crate::launch::secret_files::SecretFiles;
use crate::launch::start::GuardLabel;
use crate::mint::LiveMints;
use crate::policy::load::parse_text;
use crate::secret::{Keys, Secret, ServerName};
use crate::session::envelope::Scanner;
use crate::session::{Answered, ClientName, FailureText};
use crate::supervise::pipeline::{Fact, FailureJudgement, Options, Pipeline, Prepared, Target};
use crate::supervise::request::{ControlVerb, Request};
use crate::supervise::shared::{Notice, Shared};
use crate::supervise::state::KeeperEvent;

/// Returns configured answers and records the questions.
#[derive(Default)]
struct FakePipeline {
    /// The results of the next grant checks; then checks succeed.
    standings: Mutex<VecDeque<Result<()>>>,
    unwritable: bool,
    calls: Mutex<Vec<String>>,
}

impl FakePipeline {
    fn note(&self, call: impl Into<String>) {
        self.calls.lock().unwrap().push(call.into());
    }
}

impl Pipeline for FakePipeline {
    fn judge_failure(&self, _: &FailureText, _: &[Injected]) -> FailureJudgement {
        FailureJudgement::Other
    }

    fn has_changed(&self, _: &[Injected]) -> Result<bool> {
        Ok(false)
    }

    fn waits_for(&self) -> Option<Error> {
        None
    }

    fn asks_user(&self, _: &Error) -> bool {
        false
    }

    fn prepare(&self, _: bool) -> Result<Prepared> {
        self.note("prepare");
        let policy = parse_text("version = 1\ncommand = [\"/nowhere/server\"]\n")?;
        let keys = Keys::from_master(&Secret::new(vec![7; 32]));
        let sources = Sources {
            inherited: Vec::new(),
            values: Vec::new(),
            network: Vec::new(),
            proxies: Vec::new(),
            workspace: None,
        };
        let dirs = Dirs::under(Path::new("/nowhere"));
        let run = RunId::random().expect("random bytes");
        let mut files = SecretFiles::new(&dirs, &run, 0);
        let env = resolve::resolve(&policy, sources, &keys, &mut files)?;
        Ok(Prepared {
            policy,
            env,
            mints: LiveMints::default(),
            poll: None,
            target: Target::Program {
                program: Ran {
                    // No path contains a NUL: the launch fails before a process starts.
                    path: "/nowhere/\0".into(),
                    digest: String::new(),
                },
                directory: "/".into(),
            },
        })
    }

    fn prepare_again(&self, _: &Rejection, _: &[Injected]) -> Result<Prepared> {
        self.note("prepare again");
        self.prepare(true)
    }

    fn record_injections(&self, _: &Prepared, generation: u32) -> Result<()> {
        self.note(format!("inject {generation}"));
        Ok(())
    }

    fn may_run(&self) -> Result<()> {
        self.note("standing");
        self.standings.lock().unwrap().pop_front().unwrap_or(Ok(()))
    }

    fn is_outdated(&self, _: &[Injected]) -> bool {
        false
    }

    fn ignored_settings(&self) -> Vec<String> {
        Vec::new()
    }

    fn has_stub(&self) -> bool {
        false
    }

    fn record_launch(&self, _: &Prepared, generation: u32, _: &ClientName) -> Result<()> {
        self.note(format!("record {generation}"));
        if self.unwritable {
            return Err(refusal(Code::AuditUnwritable));
        }
        Ok(())
    }

    fn record(&self, fact: &Fact) {
        self.note(match fact {
            Fact::Suspended(error) => format!("suspended {}", error.code),
            fact => format!("{fact:?}"),
        });
    }

    fn call(&self, _: Answered) {}
}

fn refusal(code: Code) -> Error {
    Error::new(code, "server `github` not started")
}

/// A driver, its pipeline, and the read end of its stdout.
struct TestDriver {
    driver: Driver,
    pipeline: Arc<FakePipeline>,
    client: BufReader<UnixStream>,
}

impl TestDriver {
    fn new(pipeline: FakePipeline) -> Self {
        let (ours, client) = UnixStream::pair().unwrap();
        let (_, wake) = UnixStream::pair().unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let server = ServerName::new("github").unwrap();
        let file = |end: UnixStream| OwnedFd::from(end).into();
        let shared = Shared::new(server.clone(), file(ours), file(wake));
        let pipeline = Arc::new(pipeline);
        let options = Options {
            label: GuardLabel {
                server,
                run: String::new(),
                home: String::new(),
            },
            pipeline: Arc::<FakePipeline>::clone(&pipeline),
            watched: Vec::new(),
            runtime: None,
            reconnect: |_| "reconnect",
        };
        Self {
            driver: Driver::new(options, Arc::new(shared), false, None),
            pipeline,
            client: BufReader::new(client),
        }
    }

    /// Starts, and waits until the preparation and its actions are done.
    fn start(&mut self) {
        self.driver.handle(KeeperEvent::Start);
        while self.driver.prepared.is_empty() && self.driver.state.trouble().is_none() {
            self.driver.process_pending();
            std::thread::yield_now();
        }
    }

    fn calls(&self) -> String {
        self.pipeline.calls.lock().unwrap().join(", ")
    }

    fn client_asks(&self, request: &Value) {
        let line = format!("{request}\n").into_bytes();
        let envelope = Scanner::scan(&line);
        let now = std::time::Instant::now();
        let mut inner = self.driver.shared.lock();
        let _ = inner.session.client_line(&envelope, Some(&line), now);
    }

    fn client_reads(&mut self) -> Value {
        let mut line = String::new();
        self.client.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn asks(&mut self, verb: ControlVerb) -> Receiver<Value> {
        let (reply, answer) = channel();
        self.driver
            .shared
            .post(Notice::Asked(Request { verb, reply }));
        self.driver.process_pending();
        answer
    }
}

#[test]
fn a_launch_is_recorded_with_a_grant_check_before_and_after() {
    let mut test = TestDriver::new(FakePipeline::default());
    test.start();
    assert_eq!(
        test.calls(),
        "prepare, standing, record 1, standing, suspended launch-failed"
    );
    assert!(test.driver.prepared.is_empty() && test.driver.generations.is_empty());
}

#[test]
fn without_a_record_or_a_grant_nothing_is_launched() {
    let unwritable = FakePipeline {
        unwritable: true,
        ..FakePipeline::default()
    };
    let mut test = TestDriver::new(unwritable);
    test.start();
    assert_eq!(
        test.calls(),
        "prepare, standing, record 1, suspended audit-unwritable"
    );
    let revoked = FakePipeline {
        standings: Mutex::new(VecDeque::from([Ok(()), Err(refusal(Code::Revoked))])),
        ..FakePipeline::default()
    };
    let mut test = TestDriver::new(revoked);
    test.start();
    assert_eq!(
        test.calls(),
        "prepare, standing, record 1, standing, suspended revoked"
    );
    assert!(test.driver.prepared.is_empty(), "its secrets are kept");
}

#[test]
fn a_waiting_request_is_answered_with_the_reason() {
    let mut test = TestDriver::new(FakePipeline::default());
    test.client_asks(&json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list"}));
    test.start();
    let answer = test.client_reads();
    assert_eq!(answer["id"], 3);
    assert_eq!(answer["error"]["data"]["mcpwrap"]["code"], "launch-failed");
}

#[test]
fn other_commands_are_answered() {
    let mut test = TestDriver::new(FakePipeline::default());
    let starting = test.asks(ControlVerb::Status);
    assert_eq!(starting.recv().unwrap()["server"], "github");
    test.start();
    let status = test.asks(ControlVerb::Status).recv().unwrap();
    let shown = (&status["state"], &status["code"], &status["pid"]);
    assert_eq!(
        shown,
        (&json!("suspended"), &json!("launch-failed"), &Value::Null)
    );
    let revoked = Err(refusal(Code::Revoked));
    test.pipeline.standings.lock().unwrap().push_back(revoked);
    let checked = test.asks(ControlVerb::Check).recv().unwrap();
    assert_eq!(
        (&checked["ok"], &checked["running"]),
        (&json!(true), &json!(false))
    );
    assert!(test.calls().ends_with("suspended revoked"));
    // A renewal in progress at the end is answered too.
    let renewed = test.asks(ControlVerb::Renew);
    test.driver
        .handle(KeeperEvent::Signalled(nix::sys::signal::Signal::SIGTERM));
    assert_eq!(test.driver.exit_code(), Some(128 + 15));
    let ended = renewed.recv().unwrap();
    assert_eq!(ended["ok"], false, "{ended}");
}
