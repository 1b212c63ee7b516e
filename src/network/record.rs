//! The file of the approved network settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem};
use crate::secret::{Keys, SecretName, hex};

const VERSION: u32 = 1;

/// The content of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkRecord {
    version: u32,
    seal: String,
    /// Keyed by the variable, in capitals.
    pub(super) settings: BTreeMap<String, NetworkValue>,
}

/// The value of one setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum NetworkValue {
    Text {
        value: String,
    },
    /// A proxy with a password: its URL is in the store, and `shown` is the URL without it.
    Secret {
        secret: SecretName,
        shown: String,
    },
    /// A certificate file: where it came from, and the digest of the copy.
    File {
        source: String,
        sha256: String,
    },
}

impl NetworkRecord {
    pub(super) fn is_sealed(&self, keys: &Keys) -> bool {
        let found = base16ct::mixed::decode_vec(&self.seal).unwrap_or_default();
        sealing(&self.settings, keys).verify_slice(&found).is_ok()
    }

    /// The secrets that the settings need.
    pub fn secrets(&self) -> Vec<SecretName> {
        let values = self.settings.values();
        let names = values.filter_map(|value| match value {
            NetworkValue::Secret { secret, .. } => Some(secret.clone()),
            NetworkValue::Text { .. } | NetworkValue::File { .. } => None,
        });
        names.collect()
    }

    /// The settings as lines of a name and a value without secrets.
    pub fn rows(&self) -> Vec<(String, String)> {
        rows(&self.settings)
    }
}

pub(super) fn rows(settings: &BTreeMap<String, NetworkValue>) -> Vec<(String, String)> {
    let row = |(name, value): (&String, &NetworkValue)| {
        let shown = match value {
            NetworkValue::Text { value } => value.clone(),
            NetworkValue::Secret { secret, shown } => {
                format!("{shown}, with the user and password in `{secret}`")
            }
            NetworkValue::File { source, sha256 } => {
                let start = sha256.get(..16).unwrap_or(sha256);
                format!("a copy of {source} (sha256 {start}…)")
            }
        };
        (name.clone(), shown)
    };
    settings.iter().map(row).collect()
}

pub(super) fn changed(cause: String) -> Error {
    Error::new(Code::NetworkChanged, "cannot accept the network settings")
        .cause(cause)
        .hint("run `mcpwrap config network` to review and approve them")
}

fn sealing(settings: &BTreeMap<String, NetworkValue>, keys: &Keys) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&*keys.seal).expect("HMAC takes any key");
    mac.update(b"network v1\n");
    mac.update(&serde_json::to_vec(settings).expect("settings are plain fields"));
    mac
}

/// Seals settings.
pub(super) fn seal(settings: BTreeMap<String, NetworkValue>, keys: &Keys) -> NetworkRecord {
    let seal = sealing(&settings, keys).finalize().into_bytes();
    NetworkRecord {
        version: VERSION,
        seal: hex(&seal),
        settings,
    }
}

/// The path of the file.
pub(super) fn path(dirs: &Dirs) -> PathBuf {
    dirs.network().join("settings.toml")
}

pub(super) fn read(dirs: &Dirs) -> Result<Option<NetworkRecord>> {
    let path = path(dirs);
    let shown = dirs.tilde(&path);
    let bytes = match files::read_private(&path) {
        Ok(bytes) => bytes,
        Err(Problem::Missing) => return Ok(None),
        Err(problem) => return Err(changed(format!("{shown}: {problem}"))),
    };
    let text = String::from_utf8(bytes).map_err(|_| changed(format!("{shown}: not UTF-8")))?;
    let record: NetworkRecord =
        toml::from_str(&text).map_err(|_| changed(format!("{shown}: not valid")))?;
    if record.version != VERSION {
        return Err(changed(format!(
            "{shown}: written by another version of mcpwrap"
        )));
    }
    Ok(Some(record))
}
