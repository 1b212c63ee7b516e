//! `mcpwrap store rm`: removes the definition of a store from `config.toml`.

use super::{rows, servers};
use crate::cli::{Context, ask, print};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::ops::stores;
use crate::secret::StoreName;
use crate::store::types::{self, NamedStore};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Store to remove
    name: StoreName,
    /// Show what would change, without changing anything
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Skip confirmation (for scripts)
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let name = &args.name;
    let actor = if args.dry_run {
        None
    } else {
        let flag = args.yes.then_some("--yes");
        Some(stores::actor(&cx.dirs, &config, "store rm", flag, name)?)
    };
    stores::must_be_own(&config, name)?;
    let Some(definition) = config.stores.get(name) else {
        return Err(types::unknown_name(&config, name));
    };
    let mut shown = format!("remove store `{name}`:\n");
    // One of a type that this version does not know can be removed too.
    match types::of(&definition.kind) {
        Some(kind) => shown.push_str(&rows(&NamedStore {
            name,
            definition,
            kind,
        })),
        None => shown.extend(["  type       ", &definition.kind, "\n"]),
    }
    let users = stores::users(&cx.dirs, &config, name);
    if !users.is_empty() {
        let line = format!("{} will not start without it\n", servers(&users));
        shown.push_str(&line);
    }
    let Some(actor) = actor else {
        print::text(&shown);
        return Ok(0);
    };
    if actor.is_asked() && !ask::confirm(&format!("{shown}remove it?"))? {
        let what = format!("store `{name}` was not removed");
        return Err(Error::new(Code::Declined, what).of_store(name));
    }
    let secrets = stores::own_secrets(&cx.dirs, &config, name);
    stores::change(&cx.dirs, &config, actor, name, None)?;
    print::line(&format!("removed: store {name}"));
    if !users.is_empty() {
        print::warning(&format!("{} will not start without it", servers(&users)));
    }
    for secret in secrets {
        print::note(&format!(
            "only this store used `{secret}`; run `mcpwrap secret rm {secret}` if it is not needed"
        ));
    }
    Ok(0)
}
