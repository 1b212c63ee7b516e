//! Servers that are containers, with a real engine: the end of the server is the container's end.

use std::fs;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::{DEADLINE, Run, TOKEN, Test, process, skip, slot, until};

const DOCKERD: &str = "/usr/sbin/dockerd";
const BUSYBOX: &str = "/bin/busybox";

/// A docker daemon with one image, ended when dropped.
struct Engine<'a> {
    test: &'a Test,
    daemon: Child,
    host: String,
}

impl<'a> Engine<'a> {
    /// `None` where none can run.
    fn start(test: &'a Test) -> Option<Self> {
        let root = nix::unistd::geteuid().is_root();
        let exists = |path: &str| std::path::Path::new(path).exists();
        if !root || !exists(DOCKERD) || !exists(BUSYBOX) {
            skip("docker", "no root, dockerd or static busybox here");
            return None;
        }
        let dir = test.dir.join("docker");
        fs::create_dir(&dir).unwrap();
        let host = format!("unix://{}/d.sock", dir.display());
        let log = fs::File::create(dir.join("log")).unwrap();
        let path = |name: &str| dir.join(name).display().to_string();
        let daemon = Command::new(DOCKERD)
            .args([
                "--iptables=false",
                "--ip6tables=false",
                "--bridge=none",
                "--storage-driver=vfs",
            ])
            .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
            .args(["--pidfile", &path("pid"), "-H", &host])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut engine = Self { test, daemon, host };
        let deadline = std::time::Instant::now() + DEADLINE;
        while engine.ask(&["version"]).is_none() {
            let gone = engine.daemon.try_wait().unwrap().is_some();
            if gone || std::time::Instant::now() > deadline {
                let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
                let last = log.lines().last().unwrap_or_default().to_owned();
                skip("docker", &format!("dockerd does not start: {last}"));
                return None;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
        engine.import(&dir);
        Some(engine)
    }

    fn import(&self, dir: &std::path::Path) {
        let image = dir.join("image");
        fs::create_dir_all(image.join("bin")).unwrap();
        fs::copy(BUSYBOX, image.join("bin/busybox")).unwrap();
        std::os::unix::fs::symlink("busybox", image.join("bin/sh")).unwrap();
        let tar = dir.join("image.tar");
        let done = Command::new("tar")
            .arg("-C")
            .arg(&image)
            .arg("-cf")
            .arg(&tar)
            .arg(".")
            .status();
        assert!(done.unwrap().success());
        self.ask(&["import", &tar.display().to_string(), "mcp/box:1"])
            .unwrap();
    }

    /// What `docker` prints; `None` if it fails.
    fn ask(&self, args: &[&str]) -> Option<String> {
        let output = Command::new("docker")
            .args(["-H", &self.host])
            .args(args)
            .output()
            .unwrap();
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn running(&self) -> Vec<String> {
        let ids = self.ask(&["ps", "-q", "--no-trunc"]).unwrap();
        ids.lines().map(str::to_owned).collect()
    }

    /// A granted server in a container, with a secret, that ignores the end of its input.
    fn serve(&self, image: &str) {
        self.test.secret("test/token", TOKEN);
        let script = "trap '' TERM INT HUP; echo up >&2; busybox cat; busybox sleep 600";
        let command = [
            "docker",
            "run",
            "-i",
            "--rm",
            "--network",
            "none",
            "-e",
            "TOKEN",
            image,
            "sh",
            "-c",
            script,
        ];
        let rest = format!(
            "env = {{ set = {{ DOCKER_HOST = \"{}\" }} }}\n{}[limits]\nunpinned = \"allow\"\n",
            self.host,
            slot("TOKEN", "test/token")
        );
        self.test.policy("box", &command, &rest);
    }

    /// A running session, and the ID of its container.
    fn session(&self) -> (Run<'a>, String) {
        let run = self.test.run("box");
        run.heard("up\n");
        until("the container runs", || self.running().len() == 1);
        (run, self.running()[0].clone())
    }

    fn until_gone(&self) {
        until("the container is gone", || self.running().is_empty());
    }

    fn stop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.daemon.id()).unwrap());
        kill(pid, Signal::SIGTERM).ok();
        self.daemon.wait().ok();
    }
}

impl Drop for Engine<'_> {
    fn drop(&mut self) {
        for id in self.running_or_none() {
            self.ask(&["rm", "-f", &id]);
        }
        self.stop();
    }
}

impl Engine<'_> {
    fn running_or_none(&self) -> Vec<String> {
        let ids = self.ask(&["ps", "-aq"]).unwrap_or_default();
        ids.lines().map(str::to_owned).collect()
    }
}

fn shown(test: &Test) -> Vec<Value> {
    let ps = test.ok(&["ps", "--json"]).json();
    ps["servers"].as_array().unwrap().clone()
}

/// The parent of the server's own process, which is the client of the engine.
fn guard(test: &Test) -> Pid {
    let pid = shown(test)[0]["pid"].as_i64().unwrap();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    Pid::from_raw(rest.split(' ').nth(1).unwrap().parse().unwrap())
}

#[test]
fn the_end_of_a_server_is_the_end_of_its_container() {
    let test = Test::new();
    let Some(mut engine) = Engine::start(&test) else {
        return;
    };
    engine.serve("mcp/box:1");

    // `ps` shows it, and `revoke` ends it.
    let (run, id) = engine.session();
    let short = &id[..12];
    until("shown", || shown(&test)[0]["containers"][0] == short);
    let ended = test.ok(&["revoke", "box"]);
    assert!(engine.running().is_empty(), "{ended}");
    run.finish();
    test.ok(&["grant", "box", "--yes"]);

    // The client of the session leaves, and the container ignores that.
    let (run, _) = engine.session();
    run.finish();
    assert!(engine.running().is_empty(), "after the session");

    // The supervisor is killed: the guard ends the container.
    let (run, _) = engine.session();
    run.signal(Signal::SIGKILL);
    drop(run);
    engine.until_gone();

    // The client of the engine is killed.
    let (run, _) = engine.session();
    let client = shown(&test)[0]["pid"].as_i64().unwrap();
    test.ok(&["policy", "show", "box"]);
    kill(
        Pid::from_raw(i32::try_from(client).unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    engine.until_gone();
    run.finish();
    engine.until_gone();

    // Both are killed: `ps` still shows the container, and `revoke` ends it.
    let (run, id) = engine.session();
    let guard = guard(&test);
    process::kill_both(guard, run.pid());
    drop(run);
    process::wait_for_end(guard, DEADLINE);
    assert_eq!(engine.running(), [id.as_str()]);
    let is_shown = |one: &Value| one["state"] == "container" && one["containers"][0] == id[..12];
    assert!(shown(&test).iter().any(is_shown), "{:?}", shown(&test));
    let ended = test.ok(&["revoke", "box"]);
    let line = format!("box: container {}: killed", &id[..12]);
    assert!(ended.text().contains(&line), "{ended}");
    assert!(engine.running().is_empty());
    test.ok(&["grant", "box", "--yes"]);

    // The engine cannot be asked: `revoke` says so.
    let (run, _) = engine.session();
    run.signal(Signal::SIGSTOP);
    engine.stop();
    let ended = test.cli(&["revoke", "box"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(
        ended
            .stderr
            .contains("a container of server `box` may still be running"),
        "{ended}"
    );
    kill(run.pid(), Signal::SIGCONT).unwrap();
    run.finish();
}

#[test]
fn a_container_that_mcpwrap_cannot_end_is_named_before_the_grant() {
    let test = Test::new();
    test.init();
    test.write_policy(
        "box",
        &crate::harness::policy_text(&["sh", "-c", "docker run -i x:1"], ""),
    );
    let lint = test.cli(&["policy", "lint", "box"]);
    assert!(lint.stderr.contains("cannot end the container"), "{lint}");
}
