//! Check 1: plaintext secrets in client configs, and what is left of them.

use super::facts::{Facts, Machine};
use super::file::{ConfigFile, ConfigValue, label};
use super::finding::{Finding, Fix, Location, Severity, quoted};
use super::results::CheckResults;
use crate::client::tree::line_of;
use crate::detect::{self, Slot, Verdict};
use crate::policy::template;

pub(super) const NAME: &str = "plaintext-secret";

pub(super) const ABOUT: &str = "\
**Looks for** values in the files of MCP clients that are secrets: by the shape that a provider gave them (`ghp_…`), by
what their variable, flag or header promises, or by how random they are. In `env`, arguments, headers, addresses,
connection strings, JSON in variables, client settings, commented-out entries, and the file that `envFile` names; and in policies. On a
machine also what is left of them: backups beside the files, the clients' and editors' own histories, shell histories.

**Why:** such a file is read by every program that you run, and goes into backups, synchronised folders, screen shares
and git. Who has the value needs nothing else.

**Remediation:** `mcpwrap adopt` moves the values into the keychain and changes the entries. Then make new values at the
providers, because the old ones lay open; `mcpwrap secret rotate NAME` stores them. In an entry with an address there
is no program to start with the value: put the client's own reference (`${env:NAME}`, `${input:NAME}`) in its location.

**Known misses:** passwords that are plain words; secrets in files of other kinds that name no client (scripts, notes,
Markdown); old versions in git's history; what a file's encoding hides.
";

const WHY: &str = "every program that you run can read it, and it goes into backups, sync and git";

pub(super) fn run(facts: &Facts, results: &mut CheckResults) {
    for file in &facts.files {
        results.count(file.values.len());
        for value in &file.values {
            for part in value.verdict.secrets() {
                let secret = value.text.get(part.range.clone()).unwrap_or_default();
                let what = format!(
                    "{} is in plain text ({})",
                    label(value, &part.name),
                    part.why
                );
                let location = file.location_of(value, &part.range);
                let mut found = Finding::new(
                    (NAME, Severity::Critical),
                    location,
                    what,
                    WHY,
                    fix(file, value),
                )
                .shows(secret);
                if let Some(server) = file.server_of(value) {
                    found = found.of(&server.entry.name);
                }
                results.add(found);
            }
        }
        strays(file, results);
    }
    if let Some(machine) = &facts.machine {
        policies(machine, results);
    }
    for left in facts.machine.iter().flat_map(|machine| &machine.leftovers) {
        let fix = if left.is_copy {
            Fix::Run(format!("rm {}", quoted(&left.shown)))
        } else {
            Fix::Act("delete the line from the history, and rotate the secret".to_owned())
        };
        let mut found = Finding::new(
            (NAME, Severity::Critical),
            Location::line(left.shown.clone(), left.line),
            "a copy of a secret is left in a file that no client reads",
            WHY,
            fix,
        );
        found.value = Some(left.value.clone());
        results.add(found);
    }
}

/// A policy is meant to hold references only.
fn policies(machine: &Machine, results: &mut CheckResults) {
    for (file, policy) in machine.read_policies() {
        let mut words: Vec<(&str, Verdict)> = policy
            .command
            .iter()
            .map(String::as_str)
            .zip(detect::arguments(&policy.command))
            .collect();
        words.extend(policy.env.set.iter().map(|(name, value)| {
            let verdict = detect::value(Slot::Env(name), value);
            (value.as_str(), verdict)
        }));
        results.count(words.len());
        for (text, verdict) in words {
            for part in verdict.secrets() {
                let secret = text.get(part.range.clone()).unwrap_or_default();
                if template::secrets(secret).count() > 0 {
                    continue;
                }
                let line = policy
                    .text
                    .find(secret)
                    .map_or(0, |at| line_of(&policy.text, at));
                let fix = format!("mcpwrap policy edit {}", file.server);
                results.add(
                    Finding::new(
                        (NAME, Severity::Critical),
                        Location::line(file.shown.clone(), line),
                        format!("its policy has a secret in plain text ({})", part.why),
                        "policies hold references, so that they can be shared; this one holds a value",
                        Fix::Run(fix),
                    )
                    .of(file.server.as_str())
                    .shows(secret),
                );
            }
        }
    }
}

fn fix(file: &ConfigFile, value: &ConfigValue) -> Fix {
    let Some(server) = file.server_of(value) else {
        return Fix::Run(format!("mcpwrap secret import {}", quoted(&file.shown)));
    };
    if server.url().is_none() && !server.entry.words.is_empty() {
        return Fix::Run(file.adopt());
    }
    let fills_in = file.client.is_none_or(|client| client.fills_in);
    let act = match server.url() {
        Some(_) if fills_in => {
            "put the client's reference to a variable in its place (`${env:NAME}`), and rotate it"
        }
        Some(_) => {
            "take it out: start the server through `mcp-remote` with a policy, and rotate it"
        }
        None => "take it out, give it to the client in another way if there is one, and rotate it",
    };
    Fix::Act(act.to_owned())
}

/// Known tokens outside of every entry: in comments, in other settings, in a file that is broken.
fn strays(file: &ConfigFile, results: &mut CheckResults) {
    for (range, name) in detect::known_spans(&file.text) {
        let inside = |value: &&ConfigValue| {
            value.span.start < range.end
                && range.start < value.span.end
                && !value.verdict.secrets().is_empty()
        };
        if file.values.iter().any(|value| inside(&value)) {
            continue;
        }
        let secret = file.text.get(range.clone()).unwrap_or_default();
        results.add(
            Finding::new(
                (NAME, Severity::Critical),
                file.location(range.start),
                format!("in plain text outside of the servers: {name}"),
                WHY,
                Fix::Act("delete it there, and rotate it at its provider".to_owned()),
            )
            .shows(secret),
        );
    }
}
