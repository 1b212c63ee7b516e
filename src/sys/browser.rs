//! Opens the user's browser: one program with one argument, never a shell, which would cut the
//! address at its `&`.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

/// What opens an address with the user's default browser.
const OPENER: &str = if super::ON_MACOS { "open" } else { "xdg-open" };

/// Starts `program`, or the system's opener, with this address, outside of this process group. Does
/// not wait: some browsers stay in the foreground.
///
/// # Errors
/// The program cannot be started.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where programs are started"
)]
pub fn open(program: Option<&OsStr>, address: &str) -> io::Result<()> {
    let mut child = Command::new(program.unwrap_or(OsStr::new(OPENER)))
        .arg(address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    // Reaped here; whether it opened a page, only the redirect tells.
    std::thread::spawn(move || child.wait());
    Ok(())
}
