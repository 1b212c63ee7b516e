//! Values in the answers of programs.
//!
//! Invariants: a value is taken as a whole or not at all. Of raw output exactly one line end is removed.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::Value;

use super::fault::{Fault, ReadValue, VALUE_MAX};
use crate::secret::Secret;
use crate::store::source::SourceValue;

/// A value and nothing about it.
pub fn plain(bytes: Vec<u8>) -> ReadValue {
    let value = Secret::new(bytes);
    if value.expose().len() > VALUE_MAX {
        return Err(Fault::Answer("the value is longer than 64 KiB"));
    }
    Ok(SourceValue {
        value,
        version: None,
        expires: None,
    })
}

/// Raw output without its last line end.
pub fn raw(answer: &[u8]) -> ReadValue {
    plain(without_line_end(answer).to_vec())
}

/// Bytes without one LF or CRLF at their end.
pub fn without_line_end(bytes: &[u8]) -> &[u8] {
    match bytes.strip_suffix(b"\n") {
        Some(rest) => rest.strip_suffix(b"\r").unwrap_or(rest),
        None => bytes,
    }
}

/// An answer in JSON.
pub fn json(answer: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(answer).map_err(|_| Fault::Answer("the answer is not JSON"))
}

/// A part of a document by its path (RFC 6901); null if there is none.
pub fn at<'a>(document: &'a Value, path: &str) -> &'a Value {
    static NULL: Value = Value::Null;
    document.pointer(path).unwrap_or(&NULL)
}

/// A string, number or truth value as a value.
pub fn scalar(value: &Value) -> ReadValue {
    match value {
        Value::String(text) => plain(text.clone().into_bytes()),
        Value::Number(number) => plain(number.to_string().into_bytes()),
        Value::Bool(value) => plain(value.to_string().into_bytes()),
        Value::Null => Err(Fault::NoField),
        Value::Array(_) | Value::Object(_) => Err(Fault::Answer("the value is a list or a table")),
    }
}

/// A part of a document: the key as it is, or else keys joined by dots.
pub fn part<'a>(document: &'a Value, field: &str) -> Result<&'a Value, Fault> {
    if let Some(found) = document.get(field) {
        return Ok(found);
    }
    let mut at = document;
    for key in field.split('.') {
        let index = key.parse::<usize>().ok();
        let found = at.get(key).or_else(|| at.get(index?));
        at = found.ok_or(Fault::NoField)?;
    }
    Ok(at)
}

/// A value, or the field of the JSON document that it is.
pub fn with_field(value: SourceValue, field: Option<&str>) -> ReadValue {
    let Some(field) = field else {
        return Ok(value);
    };
    let document: Value = serde_json::from_slice(value.value.expose()).map_err(|_| {
        Fault::Answer("the reference has a field, but the value is not a JSON document")
    })?;
    let found = scalar(part(&document, field)?)?;
    Ok(SourceValue {
        value: found.value,
        ..value
    })
}

/// Bytes in base64, of the standard or the URL alphabet.
pub fn base64(text: &str) -> Result<Vec<u8>, Fault> {
    let engines = [&STANDARD, &URL_SAFE, &URL_SAFE_NO_PAD];
    let decoded = engines.iter().find_map(|engine| engine.decode(text).ok());
    decoded.ok_or(Fault::Answer("the answer is not base64"))
}

/// A time as in RFC 3339.
pub fn time(text: &str) -> Result<Timestamp, Fault> {
    text.parse()
        .map_err(|_| Fault::Answer("the answer has a time without its zone"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(found: ReadValue) -> String {
        String::from_utf8(found.unwrap().value.expose().to_vec()).unwrap()
    }

    #[test]
    fn one_line_end_is_removed() {
        for (output, expected) in [
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("a\r", "a\r"),
            ("a\nb", "a\nb"),
            ("\n", ""),
            ("", ""),
        ] {
            assert_eq!(text(raw(output.as_bytes())), expected, "{output:?}");
        }
    }

    #[test]
    fn parts_of_documents() {
        let document = json!({"a": {"b": ["x", 7]}, "a.b": "exact", "n": null, "t": true});
        let of = |field: &str| {
            part(&document, field)
                .and_then(scalar)
                .map(|found| found.value)
        };
        let value = |text: &str| Ok(Secret::new(text.into()));
        assert_eq!(of("a.b"), value("exact"));
        assert_eq!(of("a.b.0"), value("x"));
        assert_eq!(of("a.c"), Err(Fault::NoField));
        assert_eq!(
            part(&document, "a").and_then(|a| part(a, "b.1")),
            Ok(&json!(7))
        );
        assert_eq!(of("t"), value("true"));
        assert_eq!(of("n"), Err(Fault::NoField));
        assert!(matches!(of("a"), Err(Fault::Answer(_))));
    }

    #[test]
    fn limits_and_alphabets() {
        assert!(plain(vec![0; VALUE_MAX]).is_ok());
        assert!(matches!(
            plain(vec![0; VALUE_MAX + 1]),
            Err(Fault::Answer(_))
        ));
        for text in ["-_8=", "-_8", "+/8="] {
            assert_eq!(base64(text), Ok(vec![0xfb, 0xff]), "{text}");
        }
        assert!(base64("a").is_err());
        assert!(time("2026-12-01T00:00:00Z").is_ok());
        assert!(time("2026-12-01 00:00:00").is_err());
    }
}
