//! `mcpwrap init`: sets up the store, its keys and the directories, and asks a person what else to decide.

mod questions;

use std::path::{Path, PathBuf};

use super::overview::Overview;
use super::{Context, ask, print};
use crate::config::{Config, StoreKind};
use crate::error::Result;
use crate::grant::By;
use crate::ops::actor::Actor;
use crate::ops::agents;
use crate::ops::setup;
use crate::program;
use crate::store::NewKey;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to store secrets [default: asks, or keychain without a terminal]
    #[arg(long)]
    store: Option<StoreKind>,
    /// Vault key file, created if missing [default: ask for a passphrase]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Read the passphrase from stdin (for scripts)
    #[arg(long)]
    from_stdin: bool,
    /// Use the existing store in these directories, after they were moved
    #[arg(long, conflicts_with_all = ["store", "key_file", "from_stdin"])]
    moved: bool,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    agents::refuse(&cx.dirs, &Config::load(&cx.dirs)?, "init", None)?;
    if args.moved {
        let text = format!(
            "the existing store will accept grants, and log its use, in these directories:\n  {}\n  {}\n",
            cx.dirs.config_file().display(),
            cx.dirs.state().display()
        );
        ask::type_name(&text, "moved")?;
        setup::move_home(&cx.dirs, Actor::consenting(By::Terminal))?;
        print::line("the store belongs to these directories");
        return Ok(0);
    }
    let mut key = NewKey {
        file: args.key_file.as_deref(),
        is_piped: args.from_stdin,
        passphrase: &mut || ask::new_passphrase(args.from_stdin),
        created: &mut |path: &Path| {
            print::note(&format!("key file created: `{}`", cx.dirs.tilde(path)));
        },
    };
    let kind = questions::store(args, cx)?;
    let done = setup::init(&cx.dirs, kind, &mut key)?;
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
        print::line(&format!("key: {}", key.description));
        print::line(&format!("     {}", key.strength));
    }
    questions::network(args, cx)?;
    if !program::IS_STATIC {
        print::warning(program::DYNAMIC);
    }
    match Overview::find(cx) {
        Ok(found) => {
            questions::agents(args, cx, &found)?;
            if found.has_servers() {
                found.print();
            } else {
                print::line("next: run `mcpwrap secret set NAME` to store a secret");
            }
        }
        // The store is set up all the same.
        Err(error) => print::warning(&error.line()),
    }
    Ok(0)
}
