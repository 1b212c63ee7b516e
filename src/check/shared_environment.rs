//! Check 6: one secret for two environments.

use std::collections::BTreeMap;

use super::facts::{Facts, Machine};
use super::file::label;
use super::finding::{Finding, Fix, Location, Severity};
use super::results::CheckResults;

pub(super) const NAME: &str = "shared-environment";

pub(super) const ABOUT: &str = "\
**Looks for** the same value in places whose names say that they are of different environments (a path, a server or a
variable with `dev`, `test`, `staging`, `prod` and the like in it); stored secrets of two profiles, or of two such names, with the same
fingerprint; policies in which two profiles take the same secret; a live key (`sk_live_…`) where the name says
development.

**Why:** development machines are where values leak. If production has the same one, that leak is an incident there.

**Remediation:** make a value of its own for each environment: `mcpwrap secret set NAME --profile prod`. mcpwrap never gives a
secret of one profile to a run of another.

**Known misses:** environments whose names do not say what they are; equal accounts behind different values.
";

const WHY: &str = "a leak on a development machine is then a leak of production";
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

/// What the words of a name or path say; the last one that says something.
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
    for file in &facts.files {
        for value in &file.values {
            let server = file
                .server_of(value)
                .map(|server| server.entry.name.as_str());
            let here = stage(&value.name)
                .or_else(|| stage(server.unwrap_or_default()))
                .or_else(|| stage(&file.shown));
            for part in value.verdict.secrets() {
                results.count(1);
                let (Some(here), Some(secret)) = (here, value.text.get(part.range.clone())) else {
                    continue;
                };
                let location = file.location_of(value, &part.range);
                let mut add = |what: String| {
                    let fix = Fix::Run(file.adopt());
                    let mut found =
                        Finding::new(RULE, location.clone(), what, WHY, fix).shows(secret);
                    found.server = server.map(str::to_owned);
                    results.add(found);
                };
                let label = label(value, &part.name);
                let live = secret.contains("k_live_");
                if live && here != Stage::Production {
                    add(format!(
                        "{label} is a live key, and its place is of {}",
                        here.name()
                    ));
                }
                match seen.get(secret) {
                    Some((other, first)) if *other != here => add(format!(
                        "{label} of {} is the value of {} in {}",
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

/// Equal fingerprints in the index.
fn stored(machine: &Machine, results: &mut CheckResults) {
    let Ok(index) = &machine.index else {
        return;
    };
    results.count(index.secrets.len());
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
            "`{name}` ({}) and `{other}` ({}) are the same value",
            of(&own.1),
            of(profile)
        );
        let location = Location::whole(machine.index_shown.clone());
        let fix = Fix::Run(format!("mcpwrap secret rotate {name}"));
        results.add(Finding::new(RULE, location, what, WHY, fix));
    }
}

/// Two profiles of a policy that take the same secret.
fn profiles(machine: &Machine, results: &mut CheckResults) {
    for (file, _) in machine.read_policies() {
        let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        for policy in &file.profiles {
            let Some(profile) = policy.profile.as_ref() else {
                continue;
            };
            for (variable, slot) in &policy.secrets {
                let secret = slot.from.name().as_str();
                let Some(other) = seen.get(&(variable, secret)) else {
                    seen.insert((variable, secret), profile.as_str());
                    continue;
                };
                let what = format!(
                    "profiles `{other}` and `{profile}` both take `{secret}` for `{variable}`"
                );
                let location = Location::line(file.shown.clone(), slot.line);
                let fix = Fix::Run(format!("mcpwrap policy edit {}", file.server));
                results.add(Finding::new(RULE, location, what, WHY, fix).of(file.server.as_str()));
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
