//! The start of a server: its initial state, and each way in which a start fails.

use serde_json::json;

use crate::harness::{TOKEN, Test, policy_text, skip, slot};
use crate::process::started;

#[test]
fn the_server_has_its_own_session_and_group() {
    let test = Test::new();
    let (mut run, server) = started(&test, &[]);
    let facts = run.facts();
    assert_eq!(
        (&facts["session"], &facts["group"]),
        (&json!(server.as_raw()), &facts["session"])
    );
    run.finish();
}

#[test]
fn the_server_inherits_no_descriptors_and_no_signal_state() {
    let test = Test::new();
    test.init();
    let script = "exec 3</dev/null 7>/dev/null 9</etc/passwd; trap '' TERM INT PIPE CHLD USR1
        exec \"$0\" run fake";
    // `grep` and `ls` show the inherited state; a Rust program resets SIGPIPE at its start.
    let show = "grep -E 'Sig(Blk|Ign)' /proc/self/status >&2; ls /proc/self/fd >&2; echo end >&2";
    test.policy("fake", &["/bin/sh", "-c", show], "");
    let mut command = test.command("/bin/sh");
    let run = test.start(command.args(["-c", script]).arg(test.program()));
    let text = run.heard("end\n");
    run.finish();
    assert!(text.contains("SigBlk:\t0000000000000000"), "{text}");
    // 32 and 33 belong to the C library, which ignores them in spawned processes.
    let ignored = text
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:\t"))
        .unwrap();
    assert!(
        ["0000000000000000", "0000000180000000"].contains(&ignored),
        "{text}"
    );
    // 3 is the directory that `ls` reads.
    for descriptor in ["7", "9"] {
        assert!(!text.lines().any(|line| line == descriptor), "{text}");
    }
    let listed = text
        .lines()
        .filter(|line| line.parse::<u32>().is_ok())
        .count();
    assert_eq!(listed, 4, "{text}");
}

/// Growing the descriptor table stops a server with threads for 10 ms.
#[cfg(target_os = "linux")]
#[test]
fn the_server_has_room_for_the_files_of_its_start() {
    let test = Test::new();
    let (run, server) = started(&test, &[]);
    let status = std::fs::read_to_string(format!("/proc/{server}/status")).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("FDSize:"));
    assert!(size.unwrap().trim().parse::<u32>().unwrap() >= 256);
    run.finish();
}

#[test]
fn no_other_process_of_the_user_can_inspect_the_supervisor() {
    let test = Test::new();
    let (run, _) = started(&test, &[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", run.pid())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    // 0 does not stop a piped `core_pattern`; 1 does.
    assert!(
        core.split_whitespace()
            .nth(4)
            .is_some_and(|limit| limit <= "1"),
        "{core}"
    );
    // The `/proc` files of a process that is not dumpable belong to root.
    let status = format!("/proc/{}/environ", run.pid());
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(status).unwrap());
    assert_eq!(owner, 0);
    run.finish();
}

/// So that no value is written to the swap space.
#[test]
fn the_supervisor_locks_the_values_in_memory() {
    if !cfg!(target_os = "linux") {
        return skip("proc", "only Linux says how much memory is locked");
    }
    let test = Test::new();
    test.secret("test/token", TOKEN);
    test.serve("fake", &[], &slot("TOKEN", "test/token"));
    let mut run = test.run("fake");
    run.initialize();
    let status = std::fs::read_to_string(format!("/proc/{}/status", run.pid())).unwrap();
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:"));
    let kib: u64 = locked
        .and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap();
    assert!(kib > 0, "{status}");
    run.finish();
}

#[test]
fn an_immediate_exit_is_reported_to_the_client() {
    let test = Test::new();
    test.serve(
        "fake",
        &["err=out of luck", "exit=7"],
        "session.restart = \"never\"\n",
    );
    let mut run = test.run("fake");
    let answer = run.initialize();
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    assert_eq!(
        answer["error"]["data"]["mcpwrap"]["code"], "server-exited",
        "{answer}"
    );
    assert_eq!(
        answer["error"]["data"]["mcpwrap"]["server"], "fake",
        "{answer}"
    );
    run.heard("out of luck");
    run.finish();
}

#[test]
fn a_command_that_cannot_start_is_not_granted() {
    let test = Test::new();
    let file = |name: &str, text: &[u8], mode: u32| {
        let path = test.dir.join(name);
        std::fs::write(&path, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&path, mode).unwrap();
        path.display().to_string()
    };
    let absent = test.dir.join("absent").display().to_string();
    let cases = [
        (absent, "program-not-found"),
        ("no-such-program-anywhere".to_owned(), "program-not-found"),
        (
            file("plain", b"#!/bin/sh\n", 0o600),
            "program-not-executable",
        ),
        (test.dir.display().to_string(), "program-not-executable"),
        (
            file("lost", b"#!/no/such/interpreter\n", 0o700),
            "program-not-found",
        ),
    ];
    test.init();
    for (program, name) in cases {
        test.write_policy("fake", &policy_text(&[&program], ""));
        let ended = test.cli(&["grant", "fake", "--yes"]);
        assert_eq!(ended.code, 2, "{program}\n{ended}");
        assert!(
            ended.stderr.contains(&format!("error[{name}]")),
            "{program}\n{ended}"
        );
    }
}

/// What a grant finds may be gone or useless later.
#[test]
fn a_program_that_is_no_longer_one_is_refused() {
    let test = Test::new();
    let path = test.program_file("server", "#!/bin/sh\n");
    test.policy("fake", &[path.to_str().unwrap()], "");
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    let refused = |code: u8, name: &str| {
        let ended = test.run("fake").refused();
        assert_eq!(ended.code, i32::from(code), "{ended}");
        let mut run = test.run("fake");
        let answer = run.initialize();
        assert_eq!(answer["error"]["data"]["mcpwrap"]["code"], name, "{answer}");
        run.finish();
    };
    std::fs::set_permissions(&path, mode(0o644)).unwrap();
    refused(126, "program-not-executable");
    std::fs::remove_file(&path).unwrap();
    refused(125, "program-changed");
}

#[test]
fn a_missing_working_directory_is_named() {
    let test = Test::new();
    let directory = test.dir.join("project");
    let cwd = format!("cwd = \"{}\"\n", directory.display());
    test.init();
    test.write_policy("fake", &policy_text(&["/bin/cat"], &cwd));
    let ended = test.cli(&["grant", "fake", "--yes"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("project`: no such file"), "{ended}");

    std::fs::create_dir(&directory).unwrap();
    test.ok(&["grant", "fake", "--yes"]);
    std::fs::remove_dir(&directory).unwrap();
    let ended = test.run("fake").refused();
    assert_eq!(ended.code, 125, "{ended}");
    assert!(ended.stderr.contains("error[program-changed]"), "{ended}");
    assert!(ended.stderr.contains("/project`"), "{ended}");
}

#[test]
fn a_script_without_an_interpreter_is_run_by_the_shell() {
    let test = Test::new();
    let path = test.dir.join("script");
    std::fs::write(&path, "echo by the shell >&2; exit 3\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&path, mode).unwrap();
    test.policy(
        "fake",
        &[&path.display().to_string()],
        "session.restart = \"never\"\n",
    );
    let run = test.run("fake");
    run.heard("by the shell");
    let ended = run.finish();
    assert_eq!(ended.code, 3, "{ended}");
    assert!(ended.stderr.contains("by the shell"), "{ended}");
}

#[test]
fn a_value_too_large_for_an_environment_is_reported() {
    let test = Test::new();
    // Linux accepts 128 KiB per variable.
    test.secret("test/large", "abcdefghijklmnop".repeat(10_000));
    test.serve("fake", &[], &slot("TOKEN", "test/large"));
    let mut run = test.run("fake");
    let answer = run.initialize();
    assert_eq!(
        answer["error"]["data"]["mcpwrap"]["code"], "launch-failed",
        "{answer}"
    );
    let ended = run.finish();
    assert_eq!(ended.code, 125, "{ended}");
}
