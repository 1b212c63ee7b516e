//! `mcpwrap lock`: forgets the vault file's key. Running servers keep their secrets.

use super::{Context, print};
use crate::config::Config;
use crate::error::Result;
use crate::store::{self, KeySource};

#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args, cx: &Context) -> Result<u8> {
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
    Ok(0)
}
