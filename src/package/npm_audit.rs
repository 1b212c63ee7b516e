//! Asks an npm registry for advisories, through `npm audit`: it has the user's registry, proxies and
//! credentials.
//!
//! Invariants: no answer is told apart from no advisory. npm asks its main registry only, so the
//! packages of a scope with another registry count as not looked up. Nothing waits longer than
//! `LIMIT`.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use super::advisory::{
    Advisory, AdvisoryAnswer, AdvisoryMatch, AdvisorySeverity, LockedPackages, count,
};
use super::client::{Call, FailedCall, Said};
use super::npm_settings::{NpmSettings, scope};

/// The limit of all that is asked.
const LIMIT: Duration = Duration::from_secs(10);

const AUDIT: &[&str] = &[
    "audit",
    "--json",
    "--package-lock-only",
    // Exit code 0 unless there is no answer.
    "--audit-level=none",
    "--loglevel=warn",
];

/// The answer of `npm audit`.
pub(super) type Audited = Result<Said, Box<FailedCall>>;

/// Asks for the packages of the lock in `dir`. `options` are those of every call there.
pub(super) fn ask(dir: &Path, options: &[String]) -> Audited {
    let call = Call::new("npm", dir).args(AUDIT).args(options);
    call.quick(true).limit(LIMIT).attempt()
}

/// The advisories for the packages of the lock.
pub(super) fn advisories(
    answer: &Audited,
    locked: &LockedPackages,
    settings: Option<&NpmSettings>,
) -> AdvisoryAnswer {
    let report = match answer {
        Ok(said) => serde_json::from_slice::<Value>(&said.out).unwrap_or_default(),
        Err(failed) => return AdvisoryAnswer::untold(reason(failed)),
    };
    let Some(vulnerable) = report.get("vulnerabilities").and_then(Value::as_object) else {
        return AdvisoryAnswer::untold("this registry does not tell: invalid answer");
    };
    // Offline, npm reports no advisory without asking.
    let Some(settings) = settings.filter(|settings| !settings.offline) else {
        return AdvisoryAnswer::untold(
            "npm is set to work offline, or its settings are unreadable",
        );
    };
    let scopes = settings.elsewhere(locked.keys().map(String::as_str));
    let is_elsewhere = |name: &str| scope(name).is_some_and(|scope| scopes.contains(scope));
    let (asked, elsewhere): (LockedPackages, LockedPackages) = locked
        .clone()
        .into_iter()
        .partition(|(name, _)| !is_elsewhere(name));
    let untold = scopes
        .iter()
        .map(|scope| format!("packages of {scope} have another registry, which npm does not ask"));
    let answer = AdvisoryAnswer {
        found: found(vulnerable, &asked),
        packages: count(&asked),
        untold: if elsewhere.is_empty() {
            Vec::new()
        } else {
            untold.collect()
        },
    };
    answer.sorted()
}

/// Why there is no answer.
fn reason(failed: &FailedCall) -> String {
    let warning = failed.said.lines().find_map(|line| {
        let (_, rest) = line.split_once("audit ")?;
        let status = rest.split(' ').next()?;
        let is_status = status.len() == 3 && status.bytes().all(|digit| digit.is_ascii_digit());
        is_status.then(|| format!("HTTP {status}"))
    });
    let cause = failed.error.causes.first().map(|cause| &cause.fact);
    let why = warning.or_else(|| cause.cloned());
    let why = why.unwrap_or_else(|| failed.error.what.clone());
    format!("this registry does not tell: {why}")
}

/// The advisories of a report that concern a locked version.
fn found(vulnerable: &Map<String, Value>, locked: &LockedPackages) -> Vec<Advisory> {
    let mut found = Vec::new();
    // What only depends on a vulnerable package is named in `via` by a string.
    let all = vulnerable
        .values()
        .filter_map(|one| one.get("via")?.as_array());
    for advisory in all.flatten().filter(|via| via.is_object()) {
        let text = |key: &str| {
            advisory
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (name, range) = (text("name"), text("range"));
        let versions = locked.get(name).into_iter().flat_map(|all| all.keys());
        for version in versions {
            let Some(affected) = affects(range, version).affected() else {
                continue;
            };
            found.push(Advisory {
                package: name.to_owned(),
                version: version.clone(),
                severity: AdvisorySeverity::named(text("severity")),
                id: id(text("url")),
                title: text("title").to_owned(),
                url: text("url").to_owned(),
                fixed: affected.fixed,
            });
        }
    }
    found
}

/// The id at the end of an advisory's address.
fn id(url: &str) -> String {
    let last = url.rsplit('/').next().unwrap_or_default();
    let is_id = last.starts_with("GHSA-") || last.starts_with("CVE-");
    if is_id {
        last.to_owned()
    } else {
        String::new()
    }
}

/// Whether a range of vulnerable versions (`>=1.0.0 <1.2.3 || 2.x`) contains a version, and then the
/// first one without the fault, if the range names it. Not clear if the range cannot be compared.
fn affects(range: &str, version: &str) -> AdvisoryMatch {
    let Ok(version) = semver::Version::parse(version) else {
        return AdvisoryMatch::Unclear;
    };
    let mut unclear = false;
    // `>= 1.0.0` is the same as `>=1.0.0`.
    let joined = ["<", ">", "="].iter().fold(range.to_owned(), |text, sign| {
        text.replace(&format!("{sign} "), sign)
    });
    for part in joined.split("||") {
        match contains(part, &version) {
            Some(true) => {
                let below = part
                    .split_whitespace()
                    .find_map(|word| word.strip_prefix('<'));
                let fixed = below.filter(|fixed| !fixed.starts_with('='));
                return AdvisoryMatch::Yes(fixed.map(str::to_owned));
            }
            Some(false) => {}
            None => unclear = true,
        }
    }
    if unclear {
        AdvisoryMatch::Unclear
    } else {
        AdvisoryMatch::No
    }
}

/// Whether all comparisons of a part hold. None: one of them is not understood.
fn contains(part: &str, version: &semver::Version) -> Option<bool> {
    if matches!(part.trim(), "*" | ">=0") {
        return Some(true);
    }
    let mut all = true;
    for word in part.split_whitespace() {
        let number = word.trim_start_matches(['<', '>', '=', 'v']);
        let other = semver::Version::parse(number).ok()?;
        let order = version.cmp_precedence(&other);
        all &= match word.get(..word.len() - number.len())?.trim_end_matches('v') {
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            ">=" => order.is_ge(),
            "" | "=" => order.is_eq(),
            _ => return None,
        };
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn ranges_of_vulnerable_versions() {
        let fixed = |version: &str| AdvisoryMatch::Yes(Some(version.to_owned()));
        for (range, version, expected) in [
            ("<0.2.4", "0.0.8", fixed("0.2.4")),
            ("<0.2.4", "0.2.4", AdvisoryMatch::No),
            ("<0.2.4", "0.2.4-rc.1", fixed("0.2.4")),
            (">=1.0.0 <1.2.3 || >=2.0.0 <2.1.0", "2.0.5", fixed("2.1.0")),
            (">= 1.0.0 < 1.2.3", "1.1.0", fixed("1.2.3")),
            (
                ">=1.0.0 <1.2.3 || >=2.0.0 <2.1.0",
                "1.9.0",
                AdvisoryMatch::No,
            ),
            ("<=1.2.3", "1.2.3", AdvisoryMatch::Yes(None)),
            ("1.2.3", "1.2.3", AdvisoryMatch::Yes(None)),
            ("=1.2.3", "1.2.4", AdvisoryMatch::No),
            (">1.2.3", "1.2.3", AdvisoryMatch::No),
            (">=0", "7.0.0", AdvisoryMatch::Yes(None)),
            ("", "7.0.0", AdvisoryMatch::Yes(None)),
            ("*", "7.0.0", AdvisoryMatch::Yes(None)),
            // Not understood: reported rather than left out.
            ("^1.2.3", "7.0.0", AdvisoryMatch::Unclear),
            ("<1.0.0", "x", AdvisoryMatch::Unclear),
        ] {
            assert_eq!(affects(range, version), expected, "{range} {version}");
        }
    }

    #[test]
    fn each_locked_version_is_compared() {
        let versions = |all: &[&str]| {
            let all = all.iter().map(|one| ((*one).to_owned(), String::new()));
            all.collect::<BTreeMap<_, _>>()
        };
        let locked = LockedPackages::from([
            ("minimist".to_owned(), versions(&["0.0.8", "1.2.8"])),
            ("mkdirp".to_owned(), versions(&["0.5.1"])),
        ]);
        let report = json!({
            "minimist": {"via": [{
                "name": "minimist", "title": "Pollution", "severity": "critical",
                "url": "https://github.com/advisories/GHSA-x", "range": "<0.2.4",
            }]},
            "mkdirp": {"via": ["minimist"]},
        });
        let found = found(report.as_object().unwrap(), &locked);
        assert_eq!(found.len(), 1, "{found:?}");
        let one = &found[0];
        assert_eq!((one.version.as_str(), one.id.as_str()), ("0.0.8", "GHSA-x"));
        assert_eq!(one.summary(), "Pollution (GHSA-x), fixed in 0.2.4");
        assert_eq!(one.severity, Some(AdvisorySeverity::Critical));
    }
}
