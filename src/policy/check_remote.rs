//! Validates the fields of a remote server against each other, and against those of a local one.

use std::collections::BTreeMap;

use super::document::{FieldPart, Overridable, PolicyDocument, join};
use super::remote::{OAuthGrant, OAuthTable};
use super::schema::{Delivery, PolicyFile};
use super::template::{self, Piece};
use super::web::{self, RemoteUrl, WebFault};
use crate::error::{Error, Result};

/// Fields that only a server on this machine has, and why.
const OF_LOCAL: &[(&[&str], &str)] = &[
    (&["command"], "a policy has a `command` or a `url`"),
    (&["argv_secrets"], NO_PROCESS),
    (&["cwd"], NO_PROCESS),
    (&["fence"], NO_PROCESS),
    (&["env"], NO_PROCESS),
    (&["package"], NO_PROCESS),
    (&["limits", "unpinned"], NO_PROCESS),
    (&["limits", "stdout"], "the bridge writes only MCP messages"),
];
const NO_PROCESS: &str = "a server with a `url` is not a process of this machine";
/// Fields that only a remote server has.
const OF_REMOTE: &[&str] = &["transport", "headers", "oauth"];

impl PolicyDocument<'_> {
    /// Checks that the file describes one kind of server, and only with fields of that kind.
    pub(super) fn check_kind(&self, file: &PolicyFile) -> Result<()> {
        if file.url.is_none() {
            if !self.has(&["command"]) {
                return Err(self.neither());
            }
            return match OF_REMOTE.iter().find(|field| self.has(&[field])) {
                None => Ok(()),
                Some(field) => Err(self
                    .fault(
                        &format!("`{field}` without `url`"),
                        &[field],
                        FieldPart::Key,
                    )
                    .cause("only a remote server has it")
                    .hint("write `url = \"https://…\"` in place of `command`, or remove it")),
            };
        }
        let profiles = file.profile.keys().map(|name| vec!["profile", name, "env"]);
        let paths = OF_LOCAL.iter().map(|(path, why)| (path.to_vec(), *why));
        let mut paths = paths.chain(profiles.map(|path| (path, NO_PROCESS)));
        match paths.find(|(path, _)| self.has(path)) {
            None => Ok(()),
            Some((path, why)) => {
                let what = format!("`{}` beside `url`", path.join("."));
                Err(self
                    .fault(&what, &path, FieldPart::Key)
                    .cause(why)
                    .hint("remove it, or remove `url` if the server runs on this machine"))
            }
        }
    }

    fn neither(&self) -> Error {
        let cause = format!("`{}` has no such field", self.source.shown);
        self.source
            .fault_in_file("neither `command` nor `url`", &cause)
            .hint("add `command = [\"PROGRAM\", \"ARGUMENT\"]`, or `url = \"https://…\"` for a remote server")
    }

    /// Checks what a remote server is sent, for the base or for one profile.
    pub(super) fn check_remote(
        &self,
        parts: &Overridable,
        file: &PolicyFile,
        prefix: &[&str],
    ) -> Result<()> {
        let Some(url) = &file.url else {
            return Ok(());
        };
        for (name, slot) in &parts.secrets {
            if slot.to != Delivery::Env {
                let path = self.where_set(prefix, &["secrets", name, "to"]);
                return Err(self
                    .fault_at("`to` beside `url`", &path, FieldPart::Key)
                    .cause("a remote server gets no files, only what `url`, `headers` and `oauth` send")
                    .hint("remove it"));
            }
        }
        let path = join(&["url"], &[]);
        self.check_template(url, parts, &path)?;
        for name in template::secrets(url) {
            if parts.secrets.get(name).is_some_and(|slot| slot.optional) {
                let path = self.where_set(prefix, &["secrets", name, "optional"]);
                return Err(self
                    .fault_at("`optional` for a secret of `url`", &path, FieldPart::Key)
                    .cause("without its value there is no address to connect to")
                    .hint("remove it, or send the secret in a header, under `[headers]`"));
            }
        }
        RemoteUrl::new(url).map_err(|fault| self.web_fault("unusable `url`", &path, fault))?;
        self.check_headers(parts, file)?;
        if let Some(oauth) = &file.oauth {
            if template::secrets(url).next().is_some() {
                return Err(self
                    .fault_at("a secret in `url` beside `oauth`", &path, FieldPart::Value)
                    .cause("with OAuth, the address names the resource, and the authorization server gets it")
                    .hint("send the secret in a header, under `[headers]`, or remove `[oauth]`"));
            }
            self.check_oauth(oauth, parts)?;
        }
        for name in parts.secrets.keys() {
            let path = self.where_set(prefix, &["secrets", name]);
            if !is_used(name, file) {
                return Err(self
                    .fault_at(&format!("`{name}` is sent nowhere"), &path, FieldPart::Key)
                    .cause("a remote server has no environment: a secret is sent where its placeholder stands")
                    .hint(format!(
                        "add a header, e.g. `Authorization = \"Bearer {{secret.{name}}}\"` under `[headers]`, or remove it"
                    )));
            }
        }
        Ok(())
    }

    fn web_fault(&self, what: &str, path: &[String], fault: WebFault) -> Error {
        let error = self.fault_at(what, path, FieldPart::Value);
        error.cause(fault.cause).hint(fault.hint)
    }

    fn check_headers(&self, parts: &Overridable, file: &PolicyFile) -> Result<()> {
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for (name, value) in &file.headers {
            let path = join(&["headers"], &[name]);
            if let Some(WebFault { cause, hint }) = web::name_fault(name) {
                return Err(self
                    .fault_at("a header that cannot be set", &path, FieldPart::Key)
                    .cause(cause)
                    .hint(hint));
            }
            if let Some(other) = seen.insert(name.to_ascii_lowercase(), name) {
                return Err(self
                    .fault_at(
                        &format!("headers `{other}` and `{name}`"),
                        &path,
                        FieldPart::Key,
                    )
                    .cause("header names ignore case, and each is sent once")
                    .hint("remove one of them"));
            }
            if file.oauth.is_some() && name.eq_ignore_ascii_case("authorization") {
                return Err(self
                    .fault_at(&format!("`{name}` beside `oauth`"), &path, FieldPart::Key)
                    .cause("the token of `mcpwrap login` is sent in this header")
                    .hint("remove `[oauth]` to send your own value, or remove the header"));
            }
            self.check_template(value, parts, &path)?;
            if let Some(fault) = web::value_fault(value) {
                return Err(self.web_fault(
                    &format!("unusable value of header `{name}`"),
                    &path,
                    fault,
                ));
            }
        }
        Ok(())
    }

    fn check_oauth(&self, oauth: &OAuthTable, parts: &Overridable) -> Result<()> {
        self.check_oauth_urls(oauth)?;
        let at = |what: &str, field: &str| self.fault(what, &["oauth", field], FieldPart::Value);
        for (n, scope) in oauth.scopes.iter().enumerate() {
            if !web::is_scope(scope) {
                let path = join(&["oauth", "scopes"], &[&n.to_string()]);
                return Err(self
                    .fault_at("invalid scope in `oauth.scopes`", &path, FieldPart::Value)
                    .cause("a scope is visible ASCII text without blanks, quotes and `\\`")
                    .hint("write one scope per element: `scopes = [\"read\", \"write\"]`"));
            }
        }
        for (field, value) in [
            ("client_secret", &oauth.client_secret),
            ("private_key", &oauth.private_key),
        ] {
            let Some(value) = value else { continue };
            let path = join(&["oauth"], &[field]);
            if !matches!(template::parse(value).as_deref(), Ok([Piece::Secret(_)])) {
                return Err(at(&format!("`oauth.{field}` is not one placeholder"), field)
                    .cause("a policy holds no values")
                    .hint(format!("write `{field} = \"{{secret.NAME}}\"`, and add `[secrets.NAME]` with `from = \"secret:…\"`")));
            }
            self.check_template(value, parts, &path)?;
            if oauth.client_id.is_none() {
                return Err(at(&format!("`oauth.{field}` without `client_id`"), field)
                    .cause("it belongs to a client that was registered beforehand")
                    .hint("add `client_id`, which the server's operator gave you with it"));
            }
        }
        if oauth.client_secret.is_some() && oauth.private_key.is_some() {
            return Err(at(
                "`oauth.client_secret` and `oauth.private_key`",
                "private_key",
            )
            .cause("a client proves itself in one way")
            .hint("remove one of them"));
        }
        if oauth.client_id.is_some() && oauth.client_metadata_url.is_some() {
            let field = "client_metadata_url";
            return Err(
                at("`oauth.client_id` and `oauth.client_metadata_url`", field)
                    .cause("the address of the document is the ID of the client")
                    .hint("remove one of them"),
            );
        }
        let is_person = oauth.grant == OAuthGrant::AuthorizationCode;
        if is_person {
            return Ok(());
        }
        if oauth.client_secret.is_none() && oauth.private_key.is_none() {
            return Err(at("`client-credentials` without a credential", "grant")
                .cause("a client that asks for itself needs `client_id`, and `client_secret` or `private_key`")
                .hint("add them, or remove `grant` to log in with a browser"));
        }
        for (field, is_set) in [
            ("redirect", oauth.redirect.is_some()),
            ("client_metadata_url", oauth.client_metadata_url.is_some()),
        ] {
            if is_set {
                return Err(
                    at(&format!("`oauth.{field}` with `client-credentials`"), field)
                        .cause("no browser takes part")
                        .hint("remove it"),
                );
            }
        }
        Ok(())
    }

    fn check_oauth_urls(&self, oauth: &OAuthTable) -> Result<()> {
        let resource = oauth.resource.as_ref().filter(|text| *text != "omit");
        for (field, text) in [
            ("issuer", oauth.issuer.as_ref()),
            ("client_metadata_url", oauth.client_metadata_url.as_ref()),
            ("resource", resource),
            ("redirect", oauth.redirect.as_ref()),
        ] {
            let Some(text) = text else { continue };
            let path = join(&["oauth"], &[field]);
            let what = format!("unusable `oauth.{field}`");
            let url = match RemoteUrl::new(text) {
                Ok(url) if template::secrets(text).next().is_none() => url,
                Ok(_) => {
                    return Err(self
                        .fault_at(&what, &path, FieldPart::Value)
                        .cause("it contains a placeholder, and is no secret")
                        .hint("write its text"));
                }
                Err(fault) => return Err(self.web_fault(&what, &path, fault)),
            };
            let fault = match field {
                "issuer" if url.has_query => Some(WebFault {
                    cause: "the address of an authorization server has no query",
                    hint: "write the `issuer` of its metadata, character by character",
                }),
                "client_metadata_url" if url.path == "/" => Some(WebFault {
                    cause: "the address of the document has no path",
                    hint: "write the whole address, e.g. `https://example.com/mcpwrap.json`",
                }),
                "redirect" if url.is_encrypted || !url.is_loopback() => Some(REDIRECT),
                "redirect" if url.port.is_none_or(|port| port == 0) || url.has_query => {
                    Some(REDIRECT)
                }
                _ => None,
            };
            if let Some(fault) = fault {
                return Err(self.web_fault(&what, &path, fault));
            }
        }
        Ok(())
    }
}

const REDIRECT: WebFault = WebFault {
    cause: "the browser returns to this machine, at a fixed port",
    hint: "write `http://127.0.0.1:PORT/PATH` or `http://localhost:PORT/PATH`, as the client was registered",
};

/// Whether the placeholder of a secret stands in a field that is sent.
fn is_used(name: &str, file: &PolicyFile) -> bool {
    let oauth = file.oauth.iter();
    let oauth = oauth.flat_map(|oauth| [&oauth.client_secret, &oauth.private_key]);
    let texts = file.url.iter().chain(file.headers.values());
    texts
        .chain(oauth.flatten())
        .any(|text| template::secrets(text).any(|used| used == name))
}
