//! The policy of a server that `add` sets up: from the catalog, an address or a command.
//!
//! Invariants: nothing that looks like a secret is written; a name that the catalog does not have is
//! looked up nowhere else.

use std::collections::BTreeMap;

use super::embedded_secrets;
use crate::catalog::{self, KnownRemote, KnownServer, Publisher};
use crate::error::{Code, Error, Result};
use crate::package;
use crate::policy::draft::Draft;
use crate::policy::remote::{OAuthTable, Remote, RemoteTransport};
use crate::policy::schema::{Delivery, OnFailure};
use crate::policy::{template, web};
use crate::reference::Reference;
use crate::secret::{SecretName, ServerName};
use crate::suggest::nearest;

/// What a server is.
#[derive(Clone, Debug)]
pub enum ServerSource {
    /// The remote form of a known server.
    Remote(&'static KnownServer, &'static KnownRemote),
    /// The package or image of a known server.
    Package(&'static KnownServer),
    Url(String),
    /// A command, and the known server that it is, if it is one.
    Command(Vec<String>, Option<&'static KnownServer>),
}

/// What the user said about a remote server.
#[derive(Clone, Debug, Default)]
pub struct RemoteWishes {
    pub oauth: bool,
    pub headers: Vec<(String, String)>,
}

/// The forms of a known server, the proposed one first: what the vendor runs itself, then the others.
///
/// # Errors
/// `usage` if the catalog does not have the name, with the nearest names.
pub fn known(server: &ServerName) -> Result<Vec<ServerSource>> {
    let name = server.as_str();
    let remote = catalog::remote(name).map(|(file, known)| ServerSource::Remote(file, known));
    let package = catalog::of_id(name).filter(|file| !file.command.is_empty());
    let mut all: Vec<_> = remote
        .into_iter()
        .chain(package.map(ServerSource::Package))
        .collect();
    if all.is_empty() {
        return Err(unknown(server));
    }
    all.sort_by_key(|source| source.publisher() == Some(Publisher::ThirdParty));
    Ok(all)
}

/// Checks `--url`. There is no file yet, whose lines an error could name.
///
/// # Errors
/// `usage`.
pub fn must_be_address(url: &str) -> Result<()> {
    web::RemoteUrl::new(url).map(drop).map_err(|fault| {
        Error::new(Code::Usage, "unusable value for `--url`")
            .cause(fault.cause)
            .hint(fault.hint)
    })
}

fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = catalog::startable()
        .chain(catalog::remote_names())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn unknown(server: &ServerName) -> Error {
    let name = server.as_str();
    let names = names();
    let error = Error::new(Code::Usage, format!("cannot add server `{server}`"));
    let error = match catalog::of_id(name) {
        Some(known) => error.cause(format!(
            "`{server}` covers several servers ({}), none of which has this name",
            known.title
        )),
        None => error.cause(format!("`{server}` is not in the catalog")),
    };
    let low = name.to_ascii_lowercase();
    let mut near: Vec<&str> = names
        .iter()
        .copied()
        .filter(|known| low.len() > 2 && (known.contains(&low) || low.contains(known)))
        .collect();
    near.extend(nearest(&low, names.iter().copied()).filter(|found| !near.contains(found)));
    let error = match near.as_slice() {
        [] => error.hint(format!("known servers: {}", names.join(", "))),
        [one] => error.hint(format!("did you mean `{one}`?")),
        some => error.hint(format!("did you mean one of these: {}?", some.join(", "))),
    };
    error.hint(format!(
        "for any other server, run `mcpwrap add {server} -- COMMAND` or `mcpwrap add {server} --url URL`"
    ))
}

impl ServerSource {
    /// Who publishes it, if the catalog knows it.
    pub fn publisher(&self) -> Option<Publisher> {
        match self {
            Self::Remote(_, known) => Some(known.publisher()),
            Self::Package(file) => {
                let package = package::parse(&file.command).package;
                Some(file.publisher(&package.unwrap_or_default()))
            }
            Self::Url(_) | Self::Command(..) => None,
        }
    }

    /// One line that tells it from the other forms.
    pub fn brief(&self) -> String {
        let publisher = self.publisher().map(Publisher::name);
        let publisher = publisher.map_or_else(String::new, |name| format!(", {name}"));
        match self {
            Self::Remote(_, known) => {
                let url = known.url.split('?').next().unwrap_or_default();
                format!("remote server {url}{publisher}")
            }
            Self::Package(file) => {
                let spec = package::parse(&file.command).spec.unwrap_or_default();
                format!("package {spec}{publisher}")
            }
            Self::Url(_) => "remote server".to_owned(),
            Self::Command(..) => "command".to_owned(),
        }
    }

    /// The facts of the catalog about it.
    pub fn file(&self) -> Option<&'static KnownServer> {
        match self {
            Self::Remote(file, _) | Self::Package(file) => Some(file),
            Self::Command(_, file) => *file,
            Self::Url(_) => None,
        }
    }

    /// A command as the user wrote it.
    pub fn command(words: Vec<String>) -> Self {
        let package = package::parse(&words).package;
        let file = package.as_deref().and_then(catalog::of_package);
        Self::Command(words, file)
    }

    /// The policy of a server that `add` sets up.
    ///
    /// # Errors
    /// `usage` for wishes that do not fit; `secret-unusable` for a value that belongs in the store.
    pub fn draft(&self, server: &ServerName, wishes: RemoteWishes) -> Result<Draft> {
        let is_local = matches!(self, Self::Package(_) | Self::Command(..));
        if is_local && (wishes.oauth || !wishes.headers.is_empty()) {
            return Err(
                Error::new(Code::Usage, format!("cannot add server `{server}`"))
                    .cause("`--oauth` and `--header` are for remote servers")
                    .hint("add `--url URL`, or `--remote` for the remote server of the catalog"),
            );
        }
        match self {
            Self::Command(command, _) => refuse_command(command)?,
            Self::Url(url) => refuse_remote(&wishes.headers, Some(url))?,
            Self::Remote(..) => refuse_remote(&wishes.headers, None)?,
            Self::Package(_) => {}
        }
        let draft = Draft {
            on_failure: OnFailure::Stub,
            ..Draft::default()
        };
        Ok(self.fill(server, wishes, draft))
    }

    /// Adds what this server is to a policy, which keeps what it has.
    pub fn fill(&self, server: &ServerName, wishes: RemoteWishes, mut draft: Draft) -> Draft {
        match self {
            Self::Package(file) => draft.command.clone_from(&file.command),
            Self::Command(command, _) => draft.command.clone_from(command),
            Self::Url(url) => {
                draft.remote = Some(Remote {
                    url: url.clone(),
                    transport: RemoteTransport::default(),
                    headers: BTreeMap::new(),
                    oauth: wishes.oauth.then(OAuthTable::default),
                });
            }
            Self::Remote(file, known) => {
                let title = known.title.as_ref().unwrap_or(&file.title);
                draft.description.get_or_insert_with(|| title.clone());
                let mut remote = file.add_remote(known, wishes.oauth, &mut draft);
                if !wishes.headers.is_empty() && !wishes.oauth {
                    remote.oauth = None;
                }
                draft.remote = Some(remote);
            }
        }
        if let Some(remote) = &mut draft.remote {
            remote.headers.extend(wishes.headers);
        }
        name_secrets(server, &mut draft);
        if let Some(file) = self.file() {
            if draft.remote.is_none() {
                draft.description.get_or_insert_with(|| file.title.clone());
                if draft.secrets.is_empty() {
                    file.add_secrets(&mut draft);
                }
            }
            file.describe(&mut draft);
        }
        if draft.remote.is_none() {
            draft.unfenced = package::unfenced(&draft.command);
        }
        draft
    }
}

/// A secret of the address or a header without a name of its own in the store gets one.
fn name_secrets(server: &ServerName, draft: &mut Draft) {
    let Some(remote) = &draft.remote else { return };
    let texts = remote.headers.values().chain([&remote.url]);
    for variable in texts.flat_map(|text| template::secrets(text)) {
        let part = variable.to_ascii_lowercase().replace('_', "-");
        if let Ok(name) = SecretName::new(&format!("{server}/{part}")) {
            let from = (Reference::Local(name), Delivery::Env);
            draft.secrets.entry(variable.to_owned()).or_insert(from);
        }
    }
}

/// # Errors
/// `secret-unusable` if an argument belongs in the store. It is not repeated.
fn refuse_command(command: &[String]) -> Result<()> {
    match embedded_secrets::arguments(command).first() {
        None => Ok(()),
        Some(place) => Err(embedded_secrets::refused(place).hint(
            "run `mcpwrap policy new SERVER --secret VAR=secret:NAME -- COMMAND`, which passes it in a \
             variable, then `mcpwrap add SERVER`",
        )),
    }
}

/// # Errors
/// `secret-unusable` if a value belongs in the store. It is not repeated.
fn refuse_remote(headers: &[(String, String)], url: Option<&String>) -> Result<()> {
    match embedded_secrets::remote(headers, url) {
        None => Ok(()),
        Some(place) => Err(embedded_secrets::refused(&place)
            .hint("write `{secret.VAR}` in its place: `add` asks for the value and stores it")),
    }
}

/// A header of the command line.
///
/// # Errors
/// `usage`.
pub fn header(text: &str) -> Result<(String, String)> {
    let wrong =
        || Error::new(Code::Usage, "invalid value for `--header`").cause("expected `NAME: VALUE`");
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    if let Some(fault) = web::name_fault(name).or_else(|| web::value_fault(value.trim())) {
        return Err(Error::new(Code::Usage, "invalid value for `--header`")
            .cause(fault.cause)
            .hint(fault.hint));
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}
