//! `[mint.NAME]`: short-lived credentials that are made for one session of one server.
//!
//! What is narrow about a credential (repositories, permissions, a role) is in the policy, under its grant.
//! Which program or service makes it is a store of `config.toml`, because that differs between machines.

use std::time::Duration;

use super::mint_github::GithubApp;
use super::mint_oauth::OAuthMint;
use super::mint_table::{MintFault, MintTable, github_fields, needs, refuse};
pub use super::mint_table::{MintType, OnExit};
use super::plain::{ascii, word};
use super::remote::OAuthGrant;
use crate::config::stores;
use crate::reference::StorePlace;
use crate::secret::{SecretName, StoreName};

/// The shortest life that a server is started with.
const MIN_LIFE: Duration = Duration::from_mins(2);

/// A checked `[mint.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MintRules {
    pub source: MintSource,
    pub life: Option<Duration>,
    pub min_life: Duration,
    pub on_exit: OnExit,
    /// The line of the table in the file, for messages.
    pub line: usize,
}

/// What makes a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MintSource {
    Store {
        kind: MintType,
        store: StoreName,
        path: String,
    },
    GithubApp(GithubApp),
    OAuth(Box<OAuthMint>),
}

impl MintRules {
    /// Checks the fields against each other.
    pub(super) fn new(table: &MintTable, line: usize) -> Result<Self, MintFault> {
        if table.kind != MintType::OAuth {
            not_oauth(table)?;
        }
        let source = match table.kind {
            MintType::OAuth => MintSource::OAuth(Box::new(OAuthMint::new(table)?)),
            MintType::GithubApp => MintSource::GithubApp(GithubApp::new(table)?),
            kind => store(table, kind)?,
        };
        let read = |field, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => stores::time(text)
                .filter(|time| !time.is_zero())
                .map(Some)
                .ok_or((
                    field,
                    "expected a time such as `90s`, `10m` or `1h`".to_owned(),
                )),
        };
        let asked = read("life", &table.life)?;
        if asked.is_some() && table.kind == MintType::GithubApp {
            return Err(("life", "GitHub fixes it: one hour".to_owned()));
        }
        if asked.is_some() && table.kind == MintType::OAuth {
            let why = "the authorization server decides it";
            return Err(("life", why.to_owned()));
        }
        Ok(Self {
            source,
            life: asked,
            min_life: read("min_life", &table.min_life)?.unwrap_or(MIN_LIFE),
            on_exit: table.on_exit,
            line,
        })
    }

    /// The store that makes the credential.
    pub const fn store(&self) -> Option<&StoreName> {
        match &self.source {
            MintSource::Store { store, .. } => Some(store),
            MintSource::GithubApp(_) | MintSource::OAuth(_) => None,
        }
    }

    /// The secret of the local store that it needs itself.
    pub fn secret(&self) -> Option<&SecretName> {
        match &self.source {
            MintSource::Store { .. } => None,
            MintSource::GithubApp(app) => Some(&app.key),
            MintSource::OAuth(oauth) => oauth.client_secret.as_ref().or(oauth.private_key.as_ref()),
        }
    }

    /// How its token is obtained, if it is the token of an account.
    pub const fn oauth(&self) -> Option<&OAuthMint> {
        match &self.source {
            MintSource::OAuth(oauth) => Some(oauth),
            MintSource::Store { .. } | MintSource::GithubApp(_) => None,
        }
    }

    /// Whether a credential that lives for so many seconds is refused. Lives are whole seconds, and some of
    /// it passed since it was made: one may be missing.
    pub const fn is_too_short(&self, seconds: u64) -> bool {
        seconds.saturating_add(1) < self.min_life.as_secs()
    }

    /// What a grant shows of it.
    pub fn shown(&self) -> String {
        let Self {
            source,
            life,
            min_life: _,
            on_exit,
            line: _,
        } = self;
        let mut text = match source {
            MintSource::Store { kind, store, path } => {
                format!("{} by store {store}: {}", word(*kind), ascii(path))
            }
            MintSource::GithubApp(app) => app.shown(),
            MintSource::OAuth(oauth) => oauth.shown(),
        };
        if let Some(life) = life {
            text.extend([", for ", &life.as_secs().to_string(), " s"]);
        }
        if *on_exit == OnExit::Leave {
            text.push_str(", not withdrawn at the end");
        }
        text
    }
}

fn store(table: &MintTable, kind: MintType) -> Result<MintSource, MintFault> {
    refuse(&github_fields(table), "only for `type = \"github-app\"`")?;
    let name = table.store.as_deref();
    let name = name.ok_or_else(|| needs("store", "a store of `config.toml`"))?;
    let store = StoreName::new(name);
    let store = store.map_err(|_| ("store", "not the name of a store".to_owned()))?;
    let path = table.path.as_deref();
    let path = path.ok_or_else(|| needs("path", "the role in the store"))?;
    match StorePlace::new(path) {
        Ok(place) if place.field.is_none() && place.version.is_none() => Ok(MintSource::Store {
            kind,
            store,
            path: place.path,
        }),
        _ => Err((
            "path",
            "not a path: no `//`, `..`, `#` or control characters".to_owned(),
        )),
    }
}

/// The fields of `oauth` alone.
fn not_oauth(table: &MintTable) -> Result<(), MintFault> {
    let fields = [
        ("issuer", table.issuer.is_some()),
        ("client_id", table.client_id.is_some()),
        ("client_secret", table.client_secret.is_some()),
        ("private_key", table.private_key.is_some()),
        ("scopes", !table.scopes.is_empty()),
        ("grant", table.grant != OAuthGrant::default()),
        ("redirect", table.redirect.is_some()),
        ("resource", table.resource.is_some()),
        ("pkce", table.pkce.is_some()),
    ];
    refuse(&fields, "only for `type = \"oauth\"`")
}
