//! `mcpwrap log head`: the number and hash of the last record; and that head in the store.

use super::{Context, print};
use crate::audit::{Head, Log, anchor};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::store::{self, Prompt};

/// Prints the head.
pub fn run(cx: &Context) -> Result<u8> {
    let head = Log::open(&cx.dirs, None)?.head()?;
    if head == Head::default() {
        return Err(
            Error::new(Code::FileUnusable, "the audit log has no record yet")
                .hint("the first `mcpwrap grant` or `mcpwrap run` writes one"),
        );
    }
    print::line(&head.to_string());
    Ok(0)
}

/// After a verb that changed something: puts the head into the store, so that a cut of the log
/// shows. A store that is locked or gone is no news here: the verb has said so if it matters.
pub fn keep(cx: &Context) {
    let keep = || {
        let config = Config::load(&cx.dirs)?;
        let log = Log::open(&cx.dirs, None)?;
        if log.head()? == Head::default() {
            return Ok(());
        }
        let store = store::open(&cx.dirs, &config, Prompt::Never)?;
        anchor::keep(store.as_ref(), &log)
    };
    match keep() {
        Err(error) if error.code == Code::AuditBroken => print::error(&error),
        Err(_) | Ok(()) => {}
    }
}
