//! What serde found wrong in a TOML file, as a value.
//!
//! serde tells only in English, which quotes values (`invalid type: string "…"`), and people paste
//! secrets into values. This is the one place that reads those words; nothing of a value leaves it.
//! A test lets the real crates speak, so that an update with other words is noticed.

use std::fmt;

/// Why a value or field was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    UnknownField {
        field: String,
        known: Vec<String>,
    },
    /// A word that is none of the known ones.
    UnknownWord {
        known: Vec<String>,
    },
    MissingField {
        field: String,
    },
    WrongKind {
        found: RefusalKind,
        wanted: RefusalKind,
    },
    /// Anything else: a number out of range, a type's own rule, a mistake in the TOML.
    Other {
        /// What would have been right, if serde or the type says so.
        expected: Option<String>,
    },
}

/// A kind of value, in TOML's words when shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    String,
    Number,
    Boolean,
    Fraction,
    List,
    Map,
    /// A table with fixed fields, by the name of its Rust type.
    Struct(String),
    Other,
}

impl fmt::Display for RefusalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "a string",
            Self::Number => "a number",
            Self::Boolean => "`true` or `false`",
            Self::Fraction => "a fraction",
            Self::List => "a list",
            Self::Map | Self::Struct(_) => "a table",
            Self::Other => "another kind of value",
        })
    }
}

impl Refusal {
    /// Reads the message of an error of `toml`, which passes on serde's.
    pub fn read(message: &str) -> Self {
        let message = message.lines().next().unwrap_or_default();
        let (head, expected) = match message.rsplit_once(", expected ") {
            Some((head, expected)) => (head, Some(expected)),
            None => (message, message.strip_prefix("expected ")),
        };
        if let Some(rest) = message.strip_prefix("unknown field `") {
            let (field, _) = rest.split_once('`').unwrap_or((rest, ""));
            let known = quoted(expected.unwrap_or_default());
            return Self::UnknownField {
                field: field.to_owned(),
                known,
            };
        }
        if message.starts_with("unknown variant `") {
            let known = quoted(expected.unwrap_or_default());
            return Self::UnknownWord { known };
        }
        if let Some(rest) = message.strip_prefix("missing field `") {
            let (field, _) = rest.split_once('`').unwrap_or((rest, ""));
            return Self::MissingField {
                field: field.to_owned(),
            };
        }
        if let (Some(found), Some(wanted)) = (head.strip_prefix("invalid type: "), expected) {
            let found = found.split(' ').next().unwrap_or_default();
            return Self::WrongKind {
                found: kind(found),
                wanted: kind(wanted),
            };
        }
        let expected = match message {
            // For a word of a list; a table is taken for a variant with fields, which we have none of.
            "wanted string or table" => Some("a string"),
            _ => expected,
        };
        Self::Other {
            expected: expected.map(str::to_owned),
        }
    }
}

/// The reason in words, without anything of a value.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownField { field, .. } => write!(f, "unknown field `{field}`"),
            Self::UnknownWord { known } => write!(f, "expected `{}`", known.join("` or `")),
            Self::MissingField { field } => write!(f, "no field `{field}`"),
            Self::WrongKind { wanted, .. } => write!(f, "expected {wanted}"),
            Self::Other {
                expected: Some(expected),
            } => write!(f, "expected {expected}"),
            Self::Other { expected: None } => f.write_str("not TOML"),
        }
    }
}

/// The names between backticks.
fn quoted(list: &str) -> Vec<String> {
    let names = list.split('`').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

fn kind(word: &str) -> RefusalKind {
    match word {
        "string" | "a string" => RefusalKind::String,
        "integer" | "u8" | "u16" | "u32" | "u64" | "i32" | "i64" | "usize" => RefusalKind::Number,
        "boolean" | "a boolean" => RefusalKind::Boolean,
        "floating" => RefusalKind::Fraction,
        "sequence" | "a sequence" => RefusalKind::List,
        "map" | "a map" => RefusalKind::Map,
        _ => match word.strip_prefix("struct ") {
            Some(name) => RefusalKind::Struct(name.to_owned()),
            None => RefusalKind::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its refusals are of interest")]
    struct Sample {
        name: String,
        #[serde(default)]
        count: u32,
        #[serde(default)]
        on: bool,
        #[serde(default)]
        list: Vec<String>,
        #[serde(default)]
        map: BTreeMap<String, String>,
        inner: Option<Inner>,
        word: Option<Word>,
        two: Option<Two>,
        day: Option<Day>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its refusals are of interest")]
    struct Inner {
        from: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Word {
        One,
        TwoThree,
        Four,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Two {
        Yes,
        No,
    }

    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    struct Day;

    impl TryFrom<String> for Day {
        type Error = &'static str;
        fn try_from(_: String) -> Result<Self, Self::Error> {
            Err("expected a day, as `3d`")
        }
    }

    /// What the real serde and toml say of a text, read.
    #[track_caller]
    fn refusal(text: &str) -> Refusal {
        Refusal::read(toml::from_str::<Sample>(text).unwrap_err().message())
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_phrases_of_serde_are_understood() {
        let known = [
            "name", "count", "on", "list", "map", "inner", "word", "two", "day",
        ];
        assert_eq!(
            refusal("nmae = \"x\""),
            Refusal::UnknownField {
                field: "nmae".to_owned(),
                known: names(&known)
            }
        );
        assert_eq!(
            refusal("name = \"x\"\ninner.form = \"x\""),
            Refusal::UnknownField {
                field: "form".to_owned(),
                known: names(&["from"])
            }
        );
        assert_eq!(
            refusal("name = \"x\"\nword = \"hunter2, expected `x`\""),
            Refusal::UnknownWord {
                known: names(&["one", "two-three", "four"])
            }
        );
        assert_eq!(
            refusal("name = \"x\"\ntwo = \"maybe\""),
            Refusal::UnknownWord {
                known: names(&["yes", "no"])
            }
        );
        assert_eq!(
            refusal("count = 1"),
            Refusal::MissingField {
                field: "name".to_owned()
            }
        );
        let expected = Some("a day, as `3d`".to_owned());
        assert_eq!(
            refusal("name = \"x\"\nday = \"hunter2\""),
            Refusal::Other { expected }
        );
    }

    #[test]
    fn the_kinds_of_serde_are_understood() {
        #[track_caller]
        fn case(line: &str, found: &RefusalKind, wanted: &RefusalKind) {
            let text = if line.starts_with("name") {
                line.to_owned()
            } else {
                format!("name = \"x\"\n{line}")
            };
            let Refusal::WrongKind {
                found: f,
                wanted: w,
            } = refusal(&text)
            else {
                panic!("{line} is refused for another reason");
            };
            assert_eq!((&f, &w), (found, wanted), "{line}");
        }
        case("name = 1", &RefusalKind::Number, &RefusalKind::String);
        case("name = true", &RefusalKind::Boolean, &RefusalKind::String);
        case("name = 1.5", &RefusalKind::Fraction, &RefusalKind::String);
        case("name = [\"x\"]", &RefusalKind::List, &RefusalKind::String);
        case("name = {}", &RefusalKind::Map, &RefusalKind::String);
        case(
            "count = \"hunter2, expected u32\"",
            &RefusalKind::String,
            &RefusalKind::Number,
        );
        case("on = \"yes\"", &RefusalKind::String, &RefusalKind::Boolean);
        case("list = \"x\"", &RefusalKind::String, &RefusalKind::List);
        case("map = \"x\"", &RefusalKind::String, &RefusalKind::Map);
        let inner = RefusalKind::Struct("Inner".to_owned());
        case("inner = \"x\"", &RefusalKind::String, &inner);
    }

    #[test]
    fn other_refusals_say_what_was_expected_if_anything() {
        let other = |expected: Option<&str>| Refusal::Other {
            expected: expected.map(str::to_owned),
        };
        assert_eq!(refusal("name = \"x\"\ncount = -1"), other(Some("u32")));
        assert_eq!(refusal("name = \"x"), other(Some("`\"`")));
        assert_eq!(refusal("name = \"x\"\nword = 3"), other(Some("a string")));
        assert_eq!(Refusal::read(""), other(None));
        assert_eq!(Refusal::read("duplicate key"), other(None));
    }
}
