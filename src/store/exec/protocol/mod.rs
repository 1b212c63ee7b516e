//! The messages of `mcpwrap-store-v1`: one line of JSON to the program, one line back.
//!
//! Invariants: an answer of another version is refused, unknown fields are ignored. Values are matched by the id
//! that the request gave them; one that is missing, named twice or unknown spoils the answer.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::answer;
use super::fault::{Fault, ReadValue};
use crate::reference::StorePlace;
use crate::secret::Secret;
use crate::store::source::{MintHandle, MintLife, Minted};

/// The word of the setting `output`.
pub const PROTOCOL: &str = "mcpwrap-store-v1";
/// The version in each message.
const VERSION: u64 = 1;

/// A request.
#[derive(Debug, Serialize)]
pub struct SpokenRequest<'a> {
    v: u64,
    op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refs: Option<Vec<WireRef<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    life: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<WireLease<'a>>,
    deadline_ms: u64,
}

/// What extends and withdraws a credential, which is not printed.
#[derive(Serialize)]
struct WireLease<'a>(&'a str);

impl std::fmt::Debug for WireLease<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WireLease(…)")
    }
}

#[derive(Debug, Serialize)]
struct WireRef<'a> {
    id: usize,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
}

impl<'a> SpokenRequest<'a> {
    const fn new(op: &'static str, deadline_ms: u64) -> Self {
        Self {
            v: VERSION,
            op,
            refs: None,
            path: None,
            life: None,
            lease: None,
            deadline_ms,
        }
    }

    /// The values of these places; of none, only whether the program answers.
    pub fn get(places: &'a [StorePlace], deadline_ms: u64) -> Self {
        let refs = places.iter().enumerate().map(|(id, place)| WireRef {
            id,
            path: &place.path,
            field: place.field.as_deref(),
            version: place.version.as_deref(),
        });
        Self {
            refs: Some(refs.collect()),
            ..Self::new("get", deadline_ms)
        }
    }

    pub fn mint(path: &'a str, life: Option<u64>, deadline_ms: u64) -> Self {
        Self {
            path: Some(path),
            life,
            ..Self::new("mint", deadline_ms)
        }
    }

    /// `op`: `extend` or `revoke`. `None` if the handle is not one of a program.
    pub fn of_lease(op: &'static str, handle: &'a MintHandle, deadline_ms: u64) -> Option<Self> {
        Some(Self {
            lease: Some(WireLease(str::from_utf8(handle.0.expose()).ok()?)),
            ..Self::new(op, deadline_ms)
        })
    }

    /// The line.
    ///
    /// # Errors
    /// [`Fault::Other`]: it cannot be written as JSON.
    pub fn line(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let mut line = Zeroizing::new(serde_json::to_vec(self).map_err(|_| Fault::Other)?);
        line.push(b'\n');
        Ok(line)
    }
}

/// An answer to any request.
#[derive(Deserialize)]
pub struct SpokenAnswer {
    #[serde(default)]
    results: Option<Vec<WireResult>>,
    #[serde(default)]
    error: Option<WireError>,
    #[serde(default)]
    fields: BTreeMap<String, String>,
    #[serde(default)]
    fields_base64: BTreeMap<String, String>,
    #[serde(default)]
    lease: Option<String>,
    #[serde(default)]
    life: Option<u64>,
    #[serde(default)]
    expires: Option<String>,
    #[serde(default)]
    extendable: bool,
    #[serde(default)]
    granted: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct WireResult {
    id: usize,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    value_base64: Option<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    expires: Option<String>,
    #[serde(default)]
    lease: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    error: Option<WireError>,
}

#[derive(Deserialize)]
struct WireError {
    kind: String,
    #[serde(default)]
    message: String,
}

/// What withdraws the credential in an answer to `mint`, whatever else is wrong with the answer.
pub fn lease(answer: &[u8]) -> Option<MintHandle> {
    let mut documents = serde_json::Deserializer::from_slice(answer).into_iter();
    let GivenLease { lease } = documents.next()?.ok()?;
    let lease = Some(lease).filter(|lease| !lease.is_empty())?;
    Some(MintHandle(Secret::new(lease.into_bytes())))
}

#[derive(Deserialize)]
struct GivenLease {
    lease: String,
}

#[derive(Deserialize)]
struct WireVersion {
    v: u64,
}

impl SpokenAnswer {
    /// Reads the line of a program.
    ///
    /// # Errors
    /// [`Fault::Answer`].
    pub fn read(answer: &[u8]) -> Result<Self, Fault> {
        let line = answer::without_line_end(answer);
        if line.contains(&b'\n') {
            return Err(Fault::Answer("the answer has more than one line"));
        }
        let not_json =
            |_| Fault::Answer("the answer is not a line of JSON as docs/stores.md describes");
        let WireVersion { v } = serde_json::from_slice(line).map_err(not_json)?;
        if v != VERSION {
            return Err(Fault::Answer(
                "the answer is of another version of the protocol",
            ));
        }
        serde_json::from_slice(line).map_err(not_json)
    }

    /// What went wrong, if the whole request failed.
    ///
    /// # Errors
    /// The kind of the error.
    pub fn succeeded(&self) -> Result<(), Fault> {
        self.error
            .as_ref()
            .map_or(Ok(()), |error| Err(error.fault()))
    }

    /// The messages of its errors, for `store check`.
    pub fn messages(&self) -> String {
        let of_values = self.results.iter().flatten();
        let of_values = of_values.filter_map(|result| result.error.as_ref());
        let all = self.error.iter().chain(of_values);
        let texts: Vec<_> = all.map(|error| error.message.as_str()).collect();
        texts.join("\n").trim().to_owned()
    }

    /// The values of so many places, in their order.
    pub fn values(self, count: usize) -> Vec<ReadValue> {
        let spoilt = |why| vec![Err(Fault::Answer(why)); count];
        if let Err(fault) = self.succeeded() {
            return vec![Err(fault); count];
        }
        let Some(results) = self.results else {
            return spoilt("the answer has no `results`");
        };
        if results.len() != count {
            return spoilt("the answer has not one result for each reference");
        }
        let mut found: Vec<Option<ReadValue>> = (0..count).map(|_| None).collect();
        for result in results {
            match found.get_mut(result.id) {
                Some(slot @ None) => *slot = Some(result.value()),
                Some(Some(_)) => return spoilt("two results have the same id"),
                None => return spoilt("a result has an unknown id"),
            }
        }
        found.into_iter().flatten().collect()
    }

    /// A short-lived credential. `sent`: when it was asked for.
    ///
    /// # Errors
    /// The kind of the error; [`Fault::Answer`].
    pub fn minted(self, sent: Timestamp) -> Result<Minted, Fault> {
        self.succeeded()?;
        let life = self.life_from(sent)?;
        let mut fields = BTreeMap::new();
        for (name, text) in self.fields {
            fields.insert(name, answer::plain(text.into_bytes())?.value);
        }
        for (name, text) in self.fields_base64 {
            let value = answer::plain(answer::base64(&text)?)?.value;
            if fields.insert(name, value).is_some() {
                return Err(Fault::Answer("the answer has a field twice"));
            }
        }
        if fields.is_empty() {
            return Err(Fault::Answer("the answer has no `fields`"));
        }
        let lease = self.lease.filter(|lease| !lease.is_empty());
        Ok(Minted {
            fields,
            life,
            handle: lease.map(|lease| MintHandle(Secret::new(lease.into_bytes()))),
            granted: self.granted.into_iter().collect(),
        })
    }

    /// The new life of a credential; `None` if it cannot be extended.
    ///
    /// # Errors
    /// The kind of the error; [`Fault::Answer`].
    pub fn extended(self, sent: Timestamp) -> Result<Option<MintLife>, Fault> {
        if self
            .error
            .as_ref()
            .is_some_and(|error| error.kind == "not-extendable")
        {
            return Ok(None);
        }
        match self.succeeded() {
            Err(Fault::NotFound) => Ok(None),
            Err(fault) => Err(fault),
            Ok(()) => self.life_from(sent).map(Some),
        }
    }

    /// # Errors
    /// The kind of the error; a credential that no longer exists is not one.
    pub fn revoked(&self) -> Result<(), Fault> {
        match self.succeeded() {
            Err(Fault::NotFound) => Ok(()),
            answer => answer,
        }
    }

    fn life_from(&self, sent: Timestamp) -> Result<MintLife, Fault> {
        let until = |text: &str| {
            let left = answer::time(text)?.as_second() - sent.as_second();
            u64::try_from(left).map_err(|_| Fault::Answer("the credential has ended already"))
        };
        let seconds = match (self.life, &self.expires) {
            (Some(seconds), _) => Some(seconds),
            (None, Some(text)) => Some(until(text)?),
            (None, None) => None,
        };
        Ok(MintLife {
            seconds,
            is_extendable: self.extendable,
        })
    }
}

impl WireResult {
    fn value(self) -> ReadValue {
        if let Some(error) = &self.error {
            return Err(error.fault());
        }
        if self.lease.is_some() {
            return Err(Fault::Mint);
        }
        let bytes = match (self.value, self.value_base64) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(text)) => answer::base64(&text)?,
            _ => {
                return Err(Fault::Answer(
                    "a result has not one of `value` and `value_base64`",
                ));
            }
        };
        let mut found = answer::plain(bytes)?;
        found.version = self.version;
        found.expires = self.expires.as_deref().map(answer::time).transpose()?;
        Ok(found)
    }
}

impl WireError {
    fn fault(&self) -> Fault {
        match self.kind.as_str() {
            "not-found" => Fault::NotFound,
            "no-field" => Fault::NoField,
            "deleted" => Fault::Deleted,
            "ambiguous" => Fault::Ambiguous,
            "signed-out" => Fault::SignedOut,
            "locked" => Fault::Locked,
            "denied" => Fault::Denied,
            "mint-refused" => Fault::MintRefused,
            "throttled" => Fault::Throttled,
            "unavailable" => Fault::Unavailable,
            _ => Fault::Other,
        }
    }
}

#[cfg(test)]
mod tests;
