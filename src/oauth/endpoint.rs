//! Requests to the token endpoint and the revocation endpoint.
//!
//! Invariants: a request goes to the addresses that belong to the issuer of its credentials, and no
//! redirect is followed. `resource` is sent in each, byte for byte.

use super::address::WebAddress;
use super::client::{ClientCredentials, ClientProof, OAuthClient};
use super::discovery::has_fault;
use super::exchange::{Exchange, ExchangeAnswer, ExchangeRequest, Reach};
use super::item::TokenItem;
use super::metadata::Endpoints;
use super::scope::ScopeSet;
use super::token_answer::{self, GrantedToken, TokenFault, said};
use crate::bridge::channel::SecretText;
use crate::error::{Code, Error, Result};

/// An authorization server as one client sees it.
#[derive(Debug)]
pub struct IssuerAccess<'a> {
    pub exchange: &'a dyn Exchange,
    pub issuer: &'a str,
    pub endpoints: &'a Endpoints,
    pub reach: Reach,
    pub client: &'a OAuthClient,
    pub credentials: &'a ClientCredentials,
    /// Seconds of Unix time.
    pub now: i64,
}

impl std::fmt::Debug for dyn Exchange + '_ {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exchange")
    }
}

impl<'a> IssuerAccess<'a> {
    /// The issuer of these tokens, as their client.
    pub fn of(
        item: &'a TokenItem,
        exchange: &'a dyn Exchange,
        credentials: &'a ClientCredentials,
        now: i64,
    ) -> Self {
        Self {
            exchange,
            issuer: &item.issuer,
            endpoints: &item.endpoints,
            reach: item.reach,
            client: &item.client,
            credentials,
            now,
        }
    }

    /// Redeems the code of a login.
    pub fn redeem(
        &self,
        code: &str,
        verifier: &str,
        redirect: &str,
        resource: Option<&str>,
    ) -> Result<GrantedToken, TokenFault> {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ];
        fields.extend(resource.map(|resource| ("resource", resource)));
        self.token("cannot log in", &fields, &[code, verifier])
    }

    /// Exchanges the refresh token. The scope stays that of the login.
    pub fn refresh(
        &self,
        refresh: &str,
        resource: Option<&str>,
    ) -> Result<GrantedToken, TokenFault> {
        let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", refresh)];
        fields.extend(resource.map(|resource| ("resource", resource)));
        self.token("cannot refresh the token", &fields, &[refresh])
    }

    /// Asks for a token for the client itself.
    pub fn client_credentials(
        &self,
        scope: &ScopeSet,
        resource: Option<&str>,
    ) -> Result<GrantedToken, TokenFault> {
        let scope = scope.to_string();
        let mut fields = vec![("grant_type", "client_credentials")];
        if !scope.is_empty() {
            fields.push(("scope", &scope));
        }
        fields.extend(resource.map(|resource| ("resource", resource)));
        self.token("cannot obtain a token", &fields, &[])
    }

    fn token(
        &self,
        what: &str,
        fields: &[(&str, &str)],
        secrets: &[&str],
    ) -> Result<GrantedToken, TokenFault> {
        let (answer, authority) = self.send(&self.endpoints.token, fields)?;
        let own = [&self.client.secret, &self.credentials.secret];
        let own = own.into_iter().flatten().map(SecretText::as_str);
        let sent: Vec<_> = secrets.iter().copied().chain(own).collect();
        token_answer::read(&answer, &authority, what, &sent)
    }

    /// Revokes a token (RFC 7009). `hint`: `refresh_token` or `access_token`.
    ///
    /// # Errors
    /// `oauth-failed` if there is no place for it, or it is refused; `oauth-unreachable`.
    pub fn revoke(&self, token: &str, hint: &str) -> Result<()> {
        let what = format!("cannot revoke the token at `{}`", self.issuer);
        let Some(address) = &self.endpoints.revocation else {
            return Err(Error::new(Code::OAuthFailed, what)
                .cause("the authorization server offers no revocation")
                .hint("remove the access of mcpwrap in your account there"));
        };
        let fields = [("token", token), ("token_type_hint", hint)];
        let (answer, authority) = self.send(address, &fields)?;
        match answer.status {
            // Also for a token that it does not know.
            200..=299 => Ok(()),
            429 | 500.. => Err(has_fault(&authority, &answer).context(what)),
            _ => Err(Error::new(Code::OAuthFailed, what)
                .cause(said(&answer, &[token]))
                .hint("remove the access of mcpwrap in your account there")),
        }
    }

    fn send(&self, address: &str, fields: &[(&str, &str)]) -> Result<(ExchangeAnswer, String)> {
        let unusable = |why: &str| {
            let what = format!("cannot use the authorization server `{}`", self.issuer);
            Error::new(Code::OAuthFailed, what).cause(why)
        };
        let address = WebAddress::parse(address).map_err(unusable)?;
        let authority = address.authority();
        let ClientProof {
            header,
            fields: proof,
        } = self.client.proof(self.credentials, self.issuer, self.now)?;
        let proof = proof.iter().map(|(name, value)| (*name, value.as_str()));
        let all: Vec<_> = fields.iter().copied().chain(proof).collect();
        let mut request = ExchangeRequest::form(address, &all, self.reach);
        request
            .headers
            .extend(header.map(|value| ("authorization".to_owned(), value)));
        let answer = self.exchange.send(&request)?;
        if (300..400).contains(&answer.status) {
            return Err(unusable(
                "it redirects a request with credentials, which is not followed",
            ));
        }
        Ok((answer, authority))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::client::{AuthMethod, ClientSource};
    use crate::oauth::exchange::script::Script;

    const TOKEN: &str = "https://as.example/token";
    const REVOKE: &str = "https://as.example/revoke";
    const GRANTED: &str = r#"{"access_token": "at-2", "token_type": "Bearer"}"#;

    fn with<T>(script: &Script, work: impl FnOnce(&IssuerAccess<'_>) -> T) -> T {
        let endpoints = Endpoints {
            token: TOKEN.to_owned(),
            revocation: Some(REVOKE.to_owned()),
        };
        let client = OAuthClient {
            id: "c1".to_owned(),
            source: ClientSource::Registered,
            method: AuthMethod::ClientSecretBasic,
            secret: Some(SecretText::new("s1".to_owned())),
        };
        work(&IssuerAccess {
            exchange: script,
            issuer: "https://as.example",
            endpoints: &endpoints,
            reach: Reach::INTERNET,
            client: &client,
            credentials: &ClientCredentials::default(),
            now: 0,
        })
    }

    #[test]
    fn every_request_names_the_resource() {
        let resource = Some("https://mcp.example/MCP/");
        let encoded = "resource=https%3A%2F%2Fmcp.example%2FMCP%2F";
        let script = || Script::default().answer(TOKEN, 200, GRANTED);
        let redeemed = script();
        with(&redeemed, |at| {
            at.redeem("c", "v", "http://127.0.0.1:1/callback", resource)
        })
        .unwrap();
        let sent = redeemed.sent(TOKEN);
        assert!(
            sent.contains(encoded) && sent.contains("code_verifier=v"),
            "{sent}"
        );
        assert!(
            redeemed
                .header(TOKEN, "authorization")
                .unwrap()
                .starts_with("Basic ")
        );
        let refreshed = script();
        with(&refreshed, |at| at.refresh("rt-1", resource)).unwrap();
        let sent = refreshed.sent(TOKEN);
        assert!(sent.contains(encoded) && !sent.contains("scope="), "{sent}");
        let asked = script();
        with(&asked, |at| {
            at.client_credentials(&ScopeSet::parse("a b"), resource)
        })
        .unwrap();
        let sent = asked.sent(TOKEN);
        assert!(
            sent.contains(encoded) && sent.contains("scope=a%20b"),
            "{sent}"
        );
        let omitted = script();
        with(&omitted, |at| at.refresh("rt-1", None)).unwrap();
        assert!(!omitted.sent(TOKEN).contains("resource="));
    }

    #[test]
    fn no_redirect_of_credentials_is_followed() {
        let script =
            Script::default().answer_with(TOKEN, 307, &[("location", "https://evil.example/")], "");
        let fault = with(&script, |at| at.refresh("rt-1", None)).unwrap_err();
        assert_eq!(fault.error.code, Code::OAuthFailed);
        assert_eq!(script.asked().len(), 1);
    }

    #[test]
    fn revocation() {
        let script = Script::default().answer(REVOKE, 200, "");
        with(&script, |at| at.revoke("rt-1", "refresh_token")).unwrap();
        assert!(
            script
                .sent(REVOKE)
                .contains("token=rt-1&token_type_hint=refresh_token")
        );
        let script = Script::default().answer(REVOKE, 503, "");
        let error = with(&script, |at| at.revoke("rt-1", "refresh_token")).unwrap_err();
        assert_eq!(error.code, Code::OAuthUnreachable);
        let script = Script::default().answer(REVOKE, 401, r#"{"error": "invalid_client"}"#);
        let error = with(&script, |at| at.revoke("rt-1", "refresh_token")).unwrap_err();
        assert_eq!(error.code, Code::OAuthFailed);
    }
}
