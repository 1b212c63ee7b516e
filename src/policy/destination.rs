//! The lines of a summary about a remote server: what it is sent, and where it is.
//!
//! Invariant: the host, which gets the secrets, stands last.

use super::Remote;
use super::plain::{ascii, word};
use super::remote::{OAuthGrant, OAuthTable, Pkce};

/// What a remote server is sent, and where it is; the host stands last.
pub(super) fn destination(remote: &Remote) -> Vec<(&'static str, String)> {
    let Remote {
        url,
        transport,
        headers,
        oauth,
    } = remote;
    let header = |(name, value)| ("header", ascii(&format!("{name}: {value}")));
    let mut rows: Vec<_> = headers.iter().map(header).collect();
    rows.extend(oauth.iter().flat_map(token));
    rows.push(("transport", word(transport)));
    rows.push(("url", ascii(url)));
    rows.push(("host", ascii(&remote.host())));
    rows
}

/// How the token of a remote server is obtained.
fn token(oauth: &OAuthTable) -> Vec<(&'static str, String)> {
    let OAuthTable {
        grant,
        scopes,
        issuer,
        client_id,
        client_secret,
        private_key,
        client_metadata_url,
        redirect,
        resource,
        pkce,
    } = oauth;
    let how = match grant {
        OAuthGrant::AuthorizationCode => "you log in with a browser: `mcpwrap login`",
        OAuthGrant::ClientCredentials => "mcpwrap asks for it itself, as a registered client",
    };
    let mut rows = vec![("token", how.to_owned())];
    let proof = [
        ("client_secret", client_secret),
        ("private_key", private_key),
    ];
    for (name, value) in proof {
        let value = value.iter().map(|value| format!("{name} {}", ascii(value)));
        rows.extend(value.map(|value| ("proof", value)));
    }
    let client = client_id.iter().chain(client_metadata_url);
    rows.extend(client.map(|client| ("client", ascii(client))));
    rows.extend(
        redirect
            .iter()
            .map(|redirect| ("redirect", ascii(redirect))),
    );
    match resource.as_deref() {
        None => {}
        Some("omit") => rows.push(("resource", "none is named".to_owned())),
        Some(resource) => rows.push(("resource", ascii(resource))),
    }
    if *pkce == Pkce::Assume {
        let fact = "used, although the issuer does not announce it";
        rows.push(("pkce", fact.to_owned()));
    }
    let scopes = match scopes.as_slice() {
        [] => "those that the server asks for".to_owned(),
        scopes => scopes.join(", "),
    };
    rows.push(("scopes", scopes));
    let issuer = issuer.as_deref().map(ascii);
    let named = || "the one that the server names".to_owned();
    rows.push(("issuer", issuer.unwrap_or_else(named)));
    rows
}
