//! The remote server of the tests: it refuses who does not send one of the two tokens.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::{NEW, OLD};
use crate::shell::{Done, cache, root};

/// Runs until dropped.
pub struct RemoteServer {
    child: Child,
    pub url: String,
}

impl RemoteServer {
    /// `None` if fastmcp is not installed.
    pub fn start() -> Done<Option<Self>> {
        let python = cache().join("pypi/fastmcp/bin/python");
        if !python.exists() {
            return Ok(None);
        }
        let mut command = Command::new(python);
        command
            .arg(root().join("tests/real/remote/server.py"))
            .args(["--accept", OLD, NEW])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let mut lines = BufReader::new(child.stderr.take().ok_or("no stderr")?).lines();
        let url = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let url = line.strip_prefix("server: ready ")?;
            Some(url.to_owned())
        });
        // What it says later is not looked at, but must not stop it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let url = url.ok_or("the remote server did not start")?;
        Ok(Some(Self { child, url }))
    }
}

impl Drop for RemoteServer {
    fn drop(&mut self) {
        // It ends with its stdin.
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}
