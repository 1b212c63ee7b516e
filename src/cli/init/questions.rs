//! What `mcpwrap init` asks a person at a terminal: the store, the network settings of the terminal, and
//! what AI agents may do. Each has a command of its own, and is not asked if there is nothing to decide.
//!
//! Invariant: without a terminal nothing is asked, and nothing that widens what is allowed happens.

use clap::ValueEnum as _;

use super::Args;
use crate::cli::overview::Overview;
use crate::cli::{Context, ask, print};
use crate::config::{Config, StoreKind};
use crate::error::{Code, Error, Result};
use crate::grant::By;
use crate::network;
use crate::ops;
use crate::ops::actor::Actor;
use crate::secret::Keys;
use crate::settings::AgentAct;
use crate::store::{self, Prompt, Store};

/// The answer that allows nothing to agents.
const NOTHING: &str = "none";

/// The store, if no flag says it and none is set up. `None`: the one that is set up, or the default.
///
/// # Errors
/// `declined` for another answer than the name of a store; `no-terminal`.
pub(super) fn store(args: &Args, cx: &Context) -> Result<Option<StoreKind>> {
    if args.store.is_some() || args.key_file.is_some() || !is_asked(args) {
        return Ok(args.store);
    }
    if cx.dirs.config_file().exists() {
        return Ok(None);
    }
    let text = "where should secrets be stored?\n  \
                keychain  the OS keychain, which your login unlocks\n  \
                file      one encrypted file with a passphrase, for hosts without a keychain\n";
    let kinds = StoreKind::value_variants();
    let words: Vec<_> = kinds.iter().map(|kind| kind.id()).collect();
    let chosen = ask::choose(text, &words)?;
    Ok(kinds.get(chosen).copied())
}

/// Asks whether servers use the network settings of this terminal. Says how to approve them later, if
/// nobody is asked or the answer is no.
///
/// # Errors
/// Those of the store and of the audit log; `file-unusable`.
pub(super) fn network(args: &Args, cx: &Context) -> Result<()> {
    let known = network::find(&cx.dirs)?;
    let ignored = network::ignored(known.as_ref(), &network::of_terminal);
    if ignored.is_empty() {
        return Ok(());
    }
    let found = network::collect(&network::of_terminal)?;
    for (name, why) in &found.left_out {
        print::warning(&format!("`{name}` is not taken over: {why}"));
    }
    if !found.is_empty() && is_asked(args) {
        let mut text = "this terminal has network settings:\n".to_owned();
        for (name, value) in found.rows() {
            text.extend(["  ", &name, " = ", &value, "\n"]);
        }
        text.push_str(
            "should every server connect through these proxies and trust these certificates?",
        );
        if ask::confirm(&text)? {
            let (store, keys) = opened(cx)?;
            let actor = Actor::consenting(By::Terminal);
            ops::network::approve(&cx.dirs, &*store, &keys, &found, actor)?;
            cx.keep_head();
            print::line("approved: network settings");
            return Ok(());
        }
    }
    print::line(&format!(
        "this terminal sets {}: run `mcpwrap config network` if servers should use them",
        ignored.join(", ")
    ));
    Ok(())
}

/// Asks what the AI agents of this machine may do without the user, if there are any and this was not
/// decided before.
///
/// # Errors
/// `declined` for an unknown word; those of the store and of the audit log.
pub(super) fn agents(args: &Args, cx: &Context, found: &Overview) -> Result<()> {
    let names = found.agents();
    if names.is_empty() || cx.dirs.settings().exists() || !is_asked(args) {
        return Ok(());
    }
    let acts = AgentAct::value_variants();
    let text = format!(
        "{} can run commands as you. What approves, changes or sends a secret is refused to AI agents.\n\
         what may they do without asking you? {NOTHING}, or some of: {}\n",
        print::names(names),
        ops::settings::words(acts)
    );
    let typed = ask::words(&text)?;
    let mut allowed = Vec::new();
    for word in typed.iter().filter(|word| *word != NOTHING) {
        let act = acts.iter().find(|act| act.name() == word);
        allowed.push(*act.ok_or_else(unknown)?);
    }
    if typed.is_empty() {
        return Err(unknown());
    }
    let (_, keys) = opened(cx)?;
    let actor = Actor::consenting(By::Terminal);
    ops::settings::allow_agents(&cx.dirs, &keys, actor, &allowed)?;
    cx.keep_head();
    print::line(&match allowed.as_slice() {
        [] => "AI agents: nothing allowed".to_owned(),
        some => format!("AI agents: allowed {}", ops::settings::words(some)),
    });
    Ok(())
}

fn unknown() -> Error {
    let acts = ops::settings::words(AgentAct::value_variants());
    Error::new(Code::Declined, "nothing was allowed to AI agents")
        .cause(format!("expected `{NOTHING}`, or some of: {acts}"))
        .hint("the store is set up; run `mcpwrap config agents --allow ACT` to allow an act")
}

/// A script's stdin is no person, whatever its terminal.
fn is_asked(args: &Args) -> bool {
    !args.from_stdin && ask::is_person()
}

fn opened(cx: &Context) -> Result<(Box<dyn Store>, Keys)> {
    let config = Config::load(&cx.dirs)?;
    let store = store::open(&cx.dirs, &config, Prompt::Allowed)?;
    let keys = store::keys_or_create(&*store)?;
    Ok((store, keys))
}
