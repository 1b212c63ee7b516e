//! The text of a new entry in each format, with the tables around it that are missing.

use super::form::{EntryForm, EntryHome, FieldValue};
use super::tree::quoted;

/// A new entry.
#[derive(Clone, Copy, Debug)]
pub struct NewEntry<'a> {
    pub name: &'a str,
    /// The absolute path of mcpwrap.
    pub program: &'a str,
    pub arguments: &'a [String],
}

pub(super) fn json_body(
    keys: &[&str],
    form: EntryForm,
    entry: NewEntry<'_>,
    (indent, unit, newline): (&str, &str, &str),
) -> String {
    if let Some((first, rest)) = keys.split_first() {
        let deeper = format!("{indent}{unit}");
        let inner = json_body(rest, form, entry, (&deeper, unit, newline));
        return format!(
            "{}: {{{newline}{deeper}{inner}{newline}{indent}}}",
            quoted(first)
        );
    }
    let fields = form.fields(entry.name, entry.program, entry.arguments);
    let line = |(key, value): &(&str, FieldValue)| {
        format!(
            "{newline}{indent}{unit}{}: {}",
            quoted(key),
            value.written()
        )
    };
    let lines: Vec<_> = fields.iter().map(line).collect();
    let table = format!("{{{}{newline}{indent}}}", lines.join(","));
    named(form, entry, ": ", &table)
}

pub(super) fn json_inline(keys: &[&str], form: EntryForm, entry: NewEntry<'_>) -> String {
    if let Some((first, rest)) = keys.split_first() {
        return format!("{}: {{{}}}", quoted(first), json_inline(rest, form, entry));
    }
    let fields = form.fields(entry.name, entry.program, entry.arguments);
    let fields = fields.iter();
    let fields: Vec<_> = fields
        .map(|(key, value)| format!("{}: {}", quoted(key), value.written()))
        .collect();
    named(form, entry, ": ", &format!("{{{}}}", fields.join(", ")))
}

pub(super) fn toml_inline(keys: &[&str], form: EntryForm, entry: NewEntry<'_>) -> String {
    if let Some((first, rest)) = keys.split_first() {
        return format!(
            "{} = {{ {} }}",
            quoted(first),
            toml_inline(rest, form, entry)
        );
    }
    let fields = form.fields(entry.name, entry.program, entry.arguments);
    let fields = fields.iter();
    let fields: Vec<_> = fields
        .map(|(key, value)| format!("{key} = {}", value.written()))
        .collect();
    named(form, entry, " = ", &format!("{{ {} }}", fields.join(", ")))
}

/// A table with its name before it, unless it is in a list.
fn named(form: EntryForm, entry: NewEntry<'_>, sign: &str, table: &str) -> String {
    if form.is_listed() {
        return table.to_owned();
    }
    format!("{}{sign}{table}", quoted(entry.name))
}

pub(super) fn toml_body(home: &EntryHome, entry: NewEntry<'_>) -> String {
    let fields = home.form.fields(entry.name, entry.program, entry.arguments);
    let mut words: Vec<String> = home.keys.iter().map(|key| toml_key(key)).collect();
    let mut lines = if home.form.is_listed() {
        vec![format!("[[{}]]", words.join("."))]
    } else {
        words.push(toml_key(entry.name));
        vec![format!("[{}]", words.join("."))]
    };
    let fields = fields.iter();
    lines.extend(fields.map(|(key, value)| format!("{key} = {}", value.written())));
    lines.join("\n")
}

fn toml_key(key: &str) -> String {
    let is_bare = key
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if is_bare { key.to_owned() } else { quoted(key) }
}

/// Without the indentation of the first line.
pub(super) fn yaml_body(
    keys: &[&str],
    form: EntryForm,
    entry: NewEntry<'_>,
    indent: &str,
    unit: &str,
) -> String {
    let deeper = format!("{indent}{unit}");
    if let Some((first, rest)) = keys.split_first() {
        let is_list = rest.is_empty() && form.is_listed();
        let (dash, inner) = if is_list {
            ("- ", format!("{deeper}  "))
        } else {
            ("", deeper.clone())
        };
        let body = yaml_body(rest, form, entry, &inner, unit);
        return format!("{first}:\n{deeper}{dash}{body}");
    }
    let fields = form.fields(entry.name, entry.program, entry.arguments);
    let fields = fields.iter();
    let lines: Vec<_> = fields
        .map(|(key, value)| format!("{key}: {}", value.written()))
        .collect();
    if form.is_listed() {
        return lines.join(&format!("\n{indent}"));
    }
    let name = yaml_key(entry.name);
    format!("{name}:\n{deeper}{}", lines.join(&format!("\n{deeper}")))
}

/// A name that YAML reads as a text in any version.
fn yaml_key(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
            .contains(&name.to_ascii_lowercase().as_str());
    if is_plain {
        name.to_owned()
    } else {
        quoted(name)
    }
}
