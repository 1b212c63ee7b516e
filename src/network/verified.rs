//! The approved network settings, ready for use.

use std::path::PathBuf;

use super::collect::Collected;
use super::record::{self, NetworkRecord, NetworkValue, changed};
use crate::dirs::Dirs;
use crate::error::{Code, Result};
use crate::files::{self, Problem};
use crate::https::WebRoute;
use crate::secret::{Keys, Secret, SecretName};

/// The approved settings, verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    record: NetworkRecord,
    directory: PathBuf,
}

/// One variable of a server with an approved value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkVariable {
    Plain(String, String),
    /// The value is a secret: a proxy with a password.
    Secret(String, SecretName),
}

impl Network {
    /// The variables that a server gets. Proxies are set in both cases, because programs differ in
    /// which one they read.
    pub fn variables(&self) -> Vec<NetworkVariable> {
        let mut all = Vec::new();
        for (name, value) in &self.record.settings {
            let names = if name.ends_with("_PROXY") && name != "NODE_USE_ENV_PROXY" {
                vec![name.clone(), name.to_ascii_lowercase()]
            } else {
                vec![name.clone()]
            };
            for name in names {
                all.push(match value {
                    NetworkValue::Text { value } => NetworkVariable::Plain(name, value.clone()),
                    NetworkValue::Secret { secret, .. } => {
                        NetworkVariable::Secret(name, secret.clone())
                    }
                    NetworkValue::File { .. } => {
                        let copy = self.copy(&name);
                        NetworkVariable::Plain(name, copy.display().to_string())
                    }
                });
            }
        }
        all
    }

    /// The URL of the proxy for `https:`. `secret` returns the value of a stored secret.
    pub fn https_proxy(&self, secret: &dyn Fn(&SecretName) -> Option<Secret>) -> Option<Secret> {
        self.proxy("HTTPS_PROXY", secret)
    }

    fn proxy(&self, name: &str, secret: &dyn Fn(&SecretName) -> Option<Secret>) -> Option<Secret> {
        let settings = &self.record.settings;
        match settings.get(name).or(settings.get("ALL_PROXY"))? {
            NetworkValue::Text { value } => Some(Secret::new(value.clone().into_bytes())),
            NetworkValue::Secret { secret: name, .. } => secret(name),
            NetworkValue::File { .. } => None,
        }
    }

    /// How mcpwrap itself reaches `https:` hosts. See [`Self::https_proxy`].
    pub fn route(&self, secret: &dyn Fn(&SecretName) -> Option<Secret>) -> WebRoute {
        WebRoute {
            proxy: self.https_proxy(secret),
            no_proxy: Some(self.no_proxy().to_owned()).filter(|hosts| !hosts.is_empty()),
            authorities: self.authorities(),
        }
    }

    /// The URL of the proxy for `http:`. See [`Self::https_proxy`].
    pub fn http_proxy(&self, secret: &dyn Fn(&SecretName) -> Option<Secret>) -> Option<Secret> {
        self.proxy("HTTP_PROXY", secret)
    }

    /// The hosts that are reached without a proxy, as in `NO_PROXY`.
    pub fn no_proxy(&self) -> &str {
        match self.record.settings.get("NO_PROXY") {
            Some(NetworkValue::Text { value }) => value,
            _ => "",
        }
    }

    /// The names of the secrets that the settings need.
    pub fn secrets(&self) -> Vec<SecretName> {
        self.record.secrets()
    }

    /// The approved copies of certificate files.
    pub fn authorities(&self) -> Vec<PathBuf> {
        let settings = self.record.settings.iter();
        let files = settings.filter(|(_, value)| matches!(value, NetworkValue::File { .. }));
        files.map(|(name, _)| self.copy(name)).collect()
    }

    fn copy(&self, variable: &str) -> PathBuf {
        self.directory.join(format!("{variable}.pem"))
    }
}

/// The approved settings without a check of their seal, to find out which secrets they need. `None`
/// if nothing was approved.
///
/// # Errors
/// `network-changed` if the record cannot be read.
pub fn find(dirs: &Dirs) -> Result<Option<NetworkRecord>> {
    record::read(dirs)
}

/// Verifies a record, and the files that it names.
///
/// # Errors
/// `network-changed`.
pub fn verify(dirs: &Dirs, record: Option<NetworkRecord>, keys: &Keys) -> Result<Network> {
    let directory = dirs.network();
    let Some(record) = record else {
        return Ok(Network::default());
    };
    if !record.is_sealed(keys) {
        return Err(changed(
            "their seal does not match the key in your store".to_owned(),
        ));
    }
    let network = Network { record, directory };
    for (name, value) in &network.record.settings {
        let NetworkValue::File { sha256, .. } = value else {
            continue;
        };
        let copy = network.copy(name);
        let found = crate::package::file_digest(&copy);
        if found.ok().as_ref() != Some(sha256) {
            return Err(changed(format!(
                "`{}` has other content",
                dirs.tilde(&copy)
            )));
        }
    }
    Ok(network)
}

/// Stores the approved settings; an empty collection removes them.
///
/// # Errors
/// `file-unusable`, `file-not-private`.
pub fn approve(dirs: &Dirs, collected: &Collected, keys: &Keys) -> Result<()> {
    let directory = dirs.network();
    let path = record::path(dirs);
    let unwritten = |problem: Problem| {
        let shown = dirs.tilde(&path);
        problem.explain(
            Code::FileUnusable,
            "cannot store the network settings",
            &shown,
        )
    };
    if collected.is_empty() {
        return files::remove(&path).map_err(unwritten);
    }
    for (variable, content) in &collected.files {
        let copy = directory.join(format!("{variable}.pem"));
        files::replace(&copy, content).map_err(unwritten)?;
    }
    let record = record::seal(collected.settings.clone(), keys);
    let text = toml::to_string(&record).expect("settings are plain fields");
    files::replace(&path, text.as_bytes()).map_err(unwritten)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::replace;
    use crate::network::collect::collect;

    #[test]
    fn only_what_was_approved_is_used() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let keys = |text: &str| Keys::from_master(&Secret::new(text.into()));
        let load = |keys: &Keys| verify(&dirs, find(&dirs)?, keys);
        assert!(load(&keys("ours")).unwrap().variables().is_empty());

        let authority = home.path().join("corp.pem");
        replace(&authority, b"-----BEGIN CERTIFICATE-----\n").unwrap();
        let values = [
            ("https_proxy", "http://me:hunter2pw@proxy:3128"),
            ("HTTP_PROXY", "http://proxy:3128"),
            ("NO_PROXY", "localhost,.corp"),
            ("NODE_EXTRA_CA_CERTS", authority.to_str().unwrap()),
            ("SSL_CERT_DIR", "/etc/ssl/certs"),
        ];
        let variable = |name: &str| {
            let known = values.iter().find(|(known, _)| *known == name);
            known.map(|(_, value)| (*value).to_owned())
        };
        let collected = collect(&variable).unwrap();
        assert_eq!(collected.left_out.len(), 1, "{:?}", collected.left_out);
        assert!(!format!("{collected:?}").contains("hunter2"));
        approve(&dirs, &collected, &keys("ours")).unwrap();

        let network = load(&keys("ours")).unwrap();
        let text = std::fs::read_to_string(dirs.network().join("settings.toml")).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        let name = SecretName::new("network/https-proxy").unwrap();
        let needed = find(&dirs).unwrap().unwrap().secrets();
        assert_eq!(needed, std::slice::from_ref(&name));
        let variables = network.variables();
        for name_of in ["HTTPS_PROXY", "https_proxy"] {
            let secret = NetworkVariable::Secret(name_of.to_owned(), name.clone());
            assert!(variables.contains(&secret), "{variables:?}");
        }
        let copy = dirs.network().join("NODE_EXTRA_CA_CERTS.pem");
        let file =
            NetworkVariable::Plain("NODE_EXTRA_CA_CERTS".to_owned(), copy.display().to_string());
        assert!(variables.contains(&file), "{variables:?}");

        // The source may change; the approved copy may not.
        replace(&authority, b"another").unwrap();
        assert_eq!(load(&keys("ours")), Ok(network));
        assert_eq!(load(&keys("other")).unwrap_err().code, Code::NetworkChanged);
        replace(&copy, b"another").unwrap();
        assert_eq!(load(&keys("ours")).unwrap_err().code, Code::NetworkChanged);
        approve(&dirs, &collect(&|_| None).unwrap(), &keys("ours")).unwrap();
        assert!(load(&keys("ours")).unwrap().variables().is_empty());
        replace(&dirs.network().join("settings.toml"), b"version = 9").unwrap();
        assert_eq!(load(&keys("ours")).unwrap_err().code, Code::NetworkChanged);
    }
}
