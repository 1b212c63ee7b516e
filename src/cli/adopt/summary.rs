//! What the user has to know and to do when the files are adopted.

use super::history::{self, History, Sought};
use super::look::Found;
use super::{Round, leftovers, names, show};
use crate::cli::{Context, print};
use crate::error::EXIT_NO;
use crate::policy::{self, Unpinned};

impl Round {
    /// Says it all, and returns the exit code. `done` are the files that were changed.
    pub(super) fn summary(&self, cx: &Context, done: &[usize]) -> u8 {
        let changed: Vec<&Found> = done
            .iter()
            .filter_map(|n| self.looked.found.get(*n))
            .collect();
        show::after(&changed);
        self.floating(cx, done);
        let own = |secret: &&names::NewSecret| !secret.known && secret.why != names::FOR_UNDO;
        let rotate: Vec<_> = self.names.secrets.iter().filter(own).collect();
        if !rotate.is_empty() {
            print::line("rotate these secrets at their providers, because they lay in plain text:");
        }
        for secret in rotate {
            let place = secret
                .rotate
                .as_deref()
                .map_or_else(String::new, |url| format!(" at {url}"));
            print::line(&format!(
                "  {}: make a new one{place}, then `mcpwrap secret rotate {}`",
                secret.name, secret.name
            ));
        }
        self.copies(cx, done);
        show::left(cx, &self.looked.found, &self.plan);
        print::line("to put everything back: `mcpwrap adopt --undo`");
        if done.len() < self.plan.files.len() {
            EXIT_NO
        } else {
            self.answer()
        }
    }

    /// The servers whose version is another one tomorrow.
    fn floating(&self, cx: &Context, done: &[usize]) {
        for server in self.servers(done) {
            let policy = policy::load(&cx.dirs, &server, None);
            let floats = policy.is_ok_and(|policy| {
                policy.limits.unpinned == Unpinned::Allow && policy.package.is_none()
            });
            if floats {
                print::note(&format!(
                    "server `{server}` starts whatever version is there today; its policy allows \
                     that, and `mcpwrap pin {server}` ends it"
                ));
            }
        }
    }

    /// Copies of the secrets elsewhere: leftovers, and what git remembers. After `done` the plan's
    /// secrets are out of those files.
    pub(super) fn copies(&self, cx: &Context, done: &[usize]) {
        for left in leftovers::find(cx.dirs.home(), &self.looked.found, &self.cuts()) {
            let shown = cx.dirs.tilde(&left.path);
            print::warning(&format!("{shown}: {}", left.kind.advice()));
        }
        for (n, file) in self.looked.found.iter().enumerate() {
            let sought = self.sought(n);
            let shown = cx.dirs.tilde(&file.path);
            match history::search(&file.target, &sought, cx.dirs.home()) {
                History::Holds {
                    names,
                    commits,
                    first,
                } => {
                    let names: Vec<_> = names.into_iter().collect();
                    let commits = match commits {
                        1 => format!("commit {first}"),
                        more => format!("{more} commits since {first}"),
                    };
                    print::warning(&format!(
                        "the git history of {shown} has the value of {}, in {commits}: rotate it, \
                         because everyone with a copy of the repository has it",
                        names.join(", ")
                    ));
                }
                History::Unknown if done.contains(&n) || done.is_empty() => {
                    print::note(&format!(
                        "the git history of {shown} was not searched to its end: it is large"
                    ));
                }
                History::Clean | History::Unknown => {}
            }
        }
    }

    /// The values that stand in a file, or stood there.
    fn sought(&self, n: usize) -> Vec<Sought> {
        let files = self.plan.files.iter().filter(|file| file.found == n);
        let cuts = files.flat_map(|file| &file.cuts).map(|cut| Sought {
            name: format!("`{}`", cut.name),
            text: cut.text.clone(),
        });
        let tracked = self.plan.tracked.iter().filter(|(found, _)| *found == n);
        cuts.chain(tracked.map(|(_, sought)| sought.clone()))
            .collect()
    }
}
