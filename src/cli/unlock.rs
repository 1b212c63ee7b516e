//! `mcpwrap unlock`: takes the vault file's passphrase, once after each boot, and unlocks the sessions.

use super::{Context, ask, print};
use crate::config::Config;
use crate::error::Result;
use crate::ops::agents;
use crate::session_lock;
use crate::store::{self, Unlocked};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Read the passphrase from stdin (for scripts)
    #[arg(long)]
    from_stdin: bool,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    agents::refuse(&cx.dirs, &config, "unlock", None)?;
    let mut passphrase = || ask::passphrase(args.from_stdin);
    match store::unlock(&cx.dirs, &config, &mut passphrase)? {
        Unlocked::Now => print::line("unlocked until `mcpwrap lock` or reboot"),
        Unlocked::Already(why) => print::note(&format!("nothing to unlock: {why}")),
    }
    if session_lock::unlock(&cx.dirs)? {
        print::line("unlocked: the sessions");
    }
    Ok(0)
}
