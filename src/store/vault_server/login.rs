//! Signs in to a Vault or OpenBao server: a token, from a file, a secret or a request.
//!
//! Invariants: a request to sign in is sent once per use of the store, without a token of anybody. Files with
//! tokens are private; what is signed in with is in no error.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;

use super::fault::cannot_use;
use super::http::{ServerEnvelope, ServerReply, ServerRequest};
use super::server::{ServerStore, ServerToken};
use super::settings::{AuthSettings, JwtPlace, LoginName};
use crate::error::{Code, Error, Result};
use crate::files;
use crate::secret::{Secret, SecretName};

/// The longest token or JWT in a file (bytes).
const TOKEN_BYTES_MAX: u64 = 64 << 10;

impl ServerStore {
    /// A token to ask with.
    pub(super) fn sign_in(&self, deadline: Instant) -> Result<ServerToken> {
        let (path, body) = match &self.settings.auth {
            AuthSettings::Token(name) => {
                return Ok(ServerToken::given(trimmed(self.secret(name)?.expose())));
            }
            AuthSettings::TokenFile(path) => {
                return Ok(ServerToken::given(self.file(path, Readers::Owner)?));
            }
            AuthSettings::AppRole {
                mount,
                role_id,
                secret_id,
            } => {
                let role_id = match role_id {
                    LoginName::Plain(text) => text.clone(),
                    LoginName::Secret(name) => self.text(name)?,
                };
                let mut body = json!({ "role_id": role_id });
                if let (Some(name), Some(body)) = (secret_id, body.as_object_mut()) {
                    body.insert("secret_id".to_owned(), self.text(name)?.into());
                }
                (format!("auth/{mount}/login"), body)
            }
            AuthSettings::Jwt { mount, role, jwt } => {
                let jwt = match jwt {
                    JwtPlace::Secret(name) => self.text(name)?,
                    JwtPlace::File(path) => self.utf8(&self.file(path, Readers::Anybody)?)?,
                };
                let body = json!({ "role": role, "jwt": jwt });
                (format!("auth/{mount}/login"), body)
            }
            AuthSettings::Userpass {
                mount,
                username,
                password,
            } => {
                let body = json!({ "password": self.text(password)? });
                (format!("auth/{mount}/login/{username}"), body)
            }
        };
        let reply = self.ask(ServerRequest::post(&path, &body), deadline)?;
        self.signed_in(reply)
    }

    fn signed_in(&self, reply: ServerReply) -> Result<ServerToken> {
        let error = || cannot_use(Code::StoreSignedOut, &self.name);
        match reply.body.auth {
            Some(auth) if reply.status == 200 && !auth.client_token.is_empty() => {
                Ok(ServerToken::made(auth))
            }
            Some(_) => Err(error()
                .cause("the server wants a second factor")
                .hint("sign in with another method, e.g. `approle`")),
            None => {
                let (cause, hint) = refusal(&self.settings.auth, &reply.body);
                Err(error().cause(cause).hint(hint))
            }
        }
    }

    /// Signed out: the token does not work, or no longer.
    pub(super) fn signed_out(&self) -> Error {
        let error = cannot_use(Code::StoreSignedOut, &self.name);
        match &self.settings.auth {
            AuthSettings::TokenFile(path) => error
                .cause(format!(
                    "the token in `{path}` is expired, revoked or unknown"
                ))
                .hint("run `bao login` or `vault login`"),
            AuthSettings::Token(name) => error
                .cause(format!(
                    "the token in `secret:{name}` is expired, revoked or unknown"
                ))
                .hint(format!(
                    "store a new one with `mcpwrap secret rotate {name}`"
                )),
            _ => error
                .cause("the token of this sign-in is used up or revoked")
                .hint("check `token_num_uses`, `token_ttl` and `token_bound_cidrs` of the role"),
        }
    }

    fn secret(&self, name: &SecretName) -> Result<&Secret> {
        self.credentials.secrets.get(name).ok_or_else(|| {
            cannot_use(Code::SecretNotFound, &self.name)
                .cause(format!("`secret:{name}` has no value"))
                .hint(format!("run `mcpwrap secret set {name}` to store it"))
        })
    }

    fn text(&self, name: &SecretName) -> Result<String> {
        self.utf8(&trimmed(self.secret(name)?.expose()))
    }

    fn utf8(&self, value: &Secret) -> Result<String> {
        String::from_utf8(value.expose().to_vec()).map_err(|_| {
            cannot_use(Code::StoreSignedOut, &self.name)
                .cause("what is signed in with is not UTF-8")
                .hint("store it again with `mcpwrap secret rotate NAME`")
        })
    }

    fn file(&self, path: &str, readers: Readers) -> Result<Secret> {
        let expanded = self.credentials.dirs.expand(path);
        // Containers hand out their tokens behind links.
        let real = expanded.canonicalize().unwrap_or(expanded);
        let what = format!("cannot use store `{}`", self.name);
        let explained = |problem: files::Problem| {
            let hint = match (&problem, readers) {
                (files::Problem::Missing, Readers::Owner) => {
                    Some("run `bao login` or `vault login`")
                }
                _ => None,
            };
            problem
                .explain(Code::StoreSignedOut, &what, path)
                .of_store(&self.name)
                .hint_if(hint)
        };
        readers.check(&real).map_err(explained)?;
        let bytes = files::read_private_up_to(&real, TOKEN_BYTES_MAX).map_err(explained)?;
        let value = trimmed(Secret::new(bytes).expose());
        if value.is_empty() {
            return Err(explained(files::Problem::Missing));
        }
        Ok(value)
    }
}

/// Who may read a file with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readers {
    Owner,
    /// Where a container runtime writes it.
    Anybody,
}

impl Readers {
    fn check(self, path: &Path) -> Result<(), files::Problem> {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path)?.permissions().mode();
        let others = mode & 0o077;
        if self == Self::Anybody || others == 0 {
            return Ok(());
        }
        let shown = PathBuf::from(path).display().to_string();
        Err(files::Problem::NotPrivate {
            fact: format!("readable by other users (mode {:04o})", mode & 0o7777),
            fix: format!("run `chmod 600 {shown}`, and sign in again: they may know the token"),
        })
    }
}

/// Without the line end that editors add.
fn trimmed(bytes: &[u8]) -> Secret {
    Secret::new(bytes.trim_ascii_end().to_vec())
}

/// What the refusal of a sign-in means: the cause and the hint.
fn refusal(auth: &AuthSettings, body: &ServerEnvelope) -> (&'static str, &'static str) {
    let known = [
        (
            "invalid role or secret ID",
            "the role ID or secret ID is wrong, expired or used up",
        ),
        ("invalid role_id", "the role ID is wrong"),
        (
            "invalid secret id",
            "the secret ID is wrong, expired or used up",
        ),
        ("token is expired", "the JWT has expired"),
        (
            "audience claim does not match",
            "the JWT is for another audience",
        ),
        ("could not be found", "the role does not exist"),
        (
            "invalid username or password",
            "wrong user name or password",
        ),
        ("error validating", "the JWT is not valid for this role"),
    ];
    let cause = known.iter().find(|(text, _)| body.says(text));
    let cause = cause.map_or(
        "the server refused the sign-in, or nothing is mounted where the sign-in goes",
        |(_, cause)| cause,
    );
    let hint = match auth {
        AuthSettings::AppRole { .. } => {
            "create a new secret ID, and store it with `mcpwrap secret rotate NAME`"
        }
        AuthSettings::Jwt { .. } => "check the role, and that the JWT is renewed",
        _ => "check `auth` of the store, and store the password again",
    };
    (cause, hint)
}
