//! The user's approval of a login: who grants tokens for a server, to which client, with which scopes.
//!
//! One file per policy and profile, sealed with a key from the store. Invariant: an approval that was
//! not sealed here, or for another issuer, client, resource, redirect or wider scopes, counts as none.

use std::path::PathBuf;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::scope::ScopeSet;
use crate::dirs::Dirs;
use crate::error::{Code, Result};
use crate::files;
use crate::secret::{Keys, SecretName, hex};

/// What the user approves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginTerms {
    /// The address of the server, as the policy writes it.
    pub url: String,
    pub issuer: String,
    /// The ID of the client, or `None` if mcpwrap registers itself.
    pub client_id: Option<String>,
    pub resource: Option<String>,
    /// Empty: those that the authorization server chooses.
    pub scope: ScopeSet,
    /// What is fixed of the address to which the browser returns; `None` without a browser.
    pub redirect: Option<String>,
}

/// The content of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovalFile {
    version: u32,
    at: Timestamp,
    seal: String,
    terms: LoginTerms,
}

impl LoginTerms {
    /// Whether an approval of these terms is one of the other terms, too.
    fn cover(&self, other: &Self) -> bool {
        let scope = if other.scope.is_empty() {
            self.scope.is_empty()
        } else {
            other.scope.is_within(&self.scope)
        };
        scope
            && *self
                == Self {
                    scope: self.scope.clone(),
                    ..other.clone()
                }
    }
}

fn path(dirs: &Dirs, name: &SecretName) -> PathBuf {
    let file = name.as_str().trim_start_matches("oauth/").replace('/', "@");
    dirs.oauth().join("logins").join(format!("{file}.toml"))
}

/// Whether the user approved a login on these terms.
pub fn is_approved(dirs: &Dirs, keys: &Keys, name: &SecretName, terms: &LoginTerms) -> bool {
    approved(dirs, keys, name).is_some_and(|approved| approved.cover(terms))
}

/// The terms that the user approved.
pub fn approved(dirs: &Dirs, keys: &Keys, name: &SecretName) -> Option<LoginTerms> {
    let bytes = files::read_private(&path(dirs, name)).ok()?;
    let file: ApprovalFile = toml::from_slice(&bytes).ok()?;
    let found = base16ct::mixed::decode_vec(&file.seal).ok()?;
    let mac = mac(keys, name, &file.terms, file.at);
    mac.verify_slice(&found).ok().map(|()| file.terms)
}

/// Seals an approval.
///
/// # Errors
/// `file-unusable`, `file-not-private`.
pub fn approve(dirs: &Dirs, keys: &Keys, name: &SecretName, terms: &LoginTerms) -> Result<()> {
    let now = Timestamp::now();
    let at = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let file = ApprovalFile {
        version: 1,
        at,
        seal: hex(&mac(keys, name, terms, at).finalize().into_bytes()),
        terms: terms.clone(),
    };
    let text = toml::to_string(&file).expect("an approval has plain fields only");
    let path = path(dirs, name);
    files::replace(&path, text.as_bytes()).map_err(|problem| {
        let shown = dirs.tilde(&path);
        problem.explain(
            Code::FileUnusable,
            "cannot store the approval of the login",
            &shown,
        )
    })
}

/// Removes an approval, if there is one.
///
/// # Errors
/// `file-unusable`.
pub fn withdraw(dirs: &Dirs, name: &SecretName) -> Result<()> {
    let path = path(dirs, name);
    files::remove(&path).map_err(|problem| {
        let shown = dirs.tilde(&path);
        problem.explain(
            Code::FileUnusable,
            "cannot remove the approval of the login",
            &shown,
        )
    })
}

fn mac(keys: &Keys, name: &SecretName, terms: &LoginTerms, at: Timestamp) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&*keys.seal).expect("HMAC takes any key");
    mac.update(format!("login v1\n{name}\n{at}\n").as_bytes());
    mac.update(&serde_json::to_vec(terms).expect("terms have plain fields only"));
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn terms() -> LoginTerms {
        LoginTerms {
            url: "https://mcp.example/mcp".into(),
            issuer: "https://as.example".into(),
            client_id: None,
            resource: Some("https://mcp.example/mcp".into()),
            scope: ScopeSet::parse("read write"),
            redirect: Some("http://127.0.0.1:*/callback".into()),
        }
    }

    #[test]
    fn only_the_same_or_narrower_terms_are_approved() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let keys = Keys::from_master(&Secret::new(b"ours".to_vec()));
        let name: SecretName = "oauth/linear/prod".parse().unwrap();
        let is = |terms: &LoginTerms| is_approved(&dirs, &keys, &name, terms);
        assert!(!is(&terms()));
        approve(&dirs, &keys, &name, &terms()).unwrap();
        assert!(is(&terms()));
        let with = |change: fn(&mut LoginTerms)| {
            let mut other = terms();
            change(&mut other);
            is(&other)
        };
        assert!(with(|terms| terms.scope = ScopeSet::parse("write")));
        assert!(!with(|terms| terms.scope = ScopeSet::parse("read admin")));
        assert!(!with(|terms| terms.scope = ScopeSet::default()));
        assert!(!with(|terms| terms.issuer = "https://as.example/".into()));
        assert!(!with(|terms| terms.client_id = Some("c1".into())));
        assert!(!with(|terms| terms.resource = None));
        assert!(!with(|terms| terms.url = "https://mcp.example/other".into()));
        assert!(!with(|terms| terms.redirect = None));
        let other = Keys::from_master(&Secret::new(b"other".to_vec()));
        assert!(!is_approved(&dirs, &other, &name, &terms()));
        let plain: SecretName = "oauth/linear".parse().unwrap();
        assert!(!is_approved(&dirs, &keys, &plain, &terms()));
        let path = path(&dirs, &name);
        let text = std::fs::read_to_string(&path).unwrap();
        for (from, to) in [
            ("read write", "read write admin"),
            ("at = \"2", "at = \"1"),
            ("version = 1\n", ""),
        ] {
            assert!(text.contains(from), "{from}");
            files::replace(&path, text.replacen(from, to, 1).as_bytes()).unwrap();
            assert!(!is(&terms()), "{from}");
        }
        withdraw(&dirs, &name).unwrap();
        withdraw(&dirs, &name).unwrap();
    }
}
