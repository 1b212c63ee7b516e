//! A session bus and a gnome-keyring for each test, headless, with a temporary home: the keyring of
//! the developer is not touched. `wallets` starts other keychains on this bus.

use std::cell::RefCell;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{DEADLINE, Ended, Test, process, skip};

/// The required programs: Debian's dbus, gnome-keyring and libsecret-tools.
const PROGRAMS: &[&str] = &[
    "dbus-daemon",
    "dbus-send",
    "gnome-keyring-daemon",
    "secret-tool",
];
const PASSWORD: &[u8] = b"password of the login keyring";

/// The session of one test.
pub(crate) struct Desktop<'a> {
    test: &'a Test,
    bus: Child,
    keyring: RefCell<Option<Child>>,
    /// Only one keyring of the suite runs at a time, to limit the load on two cores.
    turn: Option<MutexGuard<'static, ()>>,
}

/// A bus that cannot start services.
const NO_SERVICES: &str = "<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>\
    <auth>EXTERNAL</auth><policy context=\"default\">\
    <allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/>\
    <allow own=\"*\"/></policy></busconfig>";

/// What may be left of a keychain, in its command line.
const KEYCHAINS: &[&str] = &["gnome-keyring", "gcr-prompter", "kwalletd", "keepassxc"];

static TURN: Mutex<()> = Mutex::new(());

impl<'a> Desktop<'a> {
    /// A bus and an unlocked keyring; `None`, with a report, if this machine has none. Its name in
    /// `MCPWRAP_TEST_REQUIRE` is `keychain`.
    pub(crate) fn start(test: &'a Test) -> Option<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut desktop = Self::without_keyring(test, &test.dir.join("run"), &[])?;
        desktop.turn = Some(turn);
        desktop.start_keyring();
        Some(desktop)
    }

    /// Only the bus, with its socket in this directory.
    pub(crate) fn without_keyring(test: &'a Test, run: &Path, options: &[&str]) -> Option<Self> {
        let missing = PROGRAMS
            .iter()
            .find(|name| !Path::new("/usr/bin").join(name).exists());
        if let Some(name) = missing {
            skip("keychain", &format!("there is no `{name}`"));
            return None;
        }
        std::fs::create_dir_all(run).unwrap();
        std::fs::set_permissions(run, std::fs::Permissions::from_mode(0o700)).unwrap();
        test.set("XDG_RUNTIME_DIR", run);
        let address = format!("unix:path={}/bus", run.display());
        let kind = if options.is_empty() {
            &["--session"]
        } else {
            options
        };
        let bus = test
            .command("/usr/bin/dbus-daemon")
            .args(kind)
            .args(["--nofork", "--nopidfile", "--address", &address])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(|| UnixStream::connect(run.join("bus")).is_ok());
        test.set("DBUS_SESSION_BUS_ADDRESS", address);
        Some(Self {
            test,
            bus,
            keyring: RefCell::new(None),
            turn: None,
        })
    }

    /// A bus that starts no program by itself, and no keychain yet.
    pub(crate) fn bare(test: &'a Test) -> Option<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let config = test.dir.join("bus.conf");
        std::fs::write(&config, NO_SERVICES).unwrap();
        let config = format!("--config-file={}", config.display());
        let mut desktop = Self::without_keyring(test, &test.dir.join("run"), &[&config])?;
        desktop.turn = Some(turn);
        Some(desktop)
    }

    /// Takes over a started keychain, and waits until it offers the Secret Service.
    pub(crate) fn adopt(&self, keyring: Child) {
        self.keyring.replace(Some(keyring));
        self.wait_for_owner();
    }

    /// Starts a keyring unlocked with the same password, and waits until it answers.
    pub(crate) fn start_keyring(&self) {
        self.end_all();
        self.spawn_keyring(&[]);
        self.wait_until_unlocked();
    }

    /// Unlocks as our messages recommend: another daemon replaces the locked one.
    pub(crate) fn replace_keyring(&self) {
        let mut old = self.keyring.take().unwrap();
        self.spawn_keyring(&["--replace"]);
        wait_for(|| old.try_wait().unwrap().is_some());
        self.wait_until_unlocked();
    }

    fn spawn_keyring(&self, options: &[&str]) {
        let mut child = self
            .test
            .command("/usr/bin/gnome-keyring-daemon")
            .args(["--foreground", "--unlock", "--components=secrets"])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(PASSWORD).unwrap();
        self.keyring.replace(Some(child));
    }

    fn wait_for_owner(&self) {
        // Before the daemon owns its name, a request to it would make the bus start a second, locked
        // one. This request goes to the bus.
        let owner = format!("uint32 {}", self.keyring.borrow().as_ref().unwrap().id());
        let secrets = "string:org.freedesktop.secrets";
        wait_for(|| {
            let answer = self.ask_bus("GetConnectionUnixProcessID", &[secrets]);
            answer.is_some_and(|text| text.trim_end().ends_with(&owner))
        });
    }

    fn wait_until_unlocked(&self) {
        self.wait_for_owner();
        self.wait_for_default(false);
    }

    /// Waits until there is a default collection in this state.
    pub(crate) fn wait_for_default(&self, is_locked: bool) {
        let default = "/org/freedesktop/secrets/aliases/default";
        let state = format!("boolean {is_locked}");
        let locked = ["string:org.freedesktop.Secret.Collection", "string:Locked"];
        wait_for(|| {
            let answer = self.send(default, "org.freedesktop.DBus.Properties.Get", &locked);
            answer.is_some_and(|text| text.contains(&state))
        });
    }

    /// Ends every keyring of the test: ours, and one that the bus started as a replacement.
    fn end_all(&self) {
        if let Some(mut keyring) = self.keyring.take() {
            drop(keyring.kill());
            drop(keyring.wait());
        }
        for (pid, line) in process::of_test(&self.test.dir) {
            if KEYCHAINS.iter().any(|name| line.contains(name)) {
                kill(pid, Signal::SIGKILL).ok();
                process::wait_for_end(pid, DEADLINE);
            }
        }
    }

    pub(crate) fn signal_keyring(&self, signal: Signal) {
        let keyring = self.keyring.borrow();
        let id = keyring.as_ref().unwrap().id();
        kill(Pid::from_raw(i32::try_from(id).unwrap()), signal).unwrap();
    }

    /// Kills the keyring, like a crash.
    pub(crate) fn kill_keyring(&self) {
        let mut keyring = self.keyring.take().unwrap();
        keyring.kill().unwrap();
        keyring.wait().unwrap();
    }

    /// Locks the login keyring, like a screen lock.
    pub(crate) fn lock(&self) {
        self.lock_collection("login");
    }

    pub(crate) fn lock_collection(&self, name: &str) {
        let all = format!("array:objpath:/org/freedesktop/secrets/collection/{name}");
        let lock = "org.freedesktop.Secret.Service.Lock";
        let answer = self.send("/org/freedesktop/secrets", lock, &[&all]);
        assert!(answer.is_some());
    }

    /// The answer of the keychain, unless it is an error.
    fn send(&self, path: &str, method: &str, arguments: &[&str]) -> Option<String> {
        self.send_to("org.freedesktop.secrets", path, method, arguments)
    }

    /// The answer of the bus, unless it is an error.
    fn ask_bus(&self, method: &str, arguments: &[&str]) -> Option<String> {
        let name = "org.freedesktop.DBus";
        self.send_to(
            name,
            "/org/freedesktop/DBus",
            &format!("{name}.{method}"),
            arguments,
        )
    }

    /// The answer of a program on the bus, unless it is an error.
    pub(crate) fn send_to(
        &self,
        name: &str,
        path: &str,
        method: &str,
        arguments: &[&str],
    ) -> Option<String> {
        let sent = self
            .test
            .command("/usr/bin/dbus-send")
            .args([
                "--session",
                "--print-reply",
                &format!("--dest={name}"),
                path,
                method,
            ])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        sent.status
            .success()
            .then(|| String::from_utf8_lossy(&sent.stdout).into_owned())
    }

    /// Runs `secret-tool`, like a user.
    pub(crate) fn secret_tool(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let mut run = self
            .test
            .start(self.test.command("/usr/bin/secret-tool").args(arguments));
        run.send_raw(input);
        run.finish()
    }
}

impl Drop for Desktop<'_> {
    fn drop(&mut self) {
        drop(self.bus.kill());
        drop(self.bus.wait());
        self.end_all();
        drop(self.turn.take());
    }
}

/// Accesses the store like mcpwrap, see `support/store_probe.rs`.
pub(crate) fn probe(test: &Test) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_mcpwrap")).with_file_name("examples");
    test.command(program.join("store-probe"))
}

/// Runs the probe.
pub(crate) fn probed(test: &Test, arguments: &[&str], input: &[u8]) -> Ended {
    let mut run = test.start(probe(test).args(arguments));
    run.send_raw(input);
    run.finish()
}

pub(crate) fn wait_for(mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !ready() {
        assert!(
            Instant::now() < deadline,
            "the desktop of the test does not come up"
        );
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
