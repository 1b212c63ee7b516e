//! `mcpwrap secret move STORE`: moves all secrets to the other store, which is used from then on.

use std::path::{Path, PathBuf};

use crate::audit::Event;
use crate::cli::{Context, ask, print};
use crate::config::{Config, StoreKind};
use crate::error::{Code, Error, Result};
use crate::ops::secrets;
use crate::store::{self, NewKey, Prompt};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Store to move to
    #[arg(value_name = "STORE")]
    to: StoreKind,
    /// Vault key file, created if missing [default: ask for a passphrase]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Skip confirmation (for scripts)
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    if config.store == args.to {
        print::note(&format!(
            "nothing to move: the secrets are already in the store `{}`",
            args.to
        ));
        return Ok(0);
    }
    let old = store::open(&cx.dirs, &config, Prompt::Allowed)?;
    let names = old.names()?;
    let wanted: Vec<_> = names
        .iter()
        .map(|name| (Event::SecretSet, name.clone()))
        .collect();
    let actor = secrets::actor(
        &cx.dirs,
        &config,
        secrets::MOVE,
        args.yes.then_some("--yes"),
        &wanted,
    )?;
    let question = format!(
        "move {} from the store `{}` to the store `{}`?",
        print::count(names.len(), "secret"),
        config.store,
        args.to
    );
    if actor.is_asked() && !ask::confirm(&question)? {
        return Err(Error::new(Code::Declined, "no secret was moved"));
    }
    let mut key = NewKey {
        file: args.key_file.as_deref(),
        is_piped: false,
        passphrase: &mut || ask::new_passphrase(false),
        created: &mut |path: &Path| {
            print::note(&format!("key file created: `{}`", cx.dirs.tilde(path)));
        },
    };
    let next = store::set_up(&cx.dirs, &config, args.to, &mut key)?;
    let new = store::open(&cx.dirs, &next, Prompt::Allowed)?;
    secrets::move_all(&cx.dirs, &*old, &*new, &next, &names, actor)?;
    print::line(&format!(
        "moved: {} to the store `{}`",
        print::count(names.len(), "secret"),
        args.to
    ));
    Ok(0)
}
