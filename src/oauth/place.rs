//! One owner of tokens: its item in the store, its lock, its client.

use std::fmt::Display;
use std::fs::{File, TryLockError};
use std::time::{Duration, Instant};

use super::address::WebAddress;
use super::approval;
use super::client::{ClientCredentials, ClientSource, OAuthClient};
use super::discovery::{self, Discovery};
use super::exchange::Exchange;
use super::exchange::process::ProcessExchange;
use super::index::{OAuthIndex, RefreshFailure};
use super::item::{self, TokenItem};
use super::network::network;
use super::owner::TokenOwner;
use crate::bridge::channel::SecretText;
use crate::dirs::Dirs;
use crate::error::{CauseKind, Code, Error, Result};
use crate::files::{self, Problem};
use crate::grant;
use crate::policy::remote::{OAuthGrant, OAuthTable};
use crate::policy::template::{self, Piece};
use crate::policy::{MintRules, OAuthMint, Policy};
use crate::secret::{Keys, MintName, SecretName};
use crate::store::Store;

/// The tokens of one owner, and all that belongs to them.
#[derive(Clone, Copy)]
pub struct TokenPlace<'a> {
    pub dirs: &'a Dirs,
    pub store: &'a dyn Store,
    pub policy: &'a Policy,
    pub rules: &'a OAuthTable,
    /// The address of the remote server as the policy writes it, or of the authorization server of a mint.
    url: &'a str,
    mint: Option<(&'a MintName, &'a MintRules, &'a OAuthMint)>,
}

impl std::fmt::Debug for TokenPlace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenPlace({})", self.policy.server)
    }
}

impl<'a> TokenPlace<'a> {
    /// The tokens of the remote server of a policy.
    ///
    /// # Errors
    /// `policy-invalid` if the policy has no `[oauth]`.
    pub fn new(dirs: &'a Dirs, store: &'a dyn Store, policy: &'a Policy) -> Result<Self> {
        let remote = policy.remote.as_ref();
        let found = remote.and_then(|remote| Some((&*remote.url, remote.oauth.as_ref()?)));
        let (url, rules) = found.ok_or_else(|| needs_no_login(policy))?;
        Ok(Self {
            dirs,
            store,
            policy,
            rules,
            url,
            mint: None,
        })
    }

    /// The tokens of this owner, whose policy is `policy`.
    ///
    /// # Errors
    /// `policy-invalid` if the policy has nothing like it anymore.
    pub fn of(
        dirs: &'a Dirs,
        store: &'a dyn Store,
        policy: &'a Policy,
        owner: &TokenOwner,
    ) -> Result<Self> {
        let Some(mint) = &owner.mint else {
            return Self::new(dirs, store, policy);
        };
        let found = policy.mints.get_key_value(mint);
        let found = found.and_then(|(name, rules)| Some((name, rules, rules.oauth()?)));
        let mint = found.ok_or_else(|| needs_no_login(policy))?;
        let (_, _, oauth) = mint;
        Ok(Self {
            dirs,
            store,
            policy,
            rules: &oauth.rules,
            url: oauth.rules.issuer.as_deref().unwrap_or_default(),
            mint: Some(mint),
        })
    }

    /// Whose tokens these are.
    pub fn owner(&self) -> TokenOwner {
        TokenOwner {
            mint: self.mint.map(|(name, ..)| name.clone()),
            ..TokenOwner::remote(&self.policy.server, self.policy.profile.as_ref())
        }
    }

    /// Whether they are those of a mint.
    pub const fn is_of_mint(&self) -> bool {
        self.mint.is_some()
    }

    /// Whether a token has to be refreshed before it is used. A local server keeps its token until it is
    /// replaced, so that a token has to be good for a while.
    pub fn is_due(&self, item: &TokenItem, now: i64) -> bool {
        match self.mint {
            None => item.is_due(now),
            Some((_, rules, _)) => item.is_aged(now, rules.min_life),
        }
    }

    /// How long a token has to live for a local server; `None` for a remote one.
    pub fn min_life(&self) -> Option<Duration> {
        self.mint.map(|(_, rules, _)| rules.min_life)
    }

    /// Whether a token that is due can be used nevertheless. Times are whole seconds: one may be missing.
    pub fn is_usable(&self, item: &TokenItem, now: i64) -> bool {
        let needed = self
            .min_life()
            .map_or(0, |life| life.as_secs().saturating_sub(1));
        !item.is_over(now.saturating_add(i64::try_from(needed).unwrap_or(i64::MAX)))
    }

    /// Asks the server and its authorization server how a token is obtained.
    ///
    /// # Errors
    /// `oauth-unreachable`, `oauth-failed`; those of [`Self::server`].
    pub fn discover(&self, exchange: &dyn Exchange) -> Result<Discovery> {
        let address = self.server()?;
        match &self.policy.remote {
            Some(remote) if self.mint.is_none() => {
                discovery::discover(exchange, &address, self.rules, remote.transport)
            }
            _ => discovery::of_issuer(exchange, &address, self.rules),
        }
    }

    /// The error when only the user can go on.
    pub fn login_needed(&self, cause: impl Display) -> Error {
        login_needed(&self.owner(), cause)
    }

    /// The address of the remote server as the policy writes it, or of the authorization server of a mint.
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
        self.owner().item_name()
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
            Some(discovery::OMIT) => item.resource.is_none(),
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
        let what = format!("cannot use the OAuth token of {}", self.owner().shown());
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
                    let error = Error::new(Code::OAuthUnreachable, what);
                    let why = "another process is refreshing it and has no answer yet";
                    let error = error.cause_of(CauseKind::Unreachable, why);
                    return Err(error.hint("try again in a few seconds"));
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
        let renewable = item.refresh.is_some() || self.is_for_client();
        let owner = self.owner();
        let noted =
            OAuthIndex::update(self.dirs, |index| index.note(&name, owner, item, renewable));
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
        if let Err(error) = OAuthIndex::note_failure(self.dirs, &name, failure) {
            tracing::warn!("{}", error.text());
        }
    }

    /// The secret and the key of the policy's client. They leave mcpwrap only if the policy is granted.
    ///
    /// # Errors
    /// Those of a grant that does not match; `secret-not-found` and others of the store;
    /// `secret-unusable`; `policy-invalid`.
    pub fn credentials(&self, keys: &Keys) -> Result<ClientCredentials> {
        let has_any = match self.mint {
            None => self.rules.client_secret.is_some() || self.rules.private_key.is_some(),
            Some((_, _, oauth)) => oauth.client_secret.is_some() || oauth.private_key.is_some(),
        };
        if !has_any {
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
        if let Some((_, _, oauth)) = self.mint {
            let read =
                |name: &Option<SecretName>| name.as_ref().map(|name| self.text(name)).transpose();
            return Ok(ClientCredentials {
                secret: read(&oauth.client_secret)?,
                key: read(&oauth.private_key)?,
            });
        }
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
                    filled.push_str(self.text(name)?.as_str());
                }
            }
        }
        Ok(SecretText::new(filled))
    }

    fn text(&self, name: &SecretName) -> Result<SecretText> {
        let found = self.store.get(name)?;
        let text = item::text_of(name, &found.value)?;
        Ok(SecretText::new(text.as_str().trim_end().to_owned()))
    }

    /// Exchanges through the approved network settings.
    ///
    /// # Errors
    /// `network-changed`; those of the store.
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

/// The error when only the user can go on.
pub fn login_needed(owner: &TokenOwner, cause: impl Display) -> Error {
    let what = format!("no valid OAuth token for {}", owner.shown());
    Error::new(Code::LoginNeeded, what)
        .cause(cause)
        .hint(format!("run `{}`", owner.login_command()))
}

/// The error for a policy without OAuth.
pub fn needs_no_login(policy: &Policy) -> Error {
    let server = &policy.server;
    let what = format!("server `{server}` needs no login");
    let error = Error::new(Code::PolicyInvalid, what);
    match &policy.remote {
        None => error
            .cause("it is a local server, and its policy has no `[mint.NAME]` of type `oauth`")
            .hint("docs/stores.md says how a local server gets the token of an account"),
        Some(_) => error.cause("its policy has no `[oauth]`").hint(format!(
            "run `mcpwrap policy edit {server}` and add `[oauth]` if the server asks for OAuth"
        )),
    }
}
