//! References: where a value comes from, as a policy writes it.
//!
//! `secret:NAME` is a value of the local store, `STORE:PATH[#FIELD][?version=N]` one of a store that
//! `config.toml` names, `op://VAULT/ITEM/FIELD` one of the only 1Password store, and `mint:NAME[#FIELD]`
//! a part of a short-lived credential of the same policy.
//!
//! Invariants: a path has no control characters, no `.` or `..` between slashes, and no empty part but before a
//! first slash, so that no store cleans it into another path. A text that is not a reference is never
//! repeated in an error, because people paste values where references belong.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::secret::{MintName, SecretName, StoreName};

/// The longest path (bytes).
const PATH_BYTES_MAX: usize = 1024;
/// The longest field or version (bytes).
const PART_BYTES_MAX: usize = 256;
/// How 1Password's own references start.
const OP: &str = "op://";

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Reference {
    /// In the local store.
    Local(SecretName),
    /// In another store.
    Store(StoreRef),
    /// A part of a short-lived credential of the same policy.
    Mint(MintRef),
}

/// A value in a store that `config.toml` names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreRef {
    /// `None` for `op://…`: the only store of that type.
    pub store: Option<StoreName>,
    pub place: StorePlace,
}

/// A place in a store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StorePlace {
    /// For `op://…` with that prefix.
    pub path: String,
    /// What to take of a value that has several parts.
    pub field: Option<String>,
    pub version: Option<String>,
}

/// A part of a short-lived credential.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MintRef {
    pub mint: MintName,
    /// `None` for a credential of one part.
    pub field: Option<String>,
}

impl Reference {
    /// # Errors
    /// `reference-invalid`; the text is not repeated.
    pub fn new(text: &str) -> Result<Self> {
        if text.starts_with(OP) {
            let place = StorePlace::verbatim(text)?;
            return Ok(Self::Store(StoreRef { store: None, place }));
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(invalid(
                "a reference starts with `secret:` or the name of a store; values do not belong in a policy",
            ));
        };
        match scheme {
            "secret" => match SecretName::new(rest) {
                Ok(name) => Ok(Self::Local(name)),
                Err(_) => Err(invalid(
                    "`secret:` is followed by letters, digits, `-`, `_` and `.`, in parts joined by `/`",
                )),
            },
            "mint" => {
                let (name, field) = with_field(rest);
                let mint = MintName::new(name).map_err(|_| {
                    invalid(
                        "`mint:` is followed by the name of a `[mint.NAME]` table of the policy",
                    )
                })?;
                let field = field.map(part).transpose()?;
                Ok(Self::Mint(MintRef { mint, field }))
            }
            store => {
                let store = StoreName::new(store).map_err(|_| {
                    invalid("before the first `:` stands neither `secret`, `mint` nor the name of a store")
                })?;
                let place = StorePlace::new(rest)?;
                let store = Some(store);
                Ok(Self::Store(StoreRef { store, place }))
            }
        }
    }

    /// The name of a value in the local store.
    pub const fn local(&self) -> Option<&SecretName> {
        match self {
            Self::Local(name) => Some(name),
            Self::Store(_) | Self::Mint(_) => None,
        }
    }

    /// The name of the value in logs and masks.
    pub fn label(&self) -> SecretLabel {
        SecretLabel(self.clone())
    }
}

/// The name of a value in logs and masks: for the local store its name alone, otherwise the reference.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretLabel(Reference);

impl SecretLabel {
    /// # Errors
    /// `name-invalid`, `reference-invalid`.
    pub fn new(text: &str) -> Result<Self> {
        let reference = if text.contains(':') {
            Reference::new(text)?
        } else {
            Reference::Local(SecretName::new(text)?)
        };
        Ok(Self(reference))
    }

    /// The name of a value in the local store.
    pub const fn local(&self) -> Option<&SecretName> {
        self.0.local()
    }
}

impl fmt::Display for SecretLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reference::Local(name) => name.fmt(f),
            other => other.fmt(f),
        }
    }
}

impl From<SecretName> for SecretLabel {
    fn from(name: SecretName) -> Self {
        Self(Reference::Local(name))
    }
}

impl TryFrom<String> for SecretLabel {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::new(&text)
    }
}

impl std::str::FromStr for SecretLabel {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl From<SecretLabel> for String {
    fn from(label: SecretLabel) -> Self {
        label.to_string()
    }
}

impl StorePlace {
    /// # Errors
    /// `reference-invalid`; the text is not repeated.
    pub fn new(text: &str) -> Result<Self> {
        let (text, version) = match text.rsplit_once("?version=") {
            Some((text, version)) => (text, Some(part(version)?)),
            None => (text, None),
        };
        let (path, field) = with_field(text);
        check_path(path.strip_prefix('/').unwrap_or(path))?;
        Ok(Self {
            path: path.to_owned(),
            field: field.map(part).transpose()?,
            version,
        })
    }

    /// A reference of 1Password, which is passed on as it is.
    fn verbatim(text: &str) -> Result<Self> {
        let path = text.strip_prefix(OP).unwrap_or(text);
        check_path(path)?;
        if path.split('/').count() < 3 {
            return Err(invalid(
                "expected `op://VAULT/ITEM/FIELD` or `op://VAULT/ITEM/SECTION/FIELD`",
            ));
        }
        Ok(Self {
            path: text.to_owned(),
            field: None,
            version: None,
        })
    }
}

impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some(field) = &self.field {
            write!(f, "#{field}")?;
        }
        match &self.version {
            Some(version) => write!(f, "?version={version}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for StoreRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.store {
            Some(store) => write!(f, "{store}:{}", self.place),
            None => write!(f, "{}", self.place),
        }
    }
}

impl fmt::Display for MintRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mint:{}", self.mint)?;
        match &self.field {
            Some(field) => write!(f, "#{field}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(name) => write!(f, "secret:{name}"),
            Self::Store(store) => store.fmt(f),
            Self::Mint(mint) => mint.fmt(f),
        }
    }
}

impl TryFrom<String> for Reference {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::new(&text)
    }
}

impl std::str::FromStr for Reference {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

/// A text before and after the last `#`.
fn with_field(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('#') {
        Some((path, field)) => (path, Some(field)),
        None => (text, None),
    }
}

fn part(text: &str) -> Result<String> {
    let fits = !text.is_empty() && text.len() <= PART_BYTES_MAX;
    if fits && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(invalid(
        "a field or version is empty, too long, or has control characters",
    ))
}

fn check_path(path: &str) -> Result<()> {
    if path.is_empty() || path.len() > PATH_BYTES_MAX || path.chars().any(char::is_control) {
        return Err(invalid(
            "its path is empty, too long, or has control characters",
        ));
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(invalid("its path has `//`, `.`, `..` or a `/` at the end"));
    }
    Ok(())
}

fn invalid(cause: &str) -> Error {
    Error::new(Code::ReferenceInvalid, "not a reference to a value")
        .cause(cause)
        .hint("write `secret:NAME`, and store the value with `mcpwrap secret set NAME`; or `STORE:PATH#FIELD` for another store")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn place(text: &str) -> (Option<String>, String, Option<String>, Option<String>) {
        let reference = Reference::new(text).unwrap();
        assert_eq!(reference.to_string(), text);
        let label = reference.label();
        assert_eq!(SecretLabel::new(&label.to_string()).unwrap(), label);
        let Reference::Store(StoreRef { store, place }) = reference else {
            panic!("{reference:?}");
        };
        (
            store.map(String::from),
            place.path,
            place.field,
            place.version,
        )
    }

    #[test]
    fn places() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            place("corp:secret/mcp/slack#token?version=3"),
            (
                some("corp"),
                "secret/mcp/slack".into(),
                some("token"),
                some("3")
            )
        );
        assert_eq!(
            place("op:Work/GitHub PAT/token"),
            (some("op"), "Work/GitHub PAT/token".into(), None, None)
        );
        assert_eq!(
            place("ssm:/app/db"),
            (some("ssm"), "/app/db".into(), None, None)
        );
        assert_eq!(
            place("op://Work/GitHub/one-time password?attribute=otp").1,
            "op://Work/GitHub/one-time password?attribute=otp"
        );
        assert_eq!(
            place("aws:arn:aws:secretsmanager:eu-west-1:1:secret:x#key").2,
            some("key")
        );
        let minted = Reference::new("mint:db#password").unwrap();
        assert!(matches!(&minted, Reference::Mint(mint) if mint.field == some("password")));
        assert_eq!(minted.to_string(), "mint:db#password");
        let local = Reference::new("secret:github/token").unwrap();
        let label = local.label();
        assert_eq!(label.to_string(), "github/token");
        assert_eq!(SecretLabel::new("github/token").unwrap(), label);
        assert_eq!(SecretLabel::new("secret:github/token").unwrap(), label);
    }

    #[test]
    fn what_is_no_reference_is_not_repeated() {
        for text in [
            "ghp_0123456789abcdefghij",
            "postgres://me:hunter2@db/x",
            "https://hunter2.example",
            "Bearer: hunter2",
            "secret:",
            "secret:a//b",
            "corp:",
            "corp:a/../hunter2",
            "corp:a//hunter2",
            "corp:hunter2/",
            "corp:hunter2#",
            "corp:hunter2\n",
            "corp:a#hunter2?version=",
            "mint:Hunter2",
            "mint:hunter2#",
            "op://hunter2",
            "op://a//hunter2",
        ] {
            let error = Reference::new(text).unwrap_err();
            assert_eq!(error.code, Code::ReferenceInvalid, "{text}");
            assert!(
                !error.to_string().contains("unter2") && !error.to_string().contains("ghp_"),
                "{error}"
            );
        }
    }
}
