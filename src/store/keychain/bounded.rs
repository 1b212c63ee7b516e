//! A credential store whose requests end in time, around one that waits without a limit.
//!
//! Each request runs in its own thread, which is abandoned after the limit.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use keyring_core::api::{Credential, CredentialApi, CredentialPersistence, CredentialStoreApi};
use keyring_core::{CredentialStore, Entry, Error, Result};

/// There was no answer within this time. Inside of a `PlatformFailure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoAnswer(pub(super) Duration);

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer within {} s", self.0.as_secs())
    }
}

impl std::error::Error for NoAnswer {}

/// The limit of a request, and what is kept while it runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) time: Duration,
    /// Called in the thread of the request, e.g. to keep the system from showing dialogs until it ends.
    pub(super) guard: fn() -> Option<Box<dyn Any>>,
}

impl Limit {
    fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let guard = (self.guard)();
            let answer = work();
            drop(guard);
            // After the time limit nothing receives the answer.
            drop(sender.send(answer));
        });
        receiver
            .recv_timeout(self.time)
            .unwrap_or_else(|_| Err(Error::PlatformFailure(Box::new(NoAnswer(self.time)))))
    }
}

/// The store.
#[derive(Debug)]
pub(super) struct BoundedStore {
    pub(super) inner: Arc<CredentialStore>,
    pub(super) limit: Limit,
}

impl BoundedStore {
    fn bounded(limit: Limit, inner: Entry) -> Entry {
        let inner = Arc::new(inner);
        Entry::new_with_credential(Arc::new(BoundedCredential { inner, limit }))
    }
}

impl CredentialStoreApi for BoundedStore {
    fn vendor(&self) -> String {
        self.inner.vendor()
    }

    fn id(&self) -> String {
        self.inner.id()
    }

    fn build(
        &self,
        service: &str,
        user: &str,
        modifiers: Option<&HashMap<&str, &str>>,
    ) -> Result<Entry> {
        let entry = self.inner.build(service, user, modifiers)?;
        Ok(Self::bounded(self.limit, entry))
    }

    fn search(&self, spec: &HashMap<&str, &str>) -> Result<Vec<Entry>> {
        let inner = Arc::clone(&self.inner);
        let spec: HashMap<String, String> = owned(spec);
        let found = self.limit.run(move || inner.search(&borrowed(&spec)))?;
        let bounded = |entry| Self::bounded(self.limit, entry);
        Ok(found.into_iter().map(bounded).collect())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn persistence(&self) -> CredentialPersistence {
        self.inner.persistence()
    }

    fn debug_fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A credential of the store.
#[derive(Debug)]
struct BoundedCredential {
    inner: Arc<Entry>,
    limit: Limit,
}

impl BoundedCredential {
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Entry) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.inner);
        self.limit.run(move || work(&inner))
    }
}

impl CredentialApi for BoundedCredential {
    fn set_secret(&self, secret: &[u8]) -> Result<()> {
        let secret = secret.to_vec();
        self.run(move |entry| entry.set_secret(&secret))
    }

    fn get_secret(&self) -> Result<Vec<u8>> {
        self.run(Entry::get_secret)
    }

    fn get_attributes(&self) -> Result<HashMap<String, String>> {
        self.run(Entry::get_attributes)
    }

    fn update_attributes(&self, attributes: &HashMap<&str, &str>) -> Result<()> {
        let attributes = owned(attributes);
        self.run(move |entry| entry.update_attributes(&borrowed(&attributes)))
    }

    fn delete_credential(&self) -> Result<()> {
        self.run(Entry::delete_credential)
    }

    fn get_credential(&self) -> Result<Option<Arc<Credential>>> {
        let inner = Arc::new(self.run(Entry::get_credential)?);
        let limit = self.limit;
        Ok(Some(Arc::new(Self { inner, limit })))
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        self.inner.get_specifiers()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn debug_fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

fn owned(map: &HashMap<&str, &str>) -> HashMap<String, String> {
    let all = map.iter();
    all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn borrowed(map: &HashMap<String, String>) -> HashMap<&str, &str> {
    let all = map.iter();
    all.map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}
