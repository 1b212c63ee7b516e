//! A program that is started for what it says, and ended when that takes too long.
//!
//! *Always* without a terminal on stdin. What it says is handed on as it comes, so that a long answer
//! needs no memory. *Always* ended with everything below it, and reaped; a program whose reader was
//! killed ends too, on Linux.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::spawn;
use super::tree::{self, Process};

/// Where a piece was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Stdout,
    Stderr,
}

/// How long the processes below a program may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(2);

/// A program on the search path, with only these variables.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where programs are started"
)]
pub fn scrubbed(program: &str, args: &[OsString], env: &[(&str, &OsStr)]) -> Command {
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(env.iter().copied());
    command
}

/// Runs a program and hands on each piece that it says. None if it was ended: because the time was
/// up, or because `each` wants no more.
///
/// # Errors
/// It was not started.
pub fn run(
    command: &mut Command,
    limit: Duration,
    each: &mut dyn FnMut(From, &[u8]) -> ControlFlow<()>,
) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    let mut child = spawn::bound_to_parent(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (send, pieces) = sync_channel(4);
    listen(From::Stdout, child.stdout.take(), send.clone())?;
    listen(From::Stderr, child.stderr.take(), send)?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match pieces.recv_timeout(left) {
            Ok((from, piece)) if each(from, &piece).is_continue() => {}
            Err(RecvTimeoutError::Disconnected) => return finish(&mut child, deadline),
            Ok(_) | Err(RecvTimeoutError::Timeout) => {
                end(&mut child)?;
                return Ok(None);
            }
        }
    }
}

/// Reads a stream to its end in a thread, which ends with the stream or with the reader.
fn listen(
    from: From,
    stream: Option<impl Read + Send + 'static>,
    send: SyncSender<(From, Vec<u8>)>,
) -> io::Result<()> {
    let Some(mut stream) = stream else {
        return Ok(());
    };
    let work = move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            let piece = buffer.get(..count).unwrap_or_default().to_vec();
            if send.send((from, piece)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().spawn(work).map(drop)
}

/// It has closed its streams, and is about to end.
fn finish(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    end(child).map(|()| None)
}

fn end(child: &mut Child) -> io::Result<()> {
    if let Some(process) = Process::of(Pid::from_raw(child.id().cast_signed())) {
        // What is below it first, as long as it can be found from here.
        tree::kill_foreign(process, &mut BTreeSet::new(), KILL_LIMIT);
    }
    child.kill()?;
    child.wait().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> (Option<ExitStatus>, String) {
        let args = ["-c", script].map(OsString::from);
        let mut command = scrubbed("sh", &args, &[("PATH", OsStr::new("/usr/bin:/bin"))]);
        let mut said = String::new();
        let ended = run(&mut command, limit, &mut |from, piece| {
            let text = String::from_utf8_lossy(piece);
            said.extend([format!("{from:?} {text}")]);
            ControlFlow::Continue(())
        });
        (ended.unwrap(), said)
    }

    #[test]
    fn what_it_says_and_how_it_ends() {
        let (ended, said) = sh("echo out; echo err >&2; exit 3", Duration::from_mins(1));
        assert_eq!(ended.unwrap().code(), Some(3));
        assert!(
            said.contains("Stdout out\n") && said.contains("Stderr err\n"),
            "{said}"
        );
    }

    #[test]
    fn one_that_hangs_is_ended_with_what_it_started() {
        let (ended, said) = sh("sleep 600 & echo $!; wait", Duration::from_millis(300));
        assert_eq!(ended, None);
        let below: i32 = said.trim_start_matches("Stdout ").trim().parse().unwrap();
        // It was killed, so its pid is free, or has only a zombie.
        let left = Process::of(Pid::from_raw(below)).filter(|process| process.is_alive());
        assert!(left.is_none());
    }
}
