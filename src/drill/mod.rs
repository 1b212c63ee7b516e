//! `mcpwrap drill`: tests the kill switch on this machine, with a temporary server.
//!
//! Uses the real path (a policy, a grant, `mcpwrap run`, `revoke`) in a temporary directory with a
//! vault and a dummy secret of its own, so that no real grant or secret is used. The default server
//! ignores signals and leaves a daemon behind. The result is kept, because `mcpwrap check` reports
//! when the kill switch was last seen to work.

mod faults;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use self::faults::{DrillFault, FaultOutcome, FaultResult};

use crate::config::{Config, StoreKind};
use crate::dirs::{self, Dirs};
use crate::error::{Code, EXIT_REFUSED, Error, Result};
use crate::files;
use crate::grant::{self, By};
use crate::invocation::{self, Resolved};
use crate::policy::{self, Policy};
use crate::secret::{Keys, Secret, ServerName};
use crate::store::{self, Prompt, SecretItem};
use crate::supervise::find;
use crate::supervise::running::{Order, Running, StopMethod};
use crate::sys::spawn;
use crate::trial::child::{Arrival, ChildEnd, RunChild};

/// A process tree that is hard to end: a shell that ignores signals, a child that does too, and a
/// daemon in a session of its own. Prints a line when all of it runs.
const STUBBORN: &str = r#"
trap '' TERM INT HUP
stay() { while :; do sleep 60; done; }
stay &
( (command -v setsid >/dev/null && exec setsid sh -c "trap '' TERM INT HUP; while :; do sleep 60; done" || stay) & )
sleep 0.1
printf '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"ready"}}\n'
stay
"#;
/// A string in each error of the suspended session.
const REVOKED: &str = "\"revoked\"";
/// The time limit for the server to start.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// The time limit for an answer of the suspended session.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// The time limit for the supervisor to exit.
const END_LIMIT: Duration = Duration::from_secs(10);
/// The documented limit for the whole process tree to exit.
const DEAD_LIMIT: Duration = Duration::from_secs(1);

/// The result of a drill, kept in `drill.json` of the state directory.
#[derive(Debug, Serialize, Deserialize)]
pub struct Drill {
    pub time: String,
    pub ok: bool,
    pub server: Option<String>,
    /// From the revocation to the error that the client sees (milliseconds).
    pub first_error_ms: Option<u64>,
    /// From the revocation to the exit of the last process (milliseconds).
    pub dead_ms: Option<u64>,
    pub processes: usize,
    /// The client's session answered a `ping` afterwards.
    pub session_kept: bool,
    /// A new start was refused.
    pub start_refused: bool,
    /// The same under faults.
    #[serde(default)]
    pub faults: Vec<FaultResult>,
}

/// The file with the last result.
pub fn result_file(dirs: &Dirs) -> PathBuf {
    dirs.state().join("drill.json")
}

/// Runs a drill with the command of `server`, or with a shell that ignores signals, and keeps the
/// result.
///
/// # Errors
/// `still-running` if the drill cannot run or its result cannot be saved.
pub fn run(dirs: &Dirs, server: Option<&ServerName>) -> Result<Drill> {
    let home = DrillHome {
        path: dirs.runtime().join(format!("drill-{}", random()?)),
        user: dirs.home().to_path_buf(),
    };
    let drill = drill(dirs, server, &home);
    drop(home);
    let drill = drill?;
    let text = serde_json::to_string(&drill).unwrap_or_default();
    files::replace(&result_file(dirs), text.as_bytes())
        .map_err(|problem| failed("cannot save its result").cause(problem))?;
    Ok(drill)
}

pub fn failed(what: &str) -> Error {
    Error::new(Code::StillRunning, format!("drill: {what}"))
}

fn random() -> Result<String> {
    files::random_hex().map_err(|error| failed("cannot start").cause(files::io_text(&error)))
}

/// The temporary directory, removed when dropped, and the user's home.
struct DrillHome {
    path: PathBuf,
    user: PathBuf,
}

impl Drop for DrillHome {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.path));
    }
}

fn drill(dirs: &Dirs, wanted: Option<&ServerName>, home: &DrillHome) -> Result<Drill> {
    let sandbox = Dirs::under(&home.path);
    let server = ServerName::new("drill")?;
    let (policy, resolved, keys) = set_up(dirs, wanted, &sandbox, &server)?;
    let mut session = DrillClient::start(&home.path, &home.user)?;
    let running = session.wait_until_ready(&sandbox, wanted.is_none())?;

    let seen = running.look();
    let began = Instant::now();
    let since = |at: Instant| u64::try_from(at.duration_since(began).as_millis()).ok();
    grant::revoke(&sandbox, &server, Some("drill"))?;
    session.ask("drill", "tools/list");
    let ended = seen.end(Order::Check);
    let dead_at = Instant::now();
    let mut answer = session.answer_to("drill");
    if answer
        .as_ref()
        .is_some_and(|(_, line)| !line.contains(REVOKED))
    {
        // The server answered before it was ended: no server can answer the next request.
        session.ask("again", "tools/list");
        answer = session.answer_to("again");
    }
    session.ask("alive", "ping");
    let alive = session.answer_to("alive");
    session.end();
    let start_refused = DrillClient::start(&home.path, &home.user)?.refused();
    let mut faults = Vec::new();
    for fault in DrillFault::ALL {
        grant::grant(&sandbox, &policy, &resolved.invocation, &keys, By::Yes)?;
        let mut session = DrillClient::start(&home.path, &home.user)?;
        let seen = session.wait_until_ready(&sandbox, wanted.is_none())?.look();
        faults.push(faults::try_one(fault, home, &sandbox, session, &seen)?);
    }

    let dead = ended.method == StopMethod::Asked;
    let mut drill = Drill {
        time: jiff::Timestamp::now().to_string(),
        ok: false,
        server: wanted.map(ToString::to_string),
        first_error_ms: answer
            .filter(|(_, line)| line.contains(REVOKED))
            .and_then(|(at, _)| since(at)),
        dead_ms: dead.then(|| since(dead_at)).flatten(),
        processes: ended.processes,
        session_kept: alive.is_some_and(|(_, line)| line.contains("\"result\"")),
        start_refused,
        faults,
    };
    drill.ok = drill.first_error_ms.is_some()
        && drill
            .dead_ms
            .is_some_and(|ms| u128::from(ms) < DEAD_LIMIT.as_millis())
        && drill.session_kept
        && drill.start_refused
        && drill
            .faults
            .iter()
            .all(|one| one.result != FaultOutcome::Fails);
    Ok(drill)
}

/// Creates a vault with a dummy secret, a policy and a grant, as a user would have them.
fn set_up(
    dirs: &Dirs,
    wanted: Option<&ServerName>,
    sandbox: &Dirs,
    server: &ServerName,
) -> Result<(Policy, Resolved, Keys)> {
    let key_file = sandbox.state().join("key");
    let config = Config {
        store: StoreKind::File,
        key_file: Some(key_file.display().to_string()),
        ..Config::default()
    };
    store::prepare_key_file(sandbox, &key_file)?;
    config.save(sandbox)?;
    store::create_vault(sandbox, &config)?;
    let store = store::open(sandbox, &config, Prompt::Never)?;
    let keys = store::keys_or_create(&*store)?;
    let text = match wanted {
        None => policy_text(
            &["/bin/sh".to_owned(), "-c".to_owned(), STUBBORN.to_owned()],
            &["DRILL_SECRET"],
        ),
        Some(name) => {
            let real = policy::load(dirs, name, None)?;
            if let Some(remote) = &real.remote {
                return Err(failed("no process to end")
                    .cause(format!("server `{name}` runs at {}", remote.host()))
                    .hint("run `mcpwrap drill` without a name"));
            }
            let variables: Vec<&str> = real.secrets.keys().map(String::as_str).collect();
            let mut command = real.command.clone();
            for argument in &mut command {
                for variable in &variables {
                    *argument = argument.replace(&format!("{{secret.{variable}}}"), "dummy");
                }
            }
            policy_text(&command, &variables)
        }
    };
    files::replace(&policy::load::path(sandbox, server), text.as_bytes())
        .map_err(|problem| failed("cannot write the temporary policy").cause(problem))?;
    let policy = policy::load(sandbox, server, None)?;
    for slot in policy.secrets.values() {
        let item = SecretItem {
            value: Secret::new(format!("dummy-{}", random()?).into_bytes()),
            profile: None,
            expires: None,
        };
        if let Some(name) = slot.from.local() {
            store.put(name, &item)?;
        }
    }
    let resolved = invocation::resolve(&policy, dirs)?;
    grant::grant(sandbox, &policy, &resolved.invocation, &keys, By::Yes)?;
    Ok((policy, resolved, keys))
}

fn policy_text(command: &[String], variables: &[&str]) -> String {
    let mut text = format!(
        "version = 1\ncommand = {}\n[limits]\nunpinned = \"allow\"\n",
        toml::Value::from(command.to_vec())
    );
    for variable in variables {
        let secret = format!("\n[secrets.{variable}]\nfrom = \"secret:drill/{variable}\"\n");
        text.push_str(&secret);
    }
    text
}

/// A client's end of one `mcpwrap run drill`.
struct DrillClient(RunChild);

impl DrillClient {
    fn start(home: &Path, user_home: &Path) -> Result<Self> {
        let arguments = [OsStr::new("run"), OsStr::new("drill")];
        let path = dirs::search_path().unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        let environment = [
            (dirs::MCPWRAP_HOME, home.as_os_str()),
            ("HOME", user_home.as_os_str()),
            ("PATH", &path),
        ];
        let child = spawn::own(&arguments, &environment).and_then(RunChild::new);
        child
            .map(Self)
            .map_err(|error| failed("cannot start").cause(files::io_text(&error)))
    }

    fn pid(&self) -> i32 {
        self.0.pid()
    }

    fn ask(&mut self, id: &str, method: &str) {
        let line = format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"{method}"}}"#);
        self.0.send(&line);
    }

    /// Waits for the server's process tree, and returns its supervisor.
    fn wait_until_ready(&mut self, sandbox: &Dirs, says_so: bool) -> Result<Running> {
        let deadline = Instant::now() + READY_LIMIT;
        let ready = !says_so || self.wait_for("\"ready\"", READY_LIMIT).is_some();
        while ready && Instant::now() < deadline {
            let running = find::by_socket(sandbox, true).into_iter().next();
            if let Some(running) = running
                && running
                    .status()
                    .is_some_and(|status| status.get("state").is_some_and(|s| s == "running"))
            {
                return Ok(running);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.end();
        Err(failed("the test server did not start")
            .cause(format!("not running after {} s", READY_LIMIT.as_secs()))
            .hint("run `mcpwrap drill` without a server to test with a plain shell"))
    }

    fn answer_to(&self, id: &str) -> Option<(Instant, String)> {
        self.wait_for(&format!("\"id\":\"{id}\""), ANSWER_LIMIT)
    }

    fn wait_for(&self, text: &str, limit: Duration) -> Option<(Instant, String)> {
        let deadline = Instant::now() + limit;
        loop {
            let Ok(Arrival::Line(at, line)) = self.0.receive(deadline) else {
                return None;
            };
            let line = String::from_utf8_lossy(&line);
            if line.contains(text) {
                return Some((at, line.into_owned()));
            }
        }
    }

    /// Closes stdin, as a client does; the supervisor then exits.
    fn end(&mut self) -> ChildEnd {
        self.0.end(END_LIMIT)
    }

    /// Whether this start was refused, which is expected after the revocation.
    fn refused(mut self) -> bool {
        self.end() == ChildEnd::Exit(i32::from(EXIT_REFUSED))
    }
}
