//! The `[audit]` section: how long the log is kept, where its head is anchored, and where records are
//! forwarded.

use serde::{Deserialize, Serialize};

/// Where syslog daemons listen.
const SYSLOG_SOCKET: &str = "/dev/log";

/// The settings of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// Older segments are removed: `400d`, `52w`.
    pub retain: Days,
    /// When the log is larger, the oldest segments are removed: `512m`, `2g`.
    pub retain_size: Bytes,
    /// Whether the head of the log is sent to the systemd journal.
    pub anchor: Anchoring,
    /// The sinks that get a copy of each record.
    pub forward: Vec<Sink>,
    /// The socket of the syslog daemon.
    pub syslog: String,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            retain: Days(400),
            retain_size: Bytes(2 << 30),
            anchor: Anchoring::default(),
            forward: Vec::new(),
            syslog: SYSLOG_SOCKET.to_owned(),
        }
    }
}

/// Whether the head of the log is sent to the systemd journal, which this user cannot change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anchoring {
    /// If there is a journal.
    #[default]
    Auto,
    Off,
}

/// A destination for copies of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sink {
    /// The systemd journal, in its native protocol.
    Journald,
    /// A syslog daemon on this machine, RFC 5424.
    Syslog,
}

impl Sink {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Journald => "journald",
            Self::Syslog => "syslog",
        }
    }
}

/// A number of days, written `400d` or `52w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Days(pub u32);

impl TryFrom<String> for Days {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let days = match text.split_at_checked(text.len().saturating_sub(1)) {
            Some((number, "d")) => number.parse().ok(),
            Some((number, "w")) => number.parse().ok().and_then(|n: u32| n.checked_mul(7)),
            _ => None,
        };
        // Less than a day would make the log useless.
        days.filter(|days| (1..=36_500).contains(days))
            .map(Self)
            .ok_or("expected a number of days or weeks, e.g. `400d` or `52w`")
    }
}

impl From<Days> for String {
    fn from(days: Days) -> Self {
        format!("{}d", days.0)
    }
}

/// A size, written `512m` or `2g`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(pub u64);

impl TryFrom<String> for Bytes {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = match text.split_at_checked(text.len().saturating_sub(1)) {
            Some((number, "m")) => number
                .parse()
                .ok()
                .and_then(|n: u64| n.checked_mul(1 << 20)),
            Some((number, "g")) => number
                .parse()
                .ok()
                .and_then(|n: u64| n.checked_mul(1 << 30)),
            _ => None,
        };
        bytes
            .filter(|bytes| *bytes > 0)
            .map(Self)
            .ok_or("expected a size in megabytes or gigabytes, e.g. `512m` or `2g`")
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        format!("{}m", bytes.0 >> 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_sizes() {
        for (text, days) in [
            ("400d", Some(400)),
            ("52w", Some(364)),
            ("0d", None),
            ("d", None),
        ] {
            assert_eq!(
                Days::try_from(text.to_owned()).ok().map(|d| d.0),
                days,
                "{text}"
            );
        }
        for (text, bytes) in [
            ("1m", Some(1 << 20)),
            ("2g", Some(2 << 30)),
            ("0m", None),
            ("7", None),
        ] {
            assert_eq!(
                Bytes::try_from(text.to_owned()).ok().map(|b| b.0),
                bytes,
                "{text}"
            );
        }
        for bad in ["", "é", "99999999999999999999d", "-1d", "99999999999999g"] {
            assert!(Days::try_from(bad.to_owned()).is_err(), "{bad}");
            assert!(Bytes::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
