//! One server: what is asked of it, and what its answers mean whatever was asked.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Deserialize;

use super::fault::cannot_use;
use super::http::{AuthAnswer, ServerClient, ServerReply, ServerRequest};
use super::settings::ServerSettings;
use crate::dirs::Dirs;
use crate::error::{CauseKind, Code, Error, Result};
use crate::secret::{Secret, SecretName, StoreName};

/// A server that is signed in to when it is used.
#[derive(Debug)]
pub(super) struct ServerStore {
    pub(super) name: StoreName,
    pub(super) settings: ServerSettings,
    pub(super) credentials: ServerCredentials,
    pub(super) client: ServerClient,
}

/// A token, and what is known about it.
#[derive(Debug)]
pub(super) struct ServerToken {
    pub(super) value: Secret,
    /// Empty if unknown.
    pub(super) accessor: String,
    /// Seconds from when it was asked for; `None` if unknown or without an end.
    pub(super) seconds: Option<u64>,
    pub(super) is_renewable: bool,
    /// Whether it was made for this use, so that it can be revoked afterwards.
    pub(super) is_own: bool,
}

/// What signing in needs: the secrets of the definition, and where its files are.
#[derive(Debug)]
pub(super) struct ServerCredentials {
    pub(super) secrets: BTreeMap<SecretName, Secret>,
    pub(super) dirs: Dirs,
}

impl ServerToken {
    pub(super) const fn given(value: Secret) -> Self {
        Self {
            value,
            accessor: String::new(),
            seconds: None,
            is_renewable: false,
            is_own: false,
        }
    }

    /// A token that a request made.
    pub(super) fn made(auth: AuthAnswer) -> Self {
        Self {
            value: Secret::new(auth.client_token.into_bytes()),
            accessor: auth.accessor,
            seconds: Some(auth.lease_duration).filter(|seconds| *seconds > 0),
            is_renewable: auth.renewable,
            is_own: true,
        }
    }
}

/// What the server says about a token.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TokenFacts {
    pub(super) display_name: String,
    pub(super) policies: Vec<String>,
    /// Seconds; 0 if it does not end.
    pub(super) ttl: u64,
}

impl ServerStore {
    /// The host and port of the server, for messages.
    fn place(&self) -> String {
        self.settings.url.place()
    }

    /// Sends a request. The caller judges an answer that only concerns this request.
    ///
    /// # Errors
    /// `store-…`: there is no answer, or one that concerns all requests.
    pub(super) fn ask(&self, request: ServerRequest<'_>, deadline: Instant) -> Result<ServerReply> {
        let sent = self.client.send(request, deadline);
        let reply = sent.map_err(|fault| fault.into_error(&self.name, &self.place()))?;
        match self.refusal_of_all(&reply) {
            Some(error) => Err(error),
            None => Ok(reply),
        }
    }

    /// What the server says about the token; `None` if it does not accept it.
    ///
    /// # Errors
    /// `store-…`.
    pub(super) fn look_up(&self, token: &Secret, deadline: Instant) -> Result<Option<TokenFacts>> {
        let request = ServerRequest::get("auth/token/lookup-self", token);
        let reply = self.ask(request, deadline)?;
        Ok(reply.body.data::<TokenFacts>().filter(|_| reply.is_ok()))
    }

    /// What an answer says that concerns all requests: sealed, throttled, not Vault.
    fn refusal_of_all(&self, reply: &ServerReply) -> Option<Error> {
        let (store, place) = (&self.name, self.place());
        let error = |code| cannot_use(code, store);
        let unavailable = |cause: &str, hint: &str| {
            error(Code::StoreUnavailable)
                .cause_of(CauseKind::Unreachable, format!("`{place}` {cause}"))
                .hint(hint)
        };
        if reply.wants_tls {
            return Some(
                error(Code::StoreUnavailable)
                    .cause(format!("`{place}` answers in TLS only"))
                    .hint(format!(
                        "write `https:` into `address` of `[stores.{store}]`"
                    )),
            );
        }
        let no_envelope = || {
            let cause = format!("the answer of `{place}` is not one of Vault or OpenBao");
            error(Code::StoreAnswerInvalid).cause(cause).hint(format!(
                "check `address` of `[stores.{store}]`, and what stands between"
            ))
        };
        Some(match reply.status {
            429 => error(Code::StoreThrottled)
                .cause(format!("`{place}` refuses more requests (HTTP status 429)"))
                .hint("wait, or ask the operator about the rate limit"),
            472 | 473 => unavailable(
                "is a standby server",
                "write the address of the active server into `address`",
            ),
            501 => unavailable("is not initialized", "run `bao operator init` on it"),
            503 if reply.body.says("sealed") => unavailable(
                "is sealed",
                "ask the operator to unseal it (`bao operator unseal`)",
            ),
            412 | 500..=599 => {
                let cause = format!("answers with HTTP status {}", reply.status);
                unavailable(&cause, "ask the operator of the server")
            }
            404 if reply.body.says("namespace not found") => error(Code::StoreFailed)
                .cause("the namespace does not exist")
                .hint(format!("check `namespace` of `[stores.{store}]`")),
            200..=299 | 400 | 403 | 404 if reply.is_envelope => return None,
            _ => no_envelope(),
        })
    }
}
