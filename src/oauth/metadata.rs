//! The two documents of discovery: what a protected resource says (RFC 9728), and what an
//! authorization server says (RFC 8414, `OpenID` Connect Discovery).

use serde::{Deserialize, Serialize};

use super::address::WebAddress;
use crate::error::{Code, Error, Result};

/// What the MCP server says about itself as a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ResourceMetadata {
    pub resource: Option<String>,
    pub authorization_servers: Option<Vec<String>>,
    pub scopes_supported: Option<Vec<String>>,
}

/// What the authorization server says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct IssuerMetadata {
    /// Byte for byte as in the document.
    pub issuer: String,
    pub authorization_endpoint: Option<String>,
    pub token_endpoint: Option<String>,
    pub registration_endpoint: Option<String>,
    pub revocation_endpoint: Option<String>,
    pub scopes_supported: Option<Vec<String>>,
    pub code_challenge_methods_supported: Option<Vec<String>>,
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    pub token_endpoint_auth_signing_alg_values_supported: Option<Vec<String>>,
    pub authorization_response_iss_parameter_supported: Option<bool>,
    pub client_id_metadata_document_supported: Option<bool>,
    /// Whether there is no such document, and these are the paths of MCP 2025-03-26.
    #[serde(skip)]
    pub is_assumed: bool,
}

/// The addresses of an authorization server, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    pub token: String,
    pub revocation: Option<String>,
}

impl ResourceMetadata {
    /// The resource, if it is that of the server: byte for byte as in the document.
    ///
    /// # Errors
    /// `oauth-failed` if it is another server's: a token for it would be good elsewhere.
    pub fn resource_of(&self, server: &WebAddress) -> Result<String> {
        let wrong = |why: String| {
            let what = format!(
                "cannot accept the resource metadata of `{}`",
                server.authority()
            );
            Error::new(Code::OAuthFailed, what)
                .cause(why)
                .hint("tell the operator of the server; its OAuth metadata is wrong")
        };
        let Some(resource) = &self.resource else {
            return Err(wrong("it names no resource".to_owned()));
        };
        match WebAddress::parse(resource) {
            Ok(address) if address.covers(server) => Ok(resource.clone()),
            Ok(address) => Err(wrong(format!(
                "it is about `{address:?}`, another resource"
            ))),
            Err(why) => Err(wrong(format!("its resource is {why}"))),
        }
    }
}

impl IssuerMetadata {
    /// The metadata of an authorization server of MCP 2025-03-26 that has none.
    pub fn of_paths(origin: &str) -> Self {
        let at = |path: &str| Some(format!("{origin}{path}"));
        Self {
            issuer: origin.to_owned(),
            authorization_endpoint: at("/authorize"),
            token_endpoint: at("/token"),
            registration_endpoint: at("/register"),
            // PKCE is required there without being announced.
            code_challenge_methods_supported: Some(vec!["S256".to_owned()]),
            token_endpoint_auth_methods_supported: Some(vec!["none".to_owned()]),
            is_assumed: true,
            ..Self::default()
        }
    }

    /// Whether the document is about this issuer. The slash of an empty path may differ: documents of
    /// well-known providers do.
    pub fn is_of(&self, issuer: &str) -> bool {
        let bare = |text: &str| {
            let address = WebAddress::parse(text).ok()?;
            (matches!(address.path(), "/" | "") && !text.contains('?')).then(|| address.origin())
        };
        self.issuer == issuer
            || (bare(&self.issuer).is_some()
                && self.issuer.trim_end_matches('/') == issuer.trim_end_matches('/')
                && self.issuer.len().abs_diff(issuer.len()) == 1)
    }

    pub fn announces_pkce(&self) -> bool {
        let methods = self.code_challenge_methods_supported.as_deref();
        methods.is_some_and(|methods| methods.iter().any(|method| method == "S256"))
    }

    pub fn supports_scope(&self, scope: &str) -> bool {
        let scopes = self.scopes_supported.as_deref();
        scopes.is_some_and(|scopes| scopes.iter().any(|known| known == scope))
    }

    /// Whether an authorization response must name the issuer.
    pub fn returns_issuer(&self) -> bool {
        self.authorization_response_iss_parameter_supported == Some(true)
    }

    /// Whether clients may authenticate at the token endpoint in this way. What is not said means
    /// `client_secret_basic` (RFC 8414).
    pub fn takes_auth_method(&self, method: &str) -> bool {
        match &self.token_endpoint_auth_methods_supported {
            Some(methods) => methods.iter().any(|known| known == method),
            None => method == "client_secret_basic",
        }
    }

    /// One of the addresses in the document. `name`: its field.
    ///
    /// # Errors
    /// `oauth-failed` if it is missing or not acceptable.
    pub fn endpoint(&self, name: &str, value: Option<&String>) -> Result<WebAddress> {
        let wrong = |why: &str| {
            let what = format!("cannot use the authorization server `{}`", self.issuer);
            Error::new(Code::OAuthFailed, what)
                .cause(format!("its `{name}` is {why}"))
                .hint("tell the operator of the authorization server; its metadata is wrong")
        };
        let value = value.ok_or_else(|| wrong("missing"))?;
        WebAddress::parse(value).map_err(wrong)
    }

    /// Where the user approves.
    pub fn authorization(&self) -> Result<WebAddress> {
        self.endpoint(
            "authorization_endpoint",
            self.authorization_endpoint.as_ref(),
        )
    }

    /// Where tokens come from, and where they are revoked.
    pub fn endpoints(&self) -> Result<Endpoints> {
        let token = self.endpoint("token_endpoint", self.token_endpoint.as_ref())?;
        let revocation = self.revocation_endpoint.as_ref();
        let revocation = revocation
            .map(|_| self.endpoint("revocation_endpoint", revocation))
            .transpose()?;
        Ok(Endpoints {
            token: token.as_str().to_owned(),
            revocation: revocation.map(|address| address.as_str().to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_compared_byte_for_byte_but_for_an_empty_path() {
        let case = |document: &str, wanted: &str| {
            let metadata = IssuerMetadata {
                issuer: document.to_owned(),
                ..IssuerMetadata::default()
            };
            metadata.is_of(wanted)
        };
        assert!(case("https://a.example", "https://a.example"));
        assert!(case("https://a.example/", "https://a.example"));
        assert!(case("https://a.example", "https://a.example/"));
        assert!(case("https://a.example/t", "https://a.example/t"));
        for (document, wanted) in [
            ("https://a.example/t/", "https://a.example/t"),
            ("https://A.example", "https://a.example"),
            ("https://a.example//", "https://a.example"),
            ("https://a.example:443", "https://a.example"),
            ("http://a.example", "https://a.example"),
            ("", "https://a.example"),
            ("https://b.example", "https://a.example"),
        ] {
            assert!(!case(document, wanted), "{document} {wanted}");
        }
    }

    #[test]
    fn endpoints_are_checked() {
        let mut metadata = IssuerMetadata::of_paths("https://a.example");
        assert!(metadata.endpoints().is_ok() && metadata.announces_pkce());
        for bad in [
            "http://a.example/token",
            "https://u@a.example/token",
            "token",
        ] {
            metadata.token_endpoint = Some(bad.to_owned());
            assert_eq!(
                metadata.endpoints().unwrap_err().code,
                Code::OAuthFailed,
                "{bad}"
            );
        }
        metadata = IssuerMetadata::default();
        assert!(metadata.takes_auth_method("client_secret_basic"));
        assert!(!metadata.takes_auth_method("none") && !metadata.announces_pkce());
    }
}
