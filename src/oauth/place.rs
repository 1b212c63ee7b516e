//! One policy and profile with OAuth: its item in the store, its lock, its client.

use std::cell::Cell;
use std::fs::{File, TryLockError};
use std::time::{Duration, Instant};

use super::address::WebAddress;
use super::approval;
use super::client::{ClientCredentials, ClientSource, OAuthClient};
use super::exchange::process::ProcessExchange;
use super::health::login_command;
use super::index::{OAuthIndex, RefreshFailure};
use super::item::{self, TokenItem};
use crate::bridge::channel::{BridgeNetwork, SecretText};
use crate::dirs::Dirs;
use crate::error::{CauseKind, Code, Error, Result};
use crate::files::{self, Problem};
use crate::grant;
use crate::network;
use crate::policy::Policy;
use crate::policy::remote::{OAuthGrant, OAuthTable};
use crate::policy::template::{self, Piece};
use crate::secret::{Keys, SecretName};
use crate::store::Store;

/// The tokens of one policy and profile, and all that belongs to them.
#[derive(Clone, Copy)]
pub struct TokenPlace<'a> {
    pub dirs: &'a Dirs,
    pub store: &'a dyn Store,
    pub policy: &'a Policy,
    pub rules: &'a OAuthTable,
    url: &'a str,
}

impl std::fmt::Debug for TokenPlace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenPlace({})", self.policy.server)
    }
}

impl<'a> TokenPlace<'a> {
    /// # Errors
    /// `policy-invalid` if the policy has no `[oauth]`.
    pub fn new(dirs: &'a Dirs, store: &'a dyn Store, policy: &'a Policy) -> Result<Self> {
        let remote = policy.remote.as_ref();
        let found = remote.and_then(|remote| Some((&*remote.url, remote.oauth.as_ref()?)));
        let Some((url, rules)) = found else {
            let server = &policy.server;
            return Err(Error::new(
                Code::PolicyInvalid,
                format!("server `{server}` needs no login"),
            )
            .cause(match remote {
                None => "it is a local server: its policy has a `command`",
                Some(_) => "its policy has no `[oauth]`",
            })
            .hint(format!(
                "run `mcpwrap policy edit {server}` and add `[oauth]` if the server asks for OAuth"
            )));
        };
        Ok(Self {
            dirs,
            store,
            policy,
            rules,
            url,
        })
    }

    /// The address of the server as the policy writes it.
    pub fn url(&self) -> &str {
        self.url
    }

    /// The address of the server.
    ///
    /// # Errors
    /// `policy-invalid` if it is not an address. A policy with `[oauth]` has no secret in it.
    pub fn server(&self) -> Result<WebAddress> {
        let invalid = |why: &str| {
            let what = format!(
                "cannot use the `url` of server `{}` with OAuth",
                self.policy.server
            );
            Error::new(Code::PolicyInvalid, what).cause(why)
        };
        WebAddress::parse(self.url).map_err(invalid)
    }

    /// The name of its item in the store.
    ///
    /// # Errors
    /// `name-invalid`.
    pub fn name(&self) -> Result<SecretName> {
        item::token_name(&self.policy.server, self.policy.profile.as_ref())
    }

    pub fn is_for_client(&self) -> bool {
        self.rules.grant == OAuthGrant::ClientCredentials
    }

    /// The tokens, if they are of what the policy says now.
    ///
    /// # Errors
    /// Those of the store.
    pub fn item(&self) -> Result<Option<TokenItem>> {
        let found = item::read_token(self.store, &self.name()?)?;
        Ok(found.filter(|item| self.applies(item)))
    }

    fn applies(&self, item: &TokenItem) -> bool {
        let rules = self.rules;
        let same = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        let id = rules
            .client_id
            .as_ref()
            .or(rules.client_metadata_url.as_ref());
        let source = match (&rules.client_id, &rules.client_metadata_url) {
            (Some(_), _) => item.client.source == ClientSource::Policy,
            (None, Some(_)) => item.client.source != ClientSource::Policy,
            (None, None) => item.client.source == ClientSource::Registered,
        };
        let resource = match rules.resource.as_deref() {
            Some(super::discovery::OMIT) => item.resource.is_none(),
            Some(resource) => item.resource.as_deref() == Some(resource),
            None => true,
        };
        item.url == self.url
            && source
            && resource
            && same(&rules.issuer, &item.issuer)
            && (item.client.source == ClientSource::Registered
                || id.is_none_or(|id| *id == item.client.id))
    }

    /// Holds the lock of these tokens until it is dropped. Waits for `limit` at most.
    ///
    /// # Errors
    /// `oauth-unreachable` if another process holds it for longer; `file-unusable`.
    pub fn lock(&self, limit: Duration) -> Result<File> {
        let name = self.name()?;
        let file = name.as_str().trim_start_matches("oauth/").replace('/', "@");
        let path = self.dirs.oauth().join(format!("{file}.lock"));
        let what = format!(
            "cannot use the OAuth token of server `{}`",
            self.policy.server
        );
        let shown = self.dirs.tilde(&path);
        let failed = |problem: Problem| problem.explain(Code::FileUnusable, what.clone(), &shown);
        files::ensure_dir(&self.dirs.oauth()).map_err(failed)?;
        let lock = files::open_write(&path).map_err(failed)?;
        let deadline = Instant::now() + limit;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::Error(error)) => return Err(failed(Problem::Io(error))),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(Error::new(Code::OAuthUnreachable, what).cause_of(
                        CauseKind::Unreachable,
                        "another process is refreshing it and has no answer yet",
                    ));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// The generation after this one. The index may know a later one: of tokens that are gone.
    pub fn next_generation(&self, after: u64) -> u64 {
        let known = OAuthIndex::load(self.dirs).map_or(0, |index| index.generation);
        after.max(known) + 1
    }

    /// Writes tokens, and then the facts about them.
    ///
    /// # Errors
    /// Those of the store. An index that cannot be written is no error: the tokens are stored.
    pub fn keep(&self, item: &TokenItem) -> Result<()> {
        let name = self.name()?;
        item::write(self.store, &name, item)?;
        let whose = (&self.policy.server, self.policy.profile.as_ref());
        let renewable = item.refresh.is_some() || self.is_for_client();
        let noted =
            OAuthIndex::update(self.dirs, |index| index.note(&name, whose, item, renewable));
        if let Err(error) = noted {
            tracing::warn!("{}", error.text());
        }
        Ok(())
    }

    /// Records that a refresh failed.
    pub fn note_failure(&self, error: &Error, now: i64) {
        let Ok(name) = self.name() else { return };
        let failure = RefreshFailure {
            at: now,
            code: error.code.name().to_owned(),
        };
        let noted = OAuthIndex::update(self.dirs, |index| {
            if let Some(row) = index.tokens.get_mut(&name) {
                row.failed = Some(failure);
            }
        });
        if let Err(error) = noted {
            tracing::warn!("{}", error.text());
        }
    }

    /// The secret and the key of the policy's client. They leave mcpwrap only if the policy is granted.
    ///
    /// # Errors
    /// Those of a grant that does not match; `secret-not-found` and others of the store;
    /// `secret-unusable`; `policy-invalid`.
    pub fn credentials(&self, keys: &Keys) -> Result<ClientCredentials> {
        let (secret, key) = (&self.rules.client_secret, &self.rules.private_key);
        if secret.is_none() && key.is_none() {
            return Ok(ClientCredentials::default());
        }
        grant::find(self.dirs, self.policy)?.verify(keys)?;
        self.filled()
    }

    /// [`Self::credentials`] of a policy whose grant was withdrawn, to revoke its tokens at the issuer
    /// that the user approved.
    ///
    /// # Errors
    /// As [`Self::credentials`]; `login-needed` if the user approved no issuer.
    pub fn credentials_anyway(&self, keys: &Keys) -> Result<ClientCredentials> {
        self.credentials(keys).or_else(|error| {
            let is_approved = self
                .item()?
                .is_some_and(|item| self.is_issuer_approved(keys, &item.issuer));
            if is_approved {
                self.filled()
            } else {
                Err(error)
            }
        })
    }

    /// The secret and the key of this client, if it is the policy's, to revoke what was granted to it.
    /// The caller has the client from the store, where only what the user approved is written.
    pub fn credentials_of(&self, client: &OAuthClient) -> Option<ClientCredentials> {
        let is_own = client.source == ClientSource::Policy
            && self.rules.client_id.as_deref() == Some(&client.id);
        is_own.then(|| self.filled().ok())?
    }

    fn filled(&self) -> Result<ClientCredentials> {
        let (secret, key) = (&self.rules.client_secret, &self.rules.private_key);
        Ok(ClientCredentials {
            secret: secret.as_deref().map(|text| self.fill(text)).transpose()?,
            key: key.as_deref().map(|text| self.fill(text)).transpose()?,
        })
    }

    fn fill(&self, text: &str) -> Result<SecretText> {
        let invalid = || {
            let what = format!("cannot use `[oauth]` of server `{}`", self.policy.server);
            Error::new(Code::PolicyInvalid, what)
                .cause("`client_secret` or `private_key` names no secret of the policy")
        };
        let mut filled = String::new();
        for piece in template::parse(text).map_err(|_| invalid())? {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Secret(variable) => {
                    let slot = self.policy.secrets.get(variable).ok_or_else(invalid)?;
                    let name = slot.from.local().ok_or_else(invalid)?;
                    let found = self.store.get(name)?;
                    filled.push_str(item::text_of(name, &found.value)?.as_str().trim_end());
                }
            }
        }
        Ok(SecretText::new(filled))
    }

    /// Exchanges through the approved network settings.
    ///
    /// # Errors
    /// As [`network()`].
    pub fn exchange(&self, keys: &Keys) -> Result<ProcessExchange> {
        Ok(ProcessExchange::new(network(self.dirs, self.store, keys)?))
    }

    /// Whether the issuer of a client of its own is named in the granted policy, or was approved.
    pub fn is_issuer_approved(&self, keys: &Keys, issuer: &str) -> bool {
        let approved = || approval::approved(self.dirs, keys, &self.name().ok()?);
        self.rules.issuer.as_deref() == Some(issuer)
            || approved().is_some_and(|terms| terms.issuer == issuer && terms.url == self.url)
    }
}

/// The approved network settings of exchanges and bridges.
///
/// # Errors
/// `network-changed`; those of the store.
pub fn network(dirs: &Dirs, store: &dyn Store, keys: &Keys) -> Result<BridgeNetwork> {
    let found = network::verify(dirs, network::find(dirs)?, keys)?;
    let failed = Cell::new(None);
    let secret = |name: &SecretName| match store.get(name) {
        Ok(item) => Some(item.value),
        Err(error) => {
            failed.set(Some(error));
            None
        }
    };
    let proxy = match found.https_proxy(&secret) {
        None => None,
        Some(url) => Some(item::text_of(
            &SecretName::new("network/https-proxy")?,
            &url,
        )?),
    };
    // Without the approved proxy, the authorization server would be reached directly.
    match failed.take() {
        Some(error) => Err(error.hint("run `mcpwrap config network` to approve them again")),
        None => Ok(BridgeNetwork::new(&found, proxy)),
    }
}

/// The error when only the user can go on.
pub fn login_needed(policy: &Policy, cause: impl std::fmt::Display) -> Error {
    let server = &policy.server;
    let command = login_command(server, policy.profile.as_ref());
    Error::new(
        Code::LoginNeeded,
        format!("no valid OAuth token for server `{server}`"),
    )
    .cause(cause)
    .hint(format!("run `{command}`"))
}
