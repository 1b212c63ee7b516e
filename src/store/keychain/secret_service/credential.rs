//! One item of the Secret Service as a credential: named by its attributes, or found.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use dbus::Path;
use keyring_core::api::{Credential, CredentialApi};
use keyring_core::{Entry, Error, Result};

use super::calls::Link;
use super::error::{ServiceError, ServiceFailure};
use super::service::SecretService;
use crate::store::keychain::batch::AttributeChanges;

/// The attributes that name a credential, as all stores of `keyring` use them.
pub(super) const NAMING: &[&str] = &["service", "username", "target"];

/// A credential. Without a path, it is the only item with its attributes.
#[derive(Clone)]
pub struct ItemCredential {
    pub(super) service: Arc<SecretService>,
    pub(super) path: Option<Path<'static>>,
    /// Its label, if it is created.
    pub(super) label: String,
    pub(super) attributes: HashMap<String, String>,
}

impl fmt::Debug for ItemCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemCredential")
            .field("path", &self.path)
            .field("attributes", &self.attributes)
            .finish_non_exhaustive()
    }
}

impl ItemCredential {
    /// The same credential, at this item.
    pub(super) fn at(&self, path: Path<'static>) -> Self {
        Self {
            path: Some(path),
            ..self.clone()
        }
    }

    /// The attributes to search for.
    pub(super) fn wanted(&self) -> HashMap<&str, &str> {
        let all = self.attributes.iter();
        all.filter(|(key, _)| NAMING.contains(&key.as_str()))
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect()
    }

    /// The unlocked item.
    fn item(&self, link: &Link) -> std::result::Result<Path<'static>, ServiceError> {
        match &self.path {
            None => link.find_one(self.wanted()),
            Some(path) => {
                link.open_item(path)?;
                Ok(path.clone())
            }
        }
    }

    fn run<T>(&self, work: impl Fn(&Link) -> std::result::Result<T, ServiceError>) -> Result<T> {
        self.service
            .run(work)
            .map_err(|failure| self.error(failure))
    }

    /// Creates this credential, or replaces its value and these attributes.
    pub(super) fn write(&self, value: &[u8], changes: &AttributeChanges<'_>) -> Result<()> {
        self.run(|link| match &self.path {
            None => link.write(self.wanted(), &self.label, value, changes),
            Some(_) => link.change(&self.item(link)?, Some(value), changes),
        })
    }

    /// The error of the crate for a failure of this credential.
    pub(super) fn error(&self, failure: ServiceFailure) -> Error {
        match failure.error {
            ServiceError::NoItem => Error::NoEntry,
            ServiceError::Ambiguous(paths) => self.ambiguous(paths),
            _ => core_error(failure),
        }
    }

    /// The error for several items.
    pub(super) fn ambiguous(&self, paths: Vec<Path<'static>>) -> Error {
        let entry = |path| Entry::new_with_credential(Arc::new(self.at(path)));
        Error::Ambiguous(paths.into_iter().map(entry).collect())
    }
}

/// The error of the crate for a failure.
pub(super) fn core_error(failure: ServiceFailure) -> Error {
    match failure.error {
        ServiceError::Fault(_) => Error::PlatformFailure(Box::new(failure)),
        ServiceError::NoItem => Error::NoEntry,
        _ => Error::NoStorageAccess(Box::new(failure)),
    }
}

impl CredentialApi for ItemCredential {
    fn set_secret(&self, secret: &[u8]) -> Result<()> {
        self.write(secret, &[])
    }

    fn get_secret(&self) -> Result<Vec<u8>> {
        let mut found = self.run(|link| link.read(&[(self.item(link)?, false)]))?;
        found.pop().map(|one| one.value).ok_or(Error::NoEntry)
    }

    fn get_attributes(&self) -> Result<HashMap<String, String>> {
        let mut found = self.run(|link| Ok(link.attributes(&[self.item(link)?])?))?;
        found.pop().ok_or(Error::NoEntry)
    }

    fn update_attributes(&self, attributes: &HashMap<&str, &str>) -> Result<()> {
        if let Some(key) = NAMING.iter().find(|key| attributes.contains_key(**key)) {
            return Err(Error::Invalid(
                (*key).to_owned(),
                "names the credential".to_owned(),
            ));
        }
        let changes: Vec<_> = attributes
            .iter()
            .map(|(key, value)| (*key, Some(*value)))
            .collect();
        self.run(|link| link.change(&self.item(link)?, None, &changes))
    }

    fn delete_credential(&self) -> Result<()> {
        self.run(|link| link.delete(&[self.item(link)?]))
    }

    fn get_credential(&self) -> Result<Option<Arc<Credential>>> {
        let path = self.run(|link| self.item(link))?;
        Ok(match self.path {
            Some(_) => None,
            None => Some(Arc::new(self.at(path))),
        })
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        let of = |key: &str| self.attributes.get(key).cloned();
        Some((of("service")?, of("username")?))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn debug_fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
