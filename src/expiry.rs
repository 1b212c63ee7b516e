//! When a value ends: at a time, or with a day.
//!
//! People write days, and providers say times. A day means its end where the user is.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// When a value ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Expiry {
    /// With this day, where the user is.
    Day(Date),
    At(Timestamp),
}

impl Expiry {
    /// The first moment at which the value is no longer valid.
    pub fn instant(self) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Day(day) => {
                let next = day.tomorrow().unwrap_or(day);
                let end = next.to_zoned_datetime(TimeZone::system());
                end.map_or(Timestamp::MAX, |end| end.timestamp())
            }
        }
    }

    /// Whether the value is no longer valid.
    pub fn is_over(self, now: Timestamp) -> bool {
        now >= self.instant()
    }

    /// The last day of the value, where the user is.
    pub fn day(self) -> Date {
        match self {
            Self::Day(day) => day,
            Self::At(at) => at.to_zoned_datetime(TimeZone::system()).date(),
        }
    }
}

/// The end of a token that says it itself: the claim `exp` of a JSON Web Token (RFC 7519, section 4.1.4).
pub fn of_jwt(text: &str) -> Option<Expiry> {
    let start = text.find("eyJ")?;
    let mut parts = text.get(start..)?.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    let seconds = claims.get("exp")?.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "a time, not a measure")]
    let at = Timestamp::from_second(seconds as i64).ok()?;
    Some(Expiry::At(at))
}

/// [`of_jwt`] of a secret.
pub fn of_secret(secret: &Secret) -> Option<Expiry> {
    of_jwt(std::str::from_utf8(secret.expose()).ok()?)
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => day.fmt(f),
            Self::At(at) => at.strftime("%Y-%m-%dT%H:%M:%SZ").fmt(f),
        }
    }
}

impl FromStr for Expiry {
    type Err = String;

    /// A date, or a time in the form of RFC 3339.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() == 10 {
            return text
                .parse()
                .map(Self::Day)
                .map_err(|_| "expected a date such as 2026-12-31".to_owned());
        }
        text.parse().map(Self::At).map_err(|_| {
            "expected a date such as 2026-12-31, or a time such as 2026-12-31T18:00:00Z".to_owned()
        })
    }
}

impl TryFrom<String> for Expiry {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Expiry> for String {
    fn from(expiry: Expiry) -> Self {
        expiry.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times() {
        let day: Expiry = "2026-12-31".parse().unwrap();
        let next: Expiry = "2027-01-01".parse().unwrap();
        assert!(day.instant() < next.instant());
        assert_eq!(
            (day.to_string().as_str(), day.day().to_string().as_str()),
            ("2026-12-31", "2026-12-31")
        );
        let last_second = Timestamp::from_second(day.instant().as_second() - 1).unwrap();
        assert!(!day.is_over(last_second) && day.is_over(day.instant()));
        assert_eq!(Expiry::At(last_second).day(), day.day());
        let at: Expiry = "2026-12-31T18:00:00+02:00".parse().unwrap();
        assert_eq!(at.to_string(), "2026-12-31T16:00:00Z");
        assert_eq!(at.to_string().parse::<Expiry>().unwrap(), at);
        for text in ["", "soon", "2026-13-01", "2026-12-31T18:00:00"] {
            assert!(text.parse::<Expiry>().is_err(), "{text}");
        }
    }
}
