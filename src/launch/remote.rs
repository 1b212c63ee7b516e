//! What a bridge is started with: an empty environment, and its settings for the private socket.
//!
//! Invariants: the settings have exactly the headers of the policy, and the token if there is one. A
//! secret in the URL is percent-encoded and stands after the host, so it cannot change where the URL
//! leads; one in a header cannot end it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::injected::{Injected, Place};
use super::resolve::{ServerEnv, proxy_values, refused, value};
use crate::bridge::channel::{self, BridgeNetwork, Credentials, SecretText, Settings};
use crate::error::{Code, Error, Result};
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
    // The policy cannot call a secret of the URL optional.
    let url = url.ok_or_else(|| {
        let what = "its URL needs a missing secret";
        refused(policy, Code::SecretNotFound, what)
    })?;
    let mut headers = Vec::new();
    for (name, text) in &remote.headers {
        // The header of an absent optional secret is not sent.
        if let Some(value) = values.fill(text, name, Place::Header)? {
            headers.push((name.clone(), value));
        }
    }
    if let Some(token) = &sources.token {
        let name = token.name.clone().into();
        let access = sendable(policy, &name, &token.access, Place::Header)?;
        let value = ["Bearer ", access].concat();
        values.note(&name, &token.access, AUTHORIZATION, Place::Header);
        headers.push((AUTHORIZATION.to_owned(), SecretText::new(value)));
    }
    let longest = values.longest();
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
    if !channel::fits(&settings) {
        return Err(too_long(policy, longest.as_ref()));
    }
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
                    let piece = sendable(self.policy, &name, &secret, to)?;
                    if to == Place::Header && filled.eq_ignore_ascii_case("basic ") {
                        self.note_password(&name, piece);
                    }
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

    /// The secret with the longest value, and its length (bytes).
    fn longest(&self) -> Option<(SecretLabel, usize)> {
        let sizes = self.secrets.values();
        let sizes = sizes.map(|(name, secret)| (name.clone(), secret.expose().len()));
        sizes.max_by_key(|(_, length)| *length)
    }

    /// Masks the password that a value of Basic authentication has (RFC 7617): Base64 of `USER:PASSWORD`.
    fn note_password(&mut self, name: &SecretLabel, value: &str) {
        let decoded = STANDARD.decode(value.trim_end()).map(Zeroizing::new);
        let decoded = decoded.ok();
        let colon = |bytes: &[u8]| bytes.iter().position(|byte| *byte == b':');
        let password = decoded
            .as_ref()
            .and_then(|bytes| bytes.get(colon(bytes)? + 1..));
        let password = password.map(|bytes| Secret::new(bytes.to_vec()));
        let password = password.filter(|password| !password.is_weak());
        self.env
            .values
            .extend(password.map(|password| (name.to_string(), password)));
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

/// The value, if it can be sent there. A header has printable ASCII: RFC 9110, section 5.5, without the obsolete
/// parts. In a URL all but control characters is percent-encoded.
fn sendable<'a>(
    policy: &Policy,
    name: &SecretLabel,
    secret: &'a Secret,
    to: Place,
) -> Result<&'a str> {
    let is_allowed = |c: char| match to {
        Place::Url => !c.is_control(),
        _ => matches!(c, '\t' | ' '..='~'),
    };
    let text = std::str::from_utf8(secret.expose()).ok();
    let text = text.filter(|text| text.chars().all(is_allowed));
    text.ok_or_else(|| {
        let (place, expected) = match to {
            Place::Url => (
                "URL",
                "text without line breaks and other control characters",
            ),
            _ => ("header", "printable ASCII without line breaks"),
        };
        let what = format!("secret `{name}` has a character that no {place} can contain");
        refused(policy, Code::SecretUnusable, &what)
            .cause(format!("expected {expected}"))
            .hint(store_again(name))
    })
}

/// The values do not fit in a frame of the channel; servers take much shorter headers.
fn too_long(policy: &Policy, longest: Option<&(SecretLabel, usize)>) -> Error {
    let what = format!(
        "its URL and its headers are longer than {} KiB",
        channel::LIMIT / 1024
    );
    let error = refused(policy, Code::SecretUnusable, &what);
    match longest {
        Some((name, length)) => error
            .cause(format!("the longest secret is `{name}`, {length} bytes"))
            .hint(store_again(name)),
        None => error.hint("shorten them in the policy"),
    }
}

fn store_again(name: &SecretLabel) -> String {
    match name.local() {
        Some(name) => format!("run `mcpwrap secret rotate {name}` to store another value"),
        None => "correct the value where the policy reads it".to_owned(),
    }
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
        Some(url) => {
            let text = str::from_utf8(url.expose()).ok();
            let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
            let text = text.ok_or_else(|| {
                let what = "the URL of the proxy has a character that no URL can contain";
                refused(policy, Code::SecretUnusable, what)
                    .hint("run `mcpwrap config network` to approve another one")
            })?;
            Some(SecretText::new(text.to_owned()))
        }
        None => None,
    };
    Ok(BridgeNetwork::new(network, proxy))
}
