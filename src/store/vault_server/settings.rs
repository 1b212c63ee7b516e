//! `[stores.NAME]` with `type = "vault"`: the address, and how to sign in.
//!
//! Invariants: what authenticates is a reference to the local store or a file of the user; a literal is
//! refused without being repeated. The address is encrypted unless it stays on this machine.

use super::address::ServerUrl;
use crate::config::StoreDefinition;
use crate::config::stores::secret_of;
use crate::secret::SecretName;
use crate::suggest::nearest;

/// The settings of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerSettings {
    pub(super) url: ServerUrl,
    /// In the form of the header, without slashes around it.
    pub(super) namespace: Option<String>,
    /// A file of certificate authorities beside the system's; may start with `~/`.
    pub(super) ca_file: Option<String>,
    pub(super) auth: AuthSettings,
}

/// How to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AuthSettings {
    Token(SecretName),
    /// The file of `bao login` and `vault login`.
    TokenFile(String),
    AppRole {
        mount: String,
        role_id: LoginName,
        /// `None` for a role with `bind_secret_id = false`.
        secret_id: Option<SecretName>,
    },
    Jwt {
        mount: String,
        /// `None` for the default role of the mount.
        role: Option<String>,
        jwt: JwtPlace,
    },
    Userpass {
        mount: String,
        username: String,
        password: SecretName,
    },
}

/// A name that may be written in the definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LoginName {
    Plain(String),
    Secret(SecretName),
}

/// Where a JWT comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum JwtPlace {
    Secret(SecretName),
    /// E.g. the service account token of a container.
    File(String),
}

/// The ways to sign in.
const METHODS: &[&str] = &["token", "token_file", "approle", "jwt", "userpass"];
/// What `bao login` and `vault login` write.
const TOKEN_FILE: &str = "~/.vault-token";

impl ServerSettings {
    /// Reads the settings of a definition.
    ///
    /// # Errors
    /// Which setting is wrong; no value of a setting that should be a reference is repeated.
    pub(super) fn new(definition: &StoreDefinition) -> Result<Self, String> {
        let mut settings = SettingFields::new("", definition.settings.clone());
        let address = settings.needed("address", "e.g. `https://vault.example.com:8200`")?;
        let url = address_url(&address)?;
        let namespace = settings.text("namespace")?;
        let namespace = namespace.map(|text| text.trim_matches('/').to_owned());
        if namespace
            .as_deref()
            .is_some_and(|text| !is_plain_path(text))
        {
            return Err("`namespace` is not a path such as `team1/ci`".to_owned());
        }
        let ca_file = settings.file("ca_file")?;
        let auth = match settings.table.remove("auth") {
            Some(toml::Value::Table(table)) => AuthSettings::new(table)?,
            Some(_) => return Err("`auth` is not a table such as `{ method = \"token\" }`".into()),
            None => return Err(format!("`auth` is missing: {}", methods())),
        };
        settings.end(&["address", "namespace", "ca_file", "auth"])?;
        Ok(Self {
            url,
            namespace,
            ca_file,
            auth,
        })
    }

    /// The URL before `/v1/`.
    pub(super) fn base(&self) -> String {
        format!("{}{}", self.url.origin(), self.url.path)
    }
}

impl AuthSettings {
    fn new(table: toml::Table) -> Result<Self, String> {
        let mut auth = SettingFields::new("auth.", table);
        let method = auth.needed("method", &methods())?;
        let (found, known): (Self, &[&str]) = match method.as_str() {
            "token" => (Self::Token(auth.needed_secret("token")?), &["token"]),
            "token_file" => {
                let path = auth.file("path")?;
                let path = path.unwrap_or_else(|| TOKEN_FILE.to_owned());
                (Self::TokenFile(path), &["path"])
            }
            "approle" => (auth.approle()?, &["mount", "role_id", "secret_id"]),
            "jwt" => (auth.jwt()?, &["mount", "role", "jwt", "jwt_file"]),
            "userpass" => {
                let found = Self::Userpass {
                    mount: auth.mount("userpass")?,
                    username: auth.needed("username", "the name of the user")?,
                    password: auth.needed_secret("password")?,
                };
                (found, &["mount", "username", "password"])
            }
            other => {
                let near = nearest(other, METHODS.iter().copied());
                let near = near.map(|near| format!(", did you mean `{near}`?"));
                let near = near.unwrap_or_default();
                return Err(format!("unknown `auth.method`{near} ({})", methods()));
            }
        };
        auth.end(&[&["method"], known].concat())?;
        Ok(found)
    }

    /// What the user approves: how, and as whom.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Token(name) => format!("token, from `secret:{name}`"),
            Self::TokenFile(path) => format!("token, from `{path}`"),
            Self::AppRole {
                mount,
                role_id,
                secret_id,
            } => {
                let role = match role_id {
                    LoginName::Plain(text) => text.clone(),
                    LoginName::Secret(name) => format!("secret:{name}"),
                };
                let secret = match secret_id {
                    Some(name) => format!(", secret ID from `secret:{name}`"),
                    None => ", without a secret ID".to_owned(),
                };
                format!("AppRole `{role}` at `auth/{mount}`{secret}")
            }
            Self::Jwt { mount, role, jwt } => {
                let role = role.as_deref().unwrap_or("(default)");
                let from = match jwt {
                    JwtPlace::Secret(name) => format!("secret:{name}"),
                    JwtPlace::File(path) => path.clone(),
                };
                format!("role `{role}` at `auth/{mount}`, JWT from `{from}`")
            }
            Self::Userpass {
                mount,
                username,
                password,
            } => format!("user `{username}` at `auth/{mount}`, password from `secret:{password}`"),
        }
    }
}

fn methods() -> String {
    format!("expected `method` to be one of {}", METHODS.join(", "))
}

fn address_url(text: &str) -> Result<ServerUrl, String> {
    let fault = |cause: &str| Err(format!("`address`: {cause}"));
    if text.contains(['?', '#']) {
        return fault("a query (`?…`) or fragment does not belong in it");
    }
    match ServerUrl::new(text) {
        Ok(url) if url.path.split('/').any(|part| part == "v1") => {
            fault("leave out `/v1`, which is added")
        }
        Ok(url) => Ok(url),
        Err(why) => fault(why),
    }
}

/// Whether a text can stand in a path and a header unchanged.
fn is_plain_path(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.split('/')
        .all(|part| !part.is_empty() && part != "." && part != ".." && part.chars().all(fits))
}

/// The fields of one table that are not read yet.
struct SettingFields {
    /// What stands before the name of a field in a message.
    prefix: &'static str,
    table: toml::Table,
}

impl SettingFields {
    const fn new(prefix: &'static str, table: toml::Table) -> Self {
        Self { prefix, table }
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.table.remove(name) {
            None => Ok(None),
            Some(toml::Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(format!("`{}{name}` is not a string, or empty", self.prefix)),
        }
    }

    fn needed(&mut self, name: &str, what: &str) -> Result<String, String> {
        let prefix = self.prefix;
        let missing = || format!("`{prefix}{name}` is missing: {what}");
        self.text(name)?.ok_or_else(missing)
    }

    /// An absolute path, or one below the home.
    fn file(&mut self, name: &str) -> Result<Option<String>, String> {
        let path = self.text(name)?;
        match path {
            Some(path) if !path.starts_with('/') && !path.starts_with("~/") => Err(format!(
                "`{}{name}` is not an absolute path, nor one that starts with `~/`",
                self.prefix
            )),
            path => Ok(path),
        }
    }

    fn secret(&mut self, name: &str) -> Result<Option<SecretName>, String> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        // The text may be the secret itself.
        let refused = || {
            format!(
                "`{}{name}` must be a reference: store the value with `mcpwrap secret set NAME`, and write `secret:NAME`",
                self.prefix
            )
        };
        secret_of(&text).map(Some).ok_or_else(refused)
    }

    fn needed_secret(&mut self, name: &str) -> Result<SecretName, String> {
        let prefix = self.prefix;
        let missing = || format!("`{prefix}{name}` is missing: write `secret:NAME`");
        self.secret(name)?.ok_or_else(missing)
    }

    fn mount(&mut self, default: &str) -> Result<String, String> {
        let mount = self.text("mount")?.unwrap_or_else(|| default.to_owned());
        let mount = mount.trim_matches('/');
        if is_plain_path(mount) {
            return Ok(mount.strip_prefix("auth/").unwrap_or(mount).to_owned());
        }
        Err("`auth.mount` is not a path such as `approle`".to_owned())
    }

    fn approle(&mut self) -> Result<AuthSettings, String> {
        let role_id = self.needed("role_id", "the ID of the role")?;
        let role_id = match secret_of(&role_id) {
            Some(name) => LoginName::Secret(name),
            None => LoginName::Plain(role_id),
        };
        Ok(AuthSettings::AppRole {
            mount: self.mount("approle")?,
            role_id,
            secret_id: self.secret("secret_id")?,
        })
    }

    fn jwt(&mut self) -> Result<AuthSettings, String> {
        let jwt = match (self.secret("jwt")?, self.file("jwt_file")?) {
            (Some(name), None) => JwtPlace::Secret(name),
            (None, Some(path)) => JwtPlace::File(path),
            _ => return Err("write either `auth.jwt` or `auth.jwt_file`".to_owned()),
        };
        Ok(AuthSettings::Jwt {
            mount: self.mount("jwt")?,
            role: self.text("role")?,
            jwt,
        })
    }

    fn end(self, known: &[&str]) -> Result<(), String> {
        let Some(name) = self.table.keys().next() else {
            return Ok(());
        };
        let near = nearest(name, known.iter().copied());
        let near = near.map_or_else(
            || format!("known fields: {}", known.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        Err(format!("unknown field `{}{name}`: {near}", self.prefix))
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
