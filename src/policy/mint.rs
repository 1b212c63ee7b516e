//! `[mint.NAME]`: short-lived credentials that are made for one session of one server.
//!
//! What is narrow about a credential (repositories, permissions, a role) is in the policy, under its grant.
//! Which program or service makes it is a store of `config.toml`, because that differs between machines.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::plain::{ascii, word};
use crate::config::stores;
use crate::reference::{Reference, StorePlace};
use crate::secret::{SecretName, StoreName};

/// The shortest life that a server is started with.
const MIN_LIFE: Duration = Duration::from_mins(2);
/// The API of github.com.
const GITHUB_API: &str = "https://api.github.com";

/// What makes a short-lived credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MintType {
    /// An installation token of a GitHub App.
    GithubApp,
    /// A dynamic role of a Vault or OpenBao store.
    Vault,
    /// A role of AWS, by a store that runs the AWS program.
    AwsSts,
    /// A program in the form of AWS's `credential_process`, which a store names.
    CredentialProcess,
    /// A program that speaks `mcpwrap-store-v1`, which a store names.
    Exec,
}

impl MintType {
    /// The type of the store that makes it.
    pub const fn store_type(self) -> Option<&'static str> {
        match self {
            Self::GithubApp => None,
            Self::Vault => Some("vault"),
            Self::AwsSts => Some("aws-sts"),
            Self::CredentialProcess => Some("credential-process"),
            Self::Exec => Some("exec"),
        }
    }
}

/// What happens to a credential when its server has exited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnExit {
    /// It is withdrawn at its issuer, if that is possible.
    #[default]
    Revoke,
    /// It lives until its end.
    Leave,
}

/// A short-lived credential that is made for one session. `from = "mint:NAME"` or `mint:NAME#FIELD` in
/// `[secrets.VARIABLE]` passes it to the server.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MintTable {
    /// What makes it.
    #[serde(rename = "type")]
    pub(super) kind: MintType,
    /// The store of `config.toml` that makes it; not for `github-app`.
    #[serde(default)]
    pub(super) store: Option<String>,
    /// The role in the store: `database/creds/ro`, or the ARN of a role of AWS.
    #[serde(default)]
    pub(super) path: Option<String>,
    /// The client ID of the GitHub App.
    #[serde(default)]
    pub(super) app: Option<String>,
    /// The installation of the App: its number, or the owner of the repositories.
    #[serde(default)]
    pub(super) installation: Option<String>,
    /// The private key of the App: `secret:NAME`. It never reaches the server.
    #[serde(default)]
    pub(super) key: Option<String>,
    /// The repositories that the token can use, without their owner. Required for `github-app`.
    #[serde(default)]
    pub(super) repositories: Vec<String>,
    /// What the token may do, e.g. `{ contents = "read" }`. Required for `github-app`.
    #[serde(default)]
    pub(super) permissions: BTreeMap<String, String>,
    /// The address of the API of a GitHub Enterprise Server, e.g. `https://HOST/api/v3`.
    #[serde(default)]
    pub(super) api: Option<String>,
    /// The life that is asked for, e.g. `1h`, where the issuer lets one choose.
    #[serde(default)]
    pub(super) life: Option<String>,
    /// A credential with a shorter life is refused (default `2m`), because the server would be replaced
    /// all the time.
    #[serde(default)]
    pub(super) min_life: Option<String>,
    /// What happens to it when the server has exited.
    #[serde(default)]
    pub(super) on_exit: OnExit,
}

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
}

/// An installation of a GitHub App, and what a token of it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GithubApp {
    /// The client ID.
    pub app: String,
    /// A number, or the owner of the repositories.
    pub installation: String,
    pub key: SecretName,
    pub repositories: Vec<String>,
    pub permissions: BTreeMap<String, String>,
    /// The address of the API, without a slash at the end.
    pub api: String,
}

/// The field at fault, and why.
pub(super) type MintFault = (&'static str, String);

impl MintRules {
    /// Checks the fields against each other.
    pub(super) fn new(table: &MintTable, line: usize) -> Result<Self, MintFault> {
        let source = match table.kind {
            MintType::GithubApp => MintSource::GithubApp(github_app(table)?),
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
            MintSource::GithubApp(_) => None,
        }
    }

    /// The secret of the local store that it needs itself.
    pub const fn secret(&self) -> Option<&SecretName> {
        match &self.source {
            MintSource::Store { .. } => None,
            MintSource::GithubApp(app) => Some(&app.key),
        }
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

impl GithubApp {
    fn shown(&self) -> String {
        let Self {
            app,
            installation,
            key,
            repositories,
            permissions,
            api,
        } = self;
        let permissions: Vec<_> = permissions
            .iter()
            .map(|(name, level)| format!("{name}: {level}"))
            .collect();
        let at = match api.as_str() {
            GITHUB_API => String::new(),
            other => format!(", at {}", ascii(other)),
        };
        format!(
            "token of GitHub App {} in {}, repositories {}; {} (key secret:{key}){at}",
            ascii(app),
            ascii(installation),
            ascii(&repositories.join(", ")),
            ascii(&permissions.join(", ")),
        )
    }
}

fn store(table: &MintTable, kind: MintType) -> Result<MintSource, MintFault> {
    for (field, is_set) in [
        ("app", table.app.is_some()),
        ("installation", table.installation.is_some()),
        ("key", table.key.is_some()),
        ("repositories", !table.repositories.is_empty()),
        ("permissions", !table.permissions.is_empty()),
        ("api", table.api.is_some()),
    ] {
        if is_set {
            return Err((field, "only for `type = \"github-app\"`".to_owned()));
        }
    }
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

fn github_app(table: &MintTable) -> Result<GithubApp, MintFault> {
    for (field, is_set) in [
        ("store", table.store.is_some()),
        ("path", table.path.is_some()),
    ] {
        if is_set {
            return Err((field, "not for `type = \"github-app\"`".to_owned()));
        }
    }
    let text = |field, value: &Option<String>, what: &str| match value {
        None => Err(needs(field, what)),
        Some(value) if is_plain(value, b"-_.") => Ok(value.clone()),
        Some(_) => Err((field, format!("expected {what}"))),
    };
    let app = text("app", &table.app, "the client ID of the App")?;
    let installation = text("installation", &table.installation, "a number or an owner")?;
    let key = table.key.as_deref();
    let Ok(Reference::Local(key)) =
        Reference::new(key.ok_or_else(|| needs("key", "`secret:NAME`"))?)
    else {
        let why = "expected `secret:NAME`; a key does not belong in a policy";
        return Err(("key", why.to_owned()));
    };
    if key.is_internal() {
        let why = "`oauth/`, `oauth-client/` and `withdraw/` hold what mcpwrap gets by itself";
        return Err(("key", why.to_owned()));
    }
    let api = table
        .api
        .as_deref()
        .unwrap_or(GITHUB_API)
        .trim_end_matches('/');
    if !api.starts_with("https://") && !api.starts_with("http://127.0.0.1:") {
        return Err(("api", "expected an `https:` address".to_owned()));
    }
    narrowing(table)?;
    Ok(GithubApp {
        app,
        installation,
        key,
        repositories: table.repositories.clone(),
        permissions: table.permissions.clone(),
        api: api.to_owned(),
    })
}

/// What a token can use and do has no default: without it, a token has all that the App has.
fn narrowing(table: &MintTable) -> Result<(), MintFault> {
    let names = &table.repositories;
    if names.is_empty() {
        return Err(needs("repositories", "a token without them can use all"));
    }
    if names.len() > 500 || !names.iter().all(|name| is_plain(name, b"-_.")) {
        let why = "expected at most 500 names, without their owner";
        return Err(("repositories", why.to_owned()));
    }
    let permissions = &table.permissions;
    if permissions.is_empty() {
        return Err(needs(
            "permissions",
            "a token without them has all of the App",
        ));
    }
    let is_level = |level: &String| matches!(level.as_str(), "read" | "write" | "admin");
    if permissions.keys().all(|name| is_plain(name, b"_")) && permissions.values().all(is_level) {
        return Ok(());
    }
    let why = "expected names of permissions, each with `read`, `write` or `admin`";
    Err(("permissions", why.to_owned()))
}

fn needs(field: &str, what: &str) -> MintFault {
    ("type", format!("needs `{field}`: {what}"))
}

fn is_plain(text: &str, more: &[u8]) -> bool {
    (1..=100).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
}
