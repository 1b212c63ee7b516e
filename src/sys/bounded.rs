//! Runs a program for its output, with a time limit.
//!
//! Invariants: stdin is not a terminal; output is passed on in pieces, so long output needs no
//! memory; the program is ended with all its descendants and reaped. On Linux it also ends if this
//! process is killed.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::spawn;
use super::tree::{self, Process};

/// The stream of a piece of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Stdout,
    Stderr,
}

/// How long the descendants of a program may take to end.
const KILL_LIMIT: Duration = Duration::from_secs(2);

/// A program from the PATH with only these variables.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where programs are started"
)]
pub fn scrubbed(program: &str, args: &[OsString], env: &[(&str, &OsStr)]) -> Command {
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(env.iter().copied());
    command
}

/// The first line that a program writes to stdout, with the environment of this process. `None` if it
/// fails, writes nothing, or takes longer than `limit`.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where programs are started"
)]
pub fn first_line(program: &Path, args: &[&str], dir: &Path, limit: Duration) -> Option<String> {
    let mut command = Command::new(program);
    command.args(args).current_dir(dir);
    let mut output = Vec::new();
    let status = run(&mut command, limit, &mut |from, piece| {
        if from == From::Stdout {
            output.extend_from_slice(piece);
        }
        if output.len() < 64 << 10 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    let ended_well = status.ok().flatten()?.success();
    let text = String::from_utf8(output).ok().filter(|_| ended_well)?;
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// Runs a program and passes each piece of its output to `each`. `None` if it was ended because of
/// the time limit or because `each` returned `Break`.
///
/// # Errors
/// The program cannot be started.
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
    read_stream(From::Stdout, child.stdout.take(), send.clone())?;
    read_stream(From::Stderr, child.stderr.take(), send)?;
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

/// Reads a stream in a thread, until the stream ends or the receiver is dropped.
fn read_stream(
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

/// Waits for a program that has closed its streams.
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
        // Descendants first, while they can still be found.
        tree::kill_below(process, KILL_LIMIT);
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
    fn output_and_exit_status_are_returned() {
        let (ended, said) = sh("echo out; echo err >&2; exit 3", Duration::from_mins(1));
        assert_eq!(ended.unwrap().code(), Some(3));
        assert!(
            said.contains("Stdout out\n") && said.contains("Stderr err\n"),
            "{said}"
        );
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_its_children() {
        let (ended, said) = sh("sleep 600 & echo $!; wait", Duration::from_millis(300));
        assert_eq!(ended, None);
        let below: i32 = said.trim_start_matches("Stdout ").trim().parse().unwrap();
        // It was killed: its pid is free or belongs to a zombie.
        let left = Process::of(Pid::from_raw(below)).filter(|process| process.is_alive());
        assert!(left.is_none());
    }
}
