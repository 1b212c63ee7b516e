//! Where the secrets engines of a server are mounted, and which paths they have.
//!
//! What was found is kept in memory while the process lives, so that a renewal asks once less.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::Deserialize;

use super::http::ServerRequest;
use super::server::{ServerStore, ServerToken};
use crate::error::Result;

/// The mount of a secrets engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// With a slash at its end.
    pub(super) path: String,
    pub(super) engine: MountEngine,
}

/// How values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MountEngine {
    /// Key/value, version 1.
    KvOne,
    /// Key/value, version 2, which keeps versions.
    KvTwo,
    /// Any other engine: its own paths.
    Other,
}

/// The known mounts, by the URL and namespace of their server.
static KNOWN: Mutex<Vec<(String, Mount)>> = Mutex::new(Vec::new());

/// What the server says about the mount of a path.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MountFacts {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    options: Option<MountOptions>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MountOptions {
    version: Option<String>,
}

impl ServerStore {
    fn key(&self) -> String {
        let namespace = self.settings.namespace.as_deref().unwrap_or_default();
        format!("{} {namespace}", self.client.base)
    }

    /// The mount of a path, if it was found before.
    pub(super) fn known_mount(&self, path: &str) -> Option<Mount> {
        let key = self.key();
        let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fits = known
            .iter()
            .filter(|(at, mount)| *at == key && path.starts_with(&mount.path));
        fits.next().map(|(_, mount)| mount.clone())
    }

    pub(super) fn remember_mount(&self, mount: &Mount) {
        self.forget_mount(mount);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.push((self.key(), mount.clone()));
    }

    pub(super) fn forget_mount(&self, mount: &Mount) {
        let key = self.key();
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(at, one)| *at != key || one.path != mount.path);
    }

    /// Asks for the mount of a path. `None` if there is none, or if the token may not read the path.
    ///
    /// # Errors
    /// `store-…`.
    pub(super) fn find_mount(
        &self,
        path: &str,
        token: &ServerToken,
        deadline: Instant,
    ) -> Result<Option<Mount>> {
        let asked = format!("sys/internal/ui/mounts/{path}");
        let reply = self.ask(ServerRequest::get(&asked, &token.value), deadline)?;
        let facts = reply.body.data::<MountFacts>().filter(|_| reply.is_ok());
        let facts = facts.filter(|facts| path.starts_with(&facts.path));
        let mount = facts.map(|facts| Mount {
            engine: facts.engine(),
            path: facts.path,
        });
        if let Some(mount) = &mount {
            self.remember_mount(mount);
        }
        Ok(mount)
    }
}

impl MountFacts {
    fn engine(&self) -> MountEngine {
        let version = self.options.as_ref().and_then(|one| one.version.as_deref());
        match (self.kind.as_str(), version) {
            ("kv", Some("2")) => MountEngine::KvTwo,
            ("kv" | "generic", _) => MountEngine::KvOne,
            _ => MountEngine::Other,
        }
    }
}
