//! A parsed policy file with the positions of its fields, for errors that point to them.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::schema::Delivery;
use super::source::PolicySource;
use super::{EnvRules, SecretBinding, template};
use crate::error::{Error, Result};

/// A parsed file with the positions of its fields.
#[derive(Debug)]
pub(super) struct PolicyDocument<'a> {
    pub(super) source: PolicySource<'a>,
    pub(super) table: Spanned<DeTable<'a>>,
}

/// Which part of a field an error points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldPart {
    Key,
    Value,
}

/// The parts of a policy that a profile can change.
#[derive(Clone, Debug, Default)]
pub(super) struct Overridable {
    pub(super) env: EnvRules,
    pub(super) secrets: BTreeMap<String, SecretBinding>,
}

impl PolicyDocument<'_> {
    /// The line of a field's name in the file.
    pub(super) fn line(&self, path: &[&str]) -> usize {
        self.source.line(self.span(path, FieldPart::Key).start)
    }

    /// Whether the file has this field.
    pub(super) fn has(&self, path: &[&str]) -> bool {
        self.find(path).is_some()
    }

    /// Checks the placeholders of a text: each is well formed and stands for a value of `parts`.
    pub(super) fn check_template(
        &self,
        text: &str,
        parts: &Overridable,
        path: &[String],
    ) -> Result<()> {
        if template::parse(text).is_err() {
            return Err(self
                .fault_at("malformed `{secret.NAME}`", path, FieldPart::Value)
                .hint("write `{secret.NAME}`, where `[secrets.NAME]` is a table of this policy"));
        }
        for name in template::secrets(text) {
            let at = |what: &str| self.fault_at(what, path, FieldPart::Value);
            match parts.secrets.get(name) {
                None => {
                    return Err(
                        at(&format!("`{{secret.{name}}}` without `[secrets.{name}]`"))
                            .hint(format!("add `[secrets.{name}]` with `from = \"secret:…\"`")),
                    );
                }
                Some(slot) if slot.to != Delivery::Env => {
                    return Err(at(&format!(
                        "`{{secret.{name}}}` of a secret that is passed as a file"
                    ))
                    .cause(
                        "the placeholder stands for the value, but the server gets only a path",
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The path of a merged field: in the profile if it is there, otherwise in the base.
    pub(super) fn where_set(&self, prefix: &[&str], path: &[&str]) -> Vec<String> {
        let own = join(prefix, path);
        if self.find(&strs(&own)).is_some() {
            own
        } else {
            join(&[], path)
        }
    }

    /// An error that points to a field.
    pub(super) fn fault(&self, what: &str, path: &[&str], part: FieldPart) -> Error {
        self.source.fault(what, self.span(path, part))
    }

    /// [`Self::fault`], with an owned path.
    pub(super) fn fault_at(&self, what: &str, path: &[String], part: FieldPart) -> Error {
        self.fault(what, &strs(path), part)
    }

    fn span(&self, path: &[&str], part: FieldPart) -> Range<usize> {
        let (key, value) = self.find(path).unwrap_or((0..0, 0..0));
        if part == FieldPart::Key { key } else { value }
    }

    /// The positions of a field's name and value. An element of a list has no name.
    fn find(&self, path: &[&str]) -> Option<(Range<usize>, Range<usize>)> {
        let (name, parents) = path.split_last()?;
        let mut table = self.table.get_ref();
        let mut list = None;
        for parent in parents {
            match table.get(*parent)?.get_ref() {
                DeValue::Table(inner) => table = inner,
                DeValue::Array(inner) => list = Some(inner),
                _ => return None,
            }
        }
        if let Some(list) = list {
            let span = list.get(name.parse::<usize>().ok()?)?.span();
            return Some((span.clone(), span));
        }
        let (key, value) = table.get_key_value(*name)?;
        Some((key.span(), value.span()))
    }
}

/// The path of a field below a prefix.
pub(super) fn join(prefix: &[&str], path: &[&str]) -> Vec<String> {
    prefix
        .iter()
        .chain(path)
        .map(|name| (*name).to_owned())
        .collect()
}

/// A path in the form in which fields are found.
pub(super) fn strs(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}
