//! A network of its own for a test: only root can make one, and change the files of the machine there.

use std::path::Path;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::{Test, skip};

/// Runs a test in its own network and mount namespace.
pub(crate) fn alone(body: impl FnOnce() + Send) {
    if !nix::unistd::geteuid().is_root() {
        return skip("root", "only root can give a test its own network");
    }
    // In a thread of its own, because the namespaces are those of the thread.
    let result = std::thread::scope(|scope| {
        let work = move || {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
            let none = None::<&str>;
            let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(none, "/", none, flags, none).unwrap();
            if !ip("link set lo up") {
                return skip("root", "`ip` cannot bring up the network of a namespace");
            }
            body();
        };
        scope.spawn(work).join()
    });
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// Runs `ip` with these words; whether it succeeded.
pub(crate) fn ip(words: &str) -> bool {
    let mut command = Command::new("ip");
    let status = command.args(words.split(' ')).status();
    status.is_ok_and(|status| status.success())
}

/// Puts a text in the place of a file of the machine.
pub(crate) fn replace(test: &Test, path: &str, text: &str) {
    let own = test.dir.join(Path::new(path).file_name().unwrap());
    std::fs::write(&own, text).unwrap();
    let none = None::<&str>;
    mount(Some(&own), path, none, MsFlags::MS_BIND, none).unwrap();
}
