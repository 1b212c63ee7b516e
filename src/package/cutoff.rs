//! Which versions are too young to be pinned.
//!
//! Most malicious versions are found and removed within hours, so a version that nobody chose by name
//! has to be older than that.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::config::packages::{DAY, HOUR, MinAge, in_words};

/// Only what was published before a moment is used, dependencies included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cutoff {
    /// The start of a day that the user named.
    Day(Date),
    Age {
        age: MinAge,
        /// When a version would be too young.
        begin: Timestamp,
        /// Whether the user or a setting asked for it. Otherwise it does not apply where a registry
        /// does not say when a version was published.
        is_chosen: bool,
    },
}

impl Cutoff {
    /// `None` for an age that excludes nothing.
    pub fn of_age(age: MinAge, is_chosen: bool) -> Option<Self> {
        // npm compares in seconds, and the same moment serves all calls of one installation.
        let begin = age.begin(Timestamp::now());
        let begin = Timestamp::from_second(begin.as_second()).unwrap_or(begin);
        (!age.is_zero()).then_some(Self::Age {
            age,
            begin,
            is_chosen,
        })
    }

    /// The one that excludes more.
    pub fn earlier(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if other.moment() < self.moment() => other,
            _ => self,
        }
    }

    fn moment(self) -> Timestamp {
        match self {
            Self::Day(day) => TimeZone::UTC
                .to_timestamp(day.at(0, 0, 0, 0))
                .unwrap_or(Timestamp::MIN),
            Self::Age { begin, .. } => begin,
        }
    }

    /// Whether nobody asked for it.
    pub const fn is_default(self) -> bool {
        matches!(
            self,
            Self::Age {
                is_chosen: false,
                ..
            }
        )
    }

    /// The age, if it is one.
    pub const fn age(self) -> Option<MinAge> {
        match self {
            Self::Day(_) => None,
            Self::Age { age, .. } => Some(age),
        }
    }

    /// Why a version that was published at this time is too young, e.g. `published 3 hours ago, and a
    /// version must be 1 day old`. `None` if it is old enough, or a day was named.
    pub fn too_young(self, published: &str) -> Option<String> {
        let Self::Age { age, begin, .. } = self else {
            return None;
        };
        let published: Timestamp = published.parse().ok()?;
        if published < begin {
            return None;
        }
        let hours = (Timestamp::now().as_second() - published.as_second()).max(0) / HOUR;
        let ago = match hours {
            0 => "less than an hour".to_owned(),
            hours if hours > 48 => in_words(hours / 24 * DAY),
            hours => in_words(hours * HOUR),
        };
        Some(format!(
            "published {ago} ago, and a version must be {age} old"
        ))
    }
}

/// As npm and uv read it.
impl fmt::Display for Cutoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => write!(f, "{day}"),
            Self::Age { begin, .. } => write!(f, "{begin}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_young_version_is_told_from_an_old_one() {
        let cutoff = Cutoff::of_age(MinAge::DEFAULT, false).unwrap();
        let ago = |seconds| (Timestamp::now() - SignedDuration::from_secs(seconds)).to_string();
        let why = cutoff.too_young(&ago(3 * HOUR + 60)).unwrap();
        assert_eq!(
            why,
            "published 3 hours ago, and a version must be 1 day old"
        );
        assert!(
            cutoff
                .too_young(&ago(30))
                .unwrap()
                .contains("less than an hour ago")
        );
        assert_eq!(cutoff.too_young(&ago(2 * DAY)), None);
        assert_eq!(cutoff.too_young("no time"), None);
        assert_eq!(Cutoff::of_age("0".parse().unwrap(), true), None);
    }
}
