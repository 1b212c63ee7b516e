//! `mcpwrap secret move STORE`: all secrets into the other store, which is used from then on.
//!
//! *Always* reads every secret back from the new store before one is removed from the old one, and
//! names the new store in `config.toml` in between: whenever it is interrupted, every secret is in
//! the store that is in use.

use std::path::PathBuf;

use super::keep;
use crate::audit::{Event, Log, Outcome};
use crate::cli::{Context, ask, init, print};
use crate::config::{Config, StoreKind};
use crate::error::{Code, Error, Result};
use crate::grant::By;
use crate::secret::SecretName;
use crate::store::{self, Index, Prompt, Store};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(value_name = "STORE")]
    to: StoreKind,
    /// The key of the vault file; it is made if it is not there
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Ask nothing; for scripts
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let old_config = Config::load(&cx.dirs)?;
    if old_config.store == args.to {
        print::note(&format!(
            "the secrets are in the store `{}` already",
            args.to
        ));
        return Ok(0);
    }
    let old = store::open(&cx.dirs, &old_config, Prompt::Allowed)?;
    let names = old.names()?;
    let wanted: Vec<_> = names
        .iter()
        .map(|name| (Event::SecretSet, name.clone()))
        .collect();
    let by = keep::approval(&cx.dirs, &old_config, args.yes.then_some("--yes"), &wanted)?;
    let question = format!(
        "move {} secrets from the store `{}` to the store `{}`?",
        names.len(),
        old_config.store,
        args.to
    );
    if by == By::Terminal && !ask::confirm(&question)? {
        return Err(Error::new(Code::Declined, "no secret was moved"));
    }
    let new_config = init::prepare(
        &cx.dirs,
        &old_config,
        args.to,
        args.key_file.as_deref(),
        false,
    )?;
    let new = store::open(&cx.dirs, &new_config, Prompt::Allowed)?;
    if let Some(master) = old.master()? {
        new.set_master(&master)?;
    }
    record(cx, &*new, &names, by)?;
    copy(&*old, &*new, &names)?;
    new_config.save(&cx.dirs)?;
    for name in &names {
        old.remove(name)?;
    }
    // Running supervisors look again.
    Index::update(&cx.dirs, |_| ())?;
    print::line(&format!(
        "moved: {} secrets, to the store `{}`",
        names.len(),
        args.to
    ));
    Ok(0)
}

fn copy(old: &dyn Store, new: &dyn Store, names: &[SecretName]) -> Result<()> {
    for (name, item) in names.iter().zip(old.get_all(names)?.items) {
        let item = item?;
        new.put(name, &item)?;
        if new.get(name)? != item {
            return Err(
                store::unfaithful(new.kind(), name, format!("`{name}` was not moved"))
                    .hint("the secrets are still in the old store, which stays in use"),
            );
        }
    }
    Ok(())
}

fn record(cx: &Context, store: &dyn Store, names: &[SecretName], by: By) -> Result<()> {
    let keys = store::keys_or_create(store)?;
    let entry = |name| keep::entry(Event::SecretSet, Outcome::Ok, name, None, by).reason("moved");
    Log::open(&cx.dirs, Some(&keys))?.append(&names.iter().map(entry).collect::<Vec<_>>())
}
