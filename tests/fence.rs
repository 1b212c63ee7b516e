//! The fence around a server, with a server that attacks.

use serde_json::{Value, json};

use crate::harness::{Run, TOKEN, Test, process, skip, slot, support};

/// What every process inside a domain gets for a process outside.
const REFUSED: [&str; 2] = ["EPERM", "EACCES"];

fn has_fence(test: &Test) -> bool {
    let fence = test.cli(&["status", "--json"]).json()["fence"].clone();
    if fence != "full" {
        skip("fence", &format!("the fence of this kernel is {fence}"));
    }
    fence == "full"
}

fn attack(run: &mut Run<'_>, pid: nix::unistd::Pid, signals: bool) -> Value {
    let given = json!({"pid": pid.as_raw(), "signals": signals});
    serde_json::from_str(&run.call("attack", &given)).unwrap()
}

/// Starts a server as a user who may not observe all processes, which root may (`CAP_PERFMON`).
fn unprivileged<'a>(test: &'a Test, before: &[&str], server: &str) -> Run<'a> {
    let program = test.program().display().to_string();
    let mut words = vec![];
    if nix::unistd::geteuid().is_root() {
        words.extend([
            "/usr/bin/setpriv",
            "--bounding-set",
            "-perfmon,-sys_admin",
            "--",
        ]);
    }
    words.extend(before);
    words.extend([program.as_str(), "run", server]);
    let mut command = test.command(words.remove(0));
    test.start(command.args(words))
}

/// The word for the fence in the last launch record.
fn recorded(test: &Test) -> String {
    let mut fences = test.audit().into_iter().filter_map(|record| {
        let fence = record["detail"]["fence"].as_str();
        fence.map(str::to_owned)
    });
    fences.next_back().unwrap()
}

#[test]
fn a_server_cannot_signal_trace_or_read_a_process_outside() {
    let test = Test::new();
    if !has_fence(&test) {
        return;
    }
    test.secret("test/token", TOKEN);
    test.serve("fake", &[], &slot("TOKEN", "test/token"));
    test.serve("hostile", &["child"], "");
    let mut victim = unprivileged(&test, &[], "fake");
    victim.initialize();
    let mut hostile = unprivileged(&test, &[], "hostile");
    hostile.initialize();
    let own = hostile.server(1);
    let guard = process::guard(own);
    assert_eq!(process::parent(own), Some(guard));
    assert_eq!(process::parent(guard), Some(hostile.pid()));
    let other = victim.server(1);
    for outside in [
        guard,
        hostile.pid(),
        other,
        process::guard(other),
        victim.pid(),
    ] {
        let said = attack(&mut hostile, outside, true);
        for act in ["environ", "mem", "ptrace", "exists", "stop", "term", "kill"] {
            let word = said[act].as_str().unwrap();
            assert!(REFUSED.contains(&word), "{act} of {outside}: {said}");
        }
    }
    for alive in [own, guard, other, hostile.pid(), victim.pid()] {
        assert!(process::alive(alive));
    }
    assert_eq!(recorded(&test), "full");
    // The guard is outside, and ends the whole tree.
    test.ok(&["revoke", "hostile"]);
    assert!(!process::alive(own));
    assert_eq!(victim.call("echo", &json!({"text": "here"})), "here");
    hostile.finish();
    victim.finish();
}

#[test]
fn processes_of_one_server_are_not_fenced_from_each_other() {
    let test = Test::new();
    test.init();
    let script = "sleep 60 & grep -c . /proc/$!/environ >/dev/null && kill -TERM $! && wait
        mkdir a b && touch a/x && ln a/x b/y && mv a/x b/x && ls b >&2; echo done >&2; cat";
    test.policy("fake", &["/bin/sh", "-c", script], "");
    let run = test.run("fake");
    let heard = run.heard("done");
    assert!(heard.contains("x\ny\n"), "{heard}");
    run.finish();
}

#[test]
fn a_policy_can_turn_the_fence_off() {
    let test = Test::new();
    test.serve("fake", &[], "");
    test.serve("debugger", &[], "fence = false\n");
    let mut victim = unprivileged(&test, &[], "fake");
    victim.initialize();
    let mut debugger = unprivileged(&test, &[], "debugger");
    debugger.initialize();
    let said = attack(&mut debugger, victim.server(1), false);
    assert_eq!(
        (&said["environ"], &said["exists"]),
        (&json!("ok"), &json!("ok"))
    );
    assert_eq!(recorded(&test), "off");
    debugger.finish();
    victim.finish();
}

#[test]
fn a_policy_without_fence_is_shown_and_reported() {
    let test = Test::new();
    test.serve("debugger", &[], "fence = false\n");
    let what = "the server may signal and trace your other processes";
    for command in [
        ["policy", "show", "debugger"],
        ["policy", "lint", "debugger"],
    ] {
        let ended = test.ok(&command);
        let text = format!("{}{}", ended.text(), ended.stderr);
        assert!(text.contains(what), "{command:?}: {ended}");
    }
    let show = test.ok(&["policy", "show", "debugger", "--json"]).json();
    assert_eq!(show["fence"], false);
    let check = test.cli(&["check", "--json"]);
    assert!(
        check.text().contains("the policy turns off the fence"),
        "{check}"
    );
}

#[test]
fn programs_that_need_more_rights_are_proposed_without_fence() {
    let test = Test::new();
    test.init();
    let program = test.dir.join("lifted");
    std::fs::write(&program, "#!/bin/sh\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o4755);
    std::fs::set_permissions(&program, mode).unwrap();
    let program = program.display().to_string();
    let text = test.ok(&["policy", "new", "lifted", "--dry-run", "--", &program]);
    assert!(text.text().contains("\nfence = false\n"), "{text}");
    assert!(
        text.text()
            .contains("# Outside the fence, because `lifted` is setuid."),
        "{text}"
    );
    test.write_policy("lifted", &crate::harness::policy_text(&[&program], ""));
    let mut terminal = test.terminal(&["grant", "lifted"]);
    terminal.expect("`lifted` is setuid, which does not work inside the fence");
    terminal.expect("type ").enter("no");
    terminal.end();
}

/// The words that run a command as if the kernel had this ABI; `None` if that is not possible here.
fn old_kernel(test: &Test, abi: &str) -> Option<Vec<String>> {
    let script = support("old_kernel.py").display().to_string();
    let words: Vec<String> = ["/usr/bin/python3", &script, abi].map(str::to_owned).into();
    let works = |words: &[String]| {
        let mut command = test.command(&words[0]);
        let run = test.start(command.args(&words[1..]).arg("/bin/true"));
        run.finish().code == 0
    };
    if !std::path::Path::new(&words[0]).exists() || !works(&words) {
        skip("seccomp", "no python3, or no seccomp notifications here");
        return None;
    }
    Some(words)
}

#[test]
fn an_older_kernel_has_a_part_of_the_fence() {
    for (abi, fence) in [
        ("0", "none"),
        ("1", "none"),
        ("2", "partial"),
        ("5", "partial"),
        ("6", "full"),
    ] {
        let test = Test::new();
        if !has_fence(&test) {
            return;
        }
        test.serve("fake", &[], "");
        let Some(old) = old_kernel(&test, abi) else {
            return;
        };
        let old: Vec<&str> = old.iter().map(String::as_str).collect();
        let mut status = test.command(old[0]);
        status.args(&old[1..]).arg(test.program());
        let status = test.start(status.args(["status", "--json"])).finish();
        assert_eq!(status.json()["fence"], fence, "ABI {abi}");
        let mut victim = unprivileged(&test, &[], "fake");
        victim.initialize();
        let mut old = unprivileged(&test, &old, "fake");
        old.initialize();
        assert_eq!(recorded(&test), fence, "ABI {abi}");
        let said = attack(&mut old, victim.server(1), false);
        assert_eq!(
            said["environ"] == "ok",
            fence == "none",
            "ABI {abi}: {said}"
        );
        assert_eq!(said["exists"] == "ok", fence != "full", "ABI {abi}: {said}");
        old.finish();
        victim.finish();
    }
}

#[test]
fn a_part_of_the_fence_refuses_no_file() {
    let test = Test::new();
    test.init();
    let script = "set -e; mkdir a b; touch a/x; ln a/x b/y; perl -e 'rename \"a/x\", \"b/x\" or die' \
        ; ls b >&2; echo done >&2; cat";
    test.policy("fake", &["/bin/sh", "-c", script], "");
    let Some(old) = old_kernel(&test, "3") else {
        return;
    };
    let old: Vec<&str> = old.iter().map(String::as_str).collect();
    let run = unprivileged(&test, &old, "fake");
    let heard = run.heard("done");
    assert!(heard.contains("x\ny\n"), "{heard}");
    run.finish();
}
