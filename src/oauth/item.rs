//! The stored tokens of one owner, and the registrations: items of the secret store.
//!
//! Invariants: an item is written as a whole and read back before anything in it is used. One that
//! cannot be parsed counts as absent.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::client::OAuthClient;
use super::exchange::Reach;
use super::metadata::Endpoints;
use super::registration::Registration;
use super::scope::ScopeSet;
use crate::bridge::channel::SecretText;
use crate::error::{Code, Error, Result};
use crate::secret::{Secret, SecretName, hex};
use crate::store::{Store, own_items};
use crate::weak::Weakness;

const VERSION: u32 = 1;

/// A token is refreshed this long before its end (seconds), or a tenth of its life if that is less.
const EARLY_MAX: i64 = 60;

/// A server that is replaced at 2/3 ± 10 % of a life needs a token that is younger than this.
const AGED_PERCENT: i64 = 55;

/// The tokens of one owner, with all that a refresh needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenItem {
    pub version: u32,
    /// The address of the server, as the policy writes it; of a mint, that of its authorization server.
    pub url: String,
    pub issuer: String,
    /// What is sent as `resource`.
    pub resource: Option<String>,
    pub client: OAuthClient,
    pub endpoints: Endpoints,
    pub reach: Reach,
    pub access: SecretText,
    pub refresh: Option<SecretText>,
    pub scope: ScopeSet,
    /// Seconds of Unix time.
    pub obtained_at: i64,
    /// Seconds of Unix time; `None` if unknown: then it is used until the server refuses it.
    pub expires_at: Option<i64>,
    /// Grows with every change.
    pub generation: u64,
    /// The user, if the authorization server named one.
    pub subject: Option<String>,
    /// Identifies the login.
    pub login: String,
    /// A refresh was begun at this time and did not end, as far as is known.
    pub refreshing: Option<i64>,
}

impl TokenItem {
    /// The version of this format.
    pub const VERSION: u32 = VERSION;

    /// Why the token is not masked.
    pub fn weakness(&self) -> Option<Weakness> {
        secret_of(&self.access).weakness()
    }

    /// Whether the token ends soon or has ended.
    pub fn is_due(&self, now: i64) -> bool {
        let Some(end) = self.expires_at else {
            return false;
        };
        let life = end.saturating_sub(self.obtained_at).max(0);
        now >= end.saturating_sub(EARLY_MAX.min(life / 10))
    }

    /// Whether a server that keeps the token until it is replaced should get another one: more than half of
    /// its life is over, or less than `min_life` is left. Times are whole seconds, so one may be missing.
    pub fn is_aged(&self, now: i64, min_life: Duration) -> bool {
        let Some(end) = self.expires_at else {
            return false;
        };
        let life = end.saturating_sub(self.obtained_at).max(0);
        let age = now.saturating_add(1).saturating_sub(self.obtained_at);
        let left = end.saturating_sub(now);
        age.saturating_mul(100) >= life.saturating_mul(AGED_PERCENT)
            || u64::try_from(left).unwrap_or(0) < min_life.as_secs()
    }

    /// Whether its whole life is shorter than this.
    pub fn is_shorter(&self, wanted: Duration) -> bool {
        self.expires_at.is_some_and(|end| {
            let life = end.saturating_sub(self.obtained_at);
            u64::try_from(life).unwrap_or(0) < wanted.as_secs()
        })
    }

    /// Whether the token has ended.
    pub fn is_over(&self, now: i64) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }

    /// A digest of whose token it is: of the issuer, the client, the resource and the user. Where the
    /// user is not known, each login counts as another one.
    pub fn identity(&self) -> String {
        let user = self.subject.as_deref().unwrap_or(&self.login);
        let parts = (&self.issuer, &self.client.id, &self.resource, user);
        let text = serde_json::to_vec(&parts).expect("texts are always valid JSON");
        hex(&Sha256::digest(text))
    }
}

/// The name of the registration at an issuer. `form`: what is fixed of the redirect.
///
/// # Errors
/// None in practice: a digest is a valid name.
pub fn registration_name(issuer: &str, form: &str) -> Result<SecretName> {
    let digest = hex(&Sha256::digest(format!("{issuer}\n{form}")));
    SecretName::new(&format!(
        "oauth-client/{}",
        digest.get(..32).unwrap_or(&digest)
    ))
}

/// Reads the tokens; `None` without a valid item.
///
/// # Errors
/// Those of the store.
pub fn read_token(store: &dyn Store, name: &SecretName) -> Result<Option<TokenItem>> {
    let found: Option<TokenItem> = read(store, name)?;
    Ok(found.filter(|item| item.version == VERSION))
}

/// Reads a registration; `None` without a valid item.
///
/// # Errors
/// Those of the store.
pub fn read_registration(store: &dyn Store, name: &SecretName) -> Result<Option<Registration>> {
    read(store, name)
}

/// Reads an item; `None` without a valid one.
///
/// # Errors
/// Those of the store.
pub fn read<T: DeserializeOwned>(store: &dyn Store, name: &SecretName) -> Result<Option<T>> {
    match store.get(name) {
        Ok(item) => Ok(serde_json::from_slice(item.value.expose()).ok()),
        Err(error) if error.code == Code::SecretNotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes an item, and reads it back: what the store returns is what it has on disk.
///
/// # Errors
/// Those of the store.
pub fn write(store: &dyn Store, name: &SecretName, item: &impl Serialize) -> Result<()> {
    own_items::write(store, name, item, "cannot store the OAuth token")
}

/// A token as the bridge needs it.
pub fn secret_of(text: &SecretText) -> Secret {
    Secret::new(text.as_str().as_bytes().to_vec())
}

/// A secret of the store as text.
///
/// # Errors
/// `secret-unusable` if it is not UTF-8.
pub fn text_of(name: &SecretName, secret: &Secret) -> Result<SecretText> {
    let text = std::str::from_utf8(secret.expose()).map_err(|_| {
        Error::new(Code::SecretUnusable, format!("cannot use `secret:{name}`"))
            .cause("the value is not UTF-8")
    })?;
    Ok(SecretText::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::client::{AuthMethod, ClientSource};

    fn item(obtained_at: i64, expires_at: Option<i64>) -> TokenItem {
        TokenItem {
            version: VERSION,
            url: "https://mcp.example/mcp".into(),
            issuer: "https://as.example".into(),
            resource: None,
            client: OAuthClient {
                id: "c1".into(),
                source: ClientSource::Registered,
                method: AuthMethod::None,
                secret: None,
            },
            endpoints: Endpoints {
                token: "https://as.example/token".into(),
                revocation: None,
            },
            reach: Reach::INTERNET,
            access: SecretText::new("at-hidden".into()),
            refresh: Some(SecretText::new("rt-hidden".into())),
            scope: ScopeSet::parse("a b"),
            obtained_at,
            expires_at,
            generation: 1,
            subject: None,
            login: "l1".into(),
            refreshing: None,
        }
    }

    #[test]
    fn a_token_is_due_a_minute_or_a_tenth_early() {
        for (life, due) in [(3600, 3540), (100, 90), (3, 3), (10, 9)] {
            let item = item(1_000, Some(1_000 + life));
            assert!(!item.is_due(1_000 + due - 1), "{life}");
            assert!(item.is_due(1_000 + due), "{life}");
        }
        assert!(!item(1_000, None).is_due(i64::MAX) && !item(1_000, None).is_over(i64::MAX));
        assert!(item(1_000, Some(1_000)).is_over(1_000));
        assert!(item(1_000, Some(-5)).is_due(0));
    }

    #[test]
    fn a_token_that_a_server_keeps_is_replaced_at_half_its_life() {
        let two = Duration::from_mins(2);
        let of = |life: i64| item(1_000, Some(1_000 + life));
        for (life, aged) in [(3600, 1979), (200, 81)] {
            assert!(!of(life).is_aged(1_000 + aged - 1, two), "{life}");
            assert!(of(life).is_aged(1_000 + aged, two), "{life}");
        }
        assert!(of(100).is_aged(1_000, two), "it lives too short");
        // With the resolution of a second.
        let short = Duration::from_secs(2);
        assert!(!of(4).is_aged(1_001, short) && of(4).is_aged(1_002, short));
        assert!(!item(1_000, None).is_aged(i64::MAX, two));
    }

    #[test]
    fn identities() {
        let one = item(0, None);
        let mut other = one.clone();
        other.access = SecretText::new("at-2".into());
        other.generation = 9;
        assert_eq!(one.identity(), other.identity());
        other.login = "l2".into();
        assert_ne!(one.identity(), other.identity());
        let (mut ana, mut bob) = (one.clone(), other);
        ana.subject = Some("ana".into());
        bob.subject = Some("ana".into());
        assert_eq!(ana.identity(), bob.identity());
        bob.client.id = "c2".into();
        assert_ne!(ana.identity(), bob.identity());
    }

    #[test]
    fn nothing_is_printed_and_all_of_it_is_stored() {
        let one = item(5, Some(6));
        assert!(!format!("{one:?}").contains("hidden"));
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<TokenItem>(&text).unwrap(), one);
        assert!(registration_name("https://a", "f").unwrap().is_internal());
    }
}
