//! What is known of published versions: their status, and advisories about them.
//!
//! Invariant: a package that nobody looked up is never counted as one without advisories.

use std::collections::BTreeMap;

/// The packages of a lock file: name → version → archive and hash.
pub type LockedPackages = BTreeMap<String, BTreeMap<String, String>>;

/// What a registry says of a version that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishedStatus {
    Current,
    /// Its publisher advises against it, with this text.
    Deprecated(String),
    /// Withdrawn from a Python registry, with this reason.
    Yanked(String),
    /// The registry has the package, and no longer this version.
    Removed,
}

/// How severe an advisory is, in the words of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdvisorySeverity {
    Low,
    Medium,
    High,
    Critical,
}

impl AdvisorySeverity {
    /// The severity that a word of npm or of OSV names.
    pub(super) fn named(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "info" | "none" | "low" => Some(Self::Low),
            "moderate" | "medium" => Some(Self::Medium),
            "high" => Some(Self::High),
            "critical" => Some(Self::Critical),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Whether an advisory is about a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AdvisoryMatch {
    No,
    /// With the first version that it is not about, if there is one.
    Yes(Option<String>),
    /// A version cannot be compared.
    Unclear,
}

impl AdvisoryMatch {
    /// None only if the advisory is certainly about other versions.
    pub(super) fn affected(self) -> Option<AffectedVersion> {
        match self {
            Self::No => None,
            Self::Yes(fixed) => Some(AffectedVersion { fixed }),
            Self::Unclear => Some(AffectedVersion { fixed: None }),
        }
    }
}

/// A version that an advisory is about.
#[derive(Debug)]
pub(super) struct AffectedVersion {
    pub(super) fixed: Option<String>,
}

/// One advisory about one version of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advisory {
    pub package: String,
    pub version: String,
    /// None if its source does not say.
    pub severity: Option<AdvisorySeverity>,
    /// `GHSA-…`, `PYSEC-…`, or empty.
    pub id: String,
    pub title: String,
    pub url: String,
    /// The first version without it, if there is one.
    pub fixed: Option<String>,
}

impl Advisory {
    /// The word for its severity.
    pub fn severity_name(&self) -> &'static str {
        self.severity
            .map_or("unknown severity", AdvisorySeverity::name)
    }

    /// Its title and id, and what fixes it.
    pub fn summary(&self) -> String {
        let id = match self.id.as_str() {
            "" => String::new(),
            id if self.title.is_empty() => id.to_owned(),
            id => format!(" ({id})"),
        };
        let fixed = self.fixed.as_ref();
        let fixed = fixed.map_or_else(String::new, |version| format!(", fixed in {version}"));
        format!("{}{id}{fixed}", self.title)
    }
}

/// What is known of the advisories for some packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdvisoryAnswer {
    /// The worst first.
    pub found: Vec<Advisory>,
    /// How many packages were looked up.
    pub packages: usize,
    /// Why others were not looked up.
    pub untold: Vec<String>,
}

impl AdvisoryAnswer {
    /// No answer, and why.
    pub(super) fn untold(why: impl Into<String>) -> Self {
        Self {
            untold: vec![why.into()],
            ..Self::default()
        }
    }

    /// The worst first, and each once.
    pub(super) fn sorted(mut self) -> Self {
        let rank = |one: &Advisory| {
            // An unknown severity may be any of them.
            one.severity.unwrap_or(AdvisorySeverity::High)
        };
        self.found.sort_by(|a, b| {
            let key = |one: &Advisory| (one.package.clone(), one.version.clone(), one.id.clone());
            rank(b).cmp(&rank(a)).then_with(|| key(a).cmp(&key(b)))
        });
        self.found.dedup();
        self
    }
}

/// The number of packages of a lock, each version counted.
pub(super) fn count(locked: &LockedPackages) -> usize {
    locked.values().map(BTreeMap::len).sum()
}
