//! The catalog of known servers: `policies/*.toml`, built into the program.
//!
//! The files are not user policies: `adopt` and `policy new` start from them, and `--verify` sends
//! their probes. One commented file per server or family, with one line in the table below; a test
//! checks all of them. Unconfirmed facts are marked (`verified = false`).
//!
//! Invariant: the catalog is not used at launch.

mod publisher;
mod scopes;

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use serde::Deserialize;

use crate::host;
use crate::package;
use crate::policy::draft::Draft;
use crate::policy::remote::{OAuthTable, Remote, RemoteTransport};
use crate::policy::{Cwd, Delivery, Policy, Renew, template};
use crate::reference::Reference;
use crate::secret::SecretName;

pub use self::publisher::Publisher;
pub use self::scopes::{BroadKey, KnownScopes};

/// The version of the format of these files.
const VERSION: u32 = 1;

/// One file of `policies/`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownServer {
    version: u32,
    /// The file name without `.toml`.
    #[serde(skip)]
    pub id: &'static str,
    pub title: String,
    /// Packages of npm and PyPI, images and programs, without a version.
    pub packages: Vec<String>,
    /// Those of them that the vendor of the service publishes.
    #[serde(default)]
    first_party: Vec<String>,
    /// Those that somebody else publishes. Of all others the publisher is not confirmed.
    #[serde(default)]
    third_party: Vec<String>,
    /// The usual command; empty if the file describes several servers.
    #[serde(default)]
    pub command: Vec<String>,
    /// Hosts of the remote form of the server.
    #[serde(default)]
    pub remotes: Vec<String>,
    /// Its remote form, or those of its servers, by the usual name of the policy.
    #[serde(default)]
    pub remote: BTreeMap<String, KnownRemote>,
    /// Hosts contacted at run time; `*` is any host, and words are the user's own hosts.
    pub hosts: Vec<String>,
    pub offline_start: OfflineStart,
    pub renew: Renew,
    /// The working directory that it needs, if not a private one: `client`.
    pub cwd: Option<String>,
    /// Keyed by the variable in which the server expects the value.
    #[serde(default)]
    pub secrets: BTreeMap<String, KnownSecret>,
    pub probe: Option<Probe>,
    /// Those of its tokens.
    pub scopes: Option<KnownScopes>,
    /// Those of an app of the service, for `[mint.NAME]`.
    pub permissions: Option<KnownScopes>,
    /// What its tools answer when the service refuses the secret, in lower case.
    #[serde(default)]
    pub refused: Vec<String>,
}

/// A remote server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownRemote {
    /// If it differs from that of the file.
    pub title: Option<String>,
    /// With `{secret.NAME}` in place of a secret in its path or query.
    pub url: String,
    /// Headers with its secret; it then needs no OAuth.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Whether it offers OAuth.
    #[serde(default)]
    pub oauth: bool,
    /// Whether the vendor of the service runs it; unconfirmed if missing.
    first_party: Option<bool>,
    /// What users have to know before they use it.
    pub fact: Option<String>,
}

/// Whether the server answers the first message of its client without network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OfflineStart {
    /// Observed in a run without network.
    Measured,
    /// According to its documentation.
    Expected,
    No,
    Unknown,
}

/// One secret of the server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownSecret {
    /// Its name in the store.
    pub name: SecretName,
    /// Prefixes of a value.
    pub looks: Vec<String>,
    /// The comments in the file.
    #[serde(skip)]
    pub advice: Vec<String>,
    /// Arguments that carry the same value: `--api-key X`, `--api-key=X`, `API_KEY=X`.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Where to create a new one.
    pub rotate: Option<String>,
    /// Kinds of values that allow more than another kind.
    #[serde(default)]
    pub broad: Vec<BroadKey>,
}

/// A read-only request to the provider that shows whether a secret is valid.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The variable of the secret.
    pub secret: String,
    /// Method, URL and, for some, the body.
    pub request: String,
    /// With `{secret}` in place of the value.
    pub headers: Vec<String>,
    /// The response header that lists what the secret may do, or where the body does: `/scopes`.
    pub scopes: Option<String>,
    /// The response header with the expiry date, or its place in the body.
    pub expires: Option<String>,
    /// Whether the provider's documentation or a public verifier confirms the request.
    pub verified: bool,
}

macro_rules! files {
    ($($id:literal)+) => {
        const FILES: &[(&str, &str)] =
            &[$(($id, include_str!(concat!("../../policies/", $id, ".toml")))),+];
    };
}

files! {
    "ai-platforms" "airtable" "anthropic" "atlassian" "aws" "brave-search" "browser" "chat"
    "cloudflare" "code-tools" "commerce" "context7" "developer-services" "exa" "fetch" "figma"
    "firecrawl" "gemini" "github" "gitlab" "google-workspace" "home" "hosting" "hugging-face"
    "linear" "magic" "mail" "mcp-remote" "microsoft" "models" "mongodb" "monitoring" "mysql" "n8n"
    "notion" "openai" "perplexity" "postgres" "redis" "reference" "sentry" "slack" "smithery"
    "stripe" "supabase" "task-master" "tasks" "tavily"
}

/// All known servers.
pub fn all() -> impl Iterator<Item = &'static KnownServer> {
    (0..FILES.len()).filter_map(nth)
}

/// One known server, parsed on first use, because most runs need one or two.
fn nth(n: usize) -> Option<&'static KnownServer> {
    static READ: [OnceLock<KnownServer>; FILES.len()] = [const { OnceLock::new() }; FILES.len()];
    let (id, text) = FILES.get(n)?;
    let shipped = READ
        .get(n)?
        .get_or_init(|| read(id, text).expect("a test parses every file of the catalog"));
    (shipped.version == VERSION).then_some(shipped)
}

fn read(id: &'static str, text: &str) -> Result<KnownServer, toml::de::Error> {
    let mut shipped: KnownServer = toml::from_str(text)?;
    shipped.id = id;
    for (variable, slot) in &mut shipped.secrets {
        let head = format!("[secrets.{variable}]");
        let lines = text.lines().skip_while(|line| *line != head).skip(1);
        let comments = lines.map_while(|line| line.strip_prefix("# "));
        slot.advice = comments.map(str::to_owned).collect();
    }
    Ok(shipped)
}

/// The known server with this file name.
pub fn of_id(id: &str) -> Option<&'static KnownServer> {
    nth(FILES.iter().position(|(known, _)| *known == id)?)
}

/// The names of the files with a command.
pub fn startable() -> impl Iterator<Item = &'static str> {
    all()
        .filter(|shipped| !shipped.command.is_empty())
        .map(|shipped| shipped.id)
}

/// The known remote server of this name, with the file that describes it.
pub fn remote(name: &str) -> Option<(&'static KnownServer, &'static KnownRemote)> {
    all().find_map(|shipped| Some((shipped, shipped.remote.get(name)?)))
}

/// The names of the known remote servers.
pub fn remote_names() -> impl Iterator<Item = &'static str> {
    all().flat_map(|shipped| shipped.remote.keys().map(String::as_str))
}

/// The known server for a package, an image or a program of this name.
pub fn of_package(package: &str) -> Option<&'static KnownServer> {
    let package = package.strip_prefix("docker.io/").unwrap_or(package);
    nth(*packages().get(package)?)
}

/// Maps packages to files, from the `packages` lines, because parsing all files takes much longer.
fn packages() -> &'static HashMap<&'static str, usize> {
    static PACKAGES: OnceLock<HashMap<&'static str, usize>> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let mut packages = HashMap::new();
        for (n, (_, text)) in FILES.iter().enumerate() {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("packages = ["));
            let names = line.unwrap_or_default().split('"').skip(1).step_by(2);
            packages.extend(names.map(|name| (name, n)));
        }
        packages
    })
}

/// The known server for a remote host.
pub fn of_host(host: &str) -> Option<&'static KnownServer> {
    let fits = |pattern: &String| match pattern.strip_prefix('*') {
        Some(end) => host.ends_with(end),
        None => host == pattern,
    };
    all().find(|shipped| shipped.remotes.iter().any(fits))
}

/// The known server of a policy: by its package, or by its host.
pub fn of_policy(policy: &Policy) -> Option<&'static KnownServer> {
    match &policy.remote {
        None => {
            let launch = package::parse(&policy.command);
            launch.package.as_deref().and_then(of_package)
        }
        Some(remote) => of_host(&remote.host()),
    }
}

/// What is known about the scopes of a token: of the server of this policy, else of its authorization
/// server.
pub fn scopes_of(policy: Option<&Policy>, issuer: Option<&str>) -> Option<&'static KnownScopes> {
    let of_server = policy.and_then(|policy| of_policy(policy)?.scopes.as_ref());
    of_server.or_else(|| of_issuer(issuer?)?.scopes.as_ref())
}

/// What is known about the permissions of a GitHub App.
pub fn of_github_app() -> Option<&'static KnownScopes> {
    of_id("github")?.permissions.as_ref()
}

/// The service whose scopes this authorization server uses.
pub fn of_issuer(issuer: &str) -> Option<&'static KnownServer> {
    let host = host::of_url(issuer)?;
    let fits = |known: &&KnownServer| {
        let mut scopes = known.scopes.iter();
        scopes.any(|scopes| scopes.issuers.iter().any(|known| known == host))
    };
    all().find(fits)
}

impl KnownServer {
    /// Adds comments, the `renew` mode and advice about secrets to a new policy. The caller adds the
    /// secrets.
    pub fn describe(&self, draft: &mut Draft) {
        if draft.remote.is_none() {
            self.describe_local(draft);
        }
        self.advise(draft);
    }

    /// Adds what matters for a server on this machine.
    fn describe_local(&self, draft: &mut Draft) {
        draft.renew = self.renew;
        if draft.cwd == Cwd::Private {
            draft.cwd = Cwd::new(self.cwd.as_deref());
        }
        if !self.hosts.is_empty() {
            let hosts = self.hosts.iter().map(|host| match host.as_str() {
                "*" => "any host",
                host => host,
            });
            let hosts: Vec<_> = hosts.collect();
            draft.facts.push(format!(
                "Hosts contacted at run time: {}.",
                hosts.join(", ")
            ));
        }
        let offline = match self.offline_start {
            OfflineStart::Measured => "Starts without network.",
            OfflineStart::Expected => "Expected to start without network (untested).",
            OfflineStart::No => "Does not start without network.",
            OfflineStart::Unknown => "Unknown whether it starts without network.",
        };
        draft.facts.push(offline.to_owned());
    }

    /// Adds advice about secrets.
    fn advise(&self, draft: &mut Draft) {
        let sent =
            |probe: &&Probe| draft.remote.is_none() || draft.secrets.contains_key(&probe.secret);
        if let Some(probe) = self.probe.as_ref().filter(sent) {
            let mut words = probe.request.split(' ').skip(1);
            let address = words.next().unwrap_or_default();
            let fact = format!("Request that tests `{}`: {address}", probe.secret);
            let seen = if probe.verified { "" } else { " (unconfirmed)" };
            draft.facts.push(fact + seen);
        }
        for (variable, slot) in self
            .secrets
            .iter()
            .filter(|(name, _)| draft.secrets.contains_key(*name))
        {
            let mut advice = slot.advice.clone();
            advice.retain(|line| !line.starts_with("Prefixes of a value"));
            if !slot.looks.is_empty() {
                advice.push(format!("A value starts with {}.", slot.looks.join(" or ")));
            }
            advice.extend(
                slot.rotate
                    .iter()
                    .map(|url| format!("Create a new one at {url}")),
            );
            draft.advice.insert(variable.clone(), advice);
        }
    }

    /// Adds its secrets to a new policy. If there are several, each is optional.
    pub fn add_secrets(&self, draft: &mut Draft) {
        let several = self.secrets.len() > 1;
        for (variable, slot) in &self.secrets {
            if draft.set.contains_key(variable) || draft.pass.contains(variable) {
                continue;
            }
            let from = Reference::Local(slot.name.clone());
            draft
                .secrets
                .insert(variable.clone(), (from, Delivery::Env));
            if several {
                draft.optional.insert(variable.clone());
            }
        }
    }

    /// A remote server of this file for a new policy, which gets the secrets that it is sent. With
    /// OAuth, it is sent a token in place of its own headers.
    pub fn add_remote(&self, known: &KnownRemote, oauth: bool, draft: &mut Draft) -> Remote {
        let with_token = oauth || (known.headers.is_empty() && known.oauth);
        let headers = if with_token {
            BTreeMap::new()
        } else {
            known.headers.clone()
        };
        let texts: Vec<&String> = headers.values().chain([&known.url]).collect();
        for (variable, slot) in &self.secrets {
            let is_used = |text: &&String| template::secrets(text).any(|used| used == variable);
            if texts.iter().any(is_used) {
                let from = (Reference::Local(slot.name.clone()), Delivery::Env);
                draft.secrets.entry(variable.clone()).or_insert(from);
            }
        }
        draft.facts.extend(known.fact.clone());
        Remote {
            url: known.url.clone(),
            transport: RemoteTransport::default(),
            headers,
            oauth: with_token.then(OAuthTable::default),
        }
    }

    /// The variable and secret for a value in an argument.
    pub fn secret_for_flag(&self, flag: &str) -> Option<(&str, &KnownSecret)> {
        let slot = self
            .secrets
            .iter()
            .find(|(_, slot)| slot.flags.iter().any(|known| known == flag));
        slot.map(|(variable, slot)| (variable.as_str(), slot))
    }
}

#[cfg(test)]
mod tests;
