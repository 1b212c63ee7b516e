//! The headers that a tool's schema asks for (`x-mcp-header`, revision 2026-07-28).
//!
//! Pure. Invariant: a tool with an invalid annotation is left out of the list that the client gets; all
//! other bytes of the list stay.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// How many tools are remembered.
const TOOLS_MAX: usize = 10_000;
/// The largest integer that is sent in a header: 2^53 - 1.
const INTEGER_MAX: i64 = (1 << 53) - 1;

/// One argument that is also sent as a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamHeader {
    /// The keys that lead to the argument.
    pub path: Vec<String>,
    pub name: HeaderName,
}

/// The headers of the tools that were listed.
#[derive(Debug, Default)]
pub struct ToolHeaders(HashMap<String, Vec<ParamHeader>>);

#[derive(Deserialize)]
struct ListLine<'a> {
    #[serde(borrow)]
    result: ListResult<'a>,
}

#[derive(Deserialize)]
struct ListResult<'a> {
    #[serde(borrow)]
    tools: &'a RawValue,
    #[serde(default, rename = "nextCursor")]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct ListedTool {
    name: String,
    #[serde(default, rename = "inputSchema")]
    input_schema: Value,
}

/// A page of the list, as it is passed on.
#[derive(Debug, PartialEq, Eq)]
pub struct ListPage {
    pub line: Vec<u8>,
    pub next_cursor: Option<String>,
    /// The names of the tools that were left out.
    pub left_out: Vec<String>,
}

impl ToolHeaders {
    /// The headers of a tool; `None` if it was never listed.
    pub fn of(&self, tool: &str) -> Option<&[ParamHeader]> {
        self.0.get(tool).map(Vec::as_slice)
    }

    /// Forgets everything, because the list changed.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Remembers that a tool has no headers, though no list names it.
    pub fn note_unlisted(&mut self, tool: &str) {
        if self.0.len() < TOOLS_MAX {
            self.0.entry(tool.to_owned()).or_default();
        }
    }

    /// Reads an answer to `tools/list`, and leaves its invalid tools out.
    pub fn learn(&mut self, line: Vec<u8>) -> ListPage {
        let mut left_out = Vec::new();
        let mut kept: Vec<&str> = Vec::new();
        let Ok(list) = serde_json::from_slice::<ListLine<'_>>(&line) else {
            return ListPage {
                line,
                next_cursor: None,
                left_out,
            };
        };
        let raw = list.result.tools.get();
        let tools: Vec<&RawValue> = serde_json::from_str(raw).unwrap_or_default();
        for tool in tools {
            let Ok(read) = serde_json::from_str::<ListedTool>(tool.get()) else {
                kept.push(tool.get());
                continue;
            };
            match param_headers(&read.input_schema) {
                Some(headers) => {
                    kept.push(tool.get());
                    if self.0.len() < TOOLS_MAX || self.0.contains_key(&read.name) {
                        self.0.insert(read.name, headers);
                    }
                }
                None => left_out.push(read.name),
            }
        }
        let next_cursor = list.result.next_cursor;
        if left_out.is_empty() {
            return ListPage {
                line,
                next_cursor,
                left_out,
            };
        }
        // The text is borrowed from the line, so it is inside it.
        let start = (raw.as_ptr() as usize).saturating_sub(line.as_ptr() as usize);
        let (before, rest) = line.split_at(start.min(line.len()));
        let after = rest.get(raw.len()..).unwrap_or_default();
        let list = format!("[{}]", kept.join(","));
        ListPage {
            line: [before, list.as_bytes(), after].concat(),
            next_cursor,
            left_out,
        }
    }
}

/// The headers of a tool; `None` if an annotation is invalid.
fn param_headers(schema: &Value) -> Option<Vec<ParamHeader>> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut open: Vec<(&Value, Option<Vec<String>>)> = vec![(schema, Some(Vec::new()))];
    while let Some((schema, path)) = open.pop() {
        let Some(members) = schema.as_object() else {
            let items = schema.as_array().into_iter().flatten();
            open.extend(items.map(|item| (item, None)));
            continue;
        };
        if let Some(name) = members.get("x-mcp-header") {
            let path = path.clone()?;
            let name = name.as_str()?;
            let kind = members.get("type").and_then(Value::as_str);
            if !matches!(kind, Some("string" | "integer" | "boolean")) || path.is_empty() {
                return None;
            }
            let name = HeaderName::from_bytes(format!("mcp-param-{name}").as_bytes())
                .ok()
                .filter(|_| !name.is_empty())?;
            if !seen.insert(name.clone()) {
                return None;
            }
            found.push(ParamHeader { path, name });
        }
        for (key, value) in members {
            match key.as_str() {
                // Data, not schemas.
                "default" | "enum" | "const" | "examples" => {}
                "properties" => {
                    for (name, schema) in value.as_object().into_iter().flatten() {
                        let below = path.as_ref().map(|path| {
                            let mut path = path.clone();
                            path.push(name.clone());
                            path
                        });
                        open.push((schema, below));
                    }
                }
                _ => open.push((value, None)),
            }
        }
    }
    Some(found)
}

/// The value of a header for an argument; `None` if it is absent or cannot be sent.
pub fn param_value(arguments: &Value, path: &[String]) -> Option<HeaderValue> {
    let value = path.iter().try_fold(arguments, |at, key| at.get(key))?;
    match value {
        Value::String(text) => header_text(text),
        Value::Bool(flag) => Some(HeaderValue::from_static(if *flag {
            "true"
        } else {
            "false"
        })),
        Value::Number(number) => {
            let whole = number.as_f64().filter(|value| value.fract() == 0.0);
            let written = whole.and_then(|value| format!("{value:.0}").parse().ok());
            let integer = number.as_i64().or(written)?;
            (integer.abs() <= INTEGER_MAX).then(|| HeaderValue::from(integer))
        }
        _ => None,
    }
}

/// A text as the value of a header: as it is if it is visible ASCII with blanks or tabs inside,
/// otherwise wrapped.
pub fn header_text(text: &str) -> Option<HeaderValue> {
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t'))
        && !text.starts_with([' ', '\t'])
        && !text.ends_with([' ', '\t']);
    let looks_wrapped = text.starts_with("=?base64?") && text.ends_with("?=");
    if is_plain && !looks_wrapped {
        HeaderValue::from_str(text).ok()
    } else {
        let wrapped = format!("=?base64?{}?=", BASE64_STANDARD.encode(text));
        HeaderValue::from_str(&wrapped).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_that_cannot_stand_in_a_header_are_wrapped() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a b\tc", "a b\tc"),
            ("", ""),
            (" a", "=?base64?IGE=?="),
            ("a ", "=?base64?YSA=?="),
            ("é", "=?base64?w6k=?="),
            ("a\nb", "=?base64?YQpi?="),
            ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
        ] {
            assert_eq!(header_text(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn arguments_become_values() {
        let arguments = json!({
            "text": "x", "flag": false, "count": 7, "whole": 7.0, "half": 0.5, "none": null,
            "big": 9_007_199_254_740_992_i64, "deep": {"er": "y"}, "list": ["z"],
        });
        for (path, expected) in [
            (vec!["text"], Some("x")),
            (vec!["flag"], Some("false")),
            (vec!["count"], Some("7")),
            (vec!["whole"], Some("7")),
            (vec!["deep", "er"], Some("y")),
            (vec!["half"], None),
            (vec!["none"], None),
            (vec!["big"], None),
            (vec!["list"], None),
            (vec!["absent", "er"], None),
        ] {
            let keys: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
            let value = param_value(&arguments, &keys);
            assert_eq!(
                value.as_ref().map(|value| value.to_str().unwrap()),
                expected,
                "{path:?}"
            );
        }
    }

    #[test]
    fn annotations_are_judged() {
        let string = json!({"type": "string", "x-mcp-header": "Region"});
        for (schema, expected) in [
            (json!({"properties": {"a": string}}), Some(vec!["a"])),
            (
                json!({"properties": {"a": {"properties": {"b": string}}}}),
                Some(vec!["a/b"]),
            ),
            (
                json!({"properties": {"x-mcp-header": {"type": "string"}}}),
                Some(vec![]),
            ),
            (
                json!({"properties": {"a": {"default": {"x-mcp-header": 1}}}}),
                Some(vec![]),
            ),
            (json!({}), Some(vec![])),
            (
                json!({"properties": {"a": string, "b": {"type": "string", "x-mcp-header": "rEGION"}}}),
                None,
            ),
            (
                json!({"properties": {"a": {"type": "number", "x-mcp-header": "N"}}}),
                None,
            ),
            (json!({"properties": {"a": {"x-mcp-header": "N"}}}), None),
            (
                json!({"properties": {"a": {"type": "string", "x-mcp-header": ""}}}),
                None,
            ),
            (
                json!({"properties": {"a": {"type": "string", "x-mcp-header": "a b"}}}),
                None,
            ),
            (
                json!({"properties": {"a": {"type": "string", "x-mcp-header": 1}}}),
                None,
            ),
            (json!({"properties": {"a": {"items": string}}}), None),
            (json!({"oneOf": [{"properties": {"a": string}}]}), None),
            (json!({"$defs": {"a": string}}), None),
            (string.clone(), None),
        ] {
            let found = param_headers(&schema).map(|headers| {
                headers
                    .iter()
                    .map(|header| header.path.join("/"))
                    .collect::<Vec<_>>()
            });
            let expected =
                expected.map(|paths| paths.iter().map(|path| (*path).to_owned()).collect());
            assert_eq!(found, expected, "{schema}");
        }
    }

    #[test]
    fn only_invalid_tools_are_left_out() {
        let good = r#"{"name":"good", "inputSchema": {"properties":{"a":{"type":"string","x-mcp-header":"A"}}}}"#;
        let bad = r#"{"name":"bad","inputSchema":{"x-mcp-header":"A"}}"#;
        let line = |tools: &str| {
            format!(
                r#"{{"result" : {{"tools": {tools}, "nextCursor":"2" }},"id":1,"jsonrpc":"2.0"}}"#
            )
        };
        let mut tools = ToolHeaders::default();
        let all = line(&format!("[ {good} ]"));
        assert_eq!(tools.learn(all.clone().into_bytes()).line, all.as_bytes());
        assert_eq!(tools.of("good").unwrap()[0].name, "mcp-param-a");
        assert!(tools.of("bad").is_none());
        let page = tools.learn(line(&format!("[ {bad} , {good} ]")).into_bytes());
        assert_eq!(page.line, line(&format!("[{good}]")).into_bytes());
        assert_eq!(
            (page.next_cursor.as_deref(), page.left_out),
            (Some("2"), vec!["bad".to_owned()])
        );
        let error = br#"{"error":{"code":-1,"message":""},"id":1,"jsonrpc":"2.0"}"#.to_vec();
        assert_eq!(tools.learn(error.clone()).line, error);
    }
}
