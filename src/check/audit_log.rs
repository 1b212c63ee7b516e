//! The audit log, and the servers that are not in it.

use super::facts::{AuditState, Facts};
use super::file::ConfigFile;
use super::finding::{Finding, Fix, Location, Severity};
use super::results::{CheckResults, MACHINE_ONLY, Noun};
use crate::detect::Verdict;

pub(super) const NAME: &str = "audit-log";

pub(super) const ABOUT: &str = "\
**Detects** a missing, unreadable or damaged audit log, and servers in client configs that do not
start through mcpwrap, because nothing they receive or do is logged. A repository has no audit log:
there is nothing to check. The hash chain is verified without the store. The seals (HMAC) and the end of the
log need the store's key: `--verify` verifies them, like `mcpwrap log verify`.

**Why:** after an incident the first questions are which server had the secret, when, and what it
called. Only a log that existed before, and that nobody could alter, answers them.

**Remediation:** `mcpwrap adopt` puts servers behind mcpwrap. For a damaged log, run `mcpwrap log
verify`.

**Limitations:** a remote server that the client speaks to by itself (an entry with a URL) is not in the log. Any
program running as you can delete the whole log; `--verify` detects that, a plain `check` does not.
";

const WHY: &str = "what is not logged cannot be investigated after an incident";

pub(super) fn run(facts: &Facts, results: &mut CheckResults) {
    let Some(machine) = &facts.machine else {
        results.nothing(MACHINE_ONLY);
        return;
    };
    let location = || Location::whole(machine.audit.shown.clone());
    results.count(Noun::AuditLog, 0);
    results.count(Noun::Entry, 0);
    let rule = (NAME, Severity::High);
    let verify = || Fix::Run("mcpwrap log verify".to_owned());
    match &machine.audit.state {
        AuditState::Absent => {
            // A server without a process, e.g. one with OAuth, leaves nothing to log.
            let mut servers = facts.files.iter().flat_map(|file| &file.servers);
            if servers.any(|server| !server.entry.words.is_empty()) || !machine.policies.is_empty()
            {
                let what = "no audit log: nothing was ever logged";
                results.add(Finding::new(
                    rule,
                    location(),
                    what,
                    WHY,
                    first_record(facts),
                ));
            }
        }
        AuditState::Unreadable(why) => {
            let what = format!("the audit log cannot be read: {why}");
            results.add(Finding::new(rule, location(), what, WHY, verify()));
        }
        AuditState::Read(breaks) => {
            results.count(Noun::AuditLog, 1);
            for (file, what) in breaks {
                let location = Location::whole(if file.is_empty() {
                    machine.audit.shown.clone()
                } else {
                    format!("{}/{file}", machine.audit.shown)
                });
                results.add(Finding::new(rule, location, what.clone(), WHY, verify()));
            }
        }
    }
    entries(facts, results);
}

/// The servers that are not in it.
fn entries(facts: &Facts, results: &mut CheckResults) {
    for file in &facts.files {
        for (n, server) in file.servers.iter().enumerate() {
            let entry = &server.entry;
            if entry.words.is_empty() {
                continue;
            }
            results.count(Noun::Entry, 1);
            if entry.wrapped.is_some() {
                continue;
            }
            let own = file.values.iter().filter(|value| value.server == Some(n));
            let secret = own
                .into_iter()
                .any(|value| matches!(value.verdict, Verdict::Secret(_)));
            let severity = if secret {
                Severity::High
            } else {
                Severity::Medium
            };
            let fix = Fix::Run(file.adopt_server(&entry.name));
            let what = "not started through mcpwrap, so nothing it receives is logged";
            let finding = Finding::new(
                (NAME, severity),
                file.location(server.start),
                what,
                WHY,
                fix,
            );
            results.add(finding.for_server(&entry.name));
        }
    }
}

/// What writes the first record of a log.
fn first_record(facts: &Facts) -> Fix {
    let own = facts.files.iter().flat_map(|file| {
        let servers = file.servers.iter().enumerate();
        servers.map(move |(n, server)| (file, n, server))
    });
    let unadopted = own
        .filter(|(_, _, server)| server.entry.wrapped.is_none() && !server.entry.words.is_empty());
    let unadopted: Vec<_> = unadopted.collect();
    let has_secret = |file: &ConfigFile, n: usize| {
        let mut values = file.values.iter().filter(|value| value.server == Some(n));
        values.any(|value| matches!(value.verdict, Verdict::Secret(_)))
    };
    // A plain `adopt` leaves entries without a secret alone.
    if unadopted.iter().any(|(file, n, _)| has_secret(file, *n)) {
        return Fix::Run("mcpwrap adopt".to_owned());
    }
    if let Some((file, _, server)) = unadopted.first() {
        return Fix::Run(file.adopt_server(&server.entry.name));
    }
    let policies = facts.machine.iter().flat_map(|machine| &machine.policies);
    match policies.into_iter().next() {
        Some(policy) => Fix::Run(format!("mcpwrap grant {}", policy.server)),
        None => Fix::Act("start a server through mcpwrap".to_owned()),
    }
}
