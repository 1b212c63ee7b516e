//! One attempt of a login: its secrets, and the address that the browser opens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::address::WebAddress;
use super::exchange::form;
use super::scope::{OFFLINE, ScopeSet};
use crate::bridge::channel::SecretText;
use crate::error::{Code, Error, Result};

/// The secrets of one attempt.
#[derive(Debug)]
pub struct LoginAttempt {
    pub state: SecretText,
    /// The verifier of PKCE (RFC 7636).
    pub verifier: SecretText,
}

/// What the browser asks for.
#[derive(Clone, Copy, Debug)]
pub struct AuthorizeRequest<'a> {
    pub client_id: &'a str,
    pub redirect: &'a str,
    pub scope: &'a ScopeSet,
    pub resource: Option<&'a str>,
    /// What this authorization server needs in addition.
    pub parameters: &'a [(&'a str, &'a str)],
}

impl LoginAttempt {
    /// # Errors
    /// `file-unusable` if the kernel returns no random bytes.
    pub fn new() -> Result<Self> {
        Ok(Self {
            state: random()?,
            verifier: random()?,
        })
    }

    /// The address that the browser opens.
    pub fn address(&self, endpoint: &WebAddress, request: AuthorizeRequest<'_>) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.as_str()));
        let scope = request.scope.to_string();
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", request.client_id),
            ("redirect_uri", request.redirect),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", self.state.as_str()),
        ];
        if !scope.is_empty() {
            fields.push(("scope", &scope));
        }
        fields.extend(request.resource.map(|resource| ("resource", resource)));
        fields.extend(request.parameters);
        let has_prompt = fields.iter().any(|(name, _)| *name == "prompt");
        if request.scope.contains(OFFLINE) && !has_prompt {
            // OpenID Connect Core, 11: else the scope is ignored.
            fields.push(("prompt", "consent"));
        }
        let joint = if endpoint.as_str().contains('?') {
            '&'
        } else {
            '?'
        };
        format!("{}{joint}{}", endpoint.as_str(), form(&fields).as_str())
    }
}

/// 256 random bits as text.
fn random() -> Result<SecretText> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(Code::FileUnusable, "cannot log in").cause(format!("no random bytes: {error}"))
    })?;
    Ok(SecretText::new(URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_has_a_challenge_and_not_the_verifier() {
        let attempt = LoginAttempt {
            state: SecretText::new("st".into()),
            // The example of RFC 7636, appendix B.
            verifier: SecretText::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into()),
        };
        let scope = ScopeSet::parse("read offline_access");
        let request = AuthorizeRequest {
            client_id: "c 1",
            redirect: "http://127.0.0.1:4711/callback",
            scope: &scope,
            resource: Some("https://mcp.example/"),
            parameters: &[("access_type", "offline")],
        };
        let at = |endpoint: &str| attempt.address(&WebAddress::parse(endpoint).unwrap(), request);
        let address = at("https://as.example/authorize?tenant=t");
        assert!(address.starts_with(
            "https://as.example/authorize?tenant=t&response_type=code&client_id=c%201&"
        ));
        for part in [
            "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
            "scope=read%20offline_access",
            "resource=https%3A%2F%2Fmcp.example%2F",
            "prompt=consent",
            "access_type=offline",
            "state=st",
        ] {
            assert!(address.contains(part), "{part} {address}");
        }
        assert!(!address.contains("dBjft"));
        assert!(at("https://as.example/a").contains("/a?response_type"));
        let (one, two) = (LoginAttempt::new().unwrap(), LoginAttempt::new().unwrap());
        assert_ne!(one.state, two.state);
        assert_eq!(one.verifier.as_str().len(), 43);
    }
}
