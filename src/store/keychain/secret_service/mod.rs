//! The Secret Service (gnome-keyring, `KWallet`, `KeePassXC`) as a credential store of `keyring-core`.
//!
//! It is told the address of the bus, a time limit, and whether it may prompt, and it reads several
//! credentials in one exchange. Items have the attributes `service`, `username` and `target`, as those of
//! the `keyring` family; new ones are in the default collection. Values cross the bus unencrypted (a
//! plain session): whoever can listen there can also request them.
//!
//! Invariants: nothing here knows mcpwrap. Without the permission to prompt, nothing waits for the user,
//! and no window opens. Waiting never exceeds the limit.

mod access;
mod bus;
mod calls;
mod credential;
mod error;
mod provider;
mod service;
mod wire;

pub use bus::BusFault;
pub use error::{ServiceError, ServiceFailure};
pub use provider::Provider;
pub use service::ServiceOptions;

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use keyring_core::api::CredentialStoreApi;
use keyring_core::attributes::parse_attributes;
use keyring_core::{Entry, Error, Result};

use self::credential::{ItemCredential, core_error};
use self::service::SecretService;
use super::batch::{
    AttributeChanges, CredentialBatch, CredentialName, StoredCredential, WantedCredential,
};

/// The store. Clones share the connection.
#[derive(Clone)]
pub struct SecretServiceStore {
    service: Arc<SecretService>,
}

impl fmt::Debug for SecretServiceStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretServiceStore")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

impl SecretServiceStore {
    /// Connects to the bus. The first request is sent later.
    ///
    /// # Errors
    /// `PlatformFailure` with a [`ServiceFailure`].
    pub fn connect(options: ServiceOptions) -> Result<Self> {
        let service = SecretService::connect(options).map_err(core_error)?;
        Ok(Self {
            service: Arc::new(service),
        })
    }

    /// Whether the default collection can be used without a prompt. Accesses no item.
    ///
    /// # Errors
    /// `NoStorageAccess` or `PlatformFailure` with a [`ServiceFailure`].
    pub fn check(&self) -> Result<()> {
        self.service.run(calls::Link::check).map_err(core_error)
    }

    /// The program that offers the service. `None` if there is none, or it does not answer.
    pub fn provider(&self) -> Option<Provider> {
        self.service.provider()
    }

    fn credential(&self, (service, user): CredentialName<'_>) -> ItemCredential {
        let attributes = [("service", service), ("username", user)];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
        ItemCredential {
            service: Arc::clone(&self.service),
            path: None,
            label: format!("{user}@{service}"),
            attributes: HashMap::from(attributes),
        }
    }
}

impl CredentialStoreApi for SecretServiceStore {
    fn vendor(&self) -> String {
        "Secret Service over libdbus, with a deadline".to_owned()
    }

    fn id(&self) -> String {
        format!("{} at {:p}", env!("CARGO_PKG_VERSION"), self.service)
    }

    /// Modifiers: `label`, `target`.
    fn build(
        &self,
        service: &str,
        user: &str,
        modifiers: Option<&HashMap<&str, &str>>,
    ) -> Result<Entry> {
        let mut modifiers = parse_attributes(&["label", "+target"], modifiers)?;
        let mut credential = self.credential((service, user));
        if let Some(label) = modifiers.remove("label") {
            credential.label = label;
        }
        credential.attributes.extend(modifiers);
        Ok(Entry::new_with_credential(Arc::new(credential)))
    }

    /// The items with these attributes, in all collections, locked ones included.
    fn search(&self, spec: &HashMap<&str, &str>) -> Result<Vec<Entry>> {
        let found = self.service.run(|link| {
            let paths = link.list(spec.clone())?;
            let attributes = link.attributes(&paths)?;
            Ok(paths.into_iter().zip(attributes))
        });
        let entry = |(path, attributes)| {
            Entry::new_with_credential(Arc::new(ItemCredential {
                service: Arc::clone(&self.service),
                path: Some(path),
                label: String::new(),
                attributes,
            }))
        };
        Ok(found.map_err(core_error)?.map(entry).collect())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn debug_fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl CredentialBatch for SecretServiceStore {
    /// Two exchanges, for any number of credentials.
    fn read_all(&self, wanted: &[WantedCredential<'_>]) -> Result<Vec<Result<StoredCredential>>> {
        let credentials: Vec<_> = wanted.iter().map(|one| self.credential(one.name)).collect();
        let (paths, values) = self
            .service
            .run(|link| {
                let named: Vec<_> = credentials.iter().map(ItemCredential::wanted).collect();
                let paths = link.find_all(&named)?;
                let single = paths.iter().zip(wanted).filter_map(|(found, one)| {
                    let [path] = found.as_slice() else {
                        return None;
                    };
                    Some((path.clone(), one.with_attributes))
                });
                let values = link.read(&single.collect::<Vec<_>>())?;
                Ok((paths, values))
            })
            .map_err(core_error)?;
        let mut values = values.into_iter();
        let found = paths.into_iter().zip(&credentials);
        Ok(found
            .map(|(paths, credential)| match paths.len() {
                0 => Err(Error::NoEntry),
                1 => values.next().ok_or(Error::NoEntry),
                _ => Err(credential.ambiguous(paths)),
            })
            .collect())
    }

    fn write(
        &self,
        name: CredentialName<'_>,
        label: &str,
        value: &[u8],
        changes: &AttributeChanges<'_>,
    ) -> Result<()> {
        let credential = ItemCredential {
            label: label.to_owned(),
            ..self.credential(name)
        };
        credential.write(value, changes)
    }

    fn manager(&self) -> &'static str {
        match self.provider() {
            Some(Provider::GnomeKeyring) => "Seahorse",
            Some(Provider::KWallet(_)) => "KWalletManager",
            Some(Provider::KeePassXc) => "KeePassXC",
            Some(Provider::Other(_)) | None => "the keychain's own program",
        }
    }
}
