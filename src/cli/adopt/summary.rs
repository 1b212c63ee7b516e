//! What the user must know and do after the files are adopted. Printed before packages are
//! installed, which takes long and can be interrupted.

use std::collections::BTreeSet;

use super::show;
use crate::adopt::exposed;
use crate::adopt::round::Round;
use crate::cli::{Context, print, reloads};
use crate::error::EXIT_NO;
use crate::policy::{Policy, Unpinned};
use crate::scan::history::{self, History};
use crate::scan::residue;
use crate::secret::ServerName;
use crate::store::Index;

/// Prints the summary and returns the exit code. `done` are the files that were changed.
pub(super) fn print(cx: &Context, round: &Round, done: &[usize]) -> u8 {
    reloads::say(round.changed(done).iter().filter_map(|file| file.client));
    copies(cx, round, done);
    exposed(cx);
    if !round.plan.left.is_empty() {
        print::note(&format!(
            "skipped: {}; the reasons are in the warnings above",
            print::count(round.plan.left.len(), "entry")
        ));
    }
    for (server, withheld) in round.withheld() {
        let text = show::withheld(server, withheld);
        print::warning(&format!("server `{server}`: {text}"));
    }
    print::line("to undo, run `mcpwrap adopt --undo`");
    if done.len() < round.plan.files.len() {
        EXIT_NO
    } else {
        super::exit_code(round)
    }
}

/// The secrets that lay in plaintext, now or at an earlier time, and have not changed since.
pub(super) fn exposed(cx: &Context) {
    let Ok(index) = Index::load(&cx.dirs) else {
        return;
    };
    let mut exposed = index.exposed().peekable();
    if exposed.peek().is_some() {
        print::line(
            "rotate these secrets at their providers, because they were stored in plaintext:",
        );
    }
    for (name, exposure) in exposed {
        let page = exposure.rotate.as_deref();
        let place = page.map_or_else(String::new, |url| format!(" at {url}"));
        print::line(&format!(
            "  {name}: create a new one{place}, then run `mcpwrap secret rotate {name}`"
        ));
    }
}

/// The servers without a fixed version, except those of which the user knows.
pub(super) fn unpinned(policies: &[Policy], known: &BTreeSet<ServerName>) {
    let unknown = policies
        .iter()
        .filter(|policy| !known.contains(&policy.server));
    let is_floating =
        |policy: &&Policy| policy.limits.unpinned == Unpinned::Allow && policy.package.is_none();
    for Policy { server, .. } in unknown.filter(is_floating) {
        print::note(&format!(
            "server `{server}` has no fixed version, as its policy allows; run \
             `mcpwrap pin {server}` to pin it"
        ));
    }
}

/// Copies of the secrets elsewhere: residue, and the git history. The files in `done` no longer
/// contain secrets of the plan.
pub(super) fn copies(cx: &Context, round: &Round, done: &[usize]) {
    let values: Vec<&str> = round.cuts().map(|cut| cut.text.as_str()).collect();
    for left in residue::find(cx.dirs.home(), &round.files.found, &values) {
        let shown = cx.dirs.tilde(&left.path);
        print::warning(&format!("{shown}: {}", left.kind.advice()));
    }
    for (n, file) in round.files.found.iter().enumerate() {
        let sought = round.searched(n);
        let shown = cx.dirs.tilde(&file.path);
        match history::search(&file.target, &sought, cx.dirs.home()) {
            History::Holds {
                names,
                commits,
                first,
            } => {
                let commits = match commits {
                    1 => format!("commit {first}"),
                    more => format!("{more} commits since {first}"),
                };
                // Found again by the next run if the index cannot be written.
                drop(exposed::in_history(&cx.dirs, round, &names, &shown));
                let names: Vec<_> = names.into_iter().collect();
                print::warning(&format!(
                    "the git history of {shown} contains the value of {}, in {commits}: rotate it, \
                     because everyone with a copy of the repository has it",
                    names.join(", ")
                ));
            }
            History::Unknown if done.contains(&n) || done.is_empty() => {
                print::note(&format!(
                    "the git history of {shown} was not fully searched, because it is large"
                ));
            }
            History::Clean | History::Unknown => {}
        }
    }
}
