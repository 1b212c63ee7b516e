//! `mcpwrap renew`: restarts a server without dropping its sessions. It reads the secrets again, so it
//! also picks up a value that another program changed in the keychain.

use super::{Context, print};
use crate::error::{Code, EXIT_NO, Error, Result};
use crate::secret::ServerName;
use crate::supervise::find;
use crate::supervise::running::Running;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Server to restart
    server: ServerName,
}

/// Restarts all servers of a policy at the same time; 1 if one was not restarted.
pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let wanted: Vec<Running> = find::by_socket(&cx.dirs, true)
        .into_iter()
        .filter(|one| one.server == args.server)
        .collect();
    if wanted.is_empty() {
        return Err(Error::new(
            Code::SupervisorUnreachable,
            format!("cannot restart server `{}`", args.server),
        )
        .cause("the server is not running")
        .hint("run `mcpwrap ps` to list the running servers"));
    }
    let results: Vec<(Running, std::result::Result<(), String>)> = std::thread::scope(|scope| {
        let renew = |one: Running| scope.spawn(move || (one.renew(), one));
        let asked: Vec<_> = wanted.into_iter().map(renew).collect();
        let joined = asked.into_iter().filter_map(|answer| answer.join().ok());
        joined.map(|(result, one)| (one, result)).collect()
    });
    let mut failed = false;
    for (one, result) in results {
        match result {
            Ok(()) => print::line(&format!(
                "restarted: {} (supervisor {})",
                one.server,
                one.pid().unwrap_or_default()
            )),
            Err(why) => {
                failed = true;
                print::error(
                    &Error::new(
                        Code::RenewFailed,
                        format!(
                            "cannot restart server `{}` (supervisor {})",
                            one.server,
                            one.pid().unwrap_or_default()
                        ),
                    )
                    .cause(why)
                    .hint("run `mcpwrap ps` to see its current state"),
                );
            }
        }
    }
    Ok(if failed { EXIT_NO } else { 0 })
}
