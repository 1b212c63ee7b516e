//! An API like GitHub's that checks what an App sends: the signature and times of its statement, and the
//! narrowing. Its tokens live as long as a test wants.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::bridge::web::{Asked, Reply, Then, Web};
use crate::harness::{Test, skip};

/// The client ID of the App.
pub(super) const APP: &str = "Iv23liTESTAPP";

/// What the API does differently.
#[derive(Clone, Debug, Default)]
pub(super) struct Moods {
    /// The life of a token (seconds).
    pub(super) life: i64,
    /// Answers requests for tokens with this status.
    pub(super) status: Option<u16>,
    /// Answers withdrawals with this status.
    pub(super) revoke_status: Option<u16>,
    /// Gives permissions that were not asked for.
    pub(super) wider: bool,
    /// Its clock is ahead (seconds).
    pub(super) ahead: i64,
}

#[derive(Default)]
struct State {
    moods: Moods,
    /// The tokens with the time of their end, and when they were withdrawn.
    tokens: BTreeMap<String, (i64, Option<Instant>)>,
}

/// See the module.
pub(super) struct Github {
    web: Web,
    state: Arc<Mutex<State>>,
    /// The private key of the App in PEM.
    pub(super) key: String,
}

impl Github {
    /// `life`: of its tokens, in seconds. `None` without Node, which makes the key.
    pub(super) fn start(life: i64) -> Option<Self> {
        let (key, public) = keys()?;
        let state = Arc::new(Mutex::new(State {
            moods: Moods {
                life,
                ..Moods::default()
            },
            ..State::default()
        }));
        let own = Arc::clone(&state);
        let web = Web::start(move |asked, reply| {
            answer(asked, reply, &mut own.lock().unwrap(), &public);
            Then::Keep
        });
        Some(Self { web, state, key })
    }

    pub(super) fn origin(&self) -> String {
        self.web.origin()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Moods)) {
        change(&mut self.state.lock().unwrap().moods);
    }

    /// The tokens that were made and are not withdrawn, ended or not.
    pub(super) fn left(&self) -> usize {
        let state = self.state.lock().unwrap();
        state
            .tokens
            .values()
            .filter(|(_, gone)| gone.is_none())
            .count()
    }

    pub(super) fn made(&self) -> usize {
        self.state.lock().unwrap().tokens.len()
    }

    /// Whether a token may be used now.
    pub(super) fn accepts(&self, token: &[u8]) -> bool {
        self.accepted(token, Instant::now())
    }

    /// Whether a token could still be used at this time.
    pub(super) fn accepted(&self, token: &[u8], at: Instant) -> bool {
        let token = String::from_utf8_lossy(token).into_owned();
        let state = self.state.lock().unwrap();
        let since = i64::try_from(at.elapsed().as_secs()).unwrap();
        let then = Timestamp::now().as_second() - since;
        let found = state.tokens.get(&token);
        found.is_some_and(|(end, gone)| gone.is_none_or(|gone| gone > at) && *end > then)
    }

    /// The body of the last request for a token.
    pub(super) fn wanted(&self) -> Value {
        let asked = self.web.asked();
        let mut tokens = asked.iter().rev();
        let last = tokens.find(|asked| asked.target.ends_with("/access_tokens"));
        last.unwrap().json()
    }

    /// Registers every token as a value that must not leak.
    pub(super) fn hide(&self, test: &Test) {
        for token in self.state.lock().unwrap().tokens.keys() {
            test.hide(token);
        }
    }
}

/// An RSA key: the private one in PKCS#1, as GitHub gives it, and the public one.
fn keys() -> Option<(String, Vec<u8>)> {
    const SCRIPT: &str = "const {privateKey, publicKey} = require('crypto').generateKeyPairSync('rsa', \
        {modulusLength: 2048, privateKeyEncoding: {type: 'pkcs1', format: 'pem'}, \
        publicKeyEncoding: {type: 'pkcs1', format: 'der'}}); \
        console.log(JSON.stringify([privateKey, publicKey.toString('base64')]));";
    let Ok(ended) = Command::new("node").args(["-e", SCRIPT]).output() else {
        skip("node", "no `node` to make a key with");
        return None;
    };
    let pair: (String, String) = serde_json::from_slice(&ended.stdout).unwrap();
    Some((pair.0, STANDARD.decode(pair.1).unwrap()))
}

fn answer(asked: &Asked, reply: &mut Reply<'_>, state: &mut State, public: &[u8]) {
    let bearer = asked.header("authorization").unwrap_or_default();
    let bearer = bearer
        .strip_prefix("Bearer ")
        .unwrap_or_default()
        .to_owned();
    let now = Timestamp::now().as_second() + state.moods.ahead;
    let date = Timestamp::from_second(now).unwrap();
    let headers = format!("date: {}\r\n", date.strftime("%a, %d %b %Y %H:%M:%S GMT"));
    match (asked.method.as_str(), asked.target.as_str()) {
        ("DELETE", "/installation/token") => {
            let status = state.moods.revoke_status;
            match state.tokens.get_mut(&bearer) {
                _ if status.is_some() => reply.status(status.unwrap()),
                Some((_, gone)) => {
                    *gone = Some(Instant::now());
                    reply.body(204, &headers, "");
                }
                None => reply.status(401),
            }
        }
        ("GET", "/orgs/acme/installation") if is_app(&bearer, public, now) => {
            reply.json(200, &headers, &json!({"id": 77}));
        }
        ("POST", "/app/installations/77/access_tokens") if is_app(&bearer, public, now) => {
            if let Some(status) = state.moods.status {
                return reply.json(
                    status,
                    &headers,
                    &json!({"message": "secret words of the service"}),
                );
            }
            token(asked, reply, state, &headers);
        }
        ("GET" | "POST", _) if !is_app(&bearer, public, now) => {
            reply.json(
                401,
                &headers,
                &json!({"message": "A JSON web token could not be decoded"}),
            );
        }
        _ => reply.json(404, &headers, &json!({"message": "Not Found"})),
    }
}

fn token(asked: &Asked, reply: &mut Reply<'_>, state: &mut State, headers: &str) {
    let mut permissions = asked.json()["permissions"].clone();
    if state.moods.wider {
        permissions["administration"] = json!("write");
    }
    let token = format!(
        "ghs_{}_{}",
        state.tokens.len(),
        "Zq7Lk2Vx9Bn4Mw6Tr8Yc1".repeat(10)
    );
    let end = Timestamp::now().as_second() + state.moods.life;
    state.tokens.insert(token.clone(), (end, None));
    let end = Timestamp::from_second(end + state.moods.ahead).unwrap();
    let body = json!({
        "token": token, "expires_at": end.to_string(), "permissions": permissions,
        "repository_selection": "selected", "repositories": asked.json()["repositories"],
    });
    reply.json(201, headers, &body);
}

/// Checks a statement of the App as GitHub does.
fn is_app(statement: &str, public: &[u8], now: i64) -> bool {
    let Some((signed, signature)) = statement.rsplit_once('.') else {
        return false;
    };
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
    if key.verify(signed.as_bytes(), &signature).is_err() {
        return false;
    }
    let claims = signed.split('.').nth(1).unwrap_or_default();
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&claims).unwrap_or_default();
    let (from, to) = (claims["iat"].as_i64(), claims["exp"].as_i64());
    claims["iss"] == APP
        && from.is_some_and(|from| from <= now)
        && to.is_some_and(|to| to > now && to <= now + 600)
}
