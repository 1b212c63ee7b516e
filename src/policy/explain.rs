//! Turns errors of the TOML parser and of serde into messages for users.
//!
//! Invariant: no message quotes a value. serde's messages do, so `serde_words` extracts the facts from
//! them; the messages of the parser are fixed texts.

use toml::de::{DeTable, DeValue};

use super::schema::home_of;
use super::source::PolicySource;
use crate::error::Error;
use crate::serde_words::{Refusal, RefusalKind};
use crate::suggest::nearest;

/// An error of the TOML parser, before there is a table.
pub(super) fn syntax(source: &PolicySource<'_>, error: &toml::de::Error) -> Error {
    let span = error.span().unwrap_or(0..0);
    let message = error
        .message()
        .lines()
        .next()
        .unwrap_or_default()
        .replace('\'', "`");
    source.fault("invalid TOML", span).cause(message)
}

/// An error in the fields of a parsed table.
pub(super) fn fields(
    source: &PolicySource<'_>,
    table: &DeTable<'_>,
    error: &toml::de::Error,
) -> Error {
    let span = error.span().unwrap_or(0..0);
    let name = path_at(table, span.start).unwrap_or_else(|| "a field".to_owned());
    match Refusal::read(error.message()) {
        Refusal::UnknownField { field, known } => unknown_field(source, span, &field, &known),
        Refusal::UnknownWord { known } => source
            .fault(&format!("unknown value for {name}"), span)
            .hint(format!("use one of: {}", in_backticks(&known))),
        Refusal::MissingField { field } => {
            let what = format!("missing field `{field}`");
            // A span of the whole file is of no use.
            let fault = if span.start == 0 {
                source.fault_in_file(&what, &format!("`{}` has no such field", source.shown))
            } else {
                source.fault(&what, span)
            };
            fault.hint(format!("add {}", example(&field)))
        }
        Refusal::WrongKind { found, wanted } => {
            let fault = source.fault(&format!("{name} is {found}, not {wanted},"), span);
            if wanted != RefusalKind::Struct("SecretTable".to_owned()) {
                return fault;
            }
            fault.hint(
                "write a table `[secrets.VARIABLE]` with `from = \"secret:NAME\"`, and store the \
                 value with `mcpwrap secret set NAME`",
            )
        }
        Refusal::Other { expected: _ } => source.fault(&format!("invalid value for {name}"), span),
    }
}

fn in_backticks(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn unknown_field(
    source: &PolicySource<'_>,
    span: std::ops::Range<usize>,
    field: &str,
    known: &[String],
) -> Error {
    let fault = source.fault(&format!("unknown field `{}`", short(field)), span);
    if let Some(home) = home_of(field) {
        return fault.hint(format!("`{field}` belongs to {home}"));
    }
    if let Some(near) = nearest(field, known.iter().map(String::as_str)) {
        return fault.hint(format!(
            "did you mean `{near}`? run `mcpwrap policy schema` to see all fields"
        ));
    }
    fault.hint(format!("known fields: {}", in_backticks(known)))
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
        _ => "`from = \"secret:NAME\"`",
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
