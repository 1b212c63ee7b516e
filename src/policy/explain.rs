//! What the TOML parser and serde found wrong, in words that people can use.
//!
//! *Never* passes on a message that quotes a value: serde's do (`invalid type: string "…"`), so they
//! are taken apart and said anew. The parser's own messages are fixed texts.

use toml::de::{DeTable, DeValue};

use super::source::{Source, nearest};
use crate::error::Error;

/// Where a field belongs that people put elsewhere.
const HOMES: &[(&str, &[&str])] = &[
    (
        "the top of the file",
        &["version", "description", "command", "argv_secrets", "cwd"],
    ),
    ("`[env]`", &["pass", "set"]),
    ("`[secrets.VARIABLE]`", &["from", "to", "optional"]),
    ("`[session]`", &["renew", "restart", "on_failure"]),
    ("`[limits]`", &["unpinned", "mask", "stdout", "log_calls"]),
    (
        "`[package]`",
        &[
            "registry",
            "integrity",
            "interpreter",
            "entry",
            "lock",
            "tree",
        ],
    ),
];

/// An error of the parser, before there is a table.
pub(super) fn syntax(source: &Source<'_>, error: &toml::de::Error) -> Error {
    let span = error.span().unwrap_or(0..0);
    let message = error
        .message()
        .lines()
        .next()
        .unwrap_or_default()
        .replace('\'', "`");
    source
        .fault("a mistake", span)
        .cause(format!("as TOML: {message}"))
}

/// An error of the fields, with the table that was parsed.
pub(super) fn fields(source: &Source<'_>, table: &DeTable<'_>, error: &toml::de::Error) -> Error {
    let message = error.message();
    let span = error.span().unwrap_or(0..0);
    let name = path_at(table, span.start).unwrap_or_else(|| "a field".to_owned());
    let known = |list: &str| -> Vec<String> {
        list.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let (field, list) = rest.split_once('`').unwrap_or((rest, ""));
        return unknown_field(source, span, field, &known(list));
    }
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        let list = known(rest.rsplit_once(", expected ").map_or("", |(_, list)| list));
        let options = list
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", ");
        return source
            .fault(&format!("an unknown value of {name}"), span)
            .hint(format!("it can be {options}"));
    }
    if let Some(field) = message
        .strip_prefix("missing field `")
        .and_then(|m| m.split('`').next())
    {
        let what = format!("no field `{field}`");
        // The span of the whole file says nothing.
        let fault = if span.start == 0 {
            source.fault_in_file(&what, &format!("`{}` needs it", source.shown))
        } else {
            source.fault(&what, span)
        };
        return fault.hint(format!("add {}", example(field)));
    }
    if let Some(rest) = message.strip_prefix("invalid type: ") {
        let found = plain(rest.split([' ', ',']).next().unwrap_or_default());
        let wanted = rest
            .rsplit_once(", expected ")
            .map_or("", |(_, wanted)| wanted);
        let fault = source.fault(&format!("{name} is {found}, not {},", plain(wanted)), span);
        if wanted.starts_with("struct SecretTable") {
            return fault.hint(
                "write a table `[secrets.VARIABLE]` with `from = \"secret:NAME\"`, and store the \
                 value with `mcpwrap secret set NAME`",
            );
        }
        return fault;
    }
    source.fault(&format!("an impossible value of {name}"), span)
}

fn unknown_field(
    source: &Source<'_>,
    span: std::ops::Range<usize>,
    field: &str,
    known: &[String],
) -> Error {
    let fault = source.fault(&format!("unknown field `{}`", short(field)), span);
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    if let Some((home, _)) = HOMES.iter().find(|(_, fields)| fields.contains(&field)) {
        return fault.hint(format!("`{field}` belongs to {home}"));
    }
    if let Some(near) = nearest(field, &known) {
        return fault.hint(format!(
            "did you mean `{near}`? `mcpwrap policy schema` lists all fields"
        ));
    }
    let list: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    fault.hint(format!("known there: {}", list.join(", ")))
}

fn short(field: &str) -> String {
    if field.chars().count() > 32 {
        "…".to_owned()
    } else {
        field.to_owned()
    }
}

fn example(field: &str) -> &'static str {
    match field {
        "version" => "`version = 1` as the first line",
        "command" => "`command = [\"PROGRAM\", \"ARGUMENT\"]`",
        _ => "`from = \"secret:NAME\"`",
    }
}

/// serde's word for a kind of value, as TOML says it.
fn plain(kind: &str) -> &'static str {
    match kind {
        "string" | "a string" => "a string",
        "integer" | "u32" => "a number",
        "boolean" | "a boolean" => "`true` or `false`",
        "floating" => "a fraction",
        "sequence" | "a sequence" => "a list",
        "map" | "a map" => "a table",
        kind if kind.starts_with("struct") => "a table",
        _ => "another kind of value",
    }
}

/// The dotted name of the field whose value is at an offset.
fn path_at(table: &DeTable<'_>, offset: usize) -> Option<String> {
    for (key, value) in table {
        if let DeValue::Table(inner) = value.get_ref()
            && let Some(path) = path_at(inner, offset)
        {
            let path = path.trim_matches('`');
            return Some(format!("`{}.{path}`", short(key.get_ref())));
        }
        if value.span().contains(&offset) {
            return Some(format!("`{}`", short(key.get_ref())));
        }
    }
    None
}
