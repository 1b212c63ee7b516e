//! The builder that every test of the real binary goes through.
//!
//! Invariants: a test has its own home, an empty environment and deadlines. At the end of every
//! test it checks that no process of the test is alive, and that no form of the test's secrets is
//! in a file of its home, in the output, or in the command line and environment of the supervisor.
//! It does not sleep for a fixed time, but waits for a line or an exit until a deadline.

pub(crate) mod apart;
mod audit;
pub(crate) mod certified;
pub(crate) mod forms;
pub(crate) mod golden;
#[cfg(target_os = "linux")]
pub(crate) mod own_network;
pub(crate) mod place;
pub(crate) mod process;
pub(crate) mod run;
pub(crate) mod terminal;
#[cfg(target_os = "linux")]
pub(crate) mod trace;

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use self::place::write_program;
pub(crate) use run::{Ended, Run};
pub(crate) use terminal::Terminal;

/// A token that cannot occur by chance; its last four characters are `7q9Z`.
pub(crate) const TOKEN: &str = "tok_hB3xKw8sVd1mPf6yRj4nTc2g7q9Z";

/// How long anything may take before the test fails; long, because machines may be busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// How long a process of a test may outlive the test.
const GRACE: Duration = Duration::from_secs(5);

/// One test: its directory with a home, the secrets that must not leak, the programs.
pub(crate) struct Test {
    /// Outside the home; a test may write a secret here.
    pub(crate) dir: PathBuf,
    pub(crate) home: PathBuf,
    env: RefCell<Vec<(OsString, OsString)>>,
    secrets: RefCell<Vec<Vec<u8>>>,
    ready: Cell<bool>,
    programs: OnceCell<tempfile::TempDir>,
    _guard: tempfile::TempDir,
}

impl Test {
    pub(crate) fn new() -> Self {
        let guard = tempfile::Builder::new()
            .prefix("mcpwrap-test-")
            .tempdir()
            .unwrap();
        let dir = guard.path().canonicalize().unwrap();
        let home = dir.join("home");
        std::fs::create_dir(&home).unwrap();
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
        // The path of the program is in its command line, by which remaining processes are found.
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mcpwrap"), dir.join("mcpwrap")).unwrap();
        let test = Self {
            env: RefCell::default(),
            secrets: RefCell::default(),
            ready: Cell::new(false),
            programs: OnceCell::new(),
            _guard: guard,
            home,
            dir,
        };
        test.set("HOME", &test.home);
        test.set("MCPWRAP_HOME", test.root());
        // With the program, so that `adopt` finds it installed and makes no copy of it.
        let own = test.dir.display();
        test.set("PATH", format!("/usr/local/bin:/usr/bin:/bin:{own}"));
        // A cell of a table is one line, so that tests find its text.
        test.set("COLUMNS", "300");
        // No test may reach the keychain of the developer; `desktop` starts its own.
        test.set("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
        test
    }

    /// A directory for programs on PATH: a grant leaves the usual temporary directories out.
    pub(crate) fn programs(&self) -> &Path {
        let new = || {
            tempfile::Builder::new()
                .prefix("mcpwrap-programs-")
                .tempdir_in(place::lasting())
                .unwrap()
        };
        self.programs.get_or_init(new).path()
    }

    /// Writes a program into [`Self::programs`]; returns its path.
    pub(crate) fn program_file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.programs().join(name);
        write_program(&path, text);
        path
    }

    /// The root of mcpwrap's files, unless a test removes `MCPWRAP_HOME`.
    pub(crate) fn root(&self) -> PathBuf {
        self.home.join("mcpwrap")
    }

    /// The directory of a kind of files, below the root or by the XDG rules.
    fn own_dir(&self, beneath: &str, xdg: &str) -> PathBuf {
        let has_root = self
            .env
            .borrow()
            .iter()
            .any(|(name, _)| name == "MCPWRAP_HOME");
        if has_root {
            self.root().join(beneath)
        } else {
            self.home.join(xdg)
        }
    }

    /// The program under test.
    pub(crate) fn program(&self) -> PathBuf {
        self.dir.join("mcpwrap")
    }

    /// Sets a variable for every program started from now on.
    pub(crate) fn set(&self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let (name, value) = (name.into(), value.into());
        self.unset(&name);
        self.env.borrow_mut().push((name, value));
    }

    pub(crate) fn unset(&self, name: impl Into<OsString>) {
        let name = name.into();
        self.env.borrow_mut().retain(|(known, _)| *known != name);
    }

    /// Registers a value that must not appear anywhere, stored or not.
    pub(crate) fn hide(&self, value: impl AsRef<[u8]>) {
        self.secrets.borrow_mut().push(value.as_ref().to_owned());
    }

    /// Sets up the vault file with a key file, like the user, unless done before.
    pub(crate) fn init(&self) {
        if !self.ready.replace(true) {
            let key = self.home.join("vault.key");
            self.ok(&[
                "init",
                "--store",
                "file",
                "--key-file",
                &key.display().to_string(),
            ]);
        }
    }

    /// Stores a secret.
    pub(crate) fn secret(&self, name: &str, value: impl AsRef<[u8]>) {
        self.init();
        self.hide(value.as_ref());
        // mcpwrap removes one trailing newline (from `echo`); the value itself may end with one.
        let line = [value.as_ref(), b"\n"].concat();
        let ended = self.feed(&["secret", "set", name, "--from-stdin"], &line);
        assert_eq!(ended.code, 0, "{ended}");
    }

    /// Writes the policy file of a server, like an editor.
    pub(crate) fn write_policy(&self, server: &str, text: &str) -> PathBuf {
        let dir = self.own_dir("policies", ".config/mcpwrap/policies");
        let path = dir.join(format!("{server}.toml"));
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Writes and grants a policy for the fake server with these arguments. `rest` follows
    /// `version` and `command` in the file.
    pub(crate) fn serve(&self, server: &str, acts: &[&str], rest: &str) {
        let program = fake_server().display().to_string();
        let command: Vec<_> = std::iter::once(program.as_str())
            .chain(acts.iter().copied())
            .collect();
        self.policy(server, &command, rest);
    }

    /// Writes and grants a policy. `rest` follows `version` and `command`.
    pub(crate) fn policy(&self, server: &str, command: &[&str], rest: &str) {
        self.init();
        self.write_policy(server, &policy_text(command, rest));
        self.ok(&["grant", server, "--yes"]);
    }

    /// Runs a command and expects success.
    pub(crate) fn ok(&self, args: &[&str]) -> Ended {
        let ended = self.cli(args);
        assert_eq!(ended.code, 0, "mcpwrap {args:?}\n{ended}");
        ended
    }

    /// Runs a command with an empty stdin.
    pub(crate) fn cli(&self, args: &[&str]) -> Ended {
        self.feed(args, b"")
    }

    /// Runs a command with these bytes on stdin.
    pub(crate) fn feed(&self, args: &[&str], input: &[u8]) -> Ended {
        let mut run = self.start(self.command(self.program()).args(args));
        run.send_raw(input);
        run.close();
        run.end()
    }

    /// Starts a server through mcpwrap, like a client.
    pub(crate) fn run(&self, server: &str) -> Run<'_> {
        self.run_with(server, &[])
    }

    /// Starts a server through mcpwrap with more arguments after its name.
    pub(crate) fn run_with(&self, server: &str, args: &[&str]) -> Run<'_> {
        self.start(
            self.command(self.program())
                .args(["run", server])
                .args(args),
        )
    }

    /// Starts a shell script; `"$0"` is the program under test.
    pub(crate) fn shell(&self, script: &str) -> Run<'_> {
        let mut command = self.command("/bin/sh");
        self.start(command.args(["-c", script]).arg(self.program()))
    }

    /// Starts the fake server without mcpwrap.
    pub(crate) fn bare(&self, acts: &[&str]) -> Run<'_> {
        self.start(self.command(fake_server()).args(acts))
    }

    /// A command with only the environment of this test.
    pub(crate) fn command(&self, program: impl Into<PathBuf>) -> Command {
        let mut command = Command::new(program.into());
        command
            .env_clear()
            .envs(self.env.borrow().iter().cloned())
            .current_dir(&self.dir);
        command
    }

    /// Starts a command with all three streams piped. One that only the user may run gets parents of
    /// its own, so that its pid is not that of mcpwrap.
    pub(crate) fn start(&self, command: &mut Command) -> Run<'_> {
        if apart::is_for_user(command, &self.program()) {
            return self.start_as_is(&mut apart::apart(command, &[]));
        }
        self.start_as_is(command)
    }

    fn start_as_is(&self, command: &mut Command) -> Run<'_> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Run::new(self, command.spawn().unwrap())
    }

    /// Runs a command on its own terminal.
    pub(crate) fn terminal(&self, args: &[&str]) -> Terminal<'_> {
        Terminal::new(self, &[], args, &[])
    }

    /// Runs a command on its own terminal, started by another program.
    pub(crate) fn terminal_through(&self, before: &[&str], args: &[&str]) -> Terminal<'_> {
        Terminal::new(self, before, args, &[])
    }

    /// Runs a command on its own terminal, below a process that has these variables.
    pub(crate) fn terminal_below(&self, args: &[&str], above: &[(&str, &str)]) -> Terminal<'_> {
        Terminal::new(self, &[], args, above)
    }

    /// A command below a process that has these variables, which it does not have itself.
    pub(crate) fn below(&self, args: &[&str], above: &[(&str, &str)]) -> Ended {
        let mut command = self.command(self.program());
        let mut run = self.start_as_is(&mut apart::apart(command.args(args), above));
        run.close();
        run.end()
    }

    /// Panics if any form of a secret of this test is in these bytes.
    pub(crate) fn no_secret_in(&self, place: &str, bytes: &[u8]) {
        for secret in self.secrets.borrow().iter() {
            if let Some(form) = forms::find(secret, bytes) {
                // Not the value: test output also ends up in logs.
                panic!("a secret of this test, spelled {form}, is in {place}");
            }
        }
    }

    fn no_secret_in_files(&self, dir: &Path) {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            self.no_secret_in("a file name", path.as_os_str().as_encoded_bytes());
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                self.no_secret_in_files(&path);
            } else if kind.is_file() {
                let bytes = std::fs::read(&path).unwrap_or_default();
                self.no_secret_in(&path.display().to_string(), &bytes);
            }
        }
    }
}

/// The checks at the end of every test.
impl Drop for Test {
    fn drop(&mut self) {
        let left = process::wait_for_none(&self.dir, GRACE);
        if std::thread::panicking() {
            return;
        }
        assert!(
            left.is_empty(),
            "processes of the test are still alive: {left:#?}"
        );
        self.no_secret_in_files(&self.home);
    }
}

/// The fake server, built by cargo next to the tests.
pub(crate) fn fake_server() -> PathBuf {
    example("fake-server")
}

/// A program of the tests, built by cargo next to them.
pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_mcpwrap")).with_file_name(format!("examples/{name}"))
}

/// A program beside the tests, e.g. `old_kernel.py`.
pub(crate) fn support(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/support")
        .join(name)
}

/// All files in a directory and below.
pub(crate) fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let files = entries.flat_map(|entry| {
        if entry.file_type().unwrap().is_dir() {
            return files_below(&entry.path());
        }
        vec![entry.path()]
    });
    files.collect()
}

/// A policy with this command and this rest of the file.
pub(crate) fn policy_text(command: &[&str], rest: &str) -> String {
    format!(
        "version = 1\ncommand = {}\n{rest}",
        serde_json::to_string(command).unwrap()
    )
}

/// The policy table of one secret in the environment.
pub(crate) fn slot(variable: &str, name: &str) -> String {
    format!("[secrets.{variable}]\nfrom = \"secret:{name}\"\n")
}

/// Waits until the condition holds; `what` is the message if it does not.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + DEADLINE;
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Reports that a test did not run, or fails on a machine that must have what it needs.
pub(crate) fn skip(need: &str, why: &str) {
    let required = std::env::var("MCPWRAP_TEST_REQUIRE").unwrap_or_default();
    let required = required
        .split(',')
        .any(|word| word == need || word == "all");
    assert!(!required, "MCPWRAP_TEST_REQUIRE has `{need}`, but {why}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Bypasses the capture of the test runner, because a skip must be visible.
    drop(writeln!(std::io::stderr(), "SKIPPED {test}: {why}"));
}
