//! `mcpwrap init`: sets up the store, its keys and the directories.

use std::path::{Path, PathBuf};

use super::{Context, ask, print};
use crate::config::StoreKind;
use crate::error::Result;
use crate::network;
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
    let ignored = network::ignored(network::find(&cx.dirs)?.as_ref(), &network::of_terminal);
    if !ignored.is_empty() {
        print::line(&format!(
            "this terminal sets {}: run `mcpwrap config network` if servers should use them",
            ignored.join(", ")
        ));
    }
    print::line(
        "next: run `mcpwrap adopt` to adopt your clients' servers, or `mcpwrap secret set NAME`",
    );
    Ok(0)
}
