//! What a bridge is started with: an empty environment, and its settings for the private socket.
//!
//! Invariants: the settings have exactly the headers of the policy, and the token if there is one. A
//! secret in the URL is percent-encoded and stands after the host, so it cannot change where the URL
//! leads; one in a header cannot end it.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::injected::{Injected, Place};
use super::resolve::{ServerEnv, proxy_values, refused, value};
use crate::bridge::channel::{self, BridgeNetwork, Credentials, SecretText, Settings};
use crate::error::{Code, Result};
use crate::network::Network;
use crate::oauth::token::OAuthToken;
use crate::policy::template::{self, Piece};
use crate::policy::{Policy, Remote};
use crate::reference::SecretLabel;
use crate::secret::{Keys, Secret, SecretName};
use crate::store::SecretItem;
use crate::sys::memory;

/// Where the settings of a bridge come from.
#[derive(Debug)]
pub struct BridgeSources<'a> {
    /// The secrets of the policy, in its order.
    pub values: Vec<Result<SecretItem>>,
    pub network: &'a Network,
    /// The secrets of the network settings.
    pub proxies: Vec<(SecretName, Result<SecretItem>)>,
    pub token: Option<OAuthToken>,
}

/// Builds the environment and the settings of a bridge.
///
/// # Errors
/// Those of a secret (`secret-not-found`, `secret-expired`, …), and `secret-unusable` for a value that
/// neither a header nor a URL can contain.
pub fn resolve(
    policy: &Policy,
    sources: BridgeSources<'_>,
    keys: &Keys,
) -> Result<(ServerEnv, Settings)> {
    let remote = policy.remote.as_ref().ok_or_else(|| {
        // The caller has checked.
        refused(policy, Code::PolicyInvalid, "it has no `url`")
    })?;
    let mut values = BridgeValues::new(policy, remote, sources.values, keys)?;
    let url = values.fill(&remote.url, "url", Place::Url)?;
    let url = url.ok_or_else(|| {
        refused(
            policy,
            Code::SecretNotFound,
            "its URL needs a missing secret",
        )
        .cause("`optional` applies to headers, not to the URL")
        .hint("store the secret with `mcpwrap secret set NAME`")
    })?;
    let mut headers = Vec::new();
    for (name, text) in &remote.headers {
        // The header of an absent optional secret is not sent.
        if let Some(value) = values.fill(text, name, Place::Header)? {
            headers.push((name.clone(), value));
        }
    }
    if let Some(token) = &sources.token {
        let value = ["Bearer ", text(policy, &token.access, AUTHORIZATION)?].concat();
        values.note(
            &token.name.clone().into(),
            &token.access,
            AUTHORIZATION,
            Place::Header,
        );
        headers.push((AUTHORIZATION.to_owned(), SecretText::new(value)));
    }
    let mut env = values.env;
    let network = network(policy, remote, sources.network, sources.proxies, &mut env)?;
    let words = ["mcpwrap", channel::BRIDGE, policy.server.as_str()];
    env.arguments = words
        .map(|word| Zeroizing::new(word.as_bytes().to_vec()))
        .to_vec();
    for (_, value) in &env.values {
        memory::lock(value.expose());
    }
    let settings = Settings {
        build: channel::build(),
        server: policy.server.to_string(),
        origin: remote.url().origin(),
        transport: remote.transport,
        identity: sources.token.map(|token| token.identity),
        network,
        credentials: Credentials {
            // The link to the bridge counts.
            generation: 0,
            url,
            headers,
            renewable: remote.oauth.is_some() || !env.injected.is_empty(),
        },
    };
    Ok((env, settings))
}

const AUTHORIZATION: &str = "Authorization";
/// What is encoded in a URL: all but the unreserved characters of RFC 3986, as the encoders do whose forms
/// are masked.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The values that one policy sends, and where they go.
struct BridgeValues<'a> {
    policy: &'a Policy,
    keys: &'a Keys,
    secrets: BTreeMap<&'a str, (SecretLabel, Secret)>,
    env: ServerEnv,
}

impl<'a> BridgeValues<'a> {
    fn new(
        policy: &'a Policy,
        remote: &Remote,
        found: Vec<Result<SecretItem>>,
        keys: &'a Keys,
    ) -> Result<Self> {
        let mut secrets = BTreeMap::new();
        for ((variable, slot), item) in policy.secrets.iter().zip(found) {
            if !remote.sends(variable) {
                continue;
            }
            if let Some(secret) = value(policy, variable, slot, item)? {
                secrets.insert(variable.as_str(), (slot.from.label(), secret));
            }
        }
        Ok(Self {
            policy,
            keys,
            secrets,
            env: ServerEnv::empty(),
        })
    }

    /// A template with its values; `None` if one of them is absent.
    fn fill(&mut self, template: &str, variable: &str, to: Place) -> Result<Option<SecretText>> {
        let mut filled = Zeroizing::new(String::with_capacity(template.len() + 4096));
        // Templates were checked when the policy was loaded.
        for piece in template::parse(template).unwrap_or_default() {
            match piece {
                Piece::Text(piece) => filled.push_str(piece),
                Piece::Secret(name) => {
                    let Some((name, secret)) = self.secrets.get(name).cloned() else {
                        return Ok(None);
                    };
                    let piece = text(self.policy, &secret, variable)?;
                    if to == Place::Url {
                        filled.extend(utf8_percent_encode(piece, RESERVED));
                    } else {
                        filled.push_str(piece);
                    }
                    self.note(&name, &secret, variable, to);
                }
            }
        }
        Ok(Some(SecretText::from(filled)))
    }

    fn note(&mut self, name: &SecretLabel, secret: &Secret, variable: &str, to: Place) {
        self.env.injected.push(Injected {
            name: name.clone(),
            variable: variable.to_owned(),
            fingerprint: self.keys.fingerprint(secret),
            to,
        });
        // Masking a weak value would corrupt messages.
        if !secret.is_weak() {
            self.env.values.push((name.to_string(), secret.clone()));
        }
    }
}

/// The value, if a header can contain it: RFC 9110, section 5.5, without the obsolete parts.
fn text<'a>(policy: &Policy, secret: &'a Secret, variable: &str) -> Result<&'a str> {
    let visible = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    std::str::from_utf8(secret.expose())
        .ok()
        .filter(|text| text.bytes().all(|byte| visible(&byte)))
        .ok_or_else(|| {
            let what =
                format!("the value for `{variable}` has a character that no header can contain");
            refused(policy, Code::SecretUnusable, &what)
                .cause("expected printable ASCII, without a line break at the end")
                .hint("store it again: `mcpwrap secret set NAME` removes a final line break")
        })
}

/// The network settings of a bridge. A proxy with a password is a masked value.
fn network(
    policy: &Policy,
    remote: &Remote,
    network: &Network,
    proxies: Vec<(SecretName, Result<SecretItem>)>,
    env: &mut ServerEnv,
) -> Result<BridgeNetwork> {
    let secrets = proxy_values(policy, proxies, env)?;
    let secret = |name: &SecretName| secrets.get(name).cloned();
    let proxy = if remote.url().is_encrypted {
        network.https_proxy(&secret)
    } else {
        network.http_proxy(&secret)
    };
    let proxy = match &proxy {
        Some(url) => Some(SecretText::new(text(policy, url, "the proxy")?.to_owned())),
        None => None,
    };
    Ok(BridgeNetwork::new(network, proxy))
}
