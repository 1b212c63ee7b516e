//! `[mint.NAME]` with `type = "github-app"`: an installation token that is narrower than its App.

use std::collections::BTreeMap;

use super::mint_table::{MintFault, MintTable, address, needs, plain_secret, refuse, store_fields};
use super::plain::ascii;
use crate::secret::SecretName;

/// The API of github.com.
const GITHUB_API: &str = "https://api.github.com";

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

impl GithubApp {
    pub(super) fn new(table: &MintTable) -> Result<Self, MintFault> {
        refuse(&store_fields(table), "not for `type = \"github-app\"`")?;
        let text = |field, value: &Option<String>, what: &str| match value {
            None => Err(needs(field, what)),
            Some(value) if is_plain(value, b"-_.") => Ok(value.clone()),
            Some(_) => Err((field, format!("expected {what}"))),
        };
        let app = text("app", &table.app, "the client ID of the App")?;
        let installation = text("installation", &table.installation, "a number or an owner")?;
        let key = table.key.as_deref();
        let key = key.ok_or_else(|| needs("key", "`secret:NAME`"))?;
        let key = plain_secret("key", key)?;
        let api = table
            .api
            .as_deref()
            .unwrap_or(GITHUB_API)
            .trim_end_matches('/');
        if address("api", api)?.has_query {
            return Err(("api", "the address of an API has no query".to_owned()));
        }
        narrowing(table)?;
        Ok(Self {
            app,
            installation,
            key,
            repositories: table.repositories.clone(),
            permissions: table.permissions.clone(),
            api: api.to_owned(),
        })
    }

    pub(super) fn shown(&self) -> String {
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

fn is_plain(text: &str, more: &[u8]) -> bool {
    (1..=100).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
}
