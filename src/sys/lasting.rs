//! Processes of this program that finish their work whatever becomes of the one that started them: a refresh whose
//! answer is lost loses the login. They belong to no server, so ending a server spares them.

use std::ffi::OsStr;
use std::io;
use std::process::{ChildStdin, ChildStdout};
use std::sync::{Mutex, PoisonError};

use super::spawn;

static RUNNING: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// One of them, to be waited for.
#[derive(Debug)]
pub struct LastingChild(std::process::Child);

impl LastingChild {
    /// Starts this program with these arguments and only this environment; stdin and stdout are pipes.
    ///
    /// # Errors
    /// The kernel's.
    pub fn start(arguments: &[&OsStr], environment: &[(&str, &OsStr)]) -> io::Result<Self> {
        // Locked during the start, so that `running` never misses the process.
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let child = spawn::own(arguments, environment)?;
        running.extend(i32::try_from(child.id()));
        Ok(Self(child))
    }

    pub fn streams(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.0.stdin.take().zip(self.0.stdout.take())
    }

    /// Waits for its end.
    pub fn wait(mut self) {
        let pid = self.0.id();
        super::ignore(self.0.wait());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|one| u32::try_from(*one) != Ok(pid));
    }
}

/// The pids of those that this process started and that have not been waited for.
pub fn running() -> Vec<i32> {
    RUNNING
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}
