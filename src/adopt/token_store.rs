//! The plaintext tokens of `mcp-remote` for a server: `~/.mcp-auth/*/HASH_tokens.json`, where the hash
//! is that of the server's address.
//!
//! Invariants: only files of this server are read and deleted, and no links are followed. The tokens
//! are not printed.

use std::path::{Path, PathBuf};

use md5::{Digest as _, Md5};
use serde::Deserialize;

use crate::audit::{Detail, Event, Log, NewRecord, Outcome};
use crate::bridge::channel::SecretText;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::io_text;
use crate::oauth::foreign::{self, ForeignEnd, ForeignToken};
use crate::ops::actor::Actor;
use crate::policy::Remote;
use crate::secret::{Keys, ServerName, hex};
use crate::store::Store;

/// A larger file is not read (bytes).
const BYTES_MAX: u64 = 1 << 20;

/// The tokens of one server in one directory.
#[derive(Debug)]
pub struct TokenStore {
    /// The file with the tokens, for the user.
    pub shown: String,
    /// It, and the other files of the server beside it.
    files: Vec<PathBuf>,
    token: ForeignToken,
}

#[derive(Deserialize)]
struct StoredTokens {
    access_token: SecretText,
    #[serde(default)]
    refresh_token: Option<SecretText>,
    /// Milliseconds of Unix time.
    #[serde(default)]
    expires_at: Option<f64>,
    #[serde(default)]
    issuer: Option<String>,
}

#[derive(Deserialize)]
struct StoredClient {
    client_id: String,
    #[serde(default)]
    client_secret: Option<SecretText>,
    #[serde(default)]
    token_endpoint_auth_method: Option<String>,
}

/// The tokens of a server. Some without a client are left out: nobody can revoke them.
pub fn find(dirs: &Dirs, remote: &Remote) -> Vec<TokenStore> {
    let root = dirs.home().join(".mcp-auth");
    let mut found = Vec::new();
    for dir in directories(&root) {
        for hash in hashes(remote) {
            found.extend(read(dirs, &dir, &hash));
        }
    }
    found
}

fn directories(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let is_dir = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut all: Vec<_> = entries.filter(is_dir).map(|entry| entry.path()).collect();
    all.sort();
    all
}

/// The names under which `mcp-remote` keeps what belongs to a server: with its headers, and without,
/// as older versions do.
fn hashes(remote: &Remote) -> Vec<String> {
    let hash = |text: &str| hex(&Md5::digest(text));
    let mut all = vec![hash(&remote.url)];
    if !remote.headers.is_empty() {
        let headers = serde_json::to_string(&remote.headers).unwrap_or_default();
        all.push(hash(&format!("{}|{headers}", remote.url)));
    }
    all
}

fn read(dirs: &Dirs, dir: &Path, hash: &str) -> Option<TokenStore> {
    let tokens = dir.join(format!("{hash}_tokens.json"));
    let token: StoredTokens = parse(&tokens)?;
    let client: StoredClient = parse(&dir.join(format!("{hash}_client_info.json")))?;
    let prefix = format!("{hash}_");
    let entries = std::fs::read_dir(dir).ok()?.flatten();
    let own = entries.filter(|entry| {
        let name = entry.file_name();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        is_file && name.to_string_lossy().starts_with(&prefix)
    });
    #[expect(clippy::cast_possible_truncation, reason = "a time, not a measure")]
    let seconds = |milliseconds: f64| (milliseconds / 1000.0) as i64;
    Some(TokenStore {
        shown: dirs.tilde(&tokens),
        files: own.map(|entry| entry.path()).collect(),
        token: ForeignToken {
            access: token.access_token,
            refresh: token.refresh_token,
            expires_at: token.expires_at.map(seconds),
            client_id: client.client_id,
            client_secret: client.client_secret,
            method: client.token_endpoint_auth_method,
            issuer: token.issuer,
        },
    })
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    let meta = path.symlink_metadata().ok()?;
    if !meta.is_file() || meta.len() > BYTES_MAX {
        return None;
    }
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

impl TokenStore {
    /// Revokes the tokens, and then deletes their files. The user agreed.
    ///
    /// # Errors
    /// As [`foreign::revoke`], and then nothing was deleted; `file-unusable` if a file stays;
    /// `audit-unwritable`.
    pub fn clear(
        self,
        dirs: &Dirs,
        (store, keys): (&dyn Store, &Keys),
        server: &ServerName,
        actor: Actor,
    ) -> Result<ForeignEnd> {
        let end = foreign::revoke(dirs, store, keys, server, self.token)?;
        let reason = match &end {
            ForeignEnd::Revoked => None,
            ForeignEnd::Kept(error) | ForeignEnd::Valid(error) => Some(error.code.name()),
        };
        let detail = Detail {
            file: Some(self.shown.clone()),
            ..actor.detail()
        };
        let record = NewRecord::new(Event::Logout, Outcome::Ok)
            .server(server)
            .detail(detail);
        let record = match reason {
            Some(reason) => record.reason(reason),
            None => record,
        };
        Log::open(dirs, Some(keys))?.append(&[record])?;
        for file in &self.files {
            std::fs::remove_file(file).map_err(|error| {
                let what = format!("cannot delete `{}`", dirs.tilde(file));
                Error::new(Code::FileUnusable, what).cause(io_text(&error))
            })?;
        }
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::policy::remote::RemoteTransport;

    #[test]
    fn the_hashes_of_mcp_remote() {
        let mut remote = Remote {
            url: "https://mcp.linear.app/sse".into(),
            transport: RemoteTransport::Auto,
            headers: BTreeMap::new(),
            oauth: None,
        };
        let plain = "2d1a8aae3765090858d82f5630192064";
        assert_eq!(hashes(&remote), [plain]);
        remote.headers.insert("X-B".into(), "2".into());
        remote.headers.insert("X-A".into(), "1".into());
        let with_headers = "e683776da510ef184aed621149cc2a54";
        assert_eq!(hashes(&remote), [plain, with_headers]);
    }
}
