//! `mcpwrap secret rm`: removes secrets from the store and from the index.

use super::{servers, with_nearest};
use crate::audit::Event;
use crate::cli::{Context, ask, print};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::ops::secrets;
use crate::secret::SecretName;
use crate::store::{self, Prompt};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Secrets to remove
    #[arg(required = true)]
    name: Vec<SecretName>,
    /// Skip confirmation (for scripts)
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let wanted = args.name.iter().map(|name| (Event::SecretRm, name.clone()));
    let wanted: Vec<_> = wanted.collect();
    let flag = args.yes.then_some("--yes");
    let actor = secrets::actor(&cx.dirs, &config, "secret rm", flag, &wanted)?;
    let store = store::open(&cx.dirs, &config, Prompt::Allowed)?;
    for name in &args.name {
        if !args.yes && !ask::confirm(&question(cx, name))? {
            return Err(Error::new(
                Code::Declined,
                format!("`{name}` was not removed"),
            ));
        }
        secrets::remove(&cx.dirs, &config, &*store, actor, name)
            .map_err(|error| with_nearest(cx, name, error))?;
        print::line(&format!("removed: {name}"));
    }
    Ok(0)
}

fn question(cx: &Context, name: &SecretName) -> String {
    let users = secrets::users(&cx.dirs, name);
    if users.is_empty() {
        return format!("remove `{name}` from the store?");
    }
    format!(
        "`{name}` is used by {}, which will not start without it.\nremove it from the store?",
        servers(&users)
    )
}
