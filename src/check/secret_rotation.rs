//! Copies of secrets, their age, and running servers with an outdated value.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::facts::{Facts, Machine};
use super::file::label;
use super::finding::{Finding, Fix, Location, Severity, quoted};
use super::fixes;
use super::results::{CheckResults, Noun};

/// A value is old after this many days.
const AGE_DAYS_MAX: i32 = 180;

pub(super) const NAME: &str = "secret-rotation";

pub(super) const ABOUT: &str = "\
**Detects** the same value in several places outside the store, stored secrets whose value is older
than 180 days, stored secrets that lay in plaintext before `mcpwrap adopt` moved them and have not
changed since, and running servers that still hold a value that was rotated in the meantime.

**Why:** a secret that is in five files gets rotated in four of them. An old value that is still in
use cannot be revoked.

**Remediation:** `mcpwrap adopt` makes one secret of equal values. `mcpwrap secret rotate NAME`
replaces a value everywhere, in running servers too. `mcpwrap renew SERVER` gives one server the
stored value.

**Limitations:** equal values in different encodings are not recognised, and the age of a value in a
file is unknown. Stored secrets that are also in a file are found with `--verify` only, because the
store is not read without it.
";

pub(super) fn run(facts: &Facts, results: &mut CheckResults) {
    copies(facts, results);
    let Some(machine) = &facts.machine else {
        return;
    };
    ages(facts, machine, results);
    exposed(machine, results);
    for (location, name) in &facts.copies {
        results.add(Finding::new(
            (NAME, Severity::High),
            location.clone(),
            format!("the stored secret `{name}` is also in this file"),
            "rotating one copy leaves the old value in the other",
            Fix::Run(format!("mcpwrap adopt --config {}", quoted(&location.file))),
        ));
    }
    results.count(Noun::Supervisor, machine.supervisors.len());
    for supervisor in &machine.supervisors {
        for (name, held) in supervisor.holds.iter().flatten() {
            let current = machine.fingerprint(name);
            if current.is_none_or(|current| current.to_string() == *held) {
                continue;
            }
            results.add(
                Finding::new(
                    (NAME, Severity::High),
                    Location::whole(supervisor.socket.clone()),
                    format!(
                        "the running server (supervisor {}) holds an outdated value of `{name}`",
                        supervisor.pid.unwrap_or_default()
                    ),
                    "the old value cannot be revoked while a server uses it",
                    Fix::Run(format!("mcpwrap renew {}", supervisor.server)),
                )
                .for_server(supervisor.server.as_str()),
            );
        }
    }
}

/// One location of a value.
struct Occurrence {
    location: Location,
    server: Option<String>,
    label: String,
    fix: Fix,
}

/// Equal values in several locations.
fn copies(facts: &Facts, results: &mut CheckResults) {
    let mut places: BTreeMap<&str, Vec<Occurrence>> = BTreeMap::new();
    for file in &facts.files {
        for value in &file.values {
            let server = file.server_of(value);
            for part in value.verdict.secrets() {
                let secret = value.text.get(part.range.clone()).unwrap_or_default();
                places.entry(secret).or_default().push(Occurrence {
                    location: file.location_of(value, &part.range),
                    server: server.map(|server| server.entry.name.clone()),
                    label: label(value, &part.name),
                    fix: fixes::values(facts, file, "use one reference in both, then rotate it"),
                });
            }
        }
    }
    results.count(Noun::SecretValue, places.len());
    for (secret, all) in places {
        let mut rest = all.into_iter();
        let Some(first) = rest.next() else { continue };
        for copy in rest {
            let what = format!(
                "{} has the same value as a secret in {}",
                copy.label, first.location.file
            );
            let why = "rotating one copy leaves the old value in the other";
            let rule = (NAME, Severity::High);
            let mut found =
                Finding::new(rule, copy.location, what, why, copy.fix).with_value(secret);
            found.server = copy.server;
            results.add(found);
        }
    }
}

/// Values that lay in plaintext and have not changed since.
fn exposed(machine: &Machine, results: &mut CheckResults) {
    let Ok(index) = &machine.index else {
        return;
    };
    for (name, exposure) in index.exposed() {
        let more = match exposure.places.len() {
            0 | 1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let place = exposure.places.first().map_or("a file", String::as_str);
        let fix = match &exposure.rotate {
            Some(page) => Fix::Act(format!(
                "create a new one at {page}, then run `mcpwrap secret rotate {name}`"
            )),
            None => Fix::Run(format!("mcpwrap secret rotate {name}")),
        };
        results.add(Finding::new(
            (NAME, Severity::High),
            Location::whole(machine.index_shown.clone()),
            format!("`{name}` was in plaintext in {place}{more}, and has not changed since"),
            "whoever read it there still has it",
            fix,
        ));
    }
}

fn ages(facts: &Facts, machine: &Machine, results: &mut CheckResults) {
    let Ok(index) = &machine.index else {
        return;
    };
    results.count(Noun::StoredSecret, index.secrets.len());
    for (name, entry) in &index.secrets {
        let changed = entry.changed.to_zoned_datetime(TimeZone::system()).date();
        let days = (facts.today - changed).get_days();
        if days <= AGE_DAYS_MAX {
            continue;
        }
        results.add(Finding::new(
            (NAME, Severity::Medium),
            Location::whole(machine.index_shown.clone()),
            format!("`{name}` was last changed on {changed}, more than {AGE_DAYS_MAX} days ago"),
            "the older a value is, the more copies may exist",
            Fix::Run(format!("mcpwrap secret rotate {name}")),
        ));
    }
}
