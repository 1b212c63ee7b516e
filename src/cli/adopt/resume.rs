//! What an earlier `mcpwrap adopt` did not get to: packages of adopted servers that are not pinned.

use std::collections::BTreeSet;

use super::{Args, pin};
use crate::adopt::round::Round;
use crate::cli::interrupts::Interrupts;
use crate::cli::{Context, ask, print};
use crate::client::entry::entries;
use crate::config::Config;
use crate::error::{Code, EXIT_NO, Result};
use crate::ops::actor::Actor;
use crate::secret::ServerName;
use crate::store::{self, Prompt};
use crate::{grant, ops, policy};

/// The granted servers of adopted entries whose package can be pinned and is not. What is not granted
/// stays so: adopting an entry again approves nothing.
pub(super) fn unpinned(cx: &Context, round: &Round) -> BTreeSet<ServerName> {
    adopted(round)
        .into_iter()
        .filter(|server| {
            policy::load(&cx.dirs, server, None).is_ok_and(|policy| {
                ops::pin::is_wanted(&policy)
                    && policy.package.is_none()
                    && grant::find(&cx.dirs, &policy).is_ok()
            })
        })
        .collect()
}

/// Pins them, if the user agrees. Returns the exit code.
pub(super) fn pins(
    args: &Args,
    cx: &Context,
    config: &Config,
    actor: Actor,
    round: &Round,
) -> Result<u8> {
    for server in adopted(round) {
        let policy = policy::load(&cx.dirs, &server, None);
        let code = policy
            .and_then(|policy| grant::find(&cx.dirs, &policy))
            .map_err(|error| error.code);
        if matches!(code, Err(Code::NotGranted)) {
            print::warning(&format!(
                "server `{server}` is adopted but not granted: run `mcpwrap grant {server}` to review \
                 and approve it"
            ));
        }
    }
    let servers = unpinned(cx, round);
    if servers.is_empty() {
        return Ok(0);
    }
    let question = format!(
        "adopted but not pinned: {}. install and pin {}?",
        print::names(&servers),
        print::count(servers.len(), "package")
    );
    let agreed = if args.yes {
        Ok(true)
    } else {
        ask::confirm(&question)
    };
    match agreed {
        Ok(true) => {}
        Ok(false) => {
            print::note("nothing was changed; `--no-pin` leaves this question out");
            return Ok(EXIT_NO);
        }
        // Nothing was asked for but to adopt what is new, and there is nothing new.
        Err(error) if error.code == Code::NoTerminal => {
            let names: Vec<_> = servers.iter().map(ToString::to_string).collect();
            print::note(&format!(
                "adopted but not pinned; run `mcpwrap pin {}` in a terminal",
                names.join(" ")
            ));
            return Ok(0);
        }
        Err(error) => return Err(error),
    }
    let store = store::open(&cx.dirs, config, Prompt::Allowed)?;
    let keys = store::keys(&*store)?;
    let interrupts = Interrupts::collect();
    let pins = pin::adopted(cx, &servers, actor, &keys, &interrupts)?;
    let is_done = !pins.is_interrupted && pins.told.is_empty();
    Ok(if is_done { 0 } else { EXIT_NO })
}

/// The servers of adopted entries in the selected files.
fn adopted(round: &Round) -> BTreeSet<ServerName> {
    let files = round.files.found.iter();
    let documents = files.filter_map(|file| file.document.as_ref().ok());
    documents
        .flat_map(entries)
        .filter(|entry| round.takes(&entry.name))
        .filter_map(|entry| ServerName::new(entry.wrapped.as_deref()?).ok())
        .collect()
}
