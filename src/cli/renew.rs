//! `mcpwrap renew`: puts a new server behind every live session of a policy. It reads the secrets
//! anew, so a value that another program changed in the keychain is picked up.

use super::{Context, print};
use crate::error::{Code, EXIT_NO, Error, Result};
use crate::secret::ServerName;
use crate::supervise::running::{self, Running};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Server to restart
    server: ServerName,
}

/// Renews all sessions of the server at the same time; 1 if one was not renewed.
pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let wanted: Vec<Running> = running::all(&cx.dirs)
        .into_iter()
        .filter(|one| one.server == args.server)
        .collect();
    if wanted.is_empty() {
        return Err(Error::new(
            Code::SupervisorUnreachable,
            format!("server `{}` not renewed: it does not run", args.server),
        )
        .cause("no supervisor of it was found")
        .hint("`mcpwrap ps` lists what runs"));
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
            Ok(()) => print::line(&format!("renewed: {} (supervisor {})", one.server, one.pid)),
            Err(why) => {
                failed = true;
                print::error(
                    &Error::new(
                        Code::RenewFailed,
                        format!(
                            "server `{}` (supervisor {}) not renewed",
                            one.server, one.pid
                        ),
                    )
                    .cause(why)
                    .hint("`mcpwrap ps` shows which server it has now"),
                );
            }
        }
    }
    Ok(if failed { EXIT_NO } else { 0 })
}
