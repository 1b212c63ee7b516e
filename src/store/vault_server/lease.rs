//! Short-lived credentials of a secrets engine: a lease below a token that is made for it alone.
//!
//! Invariants: revoking the token of a credential ends exactly this credential, so each one has a token of its own
//! where the server lets us make one. A credential that cannot be handed out is withdrawn at once. Its
//! life is that of the lease or of the tokens above it, whichever ends first.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::fault::cannot_use;
use super::fields::bytes;
use super::http::{ServerReply, ServerRequest};
use super::kv::check_place;
use super::server::{ServerStore, ServerToken};
use crate::error::{Code, Error, Result};
use crate::reference::StorePlace;
use crate::secret::Secret;
use crate::store::source::{MintHandle, MintIssuer, MintLife, MintRequest, Minted, Minter};

/// The life of a token that is made for one credential, if the policy names none (seconds).
const TOKEN_SECONDS: u64 = 3600;
/// How long the token of a credential that was not made may take to end.
const END_LIMIT: Duration = Duration::from_secs(1);
/// A life that is at least this long is not a shortened one (percent of the first): servers round.
const FULL_PERCENT: u64 = 90;

/// What extends and withdraws a credential.
#[derive(Serialize, Deserialize)]
struct LeaseHandle {
    lease_id: String,
    /// The token of this credential alone; `None` if the lease is below the token of the store.
    token: Option<String>,
    accessor: String,
    namespace: Option<String>,
    /// The life that was given first (seconds).
    seconds: Option<u64>,
    /// Whether the token of this credential has an end that can be put off.
    renews_token: bool,
    /// When the token above ends, which nobody puts off: seconds of Unix time.
    bound: Option<i64>,
}

/// The token that a credential is made with.
struct LeaseToken {
    token: ServerToken,
    sent: Instant,
    /// When the token above it ends: seconds of Unix time.
    bound: Option<i64>,
}

impl ServerStore {
    /// A token for one credential: that of a sign-in, or one below the token of the store.
    fn lease_token(&self, life: Option<u64>, deadline: Instant) -> Result<LeaseToken> {
        let sent = Instant::now();
        let token = self.sign_in(deadline)?;
        if token.is_own {
            return Ok(LeaseToken {
                token,
                sent,
                bound: None,
            });
        }
        let Some(facts) = self.look_up(&token.value, deadline)? else {
            return Err(self.signed_out());
        };
        let ends = i64::try_from(facts.ttl).unwrap_or(i64::MAX);
        let bound = Timestamp::now().as_second().saturating_add(ends);
        let bound = (facts.ttl > 0).then_some(bound);
        let seconds = life.unwrap_or(TOKEN_SECONDS);
        let body =
            json!({ "display_name": "mcpwrap", "ttl": format!("{seconds}s"), "renewable": true });
        let sent = Instant::now();
        let request = ServerRequest::post("auth/token/create", &body).with_token(&token.value);
        let reply = self.ask(request, deadline)?;
        // A token need not be allowed to make others.
        let token = match reply.body.auth {
            Some(auth) if !auth.client_token.is_empty() => ServerToken::made(auth),
            _ => token,
        };
        Ok(LeaseToken { token, sent, bound })
    }

    fn make(&self, path: &str, made: &LeaseToken, deadline: Instant) -> Result<Minted> {
        let sent = Instant::now();
        let token = &made.token;
        let reply = self.ask(ServerRequest::get(path, &token.value), deadline)?;
        if reply.status == 403 {
            let place = StorePlace::new(path)?;
            return Err(self.refused(&place, token, deadline));
        }
        let Some(lease_id) = reply.body.lease().filter(|_| reply.is_ok()) else {
            return Err(self.no_lease(path, &reply));
        };
        let Some(fields) = reply.body.data().and_then(values) else {
            self.give_back(lease_id, 0, token, deadline);
            return Err(cannot_use(Code::StoreAnswerInvalid, &self.name)
                .cause("the answer is not one of a secrets engine"));
        };
        let lease = reply.body.lease_duration();
        let elapsed = sent.saturating_duration_since(made.sent).as_secs() + 1;
        let of_token = token.seconds.filter(|_| token.is_own);
        let of_token = of_token.map(|seconds| seconds.saturating_sub(elapsed));
        let of_lease = Some(lease).filter(|lease| *lease > 0);
        let seconds = shortest([of_lease, of_token, left(made.bound)]);
        let handle = LeaseHandle {
            lease_id: lease_id.to_owned(),
            token: token.is_own.then(|| utf8(&token.value)),
            accessor: token.accessor.clone(),
            namespace: self.settings.namespace.clone(),
            seconds,
            renews_token: of_token.is_some(),
            bound: made.bound,
        };
        let is_extendable = reply.body.is_renewable() && (of_token.is_none() || token.is_renewable);
        let renewable = if is_extendable { ", renewable" } else { "" };
        Ok(Minted {
            fields,
            life: MintLife {
                seconds,
                is_extendable,
            },
            handle: Some(MintHandle(handle.secret())),
            granted: vec![
                ("role".to_owned(), path.to_owned()),
                ("lease".to_owned(), format!("{lease} s{renewable}")),
            ],
        })
    }

    fn no_lease(&self, path: &str, reply: &ServerReply) -> Error {
        let error = Error::new(
            Code::MintRefused,
            format!("store `{}` makes no credential", self.name),
        );
        let error = error.of_store(&self.name);
        match reply.status {
            200..=299 => error
                .cause(format!("`{path}` keeps a value, it makes no credentials"))
                .hint(format!("refer to it with `{}:{path}#FIELD`", self.name)),
            404 => error
                .cause(format!("`{path}` does not exist"))
                .hint("write the path of a role, e.g. `database/creds/readonly`"),
            // E.g. a role that the database refuses.
            status => error
                .cause(format!(
                    "the server refused `{path}` (HTTP status {status})"
                ))
                .hint("check the role with `bao read`, as an operator"),
        }
    }

    /// The handle in its form, and a store for the namespace in it.
    fn opened(&self, handle: &MintHandle) -> Result<LeaseHandle> {
        serde_json::from_slice(handle.0.expose()).map_err(|_| {
            cannot_use(Code::StoreFailed, &self.name)
                .cause("what was kept for the credential cannot be read")
        })
    }

    fn ask_for(
        &self,
        handle: &LeaseHandle,
        path: &str,
        body: &serde_json::Value,
        token: &Secret,
        deadline: Instant,
    ) -> Result<ServerReply> {
        let mut request = ServerRequest::post(path, body).with_token(token);
        request.namespace = handle.namespace.as_deref();
        self.ask(request, deadline)
    }

    /// The token that extends and withdraws: its own one, or that of the store.
    fn token_of(&self, handle: &LeaseHandle, deadline: Instant) -> Result<Secret> {
        match &handle.token {
            Some(token) => Ok(Secret::new(token.clone().into_bytes())),
            None => Ok(self.sign_in(deadline)?.value),
        }
    }
}

impl Minter for ServerStore {
    fn mint(&self, request: &MintRequest, deadline: Instant) -> Result<Minted> {
        let place = StorePlace::new(&request.path)?;
        let is_role = place.field.is_none() && place.version.is_none();
        if let Err(why) = check_place(&place) {
            return Err(self.invalid(&why));
        }
        if !is_role {
            return Err(self.invalid("the path of a role has no `#FIELD` and no version"));
        }
        let made = self.lease_token(request.life, deadline)?;
        let minted = self.make(&place.path, &made, deadline);
        if minted.is_err() && made.token.is_own {
            // Whatever was made, ends with its token.
            let empty = json!({});
            let end = ServerRequest::post("auth/token/revoke-self", &empty);
            let end = end.with_token(&made.token.value);
            drop(self.ask(end, deadline.max(Instant::now() + END_LIMIT)));
        }
        minted
    }
}

impl MintIssuer for ServerStore {
    fn extend(&self, handle: &MintHandle, deadline: Instant) -> Result<Option<MintLife>> {
        let handle = self.opened(handle)?;
        let token = self.token_of(&handle, deadline)?;
        let Some(wanted) = handle.seconds else {
            return Ok(None);
        };
        let increment = json!({ "increment": format!("{wanted}s") });
        let mut of_token = None;
        if handle.renews_token {
            let path = "auth/token/renew-self";
            let reply = self.ask_for(&handle, path, &increment, &token, deadline)?;
            match reply
                .body
                .auth
                .filter(|_| matches!(reply.status, 200..=299))
            {
                Some(auth) => of_token = Some(auth.lease_duration),
                None => return Ok(None),
            }
        }
        let body = json!({ "lease_id": handle.lease_id, "increment": wanted });
        let reply = self.ask_for(&handle, "sys/leases/renew", &body, &token, deadline)?;
        if !reply.is_ok() {
            return Ok(None);
        }
        let lease = reply.body.lease_duration();
        let seconds = shortest([Some(lease), of_token, left(handle.bound)]);
        // A shorter life than at first: its end cannot be put off much longer.
        let is_shortened = seconds.is_some_and(|seconds| {
            seconds.saturating_mul(100) < wanted.saturating_mul(FULL_PERCENT)
        });
        Ok(
            (!is_shortened && reply.body.is_renewable()).then_some(MintLife {
                seconds,
                is_extendable: true,
            }),
        )
    }

    fn revoke(&self, handle: &MintHandle, deadline: Instant) -> Result<()> {
        let handle = self.opened(handle)?;
        let token = self.token_of(&handle, deadline)?;
        if handle.token.is_some() {
            let path = "auth/token/revoke-self";
            let reply = self.ask_for(&handle, path, &json!({}), &token, deadline)?;
            // Refused: the token is dead, and its leases with it.
            if reply.is_ok() || reply.status == 403 {
                return Ok(());
            }
        }
        let body = json!({ "lease_id": handle.lease_id });
        let reply = self.ask_for(&handle, "sys/leases/revoke", &body, &token, deadline)?;
        match reply.status {
            200..=299 | 400 | 404 => Ok(()),
            _ => {
                let error = match self.look_up(&token, deadline)? {
                    None => self.signed_out(),
                    Some(_) => cannot_use(Code::StoreDenied, &self.name)
                        .cause("the token may not revoke leases")
                        .hint("let its policy `update` the path `sys/leases/revoke`, or `auth/token/create`"),
                };
                Err(error)
            }
        }
    }
}

impl LeaseHandle {
    fn secret(&self) -> Secret {
        Secret::new(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// The fields of a credential as values.
fn values(fields: BTreeMap<String, Box<RawValue>>) -> Option<BTreeMap<String, Secret>> {
    let value = |(name, json): (String, Box<RawValue>)| Some((name, bytes(&json, true)?));
    let values: BTreeMap<_, _> = fields.into_iter().filter_map(value).collect();
    (!values.is_empty()).then_some(values)
}

/// The shortest life; one without an end is `None`.
fn shortest(lives: [Option<u64>; 3]) -> Option<u64> {
    lives.into_iter().flatten().min()
}

fn left(bound: Option<i64>) -> Option<u64> {
    let left = bound?.saturating_sub(Timestamp::now().as_second());
    Some(u64::try_from(left).unwrap_or_default())
}

fn utf8(token: &Secret) -> String {
    String::from_utf8_lossy(token.expose()).into_owned()
}
