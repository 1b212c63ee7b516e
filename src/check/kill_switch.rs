//! Whether `revoke` would work.

use super::facts::Facts;
use super::finding::{Finding, Fix, Location, Severity};
use super::fixes;
use super::results::{CheckResults, MACHINE_ONLY, Noun};
use crate::detect::Verdict;

/// An older drill (days) proves little.
const DRILL_DAYS_MAX: i64 = 90;

pub(super) const NAME: &str = "kill-switch";

pub(super) const ABOUT: &str = "\
**Detects** what would keep `mcpwrap revoke` from stopping a server: entries that start it without
mcpwrap, remote entries that hold their own credential, and running supervisors that do not answer.
Also a `mcpwrap drill` that failed, is older than 90 days, or was never run: a drill tests the kill
switch on this machine. A repository has no kill switch: there is nothing to check.

**Why:** when a token leaks, what counts is the number of seconds until nothing uses it. An untested
kill switch may fail.

**Remediation:** run `mcpwrap adopt` for the entries and `mcpwrap drill` for the test. `mcpwrap
revoke` also stops the server of a supervisor that does not answer.

**Limitations:** copies of a server that were not started from a client config are not known.
`revoke` does not revoke the token at its provider.
";

const RULE: (&str, Severity) = (NAME, Severity::High);

pub(super) fn run(facts: &Facts, results: &mut CheckResults) {
    let Some(machine) = &facts.machine else {
        results.nothing(MACHINE_ONLY);
        return;
    };
    results.count(Noun::Entry, 0);
    results.count(Noun::Policy, machine.policies.len());
    results.count(Noun::Supervisor, machine.supervisors.len());
    for file in &facts.files {
        for (n, server) in file.servers.iter().enumerate() {
            let entry = &server.entry;
            let own = file.values.iter().filter(|value| value.server == Some(n));
            let secret = own
                .into_iter()
                .find(|value| matches!(value.verdict, Verdict::Secret(_)));
            // A remote server without a credential of its own has nothing to revoke here.
            let counts = !entry.words.is_empty() || secret.is_some();
            results.count(Noun::Entry, usize::from(counts));
            if entry.wrapped.is_some() {
                continue;
            }
            let location = file.location(server.start);
            let why = "even `mcpwrap revoke --all` does not reach it";
            if !entry.words.is_empty() {
                let severity = if secret.is_some() {
                    Severity::High
                } else {
                    Severity::Medium
                };
                let what = "not started through mcpwrap, so `revoke` cannot stop it";
                let fix = Fix::Run(file.adopt_server(&entry.name));
                let found = Finding::new((NAME, severity), location, what, why, fix);
                results.add(found.for_server(&entry.name));
            } else if let Some(value) = secret {
                let what = "the client config holds the credential, so `revoke` cannot remove it";
                let fix = match fixes::plaintext(facts, file, value) {
                    Fix::Run(_) => Fix::Run(file.adopt_server(&entry.name)),
                    fix @ Fix::Act(_) => Fix::Act(format!(
                        "{}; to cut access now, revoke the value at the provider",
                        fix.text()
                    )),
                };
                let found = Finding::new(RULE, location, what, why, fix);
                results.add(found.for_server(&entry.name));
            }
        }
    }
    for supervisor in machine.supervisors.iter().filter(|one| one.holds.is_none()) {
        let (what, why) = match supervisor.pid {
            Some(pid) => (
                format!("supervisor {pid} does not answer"),
                "it will not stop its server when asked; `revoke` has to kill it from outside",
            ),
            None => (
                "processes of a server are running without their supervisor".to_owned(),
                "nothing ends them with the client's session; `revoke` kills them",
            ),
        };
        let fix = Fix::Run(format!("mcpwrap revoke {}", supervisor.server));
        let location = Location::whole(supervisor.socket.clone());
        let found = Finding::new(RULE, location, what, why, fix);
        results.add(found.for_server(supervisor.server.as_str()));
    }
    drill(facts, results);
}

fn drill(facts: &Facts, results: &mut CheckResults) {
    let Some(machine) = &facts.machine else {
        return;
    };
    if machine.policies.is_empty() && machine.drill.is_none() {
        return;
    }
    let why = "servers may keep running after `mcpwrap revoke`";
    let (severity, what) = match &machine.drill {
        None => (
            Severity::Medium,
            "the kill switch was never tested here".to_owned(),
        ),
        Some(drill) if !drill.ok => (
            Severity::High,
            "the last drill failed: the kill switch did not work".to_owned(),
        ),
        Some(drill) => {
            let day = drill
                .time
                .to_zoned_datetime(jiff::tz::TimeZone::system())
                .date();
            let old = i64::from((facts.today - day).get_days()) > DRILL_DAYS_MAX;
            if !old {
                return;
            }
            (
                Severity::Low,
                format!("the kill switch was last tested on {day}"),
            )
        }
    };
    let location = Location::whole(machine.drill_shown.clone());
    let fix = Fix::Run("mcpwrap drill".to_owned());
    results.add(Finding::new((NAME, severity), location, what, why, fix));
}
