//! The `[packages]` section: which versions are pinned.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Which versions are pinned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Packages {
    /// How old a version must be: `12h`, `3d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_age: Option<MinAge>,
}

/// Seconds.
pub const HOUR: i64 = 3600;
/// Seconds.
pub const DAY: i64 = 24 * HOUR;
/// The units of an age, the largest first, in seconds.
const UNITS: &[(char, i64, &str)] = &[
    ('w', 7 * DAY, "week"),
    ('d', DAY, "day"),
    ('h', HOUR, "hour"),
];
/// The longest age that is accepted (seconds): ten years.
const AGE_MAX: i64 = 3650 * DAY;

/// How long ago a version must have been published (seconds): `0`, `12h`, `3d`, `2w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MinAge(i64);

impl MinAge {
    /// For what is adopted, and for a version that nobody chose.
    pub const DEFAULT: Self = Self(DAY);

    /// Whether it excludes nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Since when a version would be too young.
    pub fn begin(self, now: Timestamp) -> Timestamp {
        now.checked_sub(SignedDuration::from_secs(self.0))
            .unwrap_or(Timestamp::MIN)
    }
}

impl TryFrom<String> for MinAge {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl std::str::FromStr for MinAge {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            if text == "0" {
                return Some(0);
            }
            let unit = text.chars().next_back()?;
            let (_, seconds, _) = UNITS.iter().find(|(letter, ..)| *letter == unit)?;
            let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
            Some(i64::from(number).saturating_mul(*seconds))
        };
        match parse() {
            None => Err("expected an age in hours, days or weeks, e.g. `12h`, `3d` or `0`"),
            Some(seconds) if seconds > AGE_MAX => Err("an age is at most `3650d`"),
            Some(seconds) => Ok(Self(seconds)),
        }
    }
}

impl From<MinAge> for String {
    fn from(age: MinAge) -> Self {
        let unit = UNITS.iter().find(|(_, seconds, _)| age.0 % seconds == 0);
        match unit.filter(|_| age.0 > 0) {
            Some((letter, seconds, _)) => format!("{}{letter}", age.0 / seconds),
            None => "0".to_owned(),
        }
    }
}

impl fmt::Display for MinAge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&in_words(self.0))
    }
}

/// A number of seconds in its largest whole unit: `3 hours`, `1 day`, `0`.
pub fn in_words(seconds: i64) -> String {
    if seconds == 0 {
        return "0".to_owned();
    }
    let unit = UNITS.iter().find(|(_, size, _)| seconds % size == 0);
    let (count, name) = unit.map_or((0, "day"), |(_, size, name)| (seconds / size, *name));
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        for (text, shown) in [
            ("0", Some("0")),
            ("12h", Some("12 hours")),
            ("24h", Some("1 day")),
            ("3d", Some("3 days")),
            ("14d", Some("2 weeks")),
            ("1.5d", None),
            ("-1d", None),
            ("3", None),
            ("d", None),
            ("", None),
            ("99999d", None),
        ] {
            let age = text.parse::<MinAge>().ok();
            assert_eq!(age.map(|age| age.to_string()).as_deref(), shown, "{text}");
        }
        let too_old = "9000d".parse::<MinAge>();
        assert!(too_old.is_err_and(|why| why.contains("at most")));
        assert_eq!(String::from(MinAge(2 * DAY)), "2d");
        assert_eq!(String::from(MinAge(0)), "0");
    }
}
