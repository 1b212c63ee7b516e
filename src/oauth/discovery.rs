//! Finds out how a remote server is authorized: its challenge, its resource metadata, and the
//! metadata of its authorization server, with the fallbacks that servers need.
//!
//! Invariants: nothing secret is sent. A document about another resource or another issuer stops the
//! login. What is asked besides the server itself is bounded by [`Reach`].

use serde::de::DeserializeOwned;

use super::address::WebAddress;
use super::challenge::BearerChallenge;
use super::exchange::{Exchange, ExchangeAnswer, ExchangeRequest, Reach};
use super::metadata::{IssuerMetadata, ResourceMetadata};
use super::scope::ScopeSet;
use crate::bridge::channel::SecretText;
use crate::error::{CauseKind, Code, Error, Result};
use crate::policy::KnownIssuer;
use crate::policy::remote::{OAuthTable, Pkce, RemoteTransport};

/// The value of `resource` in a policy that leaves the parameter out.
pub const OMIT: &str = "omit";

/// More authorization servers of one resource are ignored.
const ISSUERS_MAX: usize = 8;

/// A request that a server of most revisions refuses without a token, or answers.
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"mcpwrap","version":"0"}}}"#;

/// Some let everybody say hello, and refuse only what comes after.
const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;

/// How a server is authorized.
#[derive(Clone, Debug)]
pub struct Discovery {
    /// What is sent as `resource`, byte for byte; `None` to send none.
    pub resource: Option<String>,
    pub issuer: IssuerMetadata,
    /// What the server's challenge asks for.
    pub challenged: Option<ScopeSet>,
    /// What the resource says that there is.
    pub supported: Option<ScopeSet>,
    /// For the addresses of the authorization server.
    pub reach: Reach,
}

/// Asks the server, and then what it names.
///
/// # Errors
/// `oauth-unreachable`, `oauth-failed`.
pub fn discover(
    exchange: &dyn Exchange,
    server: &WebAddress,
    rules: &OAuthTable,
    transport: RemoteTransport,
) -> Result<Discovery> {
    let mut refusal = exchange.send(&request(server, transport, INITIALIZE))?;
    if !is_refused(&refusal) && transport != RemoteTransport::Sse {
        refusal = exchange.send(&request(server, transport, LIST))?;
    }
    let challenge = if is_refused(&refusal) {
        BearerChallenge::read(refusal.header("www-authenticate"))
    } else {
        None
    };
    let challenge = challenge.unwrap_or_default();
    let asker = Asker {
        exchange,
        server,
        rules,
        status: refusal.status,
        reach: match rules.issuer {
            Some(_) => Reach::ANYWHERE,
            None => Reach::beside(refusal.whereabouts),
        },
    };
    let metadata = asker.resource_metadata(&challenge)?;
    let named = match &metadata {
        Some(metadata) => Some(metadata.resource_of(server)?),
        None => None,
    };
    let issuers = metadata
        .as_ref()
        .and_then(|metadata| metadata.authorization_servers.clone());
    let issuers = issuers.unwrap_or_default();
    let issuer = asker.issuer(&issuers, is_refused(&refusal))?;
    if rules.pkce == Pkce::Require && !issuer.announces_pkce() {
        return Err(no_pkce(&issuer.issuer));
    }
    let scopes = |names: Vec<String>| ScopeSet::of(names);
    Ok(Discovery {
        resource: match rules.resource.as_deref() {
            Some(OMIT) => None,
            Some(resource) => Some(resource.to_owned()),
            None => Some(named.unwrap_or_else(|| server.as_str().to_owned())),
        },
        issuer,
        challenged: challenge.scope,
        supported: metadata
            .and_then(|metadata| metadata.scopes_supported)
            .map(scopes),
        reach: asker.reach,
    })
}

/// Asks the authorization server that the policy names, for a token that is not for a remote server.
///
/// # Errors
/// `oauth-unreachable`, `oauth-failed`.
pub fn of_issuer(
    exchange: &dyn Exchange,
    address: &WebAddress,
    rules: &OAuthTable,
) -> Result<Discovery> {
    let asker = Asker {
        exchange,
        server: address,
        rules,
        status: 200,
        reach: Reach::ANYWHERE,
    };
    let issuer = asker.issuer(&[], false)?;
    if rules.pkce == Pkce::Require && !issuer.announces_pkce() {
        return Err(no_pkce(&issuer.issuer));
    }
    let resource = rules.resource.clone();
    Ok(Discovery {
        resource: resource.filter(|resource| resource != OMIT),
        issuer,
        challenged: None,
        supported: None,
        reach: asker.reach,
    })
}

fn is_refused(answer: &ExchangeAnswer) -> bool {
    matches!(answer.status, 401 | 403)
}

fn request(server: &WebAddress, transport: RemoteTransport, body: &str) -> ExchangeRequest {
    let mut request = match transport {
        RemoteTransport::Sse => ExchangeRequest::get(server.clone(), Reach::ANYWHERE),
        RemoteTransport::Auto | RemoteTransport::StreamableHttp => {
            let body = SecretText::new(body.to_owned());
            ExchangeRequest::post(server.clone(), "application/json", body, Reach::ANYWHERE)
        }
    };
    // Nothing secret is in it, so a slash that is missing may be redirected.
    request.redirects = 0;
    let accept = "application/json, text/event-stream".to_owned();
    request.headers.retain(|(name, _)| name != "accept");
    request
        .headers
        .push(("accept".to_owned(), SecretText::new(accept)));
    request
}

fn no_pkce(issuer: &str) -> Error {
    Error::new(
        Code::OAuthFailed,
        format!("cannot use the authorization server `{issuer}`"),
    )
    .cause("its metadata does not say that it supports PKCE (S256), without which a code can be stolen")
    .hint("if its documentation says that it does, write `pkce = \"assume\"` below `[oauth]` or `[mint.NAME]` in the policy")
}

struct Asker<'a> {
    exchange: &'a dyn Exchange,
    server: &'a WebAddress,
    rules: &'a OAuthTable,
    /// How the server answered without a token.
    status: u16,
    reach: Reach,
}

impl Asker<'_> {
    /// The address in the challenge, then the two usual ones.
    fn resource_metadata(&self, challenge: &BearerChallenge) -> Result<Option<ResourceMetadata>> {
        const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
        let mut places = Vec::new();
        if let Some(named) = &challenge.resource_metadata {
            let place = self.server.join(named).map_err(|why| {
                let what = format!(
                    "cannot accept the challenge of `{}`",
                    self.server.authority()
                );
                Error::new(Code::OAuthFailed, what)
                    .cause(format!("its `resource_metadata` is {why}"))
                    .hint("tell the operator of the server; its OAuth metadata is wrong")
            })?;
            places.push(place);
        }
        let path = self.server.path().trim_end_matches('/');
        for path in [format!("{WELL_KNOWN}{path}"), WELL_KNOWN.to_owned()] {
            places.extend(self.server.at(&path).ok());
        }
        places.dedup();
        for place in places {
            if let Some(found) = self.document(place)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// `is_asked`: the server refuses requests without a token.
    fn issuer(&self, named: &[String], is_asked: bool) -> Result<IssuerMetadata> {
        let bases = named.iter().take(ISSUERS_MAX);
        if let Some(wanted) = &self.rules.issuer {
            // The policy decides; the document may be where the server says.
            for base in std::iter::once(wanted).chain(bases) {
                if let Some(found) = self.issuer_metadata(base)?
                    && is_about(&found, wanted)
                {
                    return Ok(IssuerMetadata {
                        issuer: wanted.clone(),
                        ..found
                    });
                }
            }
            return Err(no_metadata(wanted));
        }
        if let Some(base) = named.first() {
            let found = self
                .issuer_metadata(base)?
                .ok_or_else(|| no_metadata(base))?;
            return checked(found, base);
        }
        // MCP 2025-03-26: the server's origin is its authorization server, perhaps without metadata.
        let origin = self.server.origin();
        let place = self.server.at("/.well-known/oauth-authorization-server");
        let place =
            place.map_err(|why| Error::new(Code::OAuthFailed, "cannot log in").cause(why))?;
        match self.document::<IssuerMetadata>(place)? {
            Some(found) => checked(found, &origin),
            None if is_asked => Ok(IssuerMetadata::of_paths(&origin)),
            None => Err(no_login(self.server, self.status)),
        }
    }

    /// The places of RFC 8414 and `OpenID` Connect, in the order of MCP.
    fn issuer_metadata(&self, issuer: &str) -> Result<Option<IssuerMetadata>> {
        const OAUTH: &str = "/.well-known/oauth-authorization-server";
        const OPENID: &str = "/.well-known/openid-configuration";
        let base = WebAddress::parse(issuer).map_err(|why| {
            let what = format!(
                "cannot use the authorization server of `{}`",
                self.server.authority()
            );
            Error::new(Code::OAuthFailed, what)
                .cause(format!("its address is {why}"))
                .hint("if its documentation names another one, write it as `issuer` below `[oauth]` in the policy")
        })?;
        let path = base.path().trim_end_matches('/');
        let mut paths = vec![format!("{OAUTH}{path}"), format!("{OPENID}{path}")];
        if !path.is_empty() {
            paths.push(format!("{path}{OPENID}"));
        }
        for path in paths {
            if let Ok(place) = base.at(&path)
                && let Some(found) = self.document(place)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// A JSON document; `None` if there is none.
    fn document<T: DeserializeOwned>(&self, place: WebAddress) -> Result<Option<T>> {
        let authority = place.authority();
        let answer = self
            .exchange
            .send(&ExchangeRequest::get(place, self.reach))?;
        match answer.status {
            200..=299 => Ok(serde_json::from_str(answer.body.as_str()).ok()),
            300..=499 => Ok(None),
            _ => Err(has_fault(&authority, &answer)),
        }
    }
}

/// The error for an answer that says the other side has a fault.
pub fn has_fault(authority: &str, answer: &ExchangeAnswer) -> Error {
    Error::new(Code::OAuthUnreachable, format!("cannot ask `{authority}`"))
        .cause_of(
            CauseKind::Unreachable,
            format!("it answers with HTTP status {}", answer.status),
        )
        .hint("try again in a few minutes")
}

/// Whether metadata is about this authorization server.
fn is_about(found: &IssuerMetadata, wanted: &str) -> bool {
    let known = KnownIssuer::of_issuer(wanted);
    found.is_of(wanted) || known.is_some_and(|known| known.stands_for(&found.issuer, wanted))
}

fn no_login(server: &WebAddress, status: u16) -> Error {
    let what = format!("cannot log in to `{}`", server.authority());
    let error = Error::new(Code::OAuthFailed, what);
    if !(200..300).contains(&status) {
        return error
            .cause(format!(
                "it answers with HTTP status {status}, and names no authorization server"
            ))
            .hint("check `url` in the policy");
    }
    error
        .cause("it answers without a token, and names no authorization server")
        .hint("if its documentation names one, write it as `issuer` below `[oauth]` in the policy")
}

fn no_metadata(issuer: &str) -> Error {
    Error::new(
        Code::OAuthFailed,
        format!("cannot use the authorization server `{issuer}`"),
    )
    .cause("it has no metadata about itself")
    .hint("if it is another one, write `issuer` below `[oauth]` or `[mint.NAME]` in the policy")
}

fn checked(found: IssuerMetadata, wanted: &str) -> Result<IssuerMetadata> {
    if found.is_of(wanted) {
        return Ok(found);
    }
    Err(Error::new(
        Code::OAuthFailed,
        format!("cannot use the authorization server `{wanted}`"),
    )
    .cause(format!(
        "its metadata is about another one, `{}`",
        found.issuer
    ))
    .hint("if that one is right, write it as `issuer` below `[oauth]` in the policy"))
}
