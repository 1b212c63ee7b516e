//! `mcpwrap unlock`: takes the vault file's passphrase, once after each boot.

use super::{Context, ask, print};
use crate::config::{Config, StoreKind};
use crate::error::{Code, Error, Result};
use crate::ops::agents;
use crate::store::{self, KeySource};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Read the passphrase from stdin (for scripts)
    #[arg(long)]
    from_stdin: bool,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    agents::refuse(&cx.dirs, &config, "unlock", None)?;
    if config.store != StoreKind::File {
        return Err(Error::new(Code::Usage, "nothing to unlock")
            .cause("the store is the keychain, which your desktop unlocks at login"));
    }
    let source = KeySource::find(&cx.dirs, &config)?;
    if !matches!(source, KeySource::Passphrase(_)) {
        print::note(&format!(
            "nothing to unlock: the key is the {}",
            source.describe(&cx.dirs)
        ));
        return Ok(0);
    }
    if source.is_unlocked()? {
        print::note("nothing to unlock: the vault file is already unlocked");
        return Ok(0);
    }
    store::unlock(&cx.dirs, &ask::passphrase(args.from_stdin)?)?;
    print::line("unlocked until `mcpwrap lock` or reboot");
    Ok(0)
}
