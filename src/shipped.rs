//! What is known of the most used servers: `policies/*.toml`, built into the program.
//!
//! They are no policies of the user: `adopt` and `policy new` start from them, `check --verify` asks
//! their probes. *Never* consulted at launch. *Always* one commented file a server or family; one
//! line in the table below; all of them are read and checked by a test. Facts that nobody has
//! confirmed say so (`verified = false`).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::policy::Renew;
use crate::secret::SecretName;

/// The version of the format of these files.
const VERSION: u32 = 1;

/// One file of `policies/`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shipped {
    version: u32,
    /// Its file name without `.toml`.
    #[serde(skip)]
    pub id: &'static str,
    pub title: String,
    /// Packages of npm and PyPI, images, and programs, without a version.
    pub packages: Vec<String>,
    /// Hosts of the remote form of the server.
    #[serde(default)]
    pub remotes: Vec<String>,
    /// What it talks to; `*` is any host, words are hosts of the user's own.
    pub hosts: Vec<String>,
    pub offline_start: OfflineStart,
    pub renew: Renew,
    /// By the variable in which the server expects the value.
    #[serde(default)]
    pub secrets: BTreeMap<String, Slot>,
    pub probe: Option<Probe>,
}

/// Whether the server answers its client's first message without network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OfflineStart {
    /// Seen in a run without network.
    Measured,
    /// By its documentation.
    Expected,
    No,
    Unknown,
}

/// One secret that the server takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// What it is called in the store.
    pub name: SecretName,
    /// How a value begins.
    pub looks: Vec<String>,
    /// Arguments that carry the same value: `--api-key X`, `--api-key=X`, `API_KEY=X`.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Where a new one is made.
    pub rotate: Option<String>,
}

/// A question to the provider that changes nothing and tells whether a secret is alive.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The variable of the secret.
    pub secret: String,
    /// Method, address and, for some, the body.
    pub request: String,
    /// With `{secret}` where the value goes.
    pub headers: Vec<String>,
    /// The header of the answer that lists what the secret may do.
    pub scopes: Option<String>,
    /// The scopes that the server asks for, by its documentation. Others are more than it needs.
    #[serde(default)]
    pub enough: Vec<String>,
    /// The header of the answer that says when it ends.
    pub expires: Option<String>,
    /// Whether the address was seen in the provider's documentation or a public verifier.
    pub verified: bool,
}

macro_rules! files {
    ($($id:literal)+) => {
        const FILES: &[(&str, &str)] =
            &[$(($id, include_str!(concat!("../policies/", $id, ".toml")))),+];
    };
}

files! {
    "ai-platforms" "airtable" "anthropic" "atlassian" "aws" "brave-search" "browser" "chat"
    "cloudflare" "code-tools" "commerce" "context7" "developer-services" "exa" "fetch" "figma"
    "firecrawl" "gemini" "github" "gitlab" "google-workspace" "home" "hosting" "hugging-face"
    "linear" "magic" "mail" "mcp-remote" "models" "mongodb" "monitoring" "mysql" "n8n"
    "notion" "openai" "perplexity" "postgres" "redis" "reference" "sentry" "slack" "smithery"
    "stripe" "supabase" "task-master" "tasks" "tavily"
}

/// All of them.
pub fn all() -> &'static [Shipped] {
    static ALL: OnceLock<Vec<Shipped>> = OnceLock::new();
    ALL.get_or_init(|| {
        FILES
            .iter()
            .map(|(id, text)| read(id, text).expect("a test reads every shipped policy"))
            .filter(|shipped| shipped.version == VERSION)
            .collect()
    })
}

fn read(id: &'static str, text: &str) -> Result<Shipped, toml::de::Error> {
    Ok(Shipped {
        id,
        ..toml::from_str(text)?
    })
}

/// What is known of a package, an image, or a program of that name.
pub fn of_package(package: &str) -> Option<&'static Shipped> {
    let package = package.strip_prefix("docker.io/").unwrap_or(package);
    all()
        .iter()
        .find(|shipped| shipped.packages.iter().any(|known| known == package))
}

/// What is known of a remote server at that host.
pub fn of_host(host: &str) -> Option<&'static Shipped> {
    let fits = |pattern: &String| match pattern.strip_prefix('*') {
        Some(end) => host.ends_with(end),
        None => host == pattern,
    };
    all()
        .iter()
        .find(|shipped| shipped.remotes.iter().any(fits))
}

impl Shipped {
    /// The variable and slot for a value that an argument carries.
    pub fn by_flag(&self, flag: &str) -> Option<(&str, &Slot)> {
        let slot = self
            .secrets
            .iter()
            .find(|(_, slot)| slot.flags.iter().any(|known| known == flag));
        slot.map(|(variable, slot)| (variable.as_str(), slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::template::is_variable_name;

    #[test]
    fn every_file_is_in_the_table_and_says_what_it_must() {
        let mut files: Vec<String> =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/policies"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
        files.sort();
        let table: Vec<String> = FILES.iter().map(|(id, _)| format!("{id}.toml")).collect();
        assert_eq!(files, table);
        assert!(table.len() >= 40);
        let mut packages = std::collections::BTreeSet::new();
        for (id, text) in FILES {
            let shipped = read(id, text).unwrap_or_else(|error| panic!("{id}: {error}"));
            assert_eq!(shipped.version, 1, "{id}");
            assert!(
                text.starts_with("# ") && !shipped.packages.is_empty(),
                "{id}"
            );
            for package in &shipped.packages {
                assert!(
                    packages.insert(package.clone()),
                    "{id}: {package} is in two files"
                );
            }
            assert!(
                shipped.secrets.keys().all(|name| is_variable_name(name)),
                "{id}"
            );
            if let Some(probe) = &shipped.probe {
                assert!(shipped.secrets.contains_key(&probe.secret), "{id}");
                let request = probe.request.split(' ').collect::<Vec<_>>();
                assert!(matches!(request.first(), Some(&("GET" | "POST"))), "{id}");
                assert!(
                    request[1].starts_with("https://") && !request[1].contains("{secret}"),
                    "{id}"
                );
                assert!(
                    probe
                        .headers
                        .iter()
                        .any(|header| header.contains("{secret}")),
                    "{id}"
                );
            }
        }
    }

    #[test]
    fn found_by_package_host_and_flag() {
        let stripe = of_package("@stripe/mcp").unwrap();
        assert_eq!(stripe.by_flag("--api-key").unwrap().0, "STRIPE_SECRET_KEY");
        assert_eq!(of_host("mcp.exa.ai").unwrap().id, "exa");
        assert_eq!(of_host("docs.mcp.cloudflare.com").unwrap().id, "cloudflare");
        assert!(of_package("unknown").is_none());
    }
}
