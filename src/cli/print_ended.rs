//! Says how servers and containers ended.

use super::print;
use crate::error::{Code, Error};
use crate::ops::revoke::EndedContainers;
use crate::supervise::running::{Ended, Running, StopMethod};

/// Prints how each server ended; `true` if a process survived.
pub(super) fn report(all: &[Ended]) -> bool {
    let mut survived = false;
    for ended in all {
        let (server, whose) = (&ended.running.server, whose(&ended.running));
        let ms = ended.took.as_millis();
        let what = match (ended.pid, ended.processes) {
            (_, 0) => {
                print::line(&format!("{server} ({whose}): no server was running"));
                continue;
            }
            (Some(pid), count) => format!("pid {pid}, {}", print::count(count, "process")),
            (None, count) => print::count(count, "process"),
        };
        let how = match (ended.method, ended.running.pid()) {
            (StopMethod::Asked, _) => "stopped by its supervisor",
            (StopMethod::Killed, Some(_)) => "killed, because its supervisor did not answer,",
            (StopMethod::Killed, None) => "killed",
            (StopMethod::Survived, _) => "STILL RUNNING",
        };
        print::line(&format!("{server} ({whose}): {what}: {how} after {ms} ms"));
        if ended.method == StopMethod::Survived {
            survived = true;
            let pids: Vec<_> = ended
                .running
                .tree()
                .iter()
                .map(ToString::to_string)
                .collect();
            print::error(
                &Error::new(
                    Code::StillRunning,
                    format!("some processes of server `{server}` are still running"),
                )
                .cause("a process survived SIGKILL for 10 s: it hangs in the kernel")
                .hint(format!("run `ps {}` to see its state", pids.join(" "))),
            );
        }
    }
    survived
}

/// Which supervisor.
pub(super) fn whose(running: &Running) -> String {
    running.pid().map_or_else(
        || "supervisor killed".to_owned(),
        |pid| format!("supervisor {pid}"),
    )
}

/// Prints which containers were ended; `true` if one may be alive.
pub(super) fn report_containers(all: &EndedContainers) -> bool {
    let mut unclear = false;
    for (container, result) in all {
        let server = &container.server;
        match result {
            Ok(killed) => {
                for one in killed {
                    print::line(&format!("{server}: container {}: killed", one.short()));
                }
            }
            Err(why) if !container.is_noted() => {
                // None is known to run, but somebody may have removed the note.
                print::warning(&format!(
                    "containers of server `{server}` were not checked: {why}"
                ));
            }
            Err(why) => {
                unclear = true;
                print::error(
                    &Error::new(
                        Code::StillRunning,
                        format!("a container of server `{server}` may still be running"),
                    )
                    .cause(why.clone())
                    .hint(format!("run `{}` to see it", container.query())),
                );
            }
        }
    }
    unclear
}
