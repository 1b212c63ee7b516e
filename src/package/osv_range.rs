//! Whether an OSV record affects a version. Source: the OSV schema, "Evaluation".
//!
//! Invariant: what cannot be compared counts as affected.

use std::cmp::Ordering;

use serde::Deserialize;

use super::Registry;
use super::advisory::AdvisoryMatch;

/// The versions of one package that a record affects.
#[derive(Debug, Deserialize)]
pub(super) struct OsvAffected {
    #[serde(default)]
    pub(super) package: Option<OsvPackage>,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    ranges: Vec<OsvRange>,
}

#[derive(Debug, Deserialize)]
pub(super) struct OsvPackage {
    pub(super) ecosystem: String,
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
struct OsvRange {
    #[serde(rename = "type")]
    kind: String,
    events: Vec<OsvEvent>,
}

#[derive(Debug, Deserialize)]
struct OsvEvent {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
}

/// A version in the order of its registry.
#[derive(Debug)]
enum OsvVersion {
    /// Before all others.
    Zero,
    Npm(semver::Version),
    Pypi(pep440_rs::Version),
}

impl OsvVersion {
    fn read(registry: Registry, text: &str) -> Option<Self> {
        if text == "0" {
            return Some(Self::Zero);
        }
        if registry == Registry::Pypi {
            return text.parse().ok().map(Self::Pypi);
        }
        semver::Version::parse(text).ok().map(Self::Npm)
    }

    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Npm(one), Self::Npm(other)) => one.cmp_precedence(other),
            (Self::Pypi(one), Self::Pypi(other)) => one.cmp(other),
            (Self::Zero, Self::Npm(_) | Self::Pypi(_)) => Ordering::Less,
            (Self::Npm(_) | Self::Pypi(_), Self::Zero) => Ordering::Greater,
            // One registry has one kind of version.
            _ => Ordering::Equal,
        }
    }
}

/// What an event says of the versions from its own on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum EventKind {
    /// Affected.
    Introduced,
    /// No longer affected.
    Fixed,
    /// The last that is affected.
    LastAffected,
}

impl OsvAffected {
    /// Whether a version is affected.
    pub(super) fn affects(&self, registry: Registry, version: &str) -> AdvisoryMatch {
        let ranges = self.ranges.iter().filter(|range| range.kind != "GIT");
        let matches: Vec<_> = ranges
            .map(|range| range.affects(registry, version))
            .collect();
        let is_yes = |one: &&AdvisoryMatch| matches!(one, AdvisoryMatch::Yes(_));
        if let Some(yes) = matches.iter().find(is_yes) {
            return yes.clone();
        }
        let is_listed = self.lists(registry, version);
        // The list of versions, if there is one, has them all.
        let is_unclear = matches.is_empty() || matches.contains(&AdvisoryMatch::Unclear);
        match (is_listed, self.versions.is_empty() && is_unclear) {
            (true, _) => AdvisoryMatch::Yes(None),
            (false, true) => AdvisoryMatch::Unclear,
            (false, false) => AdvisoryMatch::No,
        }
    }

    fn lists(&self, registry: Registry, version: &str) -> bool {
        let own = OsvVersion::read(registry, version);
        self.versions.iter().any(|other| {
            let other_version = OsvVersion::read(registry, other);
            let both = own.as_ref().zip(other_version.as_ref());
            other == version || both.is_some_and(|(own, other)| own.order(other).is_eq())
        })
    }
}

impl OsvRange {
    fn affects(&self, registry: Registry, version: &str) -> AdvisoryMatch {
        let own = OsvVersion::read(registry, version);
        let (Some(own), Some(mut events)) = (own, self.events(registry)) else {
            return AdvisoryMatch::Unclear;
        };
        events.sort_by(|(one, kind, _), (other, other_kind, _)| {
            one.order(other).then(kind.cmp(other_kind))
        });
        let mut affected = false;
        for (at, kind, _) in &events {
            match kind {
                EventKind::Introduced if own.order(at).is_ge() => affected = true,
                EventKind::Fixed if own.order(at).is_ge() => affected = false,
                EventKind::LastAffected if own.order(at).is_gt() => affected = false,
                _ => {}
            }
        }
        let fixed = events
            .iter()
            .find(|(at, kind, _)| *kind == EventKind::Fixed && own.order(at).is_lt());
        let fixed = fixed.map(|(_, _, text)| (*text).clone());
        if affected {
            AdvisoryMatch::Yes(fixed)
        } else {
            AdvisoryMatch::No
        }
    }

    /// None: a version cannot be compared.
    fn events(&self, registry: Registry) -> Option<Vec<(OsvVersion, EventKind, &String)>> {
        let mut events = Vec::new();
        for event in &self.events {
            let (kind, text) = match event {
                OsvEvent {
                    introduced: Some(text),
                    ..
                } => (EventKind::Introduced, text),
                OsvEvent {
                    fixed: Some(text), ..
                } => (EventKind::Fixed, text),
                OsvEvent {
                    last_affected: Some(text),
                    ..
                } => (EventKind::LastAffected, text),
                // `limit` restricts commits.
                OsvEvent { .. } => continue,
            };
            events.push((OsvVersion::read(registry, text)?, kind, text));
        }
        Some(events)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn affects(registry: Registry, affected: Value, version: &str) -> AdvisoryMatch {
        let affected: OsvAffected = serde_json::from_value(affected).unwrap();
        affected.affects(registry, version)
    }

    fn fixed(version: &str) -> AdvisoryMatch {
        AdvisoryMatch::Yes(Some(version.to_owned()))
    }

    #[track_caller]
    fn npm(events: &Value, version: &str, expected: &AdvisoryMatch) {
        let affected = json!({"ranges": [{"type": "SEMVER", "events": events}]});
        let found = affects(Registry::Npm, affected, version);
        assert_eq!(found, *expected, "{events} {version}");
    }

    #[test]
    fn ranges_of_npm() {
        let events = json!([{"introduced": "0"}, {"fixed": "1.2.3"}]);
        npm(&events, "0.0.1", &fixed("1.2.3"));
        npm(&events, "1.2.3-rc.1", &fixed("1.2.3"));
        npm(&events, "1.2.3", &AdvisoryMatch::No);
        npm(&events, "1.10.0", &AdvisoryMatch::No);
        // In any order, and several times.
        let events = json!([
            {"fixed": "3.1.0"}, {"introduced": "1.0.0"}, {"fixed": "1.5.0"}, {"introduced": "3.0.0"},
        ]);
        npm(&events, "0.9.0", &AdvisoryMatch::No);
        npm(&events, "1.4.9", &fixed("1.5.0"));
        npm(&events, "2.0.0", &AdvisoryMatch::No);
        npm(&events, "3.0.0", &fixed("3.1.0"));
        npm(&events, "3.1.0", &AdvisoryMatch::No);
        let events = json!([{"introduced": "1.0.0"}, {"last_affected": "1.2.0"}]);
        npm(&events, "1.2.0", &AdvisoryMatch::Yes(None));
        npm(&events, "1.2.1", &AdvisoryMatch::No);
        npm(
            &json!([{"introduced": "0"}]),
            "9.0.0",
            &AdvisoryMatch::Yes(None),
        );
        // Not comparable, and so affected.
        npm(
            &json!([{"introduced": "one"}]),
            "9.0.0",
            &AdvisoryMatch::Unclear,
        );
        npm(
            &json!([{"introduced": "9.0.0"}]),
            "nine",
            &AdvisoryMatch::Unclear,
        );
    }

    #[test]
    fn ranges_of_python() {
        let range = |events: Value| json!({"ranges": [{"type": "ECOSYSTEM", "events": events}]});
        let fixed = fixed("2.0");
        let events = json!([{"introduced": "1.0"}, {"fixed": "2.0"}]);
        for (version, expected) in [
            ("1.0.0", fixed.clone()),
            ("2.0rc1", fixed.clone()),
            ("1.0.post1", fixed),
            ("2.0.0", AdvisoryMatch::No),
            ("1.0a1", AdvisoryMatch::No),
            ("10.0", AdvisoryMatch::No),
        ] {
            let found = affects(Registry::Pypi, range(events.clone()), version);
            assert_eq!(found, expected, "{version}");
        }
    }

    #[test]
    fn listed_versions() {
        let listed = json!({"versions": ["1.0", "2004d"]});
        assert_eq!(
            affects(Registry::Pypi, listed.clone(), "1.0.0"),
            AdvisoryMatch::Yes(None)
        );
        assert_eq!(
            affects(Registry::Pypi, listed.clone(), "2004d"),
            AdvisoryMatch::Yes(None)
        );
        assert_eq!(affects(Registry::Pypi, listed, "1.1"), AdvisoryMatch::No);
        // The list decides where a range cannot be compared.
        let both = json!({
            "versions": ["2004d"],
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "2004d?"}]}],
        });
        assert_eq!(
            affects(Registry::Pypi, both.clone(), "1.0"),
            AdvisoryMatch::No
        );
        assert_eq!(
            affects(Registry::Pypi, both, "2004d"),
            AdvisoryMatch::Yes(None)
        );
        // Commits say nothing about versions; without anything else, all are affected.
        let git = json!({"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]});
        assert_eq!(affects(Registry::Npm, git, "1.0.0"), AdvisoryMatch::Unclear);
    }
}
