//! Authorization servers of people's accounts that differ from the standards, by the word for them in a
//! policy.

use super::remote::Pkce;

/// One authorization server.
#[derive(Debug)]
pub struct KnownIssuer {
    /// What a policy writes in place of the address.
    pub word: &'static str,
    /// Its address, for accounts of every kind.
    pub issuer: &'static str,
    origin: &'static str,
    /// What a login sends in addition, without which there is no refresh token.
    pub parameters: &'static [(&'static str, &'static str)],
    /// Whether its metadata says that it supports PKCE.
    pub pkce: Pkce,
    /// Its metadata has this in place of the tenant.
    tenant: Option<&'static str>,
}

const ISSUERS: [KnownIssuer; 2] = [
    // https://developers.google.com/identity/protocols/oauth2/native-app
    KnownIssuer {
        word: "google",
        issuer: "https://accounts.google.com",
        origin: "https://accounts.google.com",
        parameters: &[("access_type", "offline"), ("prompt", "consent")],
        pkce: Pkce::Require,
        tenant: None,
    },
    // https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
    KnownIssuer {
        word: "microsoft",
        issuer: "https://login.microsoftonline.com/common/v2.0",
        origin: "https://login.microsoftonline.com",
        parameters: &[],
        pkce: Pkce::Assume,
        tenant: Some("{tenantid}"),
    },
];

impl KnownIssuer {
    /// The authorization server of this word.
    pub fn of_word(word: &str) -> Option<&'static Self> {
        ISSUERS.iter().find(|known| known.word == word)
    }

    /// The authorization server at this address, of any tenant.
    pub fn of_issuer(issuer: &str) -> Option<&'static Self> {
        ISSUERS.iter().find(|known| {
            let rest = issuer.strip_prefix(known.origin);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// The words, for messages.
    pub fn words() -> impl Iterator<Item = &'static str> {
        ISSUERS.iter().map(|known| known.word)
    }

    /// Whether metadata about `found` is that of `wanted`, at this authorization server: the metadata for
    /// accounts of every tenant names none.
    pub fn stands_for(&self, found: &str, wanted: &str) -> bool {
        let Some(tenant) = self.tenant else {
            return false;
        };
        let (before, after) = found.split_once(tenant).unwrap_or((found, ""));
        before.starts_with(self.origin)
            && wanted
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|one| !one.is_empty() && !one.contains('/'))
            && found != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_addresses() {
        let google = KnownIssuer::of_word("google").unwrap();
        assert_eq!(
            KnownIssuer::of_issuer(google.issuer).unwrap().word,
            "google"
        );
        let tenant = "https://login.microsoftonline.com/acme.example/v2.0";
        assert_eq!(KnownIssuer::of_issuer(tenant).unwrap().pkce, Pkce::Assume);
        for other in [
            "https://accounts.google.com.example",
            "https://as.example",
            "",
        ] {
            assert!(KnownIssuer::of_issuer(other).is_none(), "{other}");
        }
    }

    #[test]
    fn metadata_without_a_tenant() {
        let microsoft = KnownIssuer::of_word("microsoft").unwrap();
        let found = "https://login.microsoftonline.com/{tenantid}/v2.0";
        assert!(microsoft.stands_for(found, microsoft.issuer));
        for (found, wanted) in [
            (found, "https://login.microsoftonline.com/a/b/v2.0"),
            (found, "https://login.microsoftonline.com//v2.0"),
            (found, "https://evil.example/common/v2.0"),
            (microsoft.issuer, "https://login.microsoftonline.com/x/v2.0"),
            (
                "https://evil.example/{tenantid}/v2.0",
                "https://evil.example/common/v2.0",
            ),
        ] {
            assert!(!microsoft.stands_for(found, wanted), "{found} {wanted}");
        }
        let google = KnownIssuer::of_word("google").unwrap();
        assert!(!google.stands_for(google.issuer, google.issuer));
    }
}
