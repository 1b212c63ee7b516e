//! Attributes for a store that keeps none, as macOS: JSON in a second credential, whose service has the
//! suffix `-attributes`.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyring_core::{CredentialStore, Entry, Error, Result};

use super::batch::{
    AttributeChanges, CredentialBatch, CredentialName, StoredCredential, WantedCredential,
};

/// A store whose attributes are beside the credentials.
#[derive(Debug)]
pub(super) struct AttributesBeside {
    pub(super) store: Arc<CredentialStore>,
    /// The program in which users see the credentials.
    pub(super) manager: &'static str,
}

type Attributes = BTreeMap<String, String>;

impl AttributesBeside {
    fn entry(&self, (service, user): CredentialName<'_>) -> Result<Entry> {
        self.store.build(service, user, None)
    }

    fn beside(&self, (service, user): CredentialName<'_>) -> Result<Entry> {
        self.entry((&format!("{service}-attributes"), user))
    }

    fn attributes(&self, name: CredentialName<'_>) -> Result<Attributes> {
        let text = match self.beside(name)?.get_secret() {
            Err(Error::NoEntry) => return Ok(Attributes::new()),
            other => other?,
        };
        // An invalid item is an error, not ignored: it could be a restriction.
        serde_json::from_slice(&text).map_err(|_| {
            let (service, user) = name;
            let what = format!("another program wrote the item `{user}` of `{service}-attributes`");
            Error::BadStoreFormat(what)
        })
    }

    fn read(&self, wanted: WantedCredential<'_>) -> Result<StoredCredential> {
        let value = self.entry(wanted.name)?.get_secret()?;
        let attributes = if wanted.with_attributes {
            self.attributes(wanted.name)?
        } else {
            Attributes::new()
        };
        Ok(StoredCredential {
            value,
            attributes: attributes.into_iter().collect(),
        })
    }
}

impl CredentialBatch for AttributesBeside {
    fn read_all(&self, wanted: &[WantedCredential<'_>]) -> Result<Vec<Result<StoredCredential>>> {
        let mut found = Vec::with_capacity(wanted.len());
        for one in wanted {
            found.push(match self.read(*one) {
                Err(error) if !matches!(error, Error::NoEntry | Error::Ambiguous(_)) => {
                    return Err(error);
                }
                answer => answer,
            });
        }
        Ok(found)
    }

    fn write(
        &self,
        name: CredentialName<'_>,
        _: &str,
        value: &[u8],
        changes: &AttributeChanges<'_>,
    ) -> Result<()> {
        let old = self.attributes(name)?;
        let mut new = old.clone();
        for (key, value) in changes {
            match value {
                Some(value) => new.insert((*key).to_owned(), (*value).to_owned()),
                None => new.remove(*key),
            };
        }
        if new != old && !new.is_empty() {
            // Written before the value, so that a new value never exists without its restrictions.
            let text = serde_json::to_vec(&new).expect("texts are always valid JSON");
            self.beside(name)?.set_secret(&text)?;
        }
        self.entry(name)?.set_secret(value)?;
        if new.is_empty() && !old.is_empty() {
            self.forget(name)?;
        }
        Ok(())
    }

    fn forget(&self, name: CredentialName<'_>) -> Result<()> {
        match self.beside(name)?.delete_credential() {
            Err(Error::NoEntry) => Ok(()),
            other => other,
        }
    }

    fn manager(&self) -> &'static str {
        self.manager
    }
}
