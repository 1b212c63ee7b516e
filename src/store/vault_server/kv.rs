//! Reads values: `MOUNT/PATH#FIELD?version=N`.
//!
//! Invariants: a path is read once, whatever is taken of it. A credential that a read made is given back,
//! and not used.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::fault::cannot_use;
use super::fields::StoredFields;
use super::http::{ServerReply, ServerRequest};
use super::mounts::{Mount, MountEngine};
use super::server::{ServerStore, ServerToken};
use crate::error::{Code, Error, Result};
use crate::reference::StorePlace;
use crate::store::source::SourceValue;

/// The parts of the API that are no secrets engines: their answers contain tokens and keys.
const NO_ENGINES: &[&str] = &["auth", "sys", "identity"];

/// The data of an answer of KV 2.
#[derive(Deserialize)]
struct VersionedData {
    data: Option<BTreeMap<String, Box<RawValue>>>,
    metadata: VersionFacts,
}

#[derive(Debug, Deserialize)]
struct VersionFacts {
    version: u64,
    /// Empty, or when this version was or will be deleted.
    deletion_time: String,
    destroyed: bool,
}

/// Checks that a place can exist.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_place(place: &StorePlace) -> Result<(), String> {
    let Some((first, _)) = place.path.split_once('/') else {
        return Err("expected `MOUNT/PATH`".to_owned());
    };
    if first.is_empty() {
        return Err("a path starts with the mount, without `/` before it".to_owned());
    }
    if NO_ENGINES.contains(&first) {
        return Err(format!("`{first}/` is no secrets engine"));
    }
    match &place.version {
        Some(version) if !version.bytes().all(|b| b.is_ascii_digit()) => {
            Err("a version is a number".to_owned())
        }
        _ => Ok(()),
    }
}

impl ServerStore {
    /// The values of these places.
    pub(super) fn read_all(
        &self,
        wanted: &[StorePlace],
        token: &ServerToken,
        deadline: Instant,
    ) -> Vec<Result<SourceValue>> {
        let mut read: Vec<(&StorePlace, Result<StoredFields>)> = Vec::new();
        let mut values = Vec::new();
        for place in wanted {
            let same =
                |other: &StorePlace| (&other.path, &other.version) == (&place.path, &place.version);
            let known = read
                .iter()
                .find(|(other, found)| same(other) || found.as_ref().is_err_and(concerns_all));
            let known = known.map(|(_, found)| found.clone());
            let found = known.unwrap_or_else(|| {
                let found = self.read(place, token, deadline);
                read.push((place, found.clone()));
                found
            });
            values.push(found.and_then(|stored| self.pick(&stored, place)));
        }
        values
    }

    fn read(
        &self,
        place: &StorePlace,
        token: &ServerToken,
        deadline: Instant,
    ) -> Result<StoredFields> {
        if let Some(mount) = self.known_mount(&place.path) {
            let found = self.read_at(&mount, place, token, deadline);
            // It may have been mounted again, as something else.
            if !matches!(&found, Err(error) if error.code == Code::SecretNotFound) {
                return found;
            }
            self.forget_mount(&mount);
        } else if token.is_own
            && let Some(found) = self.guess(place, token, deadline)?
        {
            return found;
        }
        match self.find_mount(&place.path, token, deadline)? {
            Some(mount) => self.read_at(&mount, place, token, deadline),
            None => Err(self.refused(place, token, deadline)),
        }
    }

    /// The answer of KV 2, if the first part of the path is such a mount. Saves a request after that
    /// of the sign-in.
    fn guess(
        &self,
        place: &StorePlace,
        token: &ServerToken,
        deadline: Instant,
    ) -> Result<Option<Result<StoredFields>>> {
        let Some((first, _)) = place.path.split_once('/') else {
            return Ok(None);
        };
        let mount = Mount {
            path: format!("{first}/"),
            engine: MountEngine::KvTwo,
        };
        let reply = self.request(&mount, place, token, deadline)?;
        let data = reply.body.data::<VersionedData>();
        // KV 1 says how long its values last.
        let is_versioned = data.is_some() && reply.body.lease_duration() == 0;
        Ok(is_versioned.then(|| {
            self.remember_mount(&mount);
            self.versioned(&mount, place, &reply)
        }))
    }

    fn request(
        &self,
        mount: &Mount,
        place: &StorePlace,
        token: &ServerToken,
        deadline: Instant,
    ) -> Result<ServerReply> {
        let rest = place.path.strip_prefix(&mount.path).unwrap_or_default();
        let (path, query) = match mount.engine {
            MountEngine::KvTwo => (
                format!("{}data/{rest}", mount.path),
                place.version.as_ref().map(|n| format!("version={n}")),
            ),
            MountEngine::KvOne | MountEngine::Other => (place.path.clone(), None),
        };
        let mut request = ServerRequest::get(&path, &token.value);
        let query = query.unwrap_or_default();
        request.query = &query;
        self.ask(request, deadline)
    }

    fn read_at(
        &self,
        mount: &Mount,
        place: &StorePlace,
        token: &ServerToken,
        deadline: Instant,
    ) -> Result<StoredFields> {
        if place.version.is_some() && mount.engine != MountEngine::KvTwo {
            let cause = format!("`{}` keeps no versions", mount.path);
            return Err(self.invalid(&cause));
        }
        let reply = self.request(mount, place, token, deadline)?;
        match reply.status {
            403 => Err(self.refused(place, token, deadline)),
            200..=299 | 404 if mount.engine == MountEngine::KvTwo => {
                self.versioned(mount, place, &reply)
            }
            200..=299 => self.plain(mount, place, &reply, token, deadline),
            404 => Err(self.missing(mount, place)),
            status => Err(cannot_use(Code::StoreFailed, &self.name)
                .cause(format!(
                    "the server refused the request (HTTP status {status})"
                ))
                .hint("check the path of the reference")),
        }
    }

    /// An answer of KV 2.
    fn versioned(
        &self,
        mount: &Mount,
        place: &StorePlace,
        reply: &ServerReply,
    ) -> Result<StoredFields> {
        let Some(found) = reply.body.data::<VersionedData>() else {
            if reply.status == 404 {
                return Err(self.missing(mount, place));
            }
            return Err(self.unreadable());
        };
        let facts = found.metadata;
        if let Some(fields) = found.data {
            return Ok(StoredFields {
                fields,
                version: Some(facts.version.to_string()),
                expires: facts.deletion_time.parse().ok(),
            });
        }
        let version = facts.version;
        let (what, hint) = if facts.destroyed {
            ("destroyed", "write a new version")
        } else {
            (
                "deleted",
                "run `bao kv undelete` to restore it, or write a new version",
            )
        };
        let error = Error::new(Code::SecretDeleted, self.cannot_read()).of_store(&self.name);
        Err(error
            .cause(format!("version {version} was {what}"))
            .hint(hint))
    }

    /// An answer of KV 1, or of another engine.
    fn plain(
        &self,
        mount: &Mount,
        place: &StorePlace,
        reply: &ServerReply,
        token: &ServerToken,
        deadline: Instant,
    ) -> Result<StoredFields> {
        if let Some(lease) = reply.body.lease() {
            let seconds = reply.body.lease_duration();
            let fate = self.give_back(lease, seconds, token, deadline);
            let error = Error::new(Code::ReferenceIsMint, self.cannot_read());
            return Err(error
                .of_store(&self.name)
                .cause(format!("each read of it makes a new credential; {fate}"))
                .hint(format!(
                    "write a `[mint.NAME]` table with `path = \"{}\"`, and refer to `mint:NAME#FIELD`",
                    place.path
                )));
        }
        if reply.body.data.is_none() {
            return Err(self.missing(mount, place));
        }
        let Some(fields) = reply.body.data() else {
            return Err(self.unreadable());
        };
        Ok(StoredFields {
            fields,
            version: None,
            expires: None,
        })
    }

    /// Revokes a lease that a read made, and says what became of it.
    pub(super) fn give_back(
        &self,
        lease: &str,
        seconds: u64,
        token: &ServerToken,
        deadline: Instant,
    ) -> String {
        let body = json!({ "lease_id": lease });
        let request = ServerRequest::post("sys/leases/revoke", &body).with_token(&token.value);
        let is_done = |sent: Result<ServerReply>| sent.is_ok_and(|reply| reply.is_ok());
        // The policy `default` does not allow it, but a token may end itself, with its leases.
        let empty = json!({});
        let own = ServerRequest::post("auth/token/revoke-self", &empty).with_token(&token.value);
        if is_done(self.ask(request, deadline)) || token.is_own && is_done(self.ask(own, deadline))
        {
            "the one just made was withdrawn".to_owned()
        } else {
            format!("the one just made ends in {seconds} s")
        }
    }

    /// Why a read was refused: the token is dead, or it may not.
    pub(super) fn refused(
        &self,
        place: &StorePlace,
        token: &ServerToken,
        deadline: Instant,
    ) -> Error {
        match self.look_up(&token.value, deadline) {
            Ok(None) => self.signed_out(),
            Ok(Some(_)) => {
                let first = place.path.split('/').next().unwrap_or_default();
                cannot_use(Code::StoreDenied, &self.name)
                    .cause(format!(
                        "the token may not read `{}`, or nothing is mounted at `{first}/`",
                        place.path
                    ))
                    .hint("ask for a policy with the capability `read`; with KV 2, `data/` follows the mount in it")
            }
            Err(error) => error,
        }
    }

    fn missing(&self, mount: &Mount, place: &StorePlace) -> Error {
        let error = Error::new(Code::SecretNotFound, self.cannot_read()).of_store(&self.name);
        let rest = place.path.strip_prefix(&mount.path).unwrap_or_default();
        let cause = match &place.version {
            Some(version) => format!("`{}` has no `{rest}` with version {version}", mount.path),
            None => format!("`{}` has no `{rest}`", mount.path),
        };
        let error = error.cause(cause);
        if mount.engine == MountEngine::KvTwo && rest.starts_with("data/") {
            return error.hint("leave out `data/`, which is part of the API and not of the path");
        }
        error.hint(format!(
            "run `bao kv list {}` to see what is there",
            mount.path
        ))
    }

    fn unreadable(&self) -> Error {
        cannot_use(Code::StoreAnswerInvalid, &self.name)
            .cause("the answer is not one of a secrets engine that keeps fields")
    }
}

/// Whether other paths will fail in the same way.
const fn concerns_all(error: &Error) -> bool {
    matches!(
        error.code,
        Code::StoreSignedOut
            | Code::StoreUnavailable
            | Code::StoreThrottled
            | Code::StoreTimeout
            | Code::StoreAnswerInvalid
    )
}
