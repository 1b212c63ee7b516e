//! The text of `[mint.NAME]` in a policy, before it is checked.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::remote::{OAuthGrant, Pkce};
use super::template;
use super::web::RemoteUrl;
use crate::reference::Reference;
use crate::secret::SecretName;

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
    /// The account of a person or a client at an authorization server: `mcpwrap login SERVER`.
    #[serde(rename = "oauth")]
    OAuth,
}

impl MintType {
    /// The type of the store that makes it.
    pub const fn store_type(self) -> Option<&'static str> {
        match self {
            Self::GithubApp | Self::OAuth => None,
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
    /// The store of `config.toml` that makes it; not for `github-app` and `oauth`.
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
    /// The authorization server: its address, `google` or `microsoft`. Required for `oauth`.
    #[serde(default)]
    pub(super) issuer: Option<String>,
    /// The ID of a client that was registered beforehand. Without it, mcpwrap registers itself.
    #[serde(default)]
    pub(super) client_id: Option<String>,
    /// The secret of that client: `secret:NAME`. It never reaches the server.
    #[serde(default)]
    pub(super) client_secret: Option<String>,
    /// The private key (PEM, PKCS#8) of that client, in place of a secret: `secret:NAME`.
    #[serde(default)]
    pub(super) private_key: Option<String>,
    /// What the token may do. Required for `oauth`.
    #[serde(default)]
    pub(super) scopes: Vec<String>,
    /// Who asks: `authorization-code` for a person in a browser, `client-credentials` for a machine.
    #[serde(default)]
    pub(super) grant: OAuthGrant,
    /// The address to which the browser returns, if the client was registered with a fixed one:
    /// `http://127.0.0.1:PORT/PATH` or `http://localhost:PORT/PATH`. By default, any free port.
    #[serde(default)]
    pub(super) redirect: Option<String>,
    /// The resource for which the token is asked (RFC 8707). By default, none is named.
    #[serde(default)]
    pub(super) resource: Option<String>,
    /// Whether the authorization server must announce PKCE: `require`, or `assume`. The default is `require`,
    /// and `assume` for Microsoft.
    #[serde(default)]
    pub(super) pkce: Option<Pkce>,
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

/// The field at fault, and why.
pub(super) type MintFault = (&'static str, String);

/// A secret of the local store that the user put there.
pub(super) fn plain_secret(field: &'static str, text: &str) -> Result<SecretName, MintFault> {
    let Ok(Reference::Local(name)) = Reference::new(text) else {
        let why = "expected `secret:NAME`; its value does not belong in a policy";
        return Err((field, why.to_owned()));
    };
    if name.is_internal() {
        let why = "`oauth/`, `oauth-client/` and `withdraw/` hold what mcpwrap gets by itself";
        return Err((field, why.to_owned()));
    }
    Ok(name)
}

pub(super) fn needs(field: &str, what: &str) -> MintFault {
    ("type", format!("needs `{field}`: {what}"))
}

/// An address to which credentials may be sent: encrypted, or on this machine, without a user.
pub(super) fn address(field: &'static str, text: &str) -> Result<RemoteUrl, MintFault> {
    if template::secrets(text).next().is_some() {
        let why = "it contains a placeholder, and is no secret";
        return Err((field, why.to_owned()));
    }
    RemoteUrl::new(text).map_err(|fault| (field, fault.cause.to_owned()))
}

/// A field, and whether it is set.
type SetField = (&'static str, bool);

/// The fields of `github-app` alone.
pub(super) fn github_fields(table: &MintTable) -> [SetField; 6] {
    [
        ("app", table.app.is_some()),
        ("installation", table.installation.is_some()),
        ("key", table.key.is_some()),
        ("repositories", !table.repositories.is_empty()),
        ("permissions", !table.permissions.is_empty()),
        ("api", table.api.is_some()),
    ]
}

/// The fields of what a store makes.
pub(super) const fn store_fields(table: &MintTable) -> [SetField; 2] {
    [
        ("store", table.store.is_some()),
        ("path", table.path.is_some()),
    ]
}

/// None of these may be set.
pub(super) fn refuse(fields: &[SetField], why: &str) -> Result<(), MintFault> {
    match fields.iter().find(|(_, is_set)| *is_set) {
        Some((field, _)) => Err((field, why.to_owned())),
        None => Ok(()),
    }
}
