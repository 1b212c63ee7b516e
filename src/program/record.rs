//! What the copy of mcpwrap is, sealed: its version decides whether it is replaced.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::dirs::Dirs;
use crate::error::Result;
use crate::files;
use crate::secret::{Keys, hex};

/// No build of mcpwrap is larger.
pub(super) const BYTES_MAX: u64 = 1 << 30;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CopyRecord {
    mcpwrap: String,
    sha256: String,
    seal: String,
}

impl CopyRecord {
    pub(super) fn new(version: &str, program: &[u8], keys: &Keys) -> Self {
        let sha256 = digest(program);
        Self {
            seal: hex(&mac(keys, version, &sha256).finalize().into_bytes()),
            mcpwrap: version.to_owned(),
            sha256,
        }
    }

    pub(super) fn version(&self) -> &str {
        &self.mcpwrap
    }

    pub(super) fn is_sealed(&self, keys: &Keys) -> bool {
        let found = base16ct::mixed::decode_vec(&self.seal).unwrap_or_default();
        let mac = mac(keys, &self.mcpwrap, &self.sha256);
        mac.verify_slice(&found).is_ok()
    }

    pub(super) fn is_of(&self, program: &[u8]) -> bool {
        self.sha256 == digest(program)
    }

    pub(super) fn is(&self, version: &str, program: &[u8]) -> bool {
        self.mcpwrap == version && self.is_of(program)
    }

    pub(super) fn is_newer_than(&self, version: &str) -> bool {
        self.compare(version) == Some(std::cmp::Ordering::Greater)
    }

    pub(super) fn is_older_than(&self, version: &str) -> bool {
        self.compare(version) == Some(std::cmp::Ordering::Less)
    }

    fn compare(&self, version: &str) -> Option<std::cmp::Ordering> {
        let parse = |text: &str| semver::Version::parse(text).ok();
        Some(parse(&self.mcpwrap)?.cmp_precedence(&parse(version)?))
    }
}

/// None if there is none, or if it cannot be read: the copy is then made again.
pub(super) fn read(dirs: &Dirs) -> Option<CopyRecord> {
    let bytes = files::read_private(&dirs.program_record()).ok()?;
    toml::from_str(str::from_utf8(&bytes).ok()?).ok()
}

pub(super) fn write(dirs: &Dirs, record: &CopyRecord) -> Result<()> {
    let text = toml::to_string(record).expect("a record has plain fields only");
    let path = dirs.program_record();
    files::replace_own(&path, &dirs.tilde(&path), &text)
}

fn digest(program: &[u8]) -> String {
    hex(&Sha256::digest(program))
}

/// The MAC over the sealed message. Neither part can contain a newline without being refused.
fn mac(keys: &Keys, version: &str, sha256: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&*keys.seal).expect("HMAC takes any key");
    mac.update(format!("program v1\n{version}\n{sha256}\n").as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn versions_are_ordered_and_the_seal_covers_them() {
        let keys = Keys::from_master(&Secret::new(b"master".to_vec()));
        let record = CopyRecord::new("1.10.0", b"program", &keys);
        assert!(record.is_newer_than("1.9.0") && record.is_older_than("2.0.0"));
        assert!(!record.is_newer_than("1.10.0") && !record.is_newer_than("dev"));
        assert!(record.is_sealed(&keys) && record.is_of(b"program") && !record.is_of(b""));
        let forged = CopyRecord {
            mcpwrap: "9.9.9".to_owned(),
            ..record
        };
        assert!(!forged.is_sealed(&keys));
    }
}
