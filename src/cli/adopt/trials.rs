//! The tests after an adoption: starts the adopted servers as a client does.
//!
//! Invariant: a failed test undoes nothing, and the user is told what shows more and what undoes it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Args;
use crate::cli::{Context, ask, print};
use crate::error::{Error, Result};
use crate::grant;
use crate::parallel;
use crate::policy::Policy;
use crate::secret::ServerName;
use crate::trial::{self, Trial, TrialOrder};

/// For one server.
const TIMEOUT: Duration = Duration::from_secs(30);
/// For all servers together.
const LIMIT: Duration = Duration::from_mins(1);

/// So many servers are named in one line.
const NAMED_MAX: usize = 8;

/// The names of servers; only their number if they are many.
fn named(servers: &[&ServerName]) -> String {
    if servers.len() > NAMED_MAX {
        return print::count(servers.len(), "server");
    }
    print::names(servers)
}

/// Tests the servers of the adoption that may start, if the user wants that. Returns whether each one
/// that was tested listed its tools.
///
/// # Errors
/// `no-terminal`.
pub(super) fn adopted(args: &Args, cx: &Context, policies: &[Policy]) -> Result<bool> {
    if args.no_test {
        return Ok(true);
    }
    let granted = parallel::filter(policies.iter().collect(), |policy: &&Policy| {
        grant::find(&cx.dirs, policy).is_ok()
    });
    let servers: Vec<&ServerName> = granted.iter().map(|policy| &policy.server).collect();
    if servers.is_empty() {
        return Ok(true);
    }
    if args.yes {
        print::note(&format!(
            "not tested: {}; run `mcpwrap test SERVER` to start one as a client does",
            named(&servers)
        ));
        return Ok(true);
    }
    if !ask::confirm(&question(servers.len()))? {
        return Ok(true);
    }
    let order = |server: &&ServerName| TrialOrder {
        server: (*server).clone(),
        profile: None,
        timeout: TIMEOUT,
    };
    let orders: Vec<_> = servers.iter().map(order).collect();
    let mut left: BTreeSet<&ServerName> = servers.into_iter().collect();
    let mut all_work = true;
    trial::several(&orders, LIMIT, |order, trial| {
        left.remove(&order.server);
        all_work &= trial.failure.is_none();
        say(&order.server, trial);
    });
    if !left.is_empty() {
        print::warning(&format!(
            "not tested within {} s: {}; run `mcpwrap test SERVER`",
            LIMIT.as_secs(),
            named(&left.into_iter().collect::<Vec<_>>())
        ));
    }
    Ok(all_work)
}

fn question(servers: usize) -> String {
    match servers {
        1 => "\ntest the server now? it starts with its secrets.".to_owned(),
        more => format!("\ntest the {more} servers now? they start with their secrets."),
    }
}

fn say(server: &ServerName, trial: Trial) {
    let Some(failure) = trial.failure else {
        print::line(&format!(
            "works: {server}, {} in {} ms",
            print::count(trial.tools.len(), "tool"),
            trial.total.as_millis()
        ));
        return;
    };
    let failure = Error {
        hints: Vec::new(),
        ..failure
    };
    print::error(&failure.hint(format!(
        "run `mcpwrap test {server}` to see more, or `mcpwrap adopt --undo --server {server}` to undo it"
    )));
}
