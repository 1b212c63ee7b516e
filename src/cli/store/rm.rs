//! `mcpwrap store rm`: removes the definition of a store from `config.toml`.

use super::approval::{StoreApproval, approved};
use super::{rows, servers};
use crate::cli::{Context, print};
use crate::config::Config;
use crate::error::Result;
use crate::ops::stores;
use crate::secret::StoreName;
use crate::store::types::{self, NamedStore};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Store to remove
    name: StoreName,
    #[command(flatten)]
    approval: StoreApproval,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let name = &args.name;
    let actor = args.approval.actor(cx, &config, "store rm", name)?;
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
    let Some(actor) = approved(actor, &shown, "remove it?", (name, "removed"))? else {
        return Ok(0);
    };
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
