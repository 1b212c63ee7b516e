//! Registers mcpwrap at an authorization server (RFC 7591).

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::address::WebAddress;
use super::client::{AuthMethod, ClientSource, OAuthClient};
use super::discovery::has_fault;
use super::exchange::{Exchange, ExchangeAnswer, ExchangeRequest, Reach};
use super::metadata::IssuerMetadata;
use super::scope::ScopeSet;
use super::token_answer::said;
use crate::bridge::channel::SecretText;
use crate::error::{Code, Error, Result};

/// A registration, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    pub issuer: String,
    /// The address to which the browser returns.
    pub redirect: String,
    pub client: OAuthClient,
    /// The scopes that were registered.
    pub scope: ScopeSet,
    /// When its secret ends (seconds of Unix time).
    pub expires_at: Option<i64>,
}

impl Registration {
    /// Whether it can be used for another login.
    pub fn serves(&self, issuer: &str, scope: &ScopeSet, now: i64) -> bool {
        self.issuer == issuer
            && (self.scope.is_empty() || scope.is_within(&self.scope))
            && self.expires_at.is_none_or(|end| end > now)
    }
}

/// What the authorization server answers.
#[derive(Deserialize)]
struct RegistrationAnswer {
    client_id: String,
    client_secret: Option<SecretText>,
    client_secret_expires_at: Option<f64>,
    token_endpoint_auth_method: Option<AuthMethod>,
}

/// Registers a client with this redirect.
///
/// # Errors
/// `oauth-failed` if the authorization server offers no registration or refuses it;
/// `oauth-unreachable`.
pub fn register(
    exchange: &dyn Exchange,
    issuer: &IssuerMetadata,
    reach: Reach,
    redirect: &str,
    scope: &ScopeSet,
) -> Result<Registration> {
    let address = address(issuer)?;
    let methods = [
        AuthMethod::None,
        AuthMethod::ClientSecretPost,
        AuthMethod::ClientSecretBasic,
    ];
    let method = methods
        .into_iter()
        .find(|method| issuer.takes_auth_method(method.name()));
    let authority = address.authority();
    let body = request(method.unwrap_or_default(), redirect, scope);
    let request = ExchangeRequest::post(address, "application/json", body, reach);
    let answer = exchange.send(&request)?;
    let refused = |cause: String| {
        Error::new(Code::OAuthFailed, format!("cannot register at `{}`", issuer.issuer))
            .cause(cause)
            .hint("register a client there by hand, and write its `client_id` below `[oauth]` or `[mint.NAME]` in the policy")
    };
    if answer.status == 429 || answer.status >= 500 {
        return Err(has_fault(&authority, &answer));
    }
    if issuer.is_assumed && matches!(answer.status, 401 | 403 | 404 | 405) {
        return Err(no_oauth(&authority, &answer));
    }
    if !answer.is_success() {
        return Err(refused(said(&answer, &[])));
    }
    let found: RegistrationAnswer = serde_json::from_str(answer.body.as_str())
        .map_err(|_| refused(format!("the answer of `{authority}` is not a registration")))?;
    let end = found.client_secret_expires_at;
    let client = found
        .client(method)
        .map_err(|why| refused(format!("`{authority}` {why}")))?;
    // 0: it does not end.
    let end = end.filter(|end| *end >= 1.0 && client.secret.is_some());
    #[expect(clippy::cast_possible_truncation, reason = "a float saturates")]
    let expires_at = end.map(|end| end as i64);
    Ok(Registration {
        issuer: issuer.issuer.clone(),
        redirect: redirect.to_owned(),
        client,
        scope: scope.clone(),
        expires_at,
    })
}

/// The server asks for a token, and says nowhere how to obtain one by OAuth.
fn no_oauth(authority: &str, answer: &ExchangeAnswer) -> Error {
    Error::new(Code::OAuthFailed, format!("cannot log in to `{authority}`"))
        .cause(format!(
            "it has no OAuth metadata, and its `/register` answers with HTTP {}",
            answer.status
        ))
        .hint("if the server takes an API key, send it: `Authorization = \"Bearer {secret.NAME}\"` below `[headers]` of the policy")
        .hint("if it takes OAuth, ask its operator for `issuer` and `client_id`, and write them below `[oauth]`")
}

fn request(method: AuthMethod, redirect: &str, scope: &ScopeSet) -> SecretText {
    let mut body = json!({
        "client_name": "mcpwrap",
        "application_type": "native",
        "redirect_uris": [redirect],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method.name(),
    });
    if let Some(fields) = body.as_object_mut().filter(|_| !scope.is_empty()) {
        fields.insert("scope".to_owned(), json!(scope.to_string()));
    }
    SecretText::new(body.to_string())
}

impl RegistrationAnswer {
    /// The client. `wanted`: the method that was asked for.
    fn client(self, wanted: Option<AuthMethod>) -> Result<OAuthClient, String> {
        let is_usable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        if self.client_id.is_empty() || !self.client_id.bytes().all(is_usable) {
            return Err("gave no usable ID".to_owned());
        }
        let secret = self
            .client_secret
            .filter(|secret| !secret.as_str().is_empty());
        let method = match (self.token_endpoint_auth_method, &secret, wanted) {
            (Some(method), _, _) => method,
            (None, None, _) => AuthMethod::None,
            (None, Some(_), Some(AuthMethod::ClientSecretPost)) => AuthMethod::ClientSecretPost,
            (None, Some(_), _) => AuthMethod::ClientSecretBasic,
        };
        let is_complete = match method {
            AuthMethod::None => true,
            AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost => secret.is_some(),
            AuthMethod::PrivateKeyJwt => false,
        };
        if !is_complete {
            let name = method.name();
            return Err(format!(
                "asks the client for `{name}`, without what that needs"
            ));
        }
        Ok(OAuthClient {
            id: self.client_id,
            source: ClientSource::Registered,
            method,
            secret,
        })
    }
}

/// Where clients register.
///
/// # Errors
/// `oauth-failed` if there is no such place.
pub fn address(issuer: &IssuerMetadata) -> Result<WebAddress> {
    let Some(endpoint) = &issuer.registration_endpoint else {
        return Err(Error::new(
            Code::OAuthFailed,
            format!("cannot register at `{}`", issuer.issuer),
        )
        .cause("it does not let clients register themselves")
        .hint("register a client there by hand, and write its `client_id` below `[oauth]` or `[mint.NAME]` in the policy"));
    };
    issuer.endpoint("registration_endpoint", Some(endpoint))
}

/// Whether an error code means that the client is not known (anymore).
pub fn is_unknown_client(code: Option<&str>) -> bool {
    matches!(code, Some("invalid_client" | "unauthorized_client"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::exchange::script::Script;

    const ENDPOINT: &str = "https://as.example/register";
    const REDIRECT: &str = "http://127.0.0.1:4711/callback";

    fn issuer(methods: Option<&[&str]>) -> IssuerMetadata {
        IssuerMetadata {
            issuer: "https://as.example".to_owned(),
            registration_endpoint: Some(ENDPOINT.to_owned()),
            token_endpoint_auth_methods_supported: methods
                .map(|methods| methods.iter().map(|method| (*method).to_owned()).collect()),
            ..IssuerMetadata::default()
        }
    }

    fn run(script: &Script, methods: Option<&[&str]>) -> Result<Registration> {
        let scope = ScopeSet::parse("read");
        register(script, &issuer(methods), Reach::INTERNET, REDIRECT, &scope)
    }

    #[test]
    fn a_public_native_client_is_registered() {
        let script = Script::default().answer(ENDPOINT, 201, r#"{"client_id": "c1"}"#);
        let done = run(&script, Some(&["none", "client_secret_post"])).unwrap();
        assert_eq!(
            (done.client.id.as_str(), done.client.method),
            ("c1", AuthMethod::None)
        );
        let sent: serde_json::Value = serde_json::from_str(&script.sent(ENDPOINT)).unwrap();
        assert_eq!(sent["application_type"], "native");
        assert_eq!(sent["redirect_uris"], json!([REDIRECT]));
        assert_eq!(
            sent["grant_types"],
            json!(["authorization_code", "refresh_token"])
        );
        assert_eq!(sent["token_endpoint_auth_method"], "none");
        assert_eq!(sent["scope"], "read");
    }

    #[test]
    fn a_secret_ends_when_the_server_says() {
        let body = r#"{"client_id": "c1", "client_secret": "s", "client_secret_expires_at": 2000}"#;
        let script = Script::default().answer(ENDPOINT, 201, body);
        let done = run(&script, None).unwrap();
        assert_eq!(done.client.method, AuthMethod::ClientSecretBasic);
        let read = ScopeSet::parse("read");
        assert!(done.serves("https://as.example", &read, 1_999));
        assert!(!done.serves("https://as.example", &read, 2_000));
        assert!(!done.serves("https://other.example", &read, 1_999));
        assert!(!done.serves("https://as.example", &ScopeSet::parse("write"), 1_999));
        assert!(!format!("{done:?}").contains("\"s\""));
        let body = r#"{"client_id": "c1", "client_secret": "s", "client_secret_expires_at": 0}"#;
        let script = Script::default().answer(ENDPOINT, 201, body);
        assert_eq!(run(&script, None).unwrap().expires_at, None);
    }

    #[test]
    fn refusals_and_faults_are_told_apart() {
        let body = r#"{"error": "invalid_redirect_uri", "error_description": "no loopback"}"#;
        let script = Script::default().answer(ENDPOINT, 400, body);
        let error = run(&script, None).unwrap_err();
        assert_eq!(error.code, Code::OAuthFailed);
        assert!(
            error.to_string().contains("invalid_redirect_uri"),
            "{error}"
        );
        let script = Script::default().answer(ENDPOINT, 503, "");
        assert_eq!(run(&script, None).unwrap_err().code, Code::OAuthUnreachable);
        for body in [
            "",
            "{}",
            r#"{"client_id": ""}"#,
            r#"{"client_id": "x", "token_endpoint_auth_method": "private_key_jwt"}"#,
        ] {
            let script = Script::default().answer(ENDPOINT, 201, body);
            assert_eq!(
                run(&script, None).unwrap_err().code,
                Code::OAuthFailed,
                "{body}"
            );
        }
        assert!(address(&IssuerMetadata::default()).is_err());
    }

    #[test]
    fn a_server_without_oauth_is_not_called_one_that_refuses_clients() {
        let script = Script::default().answer("https://a.example/register", 404, "");
        let assumed = IssuerMetadata::of_paths("https://a.example");
        let scope = ScopeSet::parse("");
        let error = register(&script, &assumed, Reach::INTERNET, REDIRECT, &scope).unwrap_err();
        assert_eq!(error.code, Code::OAuthFailed);
        let text = error.to_string();
        assert!(text.contains("no OAuth metadata"), "{text}");
        let hints = error.hints.join("\n");
        assert!(hints.contains("[headers]"), "{hints}");
    }
}
