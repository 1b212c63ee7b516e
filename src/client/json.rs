//! JSON with comments and trailing commas, read into the tree.
//!
//! Nothing else is accepted: a missing comma is refused as invalid, since the client would not read
//! the file either; single quotes and keys without quotes are refused as JSON5.

use std::collections::HashSet;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged as _;
use jsonc_parser::{CollectOptions, ParseOptions};

use super::tree::{FileFormat, Member, Members, Node, Refused, TreeValue, line_of};

const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: true,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Parses a text. An empty file is a map without members.
pub(super) fn parse(text: &str) -> Result<Node, Refused> {
    let parsed = jsonc_parser::parse_to_ast(text, &CollectOptions::default(), &OPTIONS).map_err(
        |error| {
            let line = line_of(text, error.range().start);
            if is_json5(text) {
                return Refused::Json5 { line };
            }
            Refused::Broken {
                format: FileFormat::Json,
                line,
            }
        },
    )?;
    match parsed.value {
        Some(value) => node(text, value),
        None => Ok(Node {
            span: 0..0,
            value: TreeValue::Map(Members::default()),
        }),
    }
}

/// Whether it is valid JSON5, which some clients read.
fn is_json5(text: &str) -> bool {
    let options = ParseOptions {
        allow_loose_object_property_names: true,
        allow_single_quoted_strings: true,
        allow_hexadecimal_numbers: true,
        allow_unary_plus_numbers: true,
        allow_bare_decimal_point_numbers: true,
        allow_non_finite_numbers: true,
        allow_extended_string_escapes: true,
        ..OPTIONS
    };
    jsonc_parser::parse_to_ast(text, &CollectOptions::default(), &options).is_ok()
}

fn node(text: &str, value: ast::Value<'_>) -> Result<Node, Refused> {
    let range = value.range();
    let value = match value {
        ast::Value::StringLit(string) => TreeValue::Text(string.value.into_owned()),
        ast::Value::Array(array) => {
            let nodes = array
                .elements
                .into_iter()
                .map(|element| node(text, element));
            TreeValue::List(nodes.collect::<Result<_, _>>()?)
        }
        ast::Value::Object(object) => TreeValue::Map(members(text, object)?.into()),
        ast::Value::NumberLit(_) | ast::Value::BooleanLit(_) | ast::Value::NullKeyword(_) => {
            TreeValue::Other
        }
    };
    Ok(Node {
        span: range.start..range.end,
        value,
    })
}

fn members(text: &str, object: ast::Object<'_>) -> Result<Vec<Member>, Refused> {
    let mut members = Vec::with_capacity(object.properties.len());
    let mut seen = HashSet::with_capacity(object.properties.len());
    for property in object.properties {
        let range = property.name.range();
        let key = property.name.into_string();
        if !seen.insert(key.clone()) {
            return Err(Refused::Duplicate {
                line: line_of(text, range.start),
            });
        }
        let node = node(text, property.value)?;
        members.push(Member {
            key,
            key_span: range.start..range.end,
            node,
        });
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_and_refused_texts() {
        for good in [
            "",
            "{}",
            "// c\n{\"a\": [1, 2,],}",
            "{\"a\": {\"b\": null}} // end",
            "\t{\r\n}\r\n",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for (bad, line) in [
            ("{", 1),
            ("{\n\"a\" 1}", 2),
            ("{} {}", 1),
            ("{\"a\":1 \"b\":2}", 1),
        ] {
            assert_eq!(
                parse(bad).unwrap_err(),
                Refused::Broken {
                    format: FileFormat::Json,
                    line
                },
                "{bad}"
            );
        }
        for (other, line) in [("{'a': 1}", 1), ("{\n// c\na: 1}", 3), ("{\"a\": 'b'}", 1)] {
            assert_eq!(
                parse(other).unwrap_err(),
                Refused::Json5 { line },
                "{other}"
            );
        }
        assert_eq!(
            parse("{\"a\": 1,\n\"a\": 2}").unwrap_err(),
            Refused::Duplicate { line: 2 }
        );
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn spans_match_the_text() {
        let text = "{\"é\": \"ü\", \"b\": [true]}";
        let root = parse(text).unwrap();
        assert_eq!(&text[root.get("é").unwrap().span.clone()], "\"ü\"");
        assert_eq!(&text[root.get("b").unwrap().list()[0].span.clone()], "true");
    }
}
