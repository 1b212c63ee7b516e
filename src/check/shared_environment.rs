//! One secret in two environments.

use std::collections::BTreeMap;

use super::facts::{Facts, Machine};
use super::file::label;
use super::finding::{Finding, Fix, Location, Severity};
use super::fixes;
use super::results::{CheckResults, Noun};
use crate::reference::Reference;

pub(super) const NAME: &str = "shared-environment";

pub(super) const ABOUT: &str = "\
**Detects** one secret in two environments. The environment comes from `dev`, `test`, `staging`,
`prod` and similar words in the path, server name or variable name. Findings are equal values of two
environments; stored secrets of two profiles or environments with the same fingerprint; policies in
which two profiles use the same secret; and a live key (`sk_live_…`) in a development environment.

**Why:** values leak from development machines first. If production has the same value, that leak is
an incident in production.

**Remediation:** create a separate value for each environment: `mcpwrap secret set NAME --profile
prod`. mcpwrap never gives a secret of one profile to a run with another.

**Limitations:** environments whose names do not say what they are, and two credentials of the same
account, are not recognised.
";

const WHY: &str = "a leak on a development machine also leaks production";
const RULE: (&str, Severity) = (NAME, Severity::High);

/// An environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Development,
    Test,
    Staging,
    Production,
}

const WORDS: &[(&str, Stage)] = &[
    ("dev", Stage::Development),
    ("devel", Stage::Development),
    ("development", Stage::Development),
    ("sandbox", Stage::Development),
    ("test", Stage::Test),
    ("testing", Stage::Test),
    ("qa", Stage::Test),
    ("ci", Stage::Test),
    ("stage", Stage::Staging),
    ("staging", Stage::Staging),
    ("preprod", Stage::Staging),
    ("uat", Stage::Staging),
    ("prod", Stage::Production),
    ("production", Stage::Production),
    ("live", Stage::Production),
];

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Test => "test",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

/// The environment in a name or path; the last word decides.
fn stage(text: &str) -> Option<Stage> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .filter_map(|word| {
            let word = word.to_ascii_lowercase();
            WORDS.iter().find(|(known, _)| *known == word)
        })
        .next_back()
        .map(|(_, stage)| *stage)
}

pub(super) fn run(facts: &Facts, results: &mut CheckResults) {
    let mut seen: BTreeMap<&str, (Stage, Location)> = BTreeMap::new();
    results.count(Noun::SecretValue, 0);
    for file in &facts.files {
        for value in &file.values {
            let server = file
                .server_of(value)
                .map(|server| server.entry.name.as_str());
            let here = stage(&value.name)
                .or_else(|| stage(server.unwrap_or_default()))
                .or_else(|| stage(&file.shown));
            for part in value.verdict.secrets() {
                results.count(Noun::SecretValue, 1);
                let (Some(here), Some(secret)) = (here, value.text.get(part.range.clone())) else {
                    continue;
                };
                let location = file.location_of(value, &part.range);
                let mut add = |what: String| {
                    let act = "create a separate value for each environment";
                    let fix = fixes::values(facts, file, act);
                    let mut found =
                        Finding::new(RULE, location.clone(), what, WHY, fix).with_value(secret);
                    found.server = server.map(str::to_owned);
                    results.add(found);
                };
                let label = label(value, &part.name);
                let live = secret.contains("k_live_");
                if live && here != Stage::Production {
                    add(format!(
                        "{label} is a live key, but it is used in {}",
                        here.name()
                    ));
                }
                match seen.get(secret) {
                    Some((other, first)) if *other != here => add(format!(
                        "{label} ({}) has the same value as a {} secret in {}",
                        here.name(),
                        other.name(),
                        first.file
                    )),
                    Some(_) => {}
                    None => {
                        seen.insert(secret, (here, location.clone()));
                    }
                }
            }
        }
    }
    if let Some(machine) = &facts.machine {
        stored(machine, results);
        profiles(machine, results);
    }
}

/// Stored secrets with equal fingerprints.
fn stored(machine: &Machine, results: &mut CheckResults) {
    let Ok(index) = &machine.index else {
        return;
    };
    results.count(Noun::StoredSecret, index.secrets.len());
    let mut seen = BTreeMap::new();
    for (name, entry) in &index.secrets {
        let own = (
            name,
            entry.profile.as_ref().map(ToString::to_string),
            stage(name.as_str()),
        );
        let Some((other, profile, other_stage)) = seen.get(&entry.fingerprint) else {
            seen.insert(entry.fingerprint.clone(), own);
            continue;
        };
        let staged = own.2.is_some() && other_stage.is_some() && own.2 != *other_stage;
        if *profile == own.1 && !staged {
            continue;
        }
        let of = |profile: &Option<String>| {
            profile.as_ref().map_or("every profile".to_owned(), |name| {
                format!("profile `{name}`")
            })
        };
        let what = format!(
            "`{name}` ({}) and `{other}` ({}) have the same value",
            of(&own.1),
            of(profile)
        );
        let location = Location::whole(machine.index_shown.clone());
        let fix = Fix::Run(format!("mcpwrap secret rotate {name}"));
        results.add(Finding::new(RULE, location, what, WHY, fix));
    }
}

/// Two profiles of a policy that use the same secret.
fn profiles(machine: &Machine, results: &mut CheckResults) {
    for (file, _) in machine.read_policies() {
        results.count(Noun::Policy, usize::from(file.profiles.len() > 1));
        let mut seen: BTreeMap<(&str, &Reference), &str> = BTreeMap::new();
        for policy in &file.profiles {
            let Some(profile) = policy.profile.as_ref() else {
                continue;
            };
            for (variable, slot) in &policy.secrets {
                let secret = &slot.from;
                let Some(other) = seen.get(&(variable, secret)) else {
                    seen.insert((variable, secret), profile.as_str());
                    continue;
                };
                let what = format!(
                    "profiles `{other}` and `{profile}` both use `{}` for `{variable}`",
                    secret.label()
                );
                let location = Location::line(file.shown.clone(), slot.line);
                let fix = Fix::Run(format!("mcpwrap policy edit {}", file.server));
                results.add(
                    Finding::new(RULE, location, what, WHY, fix).for_server(file.server.as_str()),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_say() {
        for (text, expected) in [
            ("~/dev/app/.env.production", Some(Stage::Production)),
            ("API_KEY_DEV", Some(Stage::Development)),
            ("github-staging", Some(Stage::Staging)),
            ("product/device", None),
            ("~/.cursor/mcp.json", None),
        ] {
            assert_eq!(stage(text), expected, "{text}");
        }
    }
}
