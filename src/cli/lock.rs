//! `mcpwrap lock`: forgets the vault file's key. Running servers keep what they were given.

use super::{Context, print};
use crate::config::Config;
use crate::error::Result;
use crate::store::{self, KeySource};

#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let was_there = store::lock(&cx.dirs)?;
    print::line(if was_there {
        "locked"
    } else {
        "it was not unlocked"
    });
    if let Ok(source @ (KeySource::KeyFile(_) | KeySource::Credential(_))) =
        KeySource::find(&cx.dirs, &config)
    {
        let key = source.describe(&cx.dirs);
        print::warning(&format!("the {key} opens the vault at any time"));
    }
    Ok(0)
}
