//! Requests and replies of the Secret Service as D-Bus messages.

use std::collections::HashMap;

use dbus::arg::{TypeMismatchError, Variant};
use dbus::{Message, Path};

use super::bus::{BusFault, BusReply, call};

pub(super) const SECRETS: &str = "org.freedesktop.secrets";
pub(super) const DEFAULT: &str = "/org/freedesktop/secrets/aliases/default";
pub(super) const ITEM_API: &str = "org.freedesktop.Secret.Item";
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

pub(super) type Paths = Vec<Path<'static>>;
/// Session, parameters, value, content type.
pub(super) type Struct<'a> = (Path<'static>, &'a [u8], &'a [u8], &'a str);
pub(super) type OwnedStruct = (Path<'static>, Vec<u8>, Vec<u8>, String);

/// The items that a search found.
#[derive(Debug)]
pub(super) struct SearchResult {
    pub(super) unlocked: Paths,
    pub(super) locked: Paths,
}

impl SearchResult {
    pub(super) const fn is_empty(&self) -> bool {
        self.unlocked.is_empty() && self.locked.is_empty()
    }
}

pub(super) fn default_collection() -> Path<'static> {
    Path::from(DEFAULT)
}

pub(super) fn one(answers: Vec<BusReply>) -> BusReply {
    answers
        .into_iter()
        .next()
        .unwrap_or_else(|| Err(no_session()))
}

pub(super) fn no_session() -> BusFault {
    BusFault::Gone("the keychain did not open a session".to_owned())
}

pub(super) fn attributes_of(path: &Path<'static>) -> Message {
    property(path, ITEM_API, "Attributes")
}

pub(super) fn property(path: &str, interface: &str, name: &str) -> Message {
    call(SECRETS, path, PROPERTIES, "Get").append2(interface, name)
}

/// A value in the form of the specification. `secret-tool` shows texts of exactly this type.
pub(super) fn enclosed<'a>(session: Path<'static>, value: &'a [u8]) -> Struct<'a> {
    let kind = match std::str::from_utf8(value) {
        Ok(_) => "text/plain",
        Err(_) => "application/octet-stream",
    };
    (session, &[], value, kind)
}

pub(super) fn attributes(answer: &Message) -> Result<HashMap<String, String>, BusFault> {
    let all = answer.read1::<Variant<HashMap<String, String>>>();
    all.map(|all| all.0)
        .map_err(|error| odd("Attributes", error))
}

pub(super) fn found(answer: &Message) -> Result<SearchResult, BusFault> {
    let (unlocked, locked) = answer
        .read2::<Paths, Paths>()
        .map_err(|error| odd("SearchItems", error))?;
    Ok(SearchResult { unlocked, locked })
}

pub(super) fn odd(method: &str, error: TypeMismatchError) -> BusFault {
    BusFault::Refused(
        method.to_owned(),
        format!("unexpected type of reply: {error}"),
    )
}
