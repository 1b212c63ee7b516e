//! Who changes a store, and whether it is changed: `store add` and `store rm`.

use crate::cli::{Context, ask, print};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::ops::actor::Actor;
use crate::ops::stores;
use crate::secret::StoreName;

#[derive(Debug, clap::Args)]
pub(super) struct StoreApproval {
    /// Show what would change, without changing anything
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Skip confirmation (for scripts)
    #[arg(long)]
    yes: bool,
}

impl StoreApproval {
    /// Who changes the store; `None` if nothing is to be changed.
    ///
    /// # Errors
    /// `agent-refused`, `yes-refused`; `file-not-private` for a store of the administrator.
    pub(super) fn actor(
        &self,
        cx: &Context,
        config: &Config,
        command: &str,
        name: &StoreName,
    ) -> Result<Option<Actor>> {
        let actor = if self.dry_run {
            None
        } else {
            let flag = self.yes.then_some("--yes");
            Some(stores::actor(&cx.dirs, config, command, flag, name)?)
        };
        stores::must_be_own(config, name)?;
        Ok(actor)
    }
}

/// Asks whether to make the change that is `shown`. Without an actor it is printed, and the answer is
/// `None`. `done`: what is done to which store.
///
/// # Errors
/// `declined`.
pub(super) fn approved(
    actor: Option<Actor>,
    shown: &str,
    question: &str,
    (name, done): (&StoreName, &str),
) -> Result<Option<Actor>> {
    let Some(actor) = actor else {
        print::text(shown);
        return Ok(None);
    };
    if actor.is_asked() && !ask::confirm(&format!("{shown}{question}"))? {
        let what = format!("store `{name}` was not {done}");
        return Err(Error::new(Code::Declined, what).of_store(name));
    }
    Ok(Some(actor))
}
