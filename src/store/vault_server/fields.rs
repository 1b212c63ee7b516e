//! What is stored at one path, and what a reference takes of it.
//!
//! Invariants: a value is a string as it is, or the JSON text of a number, `true`, `false`, table or list.
//! Names of fields may be in an error, values may not.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::server::ServerStore;
use crate::error::{Code, Error, Result};
use crate::reference::StorePlace;
use crate::secret::Secret;
use crate::store::source::SourceValue;
use crate::suggest::nearest;

/// How many names of fields are in a message.
const NAMES_MAX: usize = 20;

/// What is stored at one path.
#[derive(Clone)]
pub(super) struct StoredFields {
    pub(super) fields: BTreeMap<String, Box<RawValue>>,
    pub(super) version: Option<String>,
    pub(super) expires: Option<Timestamp>,
}

impl ServerStore {
    /// What is taken of the fields.
    pub(super) fn pick(&self, stored: &StoredFields, place: &StorePlace) -> Result<SourceValue> {
        let names = || stored.fields.keys().map(String::as_str);
        let found = match &place.field {
            Some(field) => stored.fields.get(field).ok_or_else(|| {
                let error = Error::new(Code::SecretNotFound, self.cannot_read())
                    .of_store(&self.name)
                    .cause(format!("there is no field `{field}`"));
                match nearest(field, names()) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint(format!(
                        "its fields: {}",
                        listed(&names().collect::<Vec<_>>())
                    )),
                }
            })?,
            None => match (stored.fields.len(), stored.fields.values().next()) {
                (1, Some(value)) => value,
                (0, _) => {
                    let error = Error::new(Code::SecretNotFound, self.cannot_read());
                    return Err(error.of_store(&self.name).cause("it has no fields"));
                }
                _ => {
                    let cause = format!(
                        "it has several fields: {}",
                        listed(&names().collect::<Vec<_>>())
                    );
                    return Err(self.invalid(&cause).hint("write `#FIELD` after the path"));
                }
            },
        };
        let Some(value) = bytes(found, place.field.is_some()) else {
            return Err(self.invalid("the field is null, or a table without `#FIELD`"));
        };
        Ok(SourceValue {
            value,
            version: stored.version.clone(),
            expires: stored.expires,
        })
    }

    pub(super) fn invalid(&self, cause: &str) -> Error {
        let error = Error::new(Code::ReferenceInvalid, self.cannot_read());
        error.of_store(&self.name).cause(cause)
    }

    pub(super) fn cannot_read(&self) -> String {
        format!("cannot read from store `{}`", self.name)
    }
}

fn listed(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMES_MAX);
    let shown: Vec<_> = names.iter().copied().take(NAMES_MAX).collect();
    let shown = shown.join(", ");
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A string as it is, other values as their JSON text; a table or list only if its field is named.
pub(super) fn bytes(value: &RawValue, is_named: bool) -> Option<Secret> {
    let json = value.get();
    let text = match json.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(json).ok()?,
        b'n' => return None,
        b'{' | b'[' if !is_named => return None,
        _ => json.to_owned(),
    };
    Some(Secret::new(text.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_their_text() {
        let of = |json: &str, is_named| {
            let value: Box<RawValue> = serde_json::from_str(json).unwrap();
            bytes(&value, is_named).map(|value| String::from_utf8(value.expose().to_vec()).unwrap())
        };
        for (json, text) in [
            (r#""a\n\u00e9\u0000=""#, "a\né\0="),
            (
                "1234567890123456789012345678901",
                "1234567890123456789012345678901",
            ),
            ("1.50", "1.50"),
            ("-3e2", "-3e2"),
            ("true", "true"),
        ] {
            assert_eq!(of(json, false).as_deref(), Some(text));
        }
        assert_eq!(
            of(r#"{"a":[1, 2]}"#, true).as_deref(),
            Some(r#"{"a":[1, 2]}"#)
        );
        assert_eq!(of(r#"{"a":1}"#, false), None);
        assert_eq!(of("[1]", false), None);
        assert_eq!(of("null", true), None);
    }
}
