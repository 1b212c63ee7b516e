//! `mcpwrap secret rm`: removes secrets from the store and from the index.

use super::keep;
use crate::audit::{Event, Log, Outcome};
use crate::cli::{Context, ask, print};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::grant::By;
use crate::secret::SecretName;
use crate::store::{self, Index, Prompt, Store};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(required = true)]
    name: Vec<SecretName>,
    /// Ask nothing; for scripts
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let store = store::open(&cx.dirs, &config, Prompt::Allowed)?;
    for name in &args.name {
        if !args.yes && !ask::confirm(&question(cx, name))? {
            return Err(Error::new(
                Code::Declined,
                format!("`{name}` was not removed"),
            ));
        }
        remove(args, cx, &config, &*store, name)?;
    }
    Ok(0)
}

fn question(cx: &Context, name: &SecretName) -> String {
    let users = keep::users(&cx.dirs, name);
    if users.is_empty() {
        return format!("remove `{name}` from the store?");
    }
    format!(
        "`{name}` is used by {}, which will not start without it.\nremove it from the store?",
        keep::servers(&users)
    )
}

fn remove(
    args: &Args,
    cx: &Context,
    config: &Config,
    store: &dyn Store,
    name: &SecretName,
) -> Result<()> {
    let by = if args.yes { By::Yes } else { By::Terminal };
    let old = Index::load(&cx.dirs)?.secrets.remove(name);
    let there = match store.get(name) {
        Err(error) if error.code == Code::SecretNotFound => {
            if old.is_none() {
                return Err(error);
            }
            false
        }
        // Doubles are removed together, and an item that cannot be read can still be removed.
        _ => true,
    };
    let keys = keep::keys_if_open(&cx.dirs, config);
    let log = Log::open(&cx.dirs, keys.as_ref())?;
    let print = old.as_ref().map(|entry| &entry.fingerprint);
    log.append(&[keep::entry(Event::SecretRm, Outcome::Ok, name, print, by)])?;
    if there && let Err(error) = store.remove(name) {
        let failed = keep::entry(Event::SecretRm, Outcome::Failed, name, None, by);
        log.append(&[failed.reason(error.code.name())])?;
        return Err(error);
    }
    Index::update(&cx.dirs, |index| drop(index.secrets.remove(name)))?;
    print::line(&format!("removed: {name}"));
    Ok(())
}
