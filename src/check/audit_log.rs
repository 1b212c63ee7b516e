//! Check 3: the audit log, and the servers that are not under it.

use super::facts::{AuditState, Facts};
use super::finding::{Finding, Fix, Location, Severity};
use super::results::CheckResults;
use crate::detect::Verdict;

pub(super) const NAME: &str = "audit-log";

pub(super) const ABOUT: &str = "\
**Looks at** the audit log: is it there, can it be read, is every record as it was written; and at the servers of the
clients' files that do not start through mcpwrap, so that nothing they are given or do is written down. Only on a
machine: a repository has no audit log. The links of the chain are tested without the store; the seals, and the end
of the log, need the store's key: `--verify` tests them, as `mcpwrap log verify` does.

**Why:** after an incident the first questions are which server had the secret, when, and what it called. They can only be
answered from a record that was made before, and only if nobody could change it.

**Remediation:** `mcpwrap adopt` puts servers under it. A log that is not whole is looked at with `mcpwrap log verify`.

**Known misses:** remote servers (entries with an address) start no process and are in no log here; whoever runs as
you can delete the whole log, which `--verify` sees and a plain `check` does not.
";

const WHY: &str = "what no record shows cannot be answered after an incident";

pub(super) fn run(facts: &Facts, results: &mut CheckResults) {
    let Some(machine) = &facts.machine else {
        results.skip("a machine's question: `mcpwrap check` without a path");
        return;
    };
    let location = || Location::whole(machine.audit.shown.clone());
    let rule = (NAME, Severity::High);
    let verify = || Fix::Run("mcpwrap log verify".to_owned());
    match &machine.audit.state {
        AuditState::Absent => {
            let servers = facts.files.iter().any(|file| !file.servers.is_empty());
            if servers || !machine.policies.is_empty() {
                let what = "there is no audit log: nothing was ever written down";
                let fix = Fix::Run("mcpwrap adopt".to_owned());
                results.add(Finding::new(rule, location(), what, WHY, fix));
            }
        }
        AuditState::Unreadable(why) => {
            let what = format!("the audit log cannot be read: {why}");
            results.add(Finding::new(rule, location(), what, WHY, verify()));
        }
        AuditState::Read(breaks) => {
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
    for file in &facts.files {
        results.count(file.servers.len());
        for (n, server) in file.servers.iter().enumerate() {
            let entry = &server.entry;
            if entry.wrapped.is_some() || entry.words.is_empty() {
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
            let what = "it does not start through mcpwrap, so nothing it is given is written down";
            let finding = Finding::new(
                (NAME, severity),
                file.location(server.start),
                what,
                WHY,
                fix,
            );
            results.add(finding.of(&entry.name));
        }
    }
}
