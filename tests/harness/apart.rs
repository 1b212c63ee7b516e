//! Commands that only the user may run, with a chain of parents of their own.
//!
//! mcpwrap refuses them if one of its ancestors is an AI agent, and the tests may be run by one. So
//! they are started by a process that the system adopted (see `tests/support/fake_apart.rs`).

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Run, Test, fake_server};

/// The first words of commands that agents may not run.
const GUARDED: &[&str] = &[
    "adopt",
    "check",
    "config",
    "grant",
    "init",
    "pin",
    "policy",
    "secret",
    "uninstall",
    "unlock",
];

/// Starts mcpwrap without a terminal to ask at.
pub(crate) fn without_terminal<'a>(test: &'a Test, args: &[&str]) -> Run<'a> {
    let mut command = test.command("setsid");
    command.arg("--wait").arg(test.program()).args(args);
    test.start(&mut command)
}

/// Whether this starts mcpwrap, directly or through another program, with a command for the user.
pub(crate) fn is_for_user(command: &Command, program: &Path) -> bool {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let mut rest = words
        .skip_while(|word| *word != program.as_os_str())
        .skip(1);
    let first = rest.next().and_then(OsStr::to_str);
    first.is_some_and(|first| GUARDED.contains(&first))
}

/// The same command in a chain of its own. `above`: variables that only the process above it has.
pub(crate) fn apart(command: &Command, above: &[(&str, &str)]) -> Command {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let names: Vec<_> = above.iter().map(|(name, _)| *name).collect();
    // Not in the directory of the test, which a test may compare before and after.
    let socket = format!("mcpwrap-apart-{}-{number}", std::process::id());
    let socket = std::env::temp_dir().join(socket);
    let mut apart = Command::new(fake_server());
    apart
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .envs(above.iter().copied())
        .arg(format!("apart={}", names.join(",")))
        .arg(socket)
        .arg(command.get_program())
        .args(command.get_args());
    if let Some(dir) = command.get_current_dir() {
        apart.current_dir(dir);
    }
    apart
}
