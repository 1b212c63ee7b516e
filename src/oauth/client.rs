//! Who mcpwrap is for an authorization server: the ID of its client, and how it proves that.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::utf8_percent_encode;
use serde::{Deserialize, Serialize};

use super::assertion;
use super::exchange::FORM;
use super::metadata::IssuerMetadata;
use crate::bridge::channel::SecretText;
use crate::error::{Code, Error, Result};

/// How a client authenticates at the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// It has no secret.
    #[default]
    None,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

impl AuthMethod {
    /// The name in metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}

/// Where the ID of a client comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientSource {
    /// The policy names a client that was registered beforehand.
    Policy,
    /// The policy names a public document, whose address is the ID (CIMD).
    Document,
    /// mcpwrap registered itself (DCR).
    Registered,
}

/// A client of one authorization server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuthClient {
    pub id: String,
    pub source: ClientSource,
    pub method: AuthMethod,
    /// The secret of a client that mcpwrap registered. That of the policy's client is another secret
    /// of the store, and is not copied.
    pub secret: Option<SecretText>,
}

/// The secret or the key of the policy's client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCredentials {
    pub secret: Option<SecretText>,
    pub key: Option<SecretText>,
}

/// What a request needs in addition, so that the authorization server knows the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientProof {
    pub header: Option<SecretText>,
    pub fields: Vec<(&'static str, SecretText)>,
}

/// How the policy's client authenticates.
///
/// # Errors
/// `oauth-failed` if the authorization server accepts none of what the client has.
pub fn method_of(issuer: &IssuerMetadata, credentials: &ClientCredentials) -> Result<AuthMethod> {
    let usable: &[AuthMethod] = match (&credentials.key, &credentials.secret) {
        (Some(_), _) => &[AuthMethod::PrivateKeyJwt],
        (None, Some(_)) => &[AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost],
        // A public client; servers that list no methods, or forget `none`, accept it all the same.
        (None, None) => return Ok(AuthMethod::None),
    };
    let known = issuer.token_endpoint_auth_methods_supported.is_some();
    let taken = usable
        .iter()
        .find(|method| issuer.takes_auth_method(method.name()));
    match (taken, usable.first()) {
        (Some(method), _) => Ok(*method),
        (None, Some(first)) if !known => Ok(*first),
        _ => Err(Error::new(
            Code::OAuthFailed,
            format!("cannot use the authorization server `{}`", issuer.issuer),
        )
        .cause("it accepts neither the secret nor the key of the client in the policy")
        .hint("see its documentation for how clients authenticate")),
    }
}

impl OAuthClient {
    /// What the client needs to prove who it is and these do not have: a field of the policy.
    pub const fn lacks(&self, credentials: &ClientCredentials) -> Option<&'static str> {
        match self.method {
            AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost
                if self.secret.is_none() && credentials.secret.is_none() =>
            {
                Some("client_secret")
            }
            AuthMethod::PrivateKeyJwt if credentials.key.is_none() => Some("private_key"),
            _ => None,
        }
    }

    /// Proves who the client is, to this issuer, at `now` (seconds of Unix time).
    ///
    /// # Errors
    /// `secret-unusable`, `oauth-failed`.
    pub fn proof(
        &self,
        credentials: &ClientCredentials,
        issuer: &str,
        now: i64,
    ) -> Result<ClientProof> {
        let id = || ("client_id", SecretText::new(self.id.clone()));
        let secret = || {
            let found = self.secret.as_ref().or(credentials.secret.as_ref());
            found.cloned().ok_or_else(|| absent("client_secret"))
        };
        Ok(match self.method {
            AuthMethod::None => ClientProof {
                header: None,
                fields: vec![id()],
            },
            AuthMethod::ClientSecretBasic => {
                let secret = secret()?;
                // RFC 6749, 2.3.1: both are encoded as in a form first.
                let id = utf8_percent_encode(&self.id, FORM);
                let pair = format!("{id}:{}", utf8_percent_encode(secret.as_str(), FORM));
                let value = format!("Basic {}", STANDARD.encode(pair));
                ClientProof {
                    header: Some(SecretText::new(value)),
                    fields: Vec::new(),
                }
            }
            AuthMethod::ClientSecretPost => ClientProof {
                header: None,
                fields: vec![id(), ("client_secret", secret()?)],
            },
            AuthMethod::PrivateKeyJwt => {
                let key = credentials
                    .key
                    .as_ref()
                    .ok_or_else(|| absent("private_key"))?;
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                let statement = assertion::sign(key, &self.id, issuer, now)?;
                ClientProof {
                    header: None,
                    fields: vec![
                        id(),
                        ("client_assertion_type", SecretText::new(kind.to_owned())),
                        ("client_assertion", statement),
                    ],
                }
            }
        })
    }
}

fn absent(field: &str) -> Error {
    Error::new(Code::OAuthFailed, "cannot authenticate the OAuth client")
        .cause(format!("the policy gives no `{field}` for it"))
        .hint("add it below `[oauth]` or `[mint.NAME]` in the policy")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> SecretText {
        SecretText::new(text.to_owned())
    }

    fn client(method: AuthMethod) -> OAuthClient {
        OAuthClient {
            id: "a:b".to_owned(),
            source: ClientSource::Policy,
            method,
            secret: None,
        }
    }

    #[test]
    fn secrets_are_sent_as_the_method_says() {
        let credentials = ClientCredentials {
            secret: Some(text("s/1%")),
            key: None,
        };
        let prove = |method| {
            client(method)
                .proof(&credentials, "https://as.example", 0)
                .unwrap()
        };
        let basic = prove(AuthMethod::ClientSecretBasic);
        let expected = format!("Basic {}", STANDARD.encode("a%3Ab:s%2F1%25"));
        assert_eq!(basic.header, Some(text(&expected)));
        assert_eq!(basic.fields, []);
        let post = prove(AuthMethod::ClientSecretPost);
        let fields = vec![("client_id", text("a:b")), ("client_secret", text("s/1%"))];
        assert_eq!((post.header, post.fields), (None, fields));
        let none = prove(AuthMethod::None);
        assert_eq!(
            (none.header, none.fields),
            (None, vec![("client_id", text("a:b"))])
        );
        let bare = ClientCredentials::default();
        assert!(
            client(AuthMethod::ClientSecretPost)
                .proof(&bare, "x", 0)
                .is_err()
        );
        assert!(
            client(AuthMethod::PrivateKeyJwt)
                .proof(&bare, "x", 0)
                .is_err()
        );
    }

    #[test]
    fn the_method_is_one_that_the_server_takes() {
        let secret = ClientCredentials {
            secret: Some(text("s")),
            key: None,
        };
        let key = ClientCredentials {
            secret: None,
            key: Some(text("k")),
        };
        let issuer = |methods: Option<&[&str]>| IssuerMetadata {
            token_endpoint_auth_methods_supported: methods
                .map(|methods| methods.iter().map(|method| (*method).to_owned()).collect()),
            ..IssuerMetadata::default()
        };
        let method = |methods, credentials| method_of(&issuer(methods), credentials).ok();
        let post: &[&str] = &["client_secret_post"];
        assert_eq!(method(None, &secret), Some(AuthMethod::ClientSecretBasic));
        assert_eq!(
            method(Some(post), &secret),
            Some(AuthMethod::ClientSecretPost)
        );
        assert_eq!(method(None, &key), Some(AuthMethod::PrivateKeyJwt));
        assert_eq!(method(Some(post), &key), None);
        assert_eq!(
            method(Some(post), &ClientCredentials::default()),
            Some(AuthMethod::None)
        );
    }
}
