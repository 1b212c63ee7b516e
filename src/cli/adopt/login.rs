//! The logins of `mcpwrap adopt --oauth`, one after the other, before any file changes.
//!
//! Invariant: only a login that the user agreed to and that succeeded counts; all others are named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::adopt::round::Round;
use crate::adopt::token_store;
use crate::cli::browser_login::{LoginWay, log_in};
use crate::cli::interrupts::LastWords;
use crate::cli::{Context, ask, print, print_revoked};
use crate::config::Config;
use crate::error::{Code, Error, Result, printable};
use crate::oauth::foreign::{self, ForeignEnd};
use crate::oauth::index::OAuthIndex;
use crate::oauth::owner::TokenOwner;
use crate::ops::actor::Actor;
use crate::policy::{self, Policy};
use crate::secret::{Keys, ServerName};
use crate::store::{Prompt, Store};

/// What became of the logins.
#[derive(Debug, Default)]
pub(super) struct Logins {
    pub(super) done: BTreeSet<ServerName>,
    /// Why there was none.
    failed: BTreeMap<ServerName, String>,
    /// Names the tokens that stay if Ctrl-C ends the process before an entry changes.
    last_words: Option<LastWords>,
}

/// Logs in to the servers of the plan. `is_agreed`: by `--yes`.
pub(super) fn all(is_agreed: bool, cx: &Context, config: &Config, round: &Round) -> Logins {
    let mut logins = Logins::default();
    let is_possible = ask::is_possible();
    if is_possible && round.logins().next().is_some() {
        // Before the new tokens: some issuers end all tokens of a client at once.
        print_revoked::retry(cx, config, Prompt::Allowed, &[]);
    }
    let known = Arc::new(Mutex::new(BTreeSet::new()));
    let at_end = Arc::clone(&known);
    if round.logins().next().is_some() {
        logins.last_words = Some(LastWords::new(move || {
            for server in &*at_end.lock().unwrap_or_else(PoisonError::into_inner) {
                print_unused_token(server);
            }
        }));
    }
    for new in round.logins() {
        let server = &new.server;
        let result = if is_possible {
            // A policy that exists may say more about the login than the plan.
            let policy = if new.known {
                policy::load(&cx.dirs, server, None)
            } else {
                Ok(new.policy.clone())
            };
            policy.and_then(|policy| one(cx, config, &policy))
        } else {
            Err(no_terminal(is_agreed, server))
        };
        match result {
            Ok(()) => {
                logins.done.insert(server.clone());
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                known.insert(server.clone());
            }
            Err(error) => {
                let why = error.reasons();
                let why = if why.is_empty() {
                    error.headline().to_owned()
                } else {
                    why
                };
                print::error(&error);
                logins.failed.insert(server.clone(), why);
            }
        }
    }
    logins
}

fn print_unused_token(server: &ServerName) {
    print::warning(&format!(
        "the token of server `{server}` stays in the store, although no entry changed: run \
         `mcpwrap logout {server}` to take it back"
    ));
}

fn one(cx: &Context, config: &Config, policy: &Policy) -> Result<()> {
    log_in(cx, config, policy, LoginWay::default())
}

fn no_terminal(is_agreed: bool, server: &ServerName) -> Error {
    let error = Error::new(
        Code::NoTerminal,
        format!("cannot log in to server `{server}`"),
    );
    let error = if is_agreed {
        error.cause("a login needs you, in a terminal and a browser; `--yes` cannot stand for that")
    } else {
        error.cause("a login needs you, in a terminal and a browser")
    };
    error.hint("run `mcpwrap adopt --oauth` in a terminal")
}

impl Logins {
    /// Names the entries that stay because there was no login.
    pub(super) fn print_left(&self, cx: &Context, round: &Round) {
        for file in &round.plan.files {
            let Some(at) = round.files.found.get(file.found) else {
                continue;
            };
            for entry in &file.entries {
                if let Some(why) = self.failed.get(&entry.server) {
                    print::warning(&printable(&format!(
                        "skipped `{}` in {}: not logged in: {why}",
                        entry.name,
                        cx.dirs.tilde(&at.path)
                    )));
                }
            }
        }
    }

    /// From here on the entries change.
    pub(super) fn are_used(&mut self) {
        self.last_words = None;
    }

    /// Names the servers to which the user logged in and that no changed entry starts.
    pub(super) fn print_unused(&self, changed: &BTreeSet<ServerName>) {
        for server in self.done.difference(changed) {
            print_unused_token(server);
        }
    }
}

/// Offers to revoke and delete the plaintext tokens of `mcp-remote` for the servers that it does not
/// connect to anymore. Returns whether one may still be valid, or stays.
pub(super) fn clear_tokens(
    cx: &Context,
    (store, keys): (&dyn Store, &Keys),
    actor: Actor,
    round: &Round,
    changed: &BTreeSet<ServerName>,
) -> Result<bool> {
    let mut is_left = false;
    let logins = round.logins().filter(|new| changed.contains(&new.server));
    for new in logins {
        let (server, remote) = (&new.server, &new.policy.remote);
        let found = remote
            .iter()
            .flat_map(|remote| token_store::find(&cx.dirs, remote));
        for found in found {
            let Some(issuer) = foreign::issuer(store, server)? else {
                continue;
            };
            let shown = found.shown.clone();
            let question = format!(
                "mcp-remote keeps tokens for server `{server}` in plaintext, in {shown}.\n\
                 revoke them at {issuer} and delete them? (mcp-remote has to log in again where it is still used)"
            );
            if !ask::confirm(&question)? {
                print::note(&format!("left: {shown}"));
                continue;
            }
            let valid = match found.clear(&cx.dirs, (store, keys), server, actor) {
                Ok(ForeignEnd::Revoked) => {
                    print::line(&format!("revoked at {issuer} and deleted: {shown}"));
                    continue;
                }
                Ok(ForeignEnd::Kept(error)) => error.hint(
                    "its tokens are kept in the store, to be revoked later: `mcpwrap status` shows them",
                ),
                Ok(ForeignEnd::Valid(error)) => error,
                Err(error) => {
                    print::error(&error);
                    is_left = true;
                    continue;
                }
            };
            print::line(&format!("deleted: {shown}"));
            print::error(&valid.context(format!(
                "the tokens of mcp-remote for server `{server}` may still be valid"
            )));
            is_left = true;
        }
    }
    Ok(is_left)
}

/// Names the servers of restored entries to which the user is still logged in.
pub(super) fn note_kept(cx: &Context, servers: &BTreeSet<ServerName>) {
    let Ok(index) = OAuthIndex::load(&cx.dirs) else {
        return;
    };
    for server in servers {
        if index.find(&TokenOwner::remote(server, None)).is_some() {
            print::note(&format!(
                "you are still logged in to server `{server}`: run `mcpwrap logout {server}` to take the token back"
            ));
        }
    }
}
