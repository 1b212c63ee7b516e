//! `mcpwrap init`: sets up the store, its keys and the directories.

use std::path::{Path, PathBuf};

use super::{Context, ask, print};
use crate::config::{Config, StoreKind};
use crate::error::Result;
use crate::ops::agents;
use crate::ops::setup::{self, NewKey};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to store secrets [default: keychain]
    #[arg(long)]
    store: Option<StoreKind>,
    /// Vault key file, created if missing [default: ask for a passphrase]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Read the passphrase from stdin (for scripts)
    #[arg(long)]
    from_stdin: bool,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    agents::refuse(&cx.dirs, &Config::load(&cx.dirs)?, "init", None)?;
    let mut key = NewKey {
        file: args.key_file.as_deref(),
        is_piped: args.from_stdin,
        passphrase: &mut || ask::new_passphrase(args.from_stdin),
        created: &mut |path: &Path| {
            print::note(&format!("key file created: `{}`", cx.dirs.tilde(path)));
        },
    };
    let done = setup::init(&cx.dirs, args.store, &mut key)?;
    print::line(&format!(
        "{}: store `{}`",
        if done.known {
            "already set up"
        } else {
            "set up"
        },
        done.kind
    ));
    if let Some(key) = done.key {
        print::line(&format!("key: {}", key.describe(&cx.dirs)));
        print::line(&format!("     {}", key.strength()));
    }
    print::line(
        "next: run `mcpwrap adopt` to adopt your clients' servers, or `mcpwrap secret set NAME`",
    );
    Ok(0)
}
