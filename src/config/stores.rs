//! `[stores.NAME]`: how a store other than the local one is reached.
//!
//! The type of a store decides which settings it has: `store` knows the types. Here only what every
//! store has is read.
//!
//! Invariant: what decides which program runs, whom it asks and as whom is in [`StoreDefinition::sealed_text`],
//! which a grant covers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::dirs::MANAGED_STORES;
use crate::secret::{SecretName, StoreName};

/// The deadline of a store that sets none.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest deadline: less than a client waits for its first answer.
const DEADLINE_MAX: Duration = Duration::from_secs(6);

/// Values that a session keeps are not older than this.
const CACHE_MAX: Duration = Duration::from_hours(24);
/// A store is asked about changes once in this time, at most.
const POLL_MIN: Duration = Duration::from_secs(10);

/// How long the dialog of a store may stay open.
pub const DIALOG_LIMIT: Duration = Duration::from_mins(1);

/// The definition of one store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table", into = "toml::Table")]
pub struct StoreDefinition {
    /// The field `type`.
    pub kind: String,
    /// How long one launch waits for the values of this store, and one request for a short-lived credential.
    pub deadline: Option<Duration>,
    /// How long a session keeps the values of this store in memory; `None`: not at all.
    pub cache: Option<Duration>,
    /// How often a session asks whether the values have changed; `None`: never.
    pub poll: Option<Duration>,
    /// Whether its program may show a dialog of its own while a session waits.
    pub interactive: bool,
    /// The fields of its type.
    pub settings: toml::Table,
    /// Whether the administrator defines it, in a file of its own.
    pub is_managed: bool,
}

impl StoreDefinition {
    /// A definition with the defaults.
    pub fn new(kind: &str, settings: toml::Table) -> Self {
        Self {
            kind: kind.to_owned(),
            deadline: None,
            cache: None,
            poll: None,
            interactive: false,
            settings,
            is_managed: false,
        }
    }

    /// Where it is defined, for users.
    pub fn place(&self, name: &StoreName) -> String {
        if self.is_managed {
            format!("`{MANAGED_STORES}/{name}.toml`")
        } else {
            format!("`[stores.{name}]` in `config.toml`")
        }
    }

    /// How long one launch waits for the values of this store.
    pub fn deadline(&self) -> Duration {
        if self.interactive {
            DIALOG_LIMIT
        } else {
            self.deadline.unwrap_or(DEADLINE)
        }
    }

    /// The secrets of the local store that it needs, e.g. the token of a service account: the texts
    /// that are references.
    pub fn secrets(&self) -> BTreeSet<SecretName> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&toml::Value> = self.settings.values().collect();
        while let Some(value) = open.pop() {
            match value {
                toml::Value::String(text) => found.extend(secret_of(text)),
                toml::Value::Array(values) => open.extend(values),
                toml::Value::Table(table) => open.extend(table.values()),
                _ => {}
            }
        }
        found
    }

    /// What a grant covers: all but what only says when it is asked. The same definition always has the same text.
    pub fn sealed_text(&self, name: &StoreName) -> String {
        let kind = &self.kind;
        let interactive = self.interactive;
        // The keys of a table are sorted.
        format!("store v1\n{name}\n{kind}\n{interactive}\n{}", self.settings)
    }
}

/// The name of a secret, if a setting is a reference to one.
pub fn secret_of(text: &str) -> Option<SecretName> {
    SecretName::new(text.strip_prefix("secret:")?).ok()
}

impl TryFrom<toml::Table> for StoreDefinition {
    type Error = String;

    fn try_from(mut table: toml::Table) -> Result<Self, String> {
        let Some(toml::Value::String(kind)) = table.remove("type") else {
            return Err("expected a field `type`".to_owned());
        };
        let interactive = match table.remove("interactive") {
            None => false,
            Some(toml::Value::Boolean(value)) => value,
            Some(_) => return Err("expected `true` or `false` for `interactive`".to_owned()),
        };
        let mut take = |field: &str, example: &str| {
            let expected = || format!("expected a time such as `{example}` for `{field}`");
            match table.remove(field) {
                None => Ok(None),
                Some(toml::Value::String(text)) => {
                    let found = time(&text).filter(|time| !time.is_zero());
                    found.map(Some).ok_or_else(expected)
                }
                Some(_) => Err(expected()),
            }
        };
        let deadline = take("deadline", "5s")?;
        let cache = take("cache", "15m")?;
        let poll = take("poll", "5m")?;
        if deadline.is_some_and(|deadline| deadline > DEADLINE_MAX) {
            let most = DEADLINE_MAX.as_secs();
            return Err(format!(
                "expected a `deadline` of 1s to {most}s, because clients wait for the server"
            ));
        }
        if cache.is_some_and(|cache| cache > CACHE_MAX) {
            return Err("expected a `cache` of 24h at most".to_owned());
        }
        if poll.is_some_and(|poll| poll < POLL_MIN) {
            let least = POLL_MIN.as_secs();
            return Err(format!(
                "expected a `poll` of {least}s at least, because stores count what they are asked"
            ));
        }
        if interactive && deadline.is_some() {
            let limit = DIALOG_LIMIT.as_secs();
            return Err(format!(
                "expected no `deadline` with `interactive = true`: you have {limit}s for its dialog"
            ));
        }
        if interactive && poll.is_some() {
            return Err(
                "expected no `poll` with `interactive = true`, because each look may open a dialog"
                    .to_owned(),
            );
        }
        Ok(Self {
            kind,
            deadline,
            cache,
            poll,
            interactive,
            settings: table,
            is_managed: false,
        })
    }
}

impl From<StoreDefinition> for toml::Table {
    fn from(definition: StoreDefinition) -> Self {
        let mut table = definition.settings;
        table.insert("type".to_owned(), definition.kind.into());
        for (field, time) in [
            ("deadline", definition.deadline),
            ("cache", definition.cache),
            ("poll", definition.poll),
        ] {
            if let Some(time) = time {
                let text = format!("{}s", time.as_secs());
                table.insert(field.to_owned(), text.into());
            }
        }
        if definition.interactive {
            table.insert("interactive".to_owned(), true.into());
        }
        table
    }
}

/// The tables of `[stores]`, by their names.
///
/// # Errors
/// Those of the tables; what a name is, for one that is none.
pub fn named<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<StoreName, StoreDefinition>, D::Error> {
    let found = BTreeMap::<StoresKey, StoreDefinition>::deserialize(deserializer)?;
    Ok(found
        .into_iter()
        .map(|(StoresKey(name), definition)| (name, definition))
        .collect())
}

/// The name of a store as a key, whose error has the form of those of serde.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct StoresKey(StoreName);

impl TryFrom<String> for StoresKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        StoreName::new(&text).map(Self).map_err(|error| {
            let rule = error.reasons();
            let rule = rule.strip_prefix("expected ").unwrap_or(&rule);
            format!("expected the name of a store in `[stores.NAME]`: {rule}")
        })
    }
}

/// A time such as `5s`, `10m` or `2h`.
pub fn time(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<StoreDefinition, String> {
        toml::from_str::<StoreDefinition>(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn what_a_grant_covers() {
        let name = StoreName::new("op").unwrap();
        let text = |text: &str| read(text).unwrap().sealed_text(&name);
        let base = text("type = \"op\"\naccount = \"a\"\nprogram = \"/usr/bin/op\"");
        assert_eq!(
            base,
            text(
                "program = \"/usr/bin/op\"\naccount = \"a\"\ntype = \"op\"\ndeadline = \"3s\"\n\
                 cache = \"15m\"\npoll = \"5m\""
            )
        );
        for other in [
            "type = \"bw\"\naccount = \"a\"\nprogram = \"/usr/bin/op\"",
            "type = \"op\"\naccount = \"b\"\nprogram = \"/usr/bin/op\"",
            "type = \"op\"\naccount = \"a\"\nprogram = \"/usr/bin/op\"\ninteractive = true",
        ] {
            assert_ne!(base, text(other));
        }
    }

    #[test]
    fn the_secrets_it_needs() {
        let text =
            "type = \"x\"\nenv = { A = \"secret:a/b\", B = \"plain\" }\nargs = [\"secret:c\"]";
        let names: Vec<_> = read(text)
            .unwrap()
            .secrets()
            .into_iter()
            .map(String::from)
            .collect();
        assert_eq!(names, ["a/b", "c"]);
    }

    #[test]
    fn mistakes() {
        for (text, expected) in [
            ("program = \"/x\"", "expected a field `type`"),
            ("type = \"op\"\ndeadline = 5", "such as `5s`"),
            ("type = \"op\"\ndeadline = \"1h\"", "of 1s to 6s"),
            ("type = \"op\"\ndeadline = \"0s\"", "such as `5s`"),
            ("type = \"op\"\ncache = true", "such as `15m`"),
            (
                "type = \"op\"\ndeadline = \"4s\"\ninteractive = true",
                "no `deadline`",
            ),
            (
                "type = \"op\"\npoll = \"5m\"\ninteractive = true",
                "no `poll`",
            ),
            ("type = \"op\"\ncache = \"25h\"", "of 24h at most"),
            ("type = \"op\"\npoll = \"9s\"", "of 10s at least"),
            (
                "type = \"op\"\ndeadline = \"99999999999999999999h\"",
                "`deadline`",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let all = read("type = \"op\"\ndeadline = \"4s\"\ncache = \"15m\"\npoll = \"30s\"\na = 1")
            .unwrap();
        let again = toml::to_string(&all).unwrap();
        assert_eq!(read(&again).unwrap(), all);
    }
}
