//! The network settings of the user's terminal, as they can be approved.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::record::{NetworkRecord, NetworkValue, rows};
use crate::dirs;
use crate::error::{Code, Error, Result};
use crate::files::io_text;
use crate::policy::inherit;
use crate::secret::{Secret, SecretName, hex};

/// A certificate file is not longer (bytes).
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Settings with a URL.
const URLS: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
/// Settings with plain text.
const TEXTS: &[&str] = &["NO_PROXY", "NODE_USE_ENV_PROXY", "NODE_USE_SYSTEM_CA"];

/// Settings that wait for approval.
#[derive(Default)]
pub struct Collected {
    pub(super) settings: BTreeMap<String, NetworkValue>,
    /// The content of certificate files, keyed by variable.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// Proxies with a password.
    pub secrets: Vec<(SecretName, Secret)>,
    /// Variables that cannot be taken over, with the reason.
    pub left_out: Vec<(String, &'static str)>,
}

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collected")
            .field("settings", &self.settings)
            .field("left_out", &self.left_out)
            .finish_non_exhaustive()
    }
}

impl Collected {
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty()
    }

    /// The settings as lines of a name and a value without secrets.
    pub fn rows(&self) -> Vec<(String, String)> {
        rows(&self.settings)
    }
}

/// Collects the settings of these variables. The upper case of a name wins over the lower case.
///
/// # Errors
/// `file-unusable` if a certificate file cannot be read.
pub fn collect(variable: &dyn Fn(&str) -> Option<String>) -> Result<Collected> {
    let mut found = Collected::default();
    for name in inherit::network_names() {
        let value = variable(name).or_else(|| variable(&name.to_ascii_lowercase()));
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            continue;
        };
        if value.chars().any(char::is_control) {
            found
                .left_out
                .push(((*name).to_owned(), "it contains control characters"));
        } else if URLS.contains(name) {
            found.proxy(name, value)?;
        } else if TEXTS.contains(name) {
            found
                .settings
                .insert((*name).to_owned(), NetworkValue::Text { value });
        } else if Path::new(&value).is_dir() {
            let why = "it is a directory: set `SSL_CERT_FILE` to one file instead";
            found.left_out.push(((*name).to_owned(), why));
        } else {
            found.file(name, value)?;
        }
    }
    Ok(found)
}

impl Collected {
    fn proxy(&mut self, name: &str, url: String) -> Result<()> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", &url));
        let host_starts = rest.split('/').next().unwrap_or_default().rfind('@');
        let value = match host_starts {
            None => NetworkValue::Text { value: url },
            Some(at) => {
                let host = rest.get(at + 1..).unwrap_or_default();
                let shown = format!("{scheme}://{host}");
                let secret = format!("network/{}", name.to_lowercase().replace('_', "-"));
                let secret = SecretName::new(&secret)?;
                self.secrets
                    .push((secret.clone(), Secret::new(url.into_bytes())));
                NetworkValue::Secret { secret, shown }
            }
        };
        self.settings.insert(name.to_owned(), value);
        Ok(())
    }

    fn file(&mut self, name: &str, source: String) -> Result<()> {
        let unreadable = |cause: String| {
            Error::new(Code::FileUnusable, format!("cannot take over `{name}`"))
                .cause(format!("`{source}`: {cause}"))
                .hint(format!("fix the path, or unset `{name}`"))
        };
        let size = std::fs::metadata(&source).map_err(|error| unreadable(io_text(&error)))?;
        if size.len() > FILE_BYTES_MAX {
            return Err(unreadable(
                "too large for a file of certificates".to_owned(),
            ));
        }
        let content = std::fs::read(&source).map_err(|error| unreadable(io_text(&error)))?;
        let sha256 = hex(&Sha256::digest(&content));
        self.files.insert(name.to_owned(), content);
        let value = NetworkValue::File { source, sha256 };
        self.settings.insert(name.to_owned(), value);
        Ok(())
    }
}

/// A variable of the user's terminal.
pub fn of_terminal(name: &str) -> Option<String> {
    dirs::server_variable(name)?.into_string().ok()
}

/// The network variables that are set here and have no approved value, with what is special about
/// them.
pub fn ignored(
    record: Option<&NetworkRecord>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Vec<String> {
    let names = inherit::network_names().iter();
    let unapproved =
        names.filter(|name| record.is_none_or(|record| !record.settings.contains_key(**name)));
    let spelled = unapproved.flat_map(|name| [(*name).to_owned(), name.to_ascii_lowercase()]);
    let set = spelled.filter_map(|name| {
        let value = variable(&name).filter(|value| !value.is_empty())?;
        let special = special(&name.to_ascii_uppercase(), &value);
        Some(special.map_or_else(|| name.clone(), |special| format!("{name} ({special})")))
    });
    set.collect()
}

/// What a user may want to know about a value that is not used.
fn special(name: &str, value: &str) -> Option<&'static str> {
    if URLS.contains(&name) {
        return value.contains('@').then_some("with a password");
    }
    let meta = std::fs::metadata(value)
        .ok()
        .filter(|_| !TEXTS.contains(&name))?;
    (meta.permissions().mode() & 0o022 != 0).then_some("a file that others can write")
}
