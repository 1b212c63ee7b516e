//! Servers in a control group of their own. On a desktop systemd delegates one to the user; here root does.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use serde_json::json;

use crate::harness::process::guard;
use crate::harness::{DEADLINE, Run, Test, fake_server, process, skip, until};

/// A group that belongs to the user, and is removed at the end.
struct Delegated(PathBuf);

impl Delegated {
    fn new(test: &Test) -> Option<Self> {
        let group = mount().map(|mount| mount.join(test.dir.file_name().unwrap()));
        let made = group.filter(|path| fs::create_dir(path).is_ok()).map(Self);
        let Some(made) = made else {
            skip("cgroup", "no control group can be made");
            return None;
        };
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&made.0, "user.delegate", b"1", flags).unwrap();
        Some(made)
    }

    /// Runs mcpwrap in it.
    fn run<'a>(&self, test: &'a Test, args: &[&str]) -> Run<'a> {
        let mut command = test.command("/bin/sh");
        command
            .args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""])
            .arg(&self.0)
            .arg(test.program())
            .args(args);
        test.start(&mut command)
    }

    /// The groups of servers in it.
    fn servers(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.is_dir()).collect()
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        // Only a failed test leaves processes. A panic would hide its message.
        fs::write(self.0.join("cgroup.kill"), "1").ok();
        let deadline = Instant::now() + DEADLINE;
        while fs::remove_dir(&self.0).is_err() && Instant::now() < deadline {
            for group in self.servers() {
                fs::remove_dir(group).ok();
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

/// Where control groups are.
fn mount() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let place = fields.next()?;
        (fields.next()? == "cgroup2").then(|| place.into())
    })
}

/// Moves a server and all in its group, if it has one of its own, into the group above.
pub(crate) fn leave(server: Pid) {
    let text = fs::read_to_string(format!("/proc/{server}/cgroup")).unwrap_or_default();
    let Some(path) = text.lines().find_map(|line| line.strip_prefix("0::/")) else {
        return;
    };
    let name = path.rsplit('/').next().unwrap_or_default();
    let creator = name.strip_prefix("mcpwrap-").unwrap_or_default();
    if !creator.starts_with(|first: char| first.is_ascii_digit()) {
        return;
    }
    let group = mount().unwrap().join(path);
    for pid in members(&group) {
        let above = group.parent().unwrap().join("cgroup.procs");
        fs::write(above, pid.to_string()).unwrap();
    }
}

/// The processes of a group.
fn members(group: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap();
    let pids = text.lines().map(|line| line.parse().unwrap());
    pids.map(Pid::from_raw).collect()
}

/// A server that starts a process without its session, its parents and its environment.
fn with_escaped(test: &Test) {
    let text = format!(
        "#!/bin/sh\nsetsid env -i /bin/sh -c '/bin/sleep 120 & exec /bin/true' </dev/null >/dev/null 2>&1\nexec '{}'\n",
        fake_server().display()
    );
    let server = test.program_file("server", &text).display().to_string();
    test.policy("fake", &[&server], "");
}

#[test]
fn a_process_that_left_everything_else_is_found_by_its_group() {
    let test = Test::new();
    let Some(delegated) = Delegated::new(&test) else {
        return;
    };
    with_escaped(&test);
    let mut status = delegated.run(&test, &["status", "--json"]);
    status.close();
    assert_eq!(status.end().json()["groups"], true);

    let mut run = delegated.run(&test, &["run", "fake"]);
    run.initialize();
    let server = run.server(1);
    let [group] = delegated.servers().try_into().unwrap();
    let escaped = members(&group).into_iter().find(|pid| *pid != server);
    let escaped = escaped.unwrap();
    until("recorded", || {
        let has_group = |record: &serde_json::Value| record["detail"]["group"] == true;
        test.audit().iter().any(has_group)
    });
    let (supervisor, guard) = (run.pid(), guard(server));
    process::kill_both(guard, supervisor);
    drop(run);
    process::wait_for_end(guard, DEADLINE);
    process::wait_for_end(server, DEADLINE);
    assert!(process::alive(escaped), "it lives on");

    // Neither a record nor a mark leads to it.
    for file in crate::harness::files_below(&test.root().join("state/audit")) {
        fs::remove_file(file).unwrap();
    }
    let shown = test.ok(&["ps", "--json"]).json();
    assert_eq!(shown["servers"][0]["state"], "orphaned", "{shown}");
    test.ok(&["revoke", "fake"]);
    assert!(!process::alive(escaped));

    // The empty group of the killed guard is removed by the next start.
    test.ok(&["grant", "fake", "--yes"]);
    let mut next = delegated.run(&test, &["run", "fake"]);
    next.initialize();
    let [second] = delegated.servers().try_into().unwrap();
    assert_ne!(group, second);
    let all = members(&second);
    assert_eq!(all.len(), 2);
    next.call("echo", &json!({"text": "here"}));
    next.finish();
    assert!(all.into_iter().all(|pid| !process::alive(pid)));
    assert!(delegated.servers().is_empty());
}

/// A group may belong to the user and allow none below it.
#[test]
fn groups_are_promised_only_where_one_can_be_made() {
    let test = Test::new();
    let Some(delegated) = Delegated::new(&test) else {
        return;
    };
    fs::write(delegated.0.join("cgroup.max.descendants"), "0").unwrap();
    let mut status = delegated.run(&test, &["status", "--json"]);
    status.close();
    assert_eq!(status.end().json()["groups"], false);

    test.serve("fake", &[], "");
    let mut run = delegated.run(&test, &["run", "fake"]);
    run.initialize();
    let server = run.server(1);
    assert!(delegated.servers().is_empty());
    test.ok(&["revoke", "fake"]);
    process::wait_for_end(server, DEADLINE);
    let has_group = |record: &serde_json::Value| record["detail"]["group"] == true;
    assert!(!test.audit().iter().any(has_group));
    run.finish();
}

/// Who may write into the group may also move processes there.
#[test]
fn a_process_that_was_moved_into_a_group_is_not_killed() {
    let test = Test::new();
    let Some(delegated) = Delegated::new(&test) else {
        return;
    };
    with_escaped(&test);
    let sleep = || test.command("/bin/sleep").arg("120").spawn().unwrap();
    let mut strangers = [sleep(), sleep()];
    let mut run = delegated.run(&test, &["run", "fake"]);
    run.initialize();
    let [group] = delegated.servers().try_into().unwrap();
    let own = members(&group);
    let name = group.file_name().unwrap().to_str().unwrap();
    let label = name.splitn(3, '-').nth(2).unwrap();
    let false_group = delegated.0.join(format!("mcpwrap-1-{label}"));
    fs::create_dir(&false_group).unwrap();
    for (group, stranger) in [&group, &false_group].into_iter().zip(&strangers) {
        fs::write(group.join("cgroup.procs"), stranger.id().to_string()).unwrap();
    }

    // While the run is alive, and when nothing else is left of it.
    let mut revoke = || {
        let ended = test.cli(&["revoke", "fake"]);
        assert_eq!(ended.code, 2, "{ended}");
        for stranger in &mut strangers {
            let pid = stranger.id();
            assert!(ended.stderr.contains(&pid.to_string()), "{pid}\n{ended}");
            assert!(stranger.try_wait().unwrap().is_none(), "{pid} was killed");
        }
    };
    revoke();
    assert!(own.into_iter().all(|pid| !process::alive(pid)));
    run.finish();
    revoke();
    for mut stranger in strangers {
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}
