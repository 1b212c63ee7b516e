//! `mcpwrap lock`: forgets the vault file's key. Running servers keep their secrets, unless their sessions
//! are locked, too.

use super::print_ended::{report, report_containers};
use super::{Context, print};
use crate::config::Config;
use crate::error::{EXIT_ERROR, EXIT_NO, Result};
use crate::ops::lock_sessions::{LockedSessions, lock_sessions};
use crate::store::{self, KeySource};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// End all servers, too, until `mcpwrap unlock`
    #[arg(long)]
    sessions: bool,
}

/// With `--sessions`, the exit code is 1 if a server may start again, 2 if something may be alive.
pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    // First, and whatever becomes of the rest.
    let code = if args.sessions { sessions(cx) } else { 0 };
    let config = Config::load(&cx.dirs)?;
    if store::lock(&cx.dirs)? {
        print::line("locked");
    } else {
        print::note("nothing to lock: the vault file was not unlocked");
    }
    if let Ok(source @ (KeySource::KeyFile(_) | KeySource::Credential(_))) =
        KeySource::find(&cx.dirs, &config)
    {
        let key = source.describe(&cx.dirs);
        print::warning(&format!("the {key} still opens the vault file"));
    }
    Ok(code)
}

fn sessions(cx: &Context) -> u8 {
    let LockedSessions {
        ended,
        containers,
        error,
    } = lock_sessions(&cx.dirs);
    if report(&ended) | report_containers(&containers) {
        return EXIT_ERROR;
    }
    if let Some(error) = error {
        print::error(&error.cause("the servers were ended, and start again when a policy changes"));
        return EXIT_NO;
    }
    print::line("locked: the sessions; `mcpwrap unlock` lets the servers run again");
    0
}
