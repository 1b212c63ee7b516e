//! The hostile programs, and what a program gets.

use super::*;

const SHELL: &str = "/bin/sh";

fn sh_with(script: &str, input: Option<&[u8]>, limit: Duration) -> Captured {
    let arguments = ["-c", script].map(OsString::from);
    let path = (OsStr::new("PATH"), OsStr::new("/usr/bin:/bin"));
    capture(&CapturedCommand {
        program: Path::new(SHELL),
        arguments: &arguments,
        environment: &[path],
        input,
        stdout_max: 64 << 10,
        deadline: Instant::now() + limit,
    })
    .unwrap()
}

fn sh(script: &str) -> Captured {
    sh_with(script, None, Duration::from_mins(1))
}

fn soon(script: &str) -> Captured {
    sh_with(script, None, Duration::from_millis(300))
}

/// Whether the process of this number has ended.
fn is_gone(number: &[u8]) -> bool {
    let number = str::from_utf8(number).unwrap().trim().parse().unwrap();
    let left = Process::of(Pid::from_raw(number)).filter(|process| process.is_alive());
    left.is_none()
}

#[test]
fn output_input_and_exit() {
    let run = sh_with(
        "cat; echo err >&2; exit 3",
        Some(b"in\n"),
        Duration::from_mins(1),
    );
    assert_eq!(run.end, CapturedEnd::Exit(3));
    assert_eq!(*run.stdout, b"in\n");
    assert_eq!(*run.stderr, b"err\n");
    // More than a pipe holds, each way, and not read at all.
    let long = vec![b'x'; 60_000];
    let run = sh_with("cat; cat", Some(&long), Duration::from_mins(1));
    assert_eq!((run.end, run.stdout.len()), (CapturedEnd::Exit(0), 60_000));
    let run = sh_with("exit 0", Some(&vec![b'x'; 1 << 20]), Duration::from_mins(1));
    assert_eq!(run.end, CapturedEnd::Exit(0));
    assert_eq!(sh("echo value; kill -9 $$").end, CapturedEnd::Signal(9));
}

#[test]
fn the_program_has_nothing_of_this_process() {
    let run = sh(
        "pwd; cat; (: </dev/tty) 2>/dev/null && echo terminal; tr '\\0' '\\n' </proc/$$/environ; ls /proc/self/fd | wc -l",
    );
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    let lines: Vec<_> = text.lines().collect();
    // `ls` has its three streams and the directory.
    let expected = ["/", "PATH=/usr/bin:/bin", "4"];
    if cfg!(target_os = "linux") {
        assert_eq!(lines, expected, "{text}");
    }
}

#[test]
fn a_daemon_that_holds_the_pipe_is_not_waited_for() {
    let began = Instant::now();
    let run = sh("setsid sleep 5 & echo $!; echo value");
    assert_eq!(run.end, CapturedEnd::Exit(0));
    assert!(began.elapsed() < Duration::from_secs(4));
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    let daemon: i32 = text.lines().next().unwrap().parse().unwrap();
    super::super::ignore(nix::sys::signal::kill(
        Pid::from_raw(daemon),
        Signal::SIGKILL,
    ));
    // One in its group ends with it.
    let run = sh("sleep 600 & echo $!");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_gone(&run.stdout) {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
}

#[test]
fn one_that_hangs_is_killed_with_all_below_it() {
    for script in [
        "trap '' TERM INT HUP; sleep 600 & echo $!; wait",
        "setsid sleep 600 & echo $!; wait",
    ] {
        let run = soon(script);
        assert_eq!(run.end, CapturedEnd::Late);
        assert!(is_gone(&run.stdout), "{script}");
    }
    // Its tree grows until it is killed.
    let run = soon("grow() { sleep 0.01; grow & grow; }; grow");
    assert_eq!(run.end, CapturedEnd::Late);
}

#[test]
fn endless_output() {
    assert_eq!(sh("yes").end, CapturedEnd::TooLong);
    let run = soon("yes >&2");
    assert_eq!(run.end, CapturedEnd::Late);
    assert!((1..=3 * STDERR_KEPT).contains(&run.stderr.len()));
    let run = sh("yes long | head -c 200000 >&2; echo end >&2; echo value");
    assert_eq!(
        (run.end, &**run.stdout),
        (CapturedEnd::Exit(0), &b"value\n"[..])
    );
    assert!(run.stderr.ends_with(b"end\n"));
}
