//! One request to one provider: whether a secret is valid.
//!
//! Invariants: HTTPS to a host that the catalog names; no redirect is followed, since it may lead to
//! another host. The environment of the caller decides neither the proxy nor the authorities: see
//! [`https`].

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::{HeaderMap, Method, Request, Uri};
use zeroize::Zeroize as _;

use crate::catalog::{KnownServer, Probe};
use crate::check::ProbeResult;
use crate::error::{Code, Error, Result};
use crate::expiry::Expiry;
use crate::files::io_text;
use crate::https::{self, RouteFault, WebRoute};
use crate::oauth::scope::ScopeSet;
use crate::secret::Secret;

/// The time limit of a request.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// The limit of an answer (bytes).
const BODY_BYTES_MAX: u64 = 64 << 10;

/// The target of a request.
#[derive(Debug)]
pub struct Address {
    method: Method,
    uri: Uri,
    body: String,
    /// A host of the catalog.
    pub host: String,
}

impl Address {
    /// For the user.
    pub fn shown(&self) -> String {
        format!("{} {}", self.method, self.uri)
    }
}

/// The target of a probe, if the catalog allows the host for this server.
pub fn address(shipped: &KnownServer, probe: &Probe) -> Result<Address, String> {
    let mut words = probe.request.splitn(3, ' ');
    let method = match words.next() {
        Some("GET") => Method::GET,
        Some("POST") => Method::POST,
        _ => return Err("the method is neither GET nor POST".to_owned()),
    };
    let uri: Uri = words
        .next()
        .and_then(|text| text.parse().ok())
        .ok_or("invalid URL")?;
    let host = uri.host().unwrap_or_default().to_owned();
    if uri.scheme_str() != Some("https") {
        return Err("the URL is not `https:`".to_owned());
    }
    if !shipped.hosts.iter().any(|known| is_host(known, &host)) {
        return Err(format!("`{host}` is not a host of {}", shipped.title));
    }
    Ok(Address {
        method,
        uri,
        body: words.next().unwrap_or_default().to_owned(),
        host,
    })
}

/// Whether a host matches a host of the catalog. `*` alone, any host, matches none.
fn is_host(known: &str, host: &str) -> bool {
    match known.strip_prefix("*.") {
        Some(end) => host
            .strip_suffix(end)
            .is_some_and(|head| head.ends_with('.') && head.len() > 1),
        None => known == host,
    }
}

/// The HTTP client for providers.
pub struct Services(Agent);

impl Services {
    /// `route` is what the user approved.
    ///
    /// # Errors
    /// `file-unusable` if the machine has no CA certificates, or if the caller's environment could make
    /// the C library load code when it looks up a name; `network-changed`.
    pub fn new(route: &WebRoute) -> Result<Self> {
        let what = "cannot ask any provider";
        let agent = https::agent(route, ANSWER_LIMIT, true).map_err(|fault| match fault {
            RouteFault::Lookup => Error::new(Code::FileUnusable, what)
                .cause("an `LD_` variable is set, and mcpwrap could not start again without it")
                .hint("unset it and run the same command again"),
            RouteFault::Authorities(why) => Error::new(Code::FileUnusable, what)
                .cause(why)
                .hint("install the package `ca-certificates`"),
            RouteFault::Proxy => Error::new(Code::NetworkChanged, what)
                .cause("the approved proxy is not a URL")
                .hint("run `mcpwrap config network` to approve another one"),
        })?;
        Ok(Self(agent))
    }

    /// Sends one request.
    pub fn ask(&self, address: &Address, probe: &Probe, value: &Secret) -> ProbeResult {
        let unclear = |why: &str| ProbeResult::Unclear(why.to_owned());
        let Ok(value) = std::str::from_utf8(value.expose()) else {
            return unclear("the value is not UTF-8");
        };
        let mut request = Request::builder()
            .method(address.method.clone())
            .uri(address.uri.clone());
        for header in &probe.headers {
            let Some((name, text)) = header.split_once(':') else {
                continue;
            };
            let mut text = text.trim().replace("{secret}", value);
            request = request.header(name.trim(), text.as_str());
            text.zeroize();
        }
        if address.body.starts_with('{') {
            request = request.header("content-type", "application/json");
        }
        let Ok(request) = request.body(address.body.as_str()) else {
            return unclear("the value is not valid in a header");
        };
        let sent = if address.method == Method::GET {
            self.0.run(request.map(|_| ()))
        } else {
            self.0.run(request)
        };
        let mut answer = match sent {
            Ok(answer) => answer,
            Err(ureq::Error::Io(error)) => return ProbeResult::Unclear(io_text(&error)),
            Err(error) => return ProbeResult::Unclear(error.to_string()),
        };
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let body = answer.body_mut().with_config().limit(BODY_BYTES_MAX);
        let body = body.read_to_string().unwrap_or_default();
        read(probe, status, &headers, &body)
    }
}

/// Interprets an answer.
fn read(probe: &Probe, status: u16, headers: &HeaderMap, body: &str) -> ProbeResult {
    let body = serde_json::from_str::<Value>(body).unwrap_or_default();
    // Slack answers 200 with `"ok": false`.
    let refused = body.get("ok") == Some(&Value::Bool(false));
    match status {
        200..=299 if refused => ProbeResult::Refused(status),
        200..=299 => ProbeResult::Good {
            // Bounded, and nothing that could pass for a line of mcpwrap.
            scopes: fact(probe.scopes.as_deref(), headers, &body)
                .map(|told| ScopeSet::of(told).iter().map(str::to_owned).collect()),
            ends: fact(probe.expires.as_deref(), headers, &body)
                .and_then(|texts| end(texts.first()?)),
        },
        401 => ProbeResult::Refused(status),
        _ => ProbeResult::Unclear(format!("HTTP status {status}")),
    }
}

/// What an answer says in a header, or at a place of its body (`/scopes`).
fn fact(place: Option<&str>, headers: &HeaderMap, body: &Value) -> Option<Vec<String>> {
    let place = place?;
    let list = |text: &str| {
        let parts = text.split(',').map(str::trim);
        let parts = parts.filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    if !place.starts_with('/') {
        return Some(list(headers.get(place)?.to_str().ok()?));
    }
    match body.pointer(place)? {
        Value::String(text) => Some(list(text)),
        Value::Array(all) => all
            .iter()
            .map(|one| one.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}

/// A date, or a time in the form of RFC 3339 or of GitHub (`2027-01-31 10:00:00 UTC`).
fn end(text: &str) -> Option<Expiry> {
    let time = text.replacen(' ', "T", 1);
    let time = time.replace(" UTC", "Z").replace(' ', "");
    time.parse()
        .ok()
        .or_else(|| text.get(..10)?.parse().map(Expiry::Day).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    #[test]
    fn every_probe_goes_to_a_host_of_its_server() {
        for shipped in catalog::all() {
            let Some(probe) = shipped.probe.as_ref().filter(|probe| probe.verified) else {
                continue;
            };
            address(shipped, probe).unwrap_or_else(|why| panic!("{}: {why}", shipped.id));
        }
    }

    #[test]
    fn no_other_host_and_no_plain_http() {
        let github = catalog::of_package("@modelcontextprotocol/server-github").unwrap();
        let probe = |request: &str| Probe {
            request: request.to_owned(),
            ..github.probe.clone().unwrap()
        };
        for (request, fine) in [
            ("GET https://api.github.com/user", true),
            ("GET http://api.github.com/user", false),
            ("GET https://api.github.com.evil.example/user", false),
            ("GET https://evil.example/?api.github.com", false),
            ("GET https://api.github.com@evil.example/user", false),
            ("DELETE https://api.github.com/user", false),
        ] {
            assert_eq!(address(github, &probe(request)).is_ok(), fine, "{request}");
        }
        assert!(is_host("*.a.example", "x.a.example") && !is_host("*.a.example", "a.example"));
        assert!(!is_host("*", "evil.example") && !is_host("*.a.example", "xa.example"));
    }

    #[test]
    fn ends_in_the_forms_of_providers() {
        for (text, expected) in [
            ("2027-01-31", Some("2027-01-31")),
            ("2027-01-31 10:00:00 UTC", Some("2027-01-31T10:00:00Z")),
            ("2027-01-31 12:00:00 +0200", Some("2027-01-31T10:00:00Z")),
            ("2027-01-31T10:00:00Z", Some("2027-01-31T10:00:00Z")),
            ("2027-01-31 at noon", Some("2027-01-31")),
            ("never", None),
            ("", None),
        ] {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(end(text), expected, "{text}");
        }
    }

    #[test]
    fn results_of_answers() {
        let github = catalog::of_package("@modelcontextprotocol/server-github").unwrap();
        let probe = github.probe.clone().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-oauth-scopes", "repo, admin:org".parse().unwrap());
        let expires = "github-authentication-token-expiration";
        headers.insert(expires, "2027-01-31 10:00:00 UTC".parse().unwrap());
        let said = |scopes: &[&str], ends: &str| ProbeResult::Good {
            scopes: Some(scopes.iter().map(|&scope| scope.to_owned()).collect()),
            ends: ends.parse().ok(),
        };
        assert_eq!(
            read(&probe, 200, &headers, "{}"),
            said(&["repo", "admin:org"], "2027-01-31T10:00:00Z")
        );
        let nothing = ProbeResult::Good {
            scopes: None,
            ends: None,
        };
        assert_eq!(read(&probe, 200, &HeaderMap::new(), "{}"), nothing);
        let gitlab = catalog::of_id("gitlab").unwrap().probe.clone().unwrap();
        let body = r#"{"scopes":["api","sudo"],"expires_at":"2027-01-31"}"#;
        assert_eq!(
            read(&gitlab, 200, &headers, body),
            said(&["api", "sudo"], "2027-01-31")
        );
        assert_eq!(read(&gitlab, 200, &headers, "<html>"), nothing);
        let hostile = r#"{"scopes":["api","x\ngranted: github","\u001b[2K"]}"#;
        assert_eq!(read(&gitlab, 200, &headers, hostile), said(&["api"], ""));
        let face = catalog::of_id("hugging-face").unwrap();
        let body = r#"{"auth":{"accessToken":{"role":"write"}}}"#;
        assert_eq!(
            read(face.probe.as_ref().unwrap(), 200, &headers, body),
            said(&["write"], "")
        );
        assert_eq!(read(&probe, 401, &headers, ""), ProbeResult::Refused(401));
        assert_eq!(
            read(&probe, 200, &headers, "{\"ok\":false}"),
            ProbeResult::Refused(200)
        );
        assert!(matches!(
            read(&probe, 302, &headers, ""),
            ProbeResult::Unclear(_)
        ));
    }
}
