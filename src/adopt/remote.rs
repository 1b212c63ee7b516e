//! From an entry with a URL to a remote policy: the secrets in its URL and headers, and what is sent.
//!
//! Invariants: the server gets the same headers as from the client, but for those that the bridge
//! sets itself, or there is a reason why not. A credential is not moved into a policy that would send
//! it unencrypted.

use std::collections::{BTreeMap, BTreeSet};

use super::collect::Extractor;
use super::extracted::{Extracted, OF_TERMINAL, shown, variable_of, with_places};
use super::references::{Expanded, References};
use crate::catalog::{self, KnownServer};
use crate::client::entry::ServerEntry;
use crate::client::remote_edit::{self, is_bearer_field};
use crate::client::tree::Node;
use crate::detect::{Judged, SecretPart, ValueSite, Verdict};
use crate::policy::Remote;
use crate::policy::remote::RemoteTransport;
use crate::policy::template;
use crate::policy::web::{self, RemoteUrl};

/// Why an entry cannot be started by mcpwrap at all, and what can be done.
pub(super) fn reason(entry: &ServerEntry, judged: &[Judged<'_>]) -> Option<String> {
    let is_secret = |value: &&Judged<'_>| matches!(value.verdict, Verdict::Secret(_));
    let in_setting = judged.iter().filter(is_secret).any(|value| {
        matches!(value.slot, ValueSite::Setting(name) if !(is_remote(entry) && is_bearer_field(name)))
    });
    if in_setting {
        return Some(
            "its secret is in a setting of the client, which starts the server itself: use an environment variable \
             in the setting if the client supports that, or add the server with a `command` and adopt that"
                .to_owned(),
        );
    }
    let of_address = |value: &Judged<'_>| {
        matches!(value.slot, ValueSite::Header(_) | ValueSite::Url)
            && !matches!(value.verdict, Verdict::Nothing)
    };
    if !entry.words.is_empty() && entry.url.is_some() && judged.iter().any(of_address) {
        return Some(
            "it has both a command and an address, and clients differ in which one they use: remove the other one, \
             then adopt it"
                .to_owned(),
        );
    }
    let has_nothing = entry.words.is_empty() && entry.url.is_none();
    has_nothing.then(|| "it has a secret, but neither a command nor an address".to_owned())
}

/// Whether an entry names a remote server.
pub(super) const fn is_remote(entry: &ServerEntry) -> bool {
    entry.words.is_empty() && entry.url.is_some()
}

/// Whether a remote entry refers to a variable, which may be a secret.
pub(super) fn refers(entry: &ServerEntry, node: &Node, judged: &[Judged<'_>]) -> bool {
    let refers = |value: &Judged<'_>| {
        matches!(value.slot, ValueSite::Header(_) | ValueSite::Url)
            && value.verdict == Verdict::Reference
    };
    is_remote(entry)
        && (judged.iter().any(refers) || !remote_edit::variable_headers(node).is_empty())
}

/// Extracts the secrets of an entry with a URL.
///
/// # Errors
/// Why it cannot be adopted.
pub(super) fn extract(
    node: &Node,
    judged: &[Judged<'_>],
    references: &References<'_>,
) -> Result<Extracted, String> {
    let address = judged
        .iter()
        .find(|value| matches!(value.slot, ValueSite::Url));
    let address = address.ok_or("it has no address")?;
    let mut sender = Sender::new(&address.word.text, references);
    let url = sender.url(address)?;
    let mut headers = BTreeMap::new();
    for value in judged {
        let text = value.word.text.as_str();
        match value.slot {
            ValueSite::Header(name) => {
                if let Some(sent) = sender.header(name, text, &value.verdict)? {
                    headers.insert(name.to_owned(), sent);
                }
            }
            ValueSite::Setting(name) if is_bearer_field(name) => {
                let sent = sender.filled("Authorization", text, &value.verdict)?;
                headers.insert("Authorization".to_owned(), format!("Bearer {sent}"));
            }
            _ => {}
        }
    }
    for header in remote_edit::variable_headers(node) {
        let sent = sender.variable(&header.name, &header.variable)?;
        let bearer = if header.is_bearer { "Bearer " } else { "" };
        headers.insert(header.name, format!("{bearer}{sent}"));
    }
    let transport = if remote_edit::is_sse(node) {
        RemoteTransport::Sse
    } else {
        RemoteTransport::Auto
    };
    sender.finish(url, transport, headers)
}

/// What is sent to one server, with a place for each secret.
pub(super) struct Sender<'a> {
    work: Extractor,
    shipped: Option<&'static KnownServer>,
    /// The host and port, or nothing.
    host: String,
    references: &'a References<'a>,
}

impl<'a> Sender<'a> {
    pub(super) fn new(address: &str, references: &'a References<'a>) -> Self {
        let host = RemoteUrl::new(address).map_or_else(|_| String::new(), |url| url.place());
        let shipped = catalog::of_host(&host);
        Self {
            work: Extractor::new(shipped),
            shipped,
            host,
            references,
        }
    }

    /// The URL.
    pub(super) fn url(&mut self, value: &Judged<'_>) -> Result<String, String> {
        let text = value.word.text.as_str();
        let parts = value.verdict.secrets();
        let is_encoded = |part: &SecretPart| {
            let secret = text.get(part.range.clone()).unwrap_or_default();
            secret.contains(['%', '+'])
        };
        if parts.iter().any(is_encoded) {
            return Err(
                "the secret in its URL is percent-encoded: store it with `mcpwrap secret set`, and write a policy with \
                 `mcpwrap policy new NAME --url URL`"
                    .to_owned(),
            );
        }
        if text.contains("{secret.") {
            return Err("its URL contains `{secret.`".to_owned());
        }
        let filled = self.places(text, parts, None, "its URL");
        self.expanded(&filled, &value.verdict, "URL_SECRET", "its URL")
    }

    /// A header; none if the bridge sets it.
    pub(super) fn header(
        &mut self,
        name: &str,
        text: &str,
        verdict: &Verdict,
    ) -> Result<Option<String>, String> {
        if web::is_of_bridge(name) {
            return match verdict {
                Verdict::Secret(_) => Err(format!(
                    "its secret is in header `{}`, which HTTP or MCP itself uses",
                    shown(name)
                )),
                _ => Ok(None),
            };
        }
        self.filled(name, text, verdict).map(Some)
    }

    /// The value of a header, with places for its secrets.
    fn filled(&mut self, name: &str, text: &str, verdict: &Verdict) -> Result<String, String> {
        if text.contains("{secret.") {
            return Err(format!("header `{}` contains `{{secret.`", shown(name)));
        }
        let place = place_of(name);
        let filled = self.places(text, verdict.secrets(), Some(name), &place);
        let variable = self.variable_name(name);
        self.expanded(&filled, verdict, &variable, &place)
    }

    /// The value of a variable of the user's terminal, which the client sends in a header.
    fn variable(&mut self, header: &str, variable: &str) -> Result<String, String> {
        let value = (self.references.variable)(variable).ok_or_else(|| {
            format!(
                "its header `{}` is the variable `{}`, which is not set in this terminal: set it here, then adopt it",
                shown(header),
                shown(variable)
            )
        })?;
        let (name, place) = (variable_of(variable), place_of(header));
        let name = self.work.push(&name, &value, OF_TERMINAL, place);
        Ok(format!("{{secret.{name}}}"))
    }

    /// A text with places for its secret parts. `header` names the secret of a header.
    pub(super) fn places(
        &mut self,
        text: &str,
        parts: &[SecretPart],
        header: Option<&str>,
        place: &str,
    ) -> String {
        with_places(text, parts, |part, value| {
            let variable = match header {
                Some(header) => self.variable_name(header),
                None if part.name.is_empty() => "URL_SECRET".to_owned(),
                None => variable_of(&part.name),
            };
            self.work.push(&variable, value, part.why, place.to_owned())
        })
    }

    /// A text with what the client would fill in.
    pub(super) fn expanded(
        &mut self,
        text: &str,
        verdict: &Verdict,
        variable: &str,
        place: &str,
    ) -> Result<String, String> {
        match self.references.argument(text, &BTreeSet::new())? {
            // What each client fills in, and from where, differs: `$NAME`, `${NAME}`, from `env` of the entry.
            Expanded::Same if *verdict == Verdict::Reference => Err(format!(
                "the client fills in {place}: store the value with `mcpwrap secret set`, and write a policy with \
                     `mcpwrap policy new NAME --url URL --header 'NAME: VALUE'`"
            )),
            Expanded::Same => Ok(text.to_owned()),
            Expanded::Text(text) => Ok(text),
            Expanded::Workspace(_) => {
                Err(format!("the client writes a folder of yours into {place}"))
            }
            Expanded::Secret(before, name, value, after) => {
                let wish = if variable == "URL_SECRET" || self.shipped.is_none() {
                    variable_of(&name)
                } else {
                    variable.to_owned()
                };
                let name = self.work.push(&wish, &value, OF_TERMINAL, place.to_owned());
                Ok(format!("{before}{{secret.{name}}}{after}"))
            }
        }
    }

    /// The variable for the secret of a header: that of the catalog, or one made from the header.
    fn variable_name(&self, header: &str) -> String {
        let remotes = self.shipped.iter().flat_map(|known| known.remote.values());
        // A file may describe servers of several hosts.
        let of_host = remotes
            .filter(|remote| RemoteUrl::new(&remote.url).is_ok_and(|url| url.place() == self.host));
        let mut headers = of_host.flat_map(|remote| &remote.headers);
        let known = headers.find(|(name, _)| name.eq_ignore_ascii_case(header));
        let known = known.and_then(|(_, value)| template::secrets(value).next());
        match known {
            Some(variable) => variable.to_owned(),
            None if header.eq_ignore_ascii_case("authorization") => "TOKEN".to_owned(),
            None => variable_of(header),
        }
    }

    /// The result, if a policy can have it.
    pub(super) fn finish(
        mut self,
        url: String,
        transport: RemoteTransport,
        headers: BTreeMap<String, String>,
    ) -> Result<Extracted, String> {
        RemoteUrl::new(&url)
            .map_err(|fault| format!("its URL is not usable: {}: {}", fault.cause, fault.hint))?;
        self.work.extracted.remote = Some(Remote {
            url,
            transport,
            headers,
            oauth: None,
        });
        Ok(self.work.extracted)
    }

    /// What is put into the result besides what is sent.
    pub(super) const fn extracted(&mut self) -> &mut Extracted {
        &mut self.work.extracted
    }
}

/// The place of a value of a header, for the user.
pub(super) fn place_of(header: &str) -> String {
    format!("header `{}`", shown(header))
}
