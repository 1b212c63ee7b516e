//! Plaintext secrets in client configs and policies, and remaining copies of them.

use super::facts::{Facts, Leftover, LeftoverKind, Machine};
use super::file::{ConfigFile, ConfigValue, label};
use super::finding::{Finding, Fix, Location, Severity, quoted};
use super::fixes;
use super::results::{CheckResults, Noun};
use crate::client::tree::line_of;
use crate::detect::{self, ValueSite, Verdict};
use crate::policy::template;

pub(super) const NAME: &str = "plaintext-secret";

pub(super) const ABOUT: &str = "\
**Detects** secrets in client configs and in policies. A value counts as a secret because of its
token format (`ghp_…`), because of the name of its variable, flag or header, or because it looks
random. Covered are `env`, arguments, headers, URLs, connection strings, JSON inside variables, also
quoted or in base64, client settings, and env files that a server reads (`envFile`, `--env-file`,
`dotenv -e`, `env-cmd -f`, `source`). Tokens of a known format count anywhere in a file. On a machine,
remaining copies count too: backups beside the configs, histories of clients and editors, and shell histories;
and files in which other programs keep the tokens of logins (`~/.mcp-auth` of mcp-remote, those of Gemini CLI,
Qwen Code and opencode), as high findings.

**Why:** any program you run can read these files, and they end up in backups, synced folders,
screen shares and git. A leaked value needs nothing else to be used.

**Remediation:** `mcpwrap adopt` moves the values into the store and changes the entries. The old
values were exposed: create new ones at the providers, and store them with `mcpwrap secret rotate
NAME`. A remote entry in a repository, and one that `adopt` leaves, needs a client reference instead
(`${env:NAME}`, `${input:NAME}`).

**Limitations:** not detected are secrets under a name that does not say so and without a known
format, secrets in files that name no client (scripts, notes, Markdown), old versions in git history, and values hidden by an encoding.
";

const WHY: &str =
    "any program you run can read it, and it ends up in backups, synced folders and git";

pub(super) fn run(facts: &Facts, results: &mut CheckResults) {
    results.count(Noun::File, facts.files.len());
    for file in &facts.files {
        results.count(Noun::Value, file.values.len());
        for value in &file.values {
            for part in value.verdict.secrets() {
                let secret = value.text.get(part.range.clone()).unwrap_or_default();
                let what = format!(
                    "{} is in plaintext ({})",
                    label(value, &part.name),
                    part.why
                );
                let location = file.location_of(value, &part.range);
                let mut found = Finding::new(
                    (NAME, Severity::Critical),
                    location,
                    what,
                    WHY,
                    fixes::plaintext(facts, file, value),
                )
                .with_value(secret);
                if let Some(server) = file.server_of(value) {
                    found = found.for_server(&server.entry.name);
                }
                results.add(found);
            }
        }
        outside_entries(file, results);
    }
    if let Some(machine) = &facts.machine {
        policies(machine, results);
    }
    for left in facts.machine.iter().flat_map(|machine| &machine.leftovers) {
        let (severity, what, fix) = leftover(left);
        let location = Location::line(left.shown.clone(), left.line);
        let mut found = Finding::new((NAME, severity), location, what, WHY, fix);
        found.value = Some(left.value.clone());
        results.add(found);
    }
}

/// How severe a leftover is, what it is, and what to do.
fn leftover(left: &Leftover) -> (Severity, String, Fix) {
    let copy = "a copy of a secret remains in a file that no client reads".to_owned();
    match left.kind {
        LeftoverKind::Copy => {
            let fix = Fix::Run(format!("rm {}", quoted(&left.shown)));
            (Severity::Critical, copy, fix)
        }
        LeftoverKind::Line => {
            let act = "delete the line from the history, then rotate the secret";
            (Severity::Critical, copy, Fix::Act(act.to_owned()))
        }
        LeftoverKind::Tokens(program) => {
            let what = format!("{program} keeps the token of a login in plaintext");
            let act = format!(
                "withdraw the access of {program} at the provider, then delete the file; {program} asks for a new login \
                 if it is still used"
            );
            (Severity::High, what, Fix::Act(act))
        }
    }
}

/// Policies should hold references only.
fn policies(machine: &Machine, results: &mut CheckResults) {
    for (file, policy) in machine.read_policies() {
        let mut words: Vec<(&str, Verdict)> = policy
            .command
            .iter()
            .map(String::as_str)
            .zip(detect::arguments(&policy.command))
            .collect();
        words.extend(policy.env.set.iter().map(|(name, value)| {
            let verdict = detect::value(ValueSite::Env(name), value);
            (value.as_str(), verdict)
        }));
        words.extend(policy.remote.iter().flat_map(|remote| {
            let headers = remote.headers.iter();
            let headers = headers.map(|(name, value)| (value, ValueSite::Header(name)));
            let all = headers.chain([(&remote.url, ValueSite::Url)]);
            all.map(|(text, site)| (text.as_str(), detect::value(site, text)))
        }));
        results.count(Noun::Policy, 1);
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
                        format!("the policy has a secret in plaintext ({})", part.why),
                        "policies can be shared because they hold references; this one holds a value",
                        Fix::Run(fix),
                    )
                    .for_server(file.server.as_str())
                    .with_value(secret),
                );
            }
        }
    }
}

/// Known tokens outside the entries: in comments, other settings, or a broken file.
fn outside_entries(file: &ConfigFile, results: &mut CheckResults) {
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
                format!("{name} in plaintext, outside any server entry"),
                WHY,
                Fix::Act("delete it, then rotate it at its provider".to_owned()),
            )
            .with_value(secret),
        );
    }
}
