//! The values of the credentials that were made for one launch.

use std::collections::BTreeMap;

use super::live::LiveMints;
use crate::error::{Code, Error, Result};
use crate::reference::MintRef;
use crate::secret::{MintName, Secret};

/// The credentials of one launch.
#[derive(Debug, Default)]
pub struct MintedValues {
    pub(super) fields: BTreeMap<MintName, BTreeMap<String, Secret>>,
    pub live: LiveMints,
}

impl MintedValues {
    /// A part of a credential.
    ///
    /// # Errors
    /// `reference-invalid` if it has no such part, with the names of its parts.
    pub fn get(&self, reference: &MintRef) -> Result<Secret> {
        let fields = self.fields.get(&reference.mint);
        let found = fields.and_then(|fields| match &reference.field {
            Some(field) => fields.get(field),
            None if fields.len() == 1 => fields.values().next(),
            None => None,
        });
        found.cloned().ok_or_else(|| {
            let names = fields.into_iter().flatten();
            let names: Vec<_> = names.map(|(name, _)| format!("`{name}`")).collect();
            Error::new(
                Code::ReferenceInvalid,
                format!("`{reference}` leads to no value"),
            )
            .cause(format!("its parts are {}", names.join(", ")))
            .hint(format!("write `mint:{}#PART`", reference.mint))
        })
    }
}
