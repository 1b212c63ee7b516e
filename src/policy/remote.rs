//! The fields of a remote server: where it is, how it is spoken to, and how it is authorized.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::template;
use super::web::RemoteUrl;

/// A remote server, in place of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remote {
    /// A template: see [`super::template`]. Its origin contains no placeholder.
    pub url: String,
    pub transport: RemoteTransport,
    /// Values are templates. Keyed by the name as written; no two names differ only in case.
    pub headers: BTreeMap<String, String>,
    /// `None` if the server needs no OAuth.
    pub oauth: Option<OAuthTable>,
}

impl Remote {
    /// The parts of the URL.
    ///
    /// # Panics
    /// Never for the remote server of a checked policy.
    pub fn url(&self) -> RemoteUrl {
        RemoteUrl::new(&self.url).expect("a checked policy has a usable URL")
    }

    /// Where the secrets go: the host, and the port if it is not that of the scheme.
    pub fn host(&self) -> String {
        self.url().place()
    }

    /// Whether the value of this `[secrets.NAME]` is sent to the server. Others are for the
    /// authorization server.
    pub fn sends(&self, variable: &str) -> bool {
        let texts = self.headers.values().chain([&self.url]);
        texts
            .flat_map(|text| template::secrets(text))
            .any(|name| name == variable)
    }
}

/// How a remote server is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RemoteTransport {
    /// Streamable HTTP, or HTTP+SSE if the server turns out to speak only that.
    #[default]
    Auto,
    /// One address for everything; MCP 2025-03-26 and newer.
    StreamableHttp,
    /// The older HTTP+SSE of MCP 2024-11-05.
    Sse,
}

/// How the token of a remote server is obtained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OAuthTable {
    /// Who asks: `authorization-code` for a person in a browser, `client-credentials` for a machine.
    pub grant: OAuthGrant,
    /// The scopes to ask for. By default those that the server names.
    pub scopes: Vec<String>,
    /// The authorization server, if it is another than the one that the server names.
    pub issuer: Option<String>,
    /// The ID of a client that was registered beforehand. By default, mcpwrap registers itself.
    pub client_id: Option<String>,
    /// The secret of that client: `{secret.NAME}`.
    pub client_secret: Option<String>,
    /// The private key (PEM, PKCS#8) with which that client signs its requests, in place of a secret:
    /// `{secret.NAME}`.
    pub private_key: Option<String>,
    /// The address of a public document that describes this client (CIMD). Its address is the ID.
    pub client_metadata_url: Option<String>,
    /// The address to which the browser returns, if the client was registered with a fixed one:
    /// `http://127.0.0.1:PORT/PATH` or `http://localhost:PORT/PATH`. By default, any free port.
    pub redirect: Option<String>,
    /// The resource for which the token is asked, if it differs from the one that the server names.
    /// `omit` sends none, for authorization servers that refuse the parameter (Entra ID).
    pub resource: Option<String>,
    /// Whether the authorization server must announce PKCE.
    pub pkce: Pkce,
}

impl OAuthTable {
    /// Whether only the user can obtain the first token.
    pub fn needs_user(&self) -> bool {
        // The granted policy names who gets the secret of its client.
        self.grant == OAuthGrant::AuthorizationCode || self.issuer.is_none()
    }
}

/// Who asks for a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OAuthGrant {
    /// A person, in a browser: `mcpwrap login SERVER`.
    #[default]
    AuthorizationCode,
    /// This client itself, with its secret or its private key.
    ClientCredentials,
}

/// Whether the authorization server must announce PKCE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pkce {
    /// It must, as MCP asks.
    #[default]
    Require,
    /// It supports PKCE without saying so (Entra ID, Cognito). It is used all the same.
    Assume,
}
