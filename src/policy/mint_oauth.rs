//! `[mint.NAME]` with `type = "oauth"`: the token of an account, for a local server. The user logs in once;
//! mcpwrap refreshes the token while a server has it.

use super::known_issuer::KnownIssuer;
use super::mint_table::{
    MintFault, MintTable, address, github_fields, needs, plain_secret, refuse, store_fields,
};
use super::plain::{ascii, word};
use super::remote::{OAuthGrant, OAuthTable, Pkce};
use super::web;
use crate::secret::SecretName;

/// A checked mint of this type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthMint {
    /// With an `issuer` and scopes, and without what proves the client.
    pub rules: OAuthTable,
    pub client_secret: Option<SecretName>,
    /// The private key (PEM, PKCS#8) of the client, in place of a secret.
    pub private_key: Option<SecretName>,
}

impl OAuthMint {
    /// The only part of such a credential that a server gets.
    pub const FIELD: &str = "access_token";

    pub(super) fn new(table: &MintTable) -> Result<Self, MintFault> {
        let why = "not for `type = \"oauth\"`";
        refuse(&github_fields(table), why)?;
        refuse(&store_fields(table), why)?;
        let (issuer, known) = issuer(table)?;
        if known.is_some() && table.client_id.is_none() {
            return Err(needs("client_id", "create a client in its console"));
        }
        if table.scopes.is_empty() {
            return Err(needs("scopes", "what the token may do"));
        }
        if let Some(scope) = table.scopes.iter().find(|scope| !web::is_scope(scope)) {
            let why = format!("`{}` is no scope; write one per element", ascii(scope));
            return Err(("scopes", why));
        }
        let of = |field, text: &Option<String>| {
            let text = text.as_deref();
            text.map(|text| plain_secret(field, text)).transpose()
        };
        let mint = Self {
            client_secret: of("client_secret", &table.client_secret)?,
            private_key: of("private_key", &table.private_key)?,
            rules: OAuthTable {
                grant: table.grant,
                scopes: table.scopes.clone(),
                issuer: Some(issuer),
                client_id: table.client_id.clone(),
                client_secret: None,
                private_key: None,
                client_metadata_url: None,
                redirect: redirect(table)?,
                resource: Some(resource(table)?),
                pkce: pkce(table, known),
            },
        };
        mint.check_client()?;
        Ok(mint)
    }

    fn check_client(&self) -> Result<(), MintFault> {
        let Self {
            rules,
            client_secret,
            private_key,
        } = self;
        if client_secret.is_some() && private_key.is_some() {
            let why = "a client proves itself in one way: remove it or `client_secret`";
            return Err(("private_key", why.to_owned()));
        }
        let proof = client_secret.as_ref().or(private_key.as_ref());
        if proof.is_some() && rules.client_id.is_none() {
            let why = "needs `client_id`: they were issued together";
            return Err(("client_secret", why.to_owned()));
        }
        if rules.grant == OAuthGrant::AuthorizationCode {
            return Ok(());
        }
        if proof.is_none() {
            let why = "`client-credentials` needs `client_id` and `client_secret` or `private_key`";
            return Err(("grant", why.to_owned()));
        }
        if rules.redirect.is_some() {
            let why = "not with `client-credentials`: no browser takes part";
            return Err(("redirect", why.to_owned()));
        }
        Ok(())
    }

    /// What a grant shows of it.
    pub(super) fn shown(&self) -> String {
        let Self {
            rules,
            client_secret,
            private_key,
        } = self;
        let OAuthTable {
            grant,
            scopes,
            issuer,
            client_id,
            // They are fields of their own.
            client_secret: _,
            private_key: _,
            client_metadata_url: _,
            redirect,
            resource,
            pkce,
        } = rules;
        let issuer = issuer.as_deref().unwrap_or_default();
        let mut text = format!(
            "OAuth token of {} ({}), scopes {}",
            ascii(issuer),
            word(*grant),
            ascii(&scopes.join(", "))
        );
        if let Some(id) = client_id {
            text.extend(["; client ", &ascii(id)]);
        }
        for (what, name) in [("secret", client_secret), ("key", private_key)] {
            if let Some(name) = name {
                text.extend([" (", what, " secret:", name.as_str(), ")"]);
            }
        }
        for (what, value) in [("redirect", redirect), ("resource", resource)] {
            if let Some(value) = value.as_deref().filter(|value| *value != OMIT) {
                text.extend(["; ", what, " ", &ascii(value)]);
            }
        }
        if *pkce == Pkce::Assume {
            text.push_str("; PKCE is not announced");
        }
        text
    }
}

/// No `resource` is sent: most authorization servers of accounts do not know the parameter.
const OMIT: &str = "omit";

fn issuer(table: &MintTable) -> Result<(String, Option<&'static KnownIssuer>), MintFault> {
    let words = || KnownIssuer::words().map(|word| format!("`{word}`"));
    let written = table.issuer.as_deref().ok_or_else(|| {
        let words = words().collect::<Vec<_>>().join(" or ");
        needs("issuer", &format!("an `https:` address, {words}"))
    })?;
    if let Some(known) = KnownIssuer::of_word(written) {
        return Ok((known.issuer.to_owned(), Some(known)));
    }
    let url = address("issuer", written)?;
    if url.has_query {
        let why = "the address of an authorization server has no query";
        return Err(("issuer", why.to_owned()));
    }
    Ok((written.to_owned(), KnownIssuer::of_issuer(written)))
}

/// What the policy says, before what is known of the authorization server.
fn pkce(table: &MintTable, known: Option<&KnownIssuer>) -> Pkce {
    let known = known.map(|known| known.pkce);
    table.pkce.or(known).unwrap_or_default()
}

fn redirect(table: &MintTable) -> Result<Option<String>, MintFault> {
    let Some(text) = &table.redirect else {
        return Ok(None);
    };
    let url = address("redirect", text)?;
    let has_port = url.port.is_some_and(|port| port != 0);
    if url.is_encrypted || !url.is_loopback() || !has_port || url.has_query {
        let why = "expected `http://127.0.0.1:PORT/PATH` or `http://localhost:PORT/PATH`, as the client was registered";
        return Err(("redirect", why.to_owned()));
    }
    Ok(Some(text.clone()))
}

fn resource(table: &MintTable) -> Result<String, MintFault> {
    match table.resource.as_deref() {
        None | Some(OMIT) => Ok(OMIT.to_owned()),
        Some(text) => address("resource", text).map(|_| text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::parse_text;
    use super::*;
    use crate::oauth::owner::TokenOwner;
    use crate::policy::Policy;

    fn policy(lines: &str) -> crate::error::Result<Policy> {
        parse_text(&format!(
            "version = 1\ncommand = [\"/bin/true\"]\n[secrets.T]\nfrom = \"mint:m\"\n[mint.m]\ntype = \"oauth\"\n\
             client_id = \"c\"\nscopes = [\"read\"]\n{lines}"
        ))
    }

    fn mint(lines: &str) -> OAuthMint {
        let policy = policy(lines).unwrap();
        let (_, mint) = policy.oauth_mints().next().unwrap();
        mint.clone()
    }

    #[test]
    fn a_word_stands_for_an_issuer_and_its_rules() {
        for (word, issuer, pkce) in [
            ("google", "https://accounts.google.com", Pkce::Require),
            (
                "microsoft",
                "https://login.microsoftonline.com/common/v2.0",
                Pkce::Assume,
            ),
            (
                "https://login.microsoftonline.com/acme/v2.0",
                "https://login.microsoftonline.com/acme/v2.0",
                Pkce::Assume,
            ),
        ] {
            let rules = mint(&format!("issuer = \"{word}\"\n")).rules;
            let found = (rules.issuer.as_deref(), rules.pkce);
            assert_eq!(found, (Some(issuer), pkce), "{word}");
            for (said, pkce) in [("require", Pkce::Require), ("assume", Pkce::Assume)] {
                let rules = mint(&format!("issuer = \"{word}\"\npkce = \"{said}\"\n")).rules;
                assert_eq!(rules.pkce, pkce, "{word}: the policy decides");
            }
        }
    }

    #[test]
    fn a_life_of_just_the_least_is_enough() {
        let policy = policy("issuer = \"https://as.example\"\nmin_life = \"10m\"\n").unwrap();
        let rules = policy.mints.values().next().unwrap();
        for (seconds, is_too_short) in [(600, false), (599, false), (598, true), (0, true)] {
            assert_eq!(rules.is_too_short(seconds), is_too_short, "{seconds}");
        }
    }

    #[test]
    fn a_grant_shows_all_that_is_sent() {
        let shown = mint(
            "issuer = \"https://as.example\"\nredirect = \"http://127.0.0.1:7/cb\"\n\
             resource = \"https://api.example\"\nclient_secret = \"secret:a/b\"\npkce = \"assume\"\n",
        )
        .shown();
        assert_eq!(
            shown,
            "OAuth token of https://as.example (authorization-code), scopes read; client c (secret secret:a/b); \
             redirect http://127.0.0.1:7/cb; resource https://api.example; PKCE is not announced"
        );
    }

    #[test]
    fn a_redirect_is_an_address_of_this_machine() {
        let at = "issuer = \"https://as.example\"\n";
        for text in [
            "http://127.0.0.1:7/cb?a=b",
            "http://127.0.0.1/cb",
            "https://127.0.0.1:7/cb",
            "http://10.0.0.1:7/cb",
        ] {
            assert!(
                policy(&format!("{at}redirect = \"{text}\"\n")).is_err(),
                "{text}"
            );
        }
        assert!(policy(&format!("{at}redirect = \"http://localhost:7/cb\"\n")).is_ok());
    }

    #[test]
    fn each_mint_that_is_used_has_a_login() {
        let both = policy(
            "issuer = \"google\"\n[secrets.N]\nfrom = \"mint:n\"\n[mint.n]\ntype = \"oauth\"\n\
             issuer = \"https://as.example\"\nscopes = [\"a\"]\n[mint.unused]\ntype = \"oauth\"\n\
             issuer = \"https://as.example\"\nscopes = [\"a\"]\n",
        );
        let owners = TokenOwner::of_policy(&both.unwrap());
        let shown: Vec<_> = owners.iter().map(TokenOwner::brief).collect();
        let own = |mint| format!("{} (mint:{mint})", owners[0].server);
        assert_eq!(shown, [own("m"), own("n")]);
    }
}
