//! The copy of mcpwrap that entries name if the program itself is in a cache.

use super::{Context, print};
use crate::config::Config;
use crate::error::Result;
use crate::program::{self, CopyChange, CopyState};
use crate::secret::Keys;
use crate::store::{self, Prompt};

/// Makes or updates it before entries name it.
pub(super) fn make(cx: &Context, keys: &Keys) -> Result<()> {
    let change = program::copy(&cx.dirs, keys)?;
    let shown = cx.dirs.tilde(&cx.dirs.program_copy());
    match change {
        CopyChange::None => {}
        CopyChange::Created => print::line(&format!(
            "copied mcpwrap to {shown}: client configs name the copy, because this program is in a cache"
        )),
        CopyChange::Updated => print::line(&format!("updated {shown}")),
        CopyChange::Restored => print::warning(&format!(
            "`{shown}` was changed by another program; it is this program again"
        )),
        CopyChange::Kept(version) => {
            print::note(&format!("`{shown}` stays: its version {version} is newer"));
        }
    }
    Ok(())
}

/// Updates it when nothing is to be adopted. Opens the store only for that.
pub(super) fn refresh(cx: &Context, config: &Config) -> Result<()> {
    match program::compare(&cx.dirs)? {
        Some(CopyState::Older | CopyState::Different) => {
            let store = store::open(&cx.dirs, config, Prompt::Allowed)?;
            make(cx, &store::keys(&*store)?)
        }
        Some(CopyState::Same | CopyState::Newer) | None => Ok(()),
    }
}
