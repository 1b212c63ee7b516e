//! Settings that widen what is allowed. They are sealed with a key from the store, because any program
//! of the user can write a file.
//!
//! Invariants: a setting without a good seal counts as not set, and its command says so. Settings that
//! only narrow are in `config.toml`.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem};
use crate::secret::{Keys, hex};

/// What an AI agent may be allowed to do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum AgentAct {
    /// Adopt client configs
    Adopt,
    /// Restore client configs with `adopt --undo`
    Undo,
    /// Add servers with `add`, and remove them
    Add,
    /// Approve policies
    Grant,
    /// Pin packages
    Pin,
    /// Create and edit policies
    Policy,
    /// Store, rotate, import, move and remove secrets
    Secret,
    /// Send secrets to their providers with `check --verify` and `grant --verify`
    Verify,
}

impl AgentAct {
    /// The word on the command line and in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Adopt => "adopt",
            Self::Undo => "undo",
            Self::Add => "add",
            Self::Grant => "grant",
            Self::Pin => "pin",
            Self::Policy => "policy",
            Self::Secret => "secret",
            Self::Verify => "verify",
        }
    }
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SettingsFile {
    version: u32,
    agents: Option<SealedAgents>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SealedAgents {
    allow: Vec<AgentAct>,
    at: Timestamp,
    seal: String,
}

/// What AI agents may do: nothing, if nothing was sealed.
///
/// # Errors
/// `settings-broken` if the file cannot be parsed or its seal does not match; `file-unusable`,
/// `file-not-private`.
pub fn agents(dirs: &Dirs, keys: &Keys) -> Result<Vec<AgentAct>> {
    let Some(SealedAgents { allow, at, seal }) = read(dirs)?.agents else {
        return Ok(Vec::new());
    };
    let found = base16ct::mixed::decode_vec(&seal).unwrap_or_default();
    match mac(keys, &allow, at).verify_slice(&found) {
        Ok(()) => Ok(allow),
        Err(_) => Err(broken(
            dirs,
            "the seal does not match the key in your store",
        )),
    }
}

/// Seals what AI agents may do.
///
/// # Errors
/// As [`agents`], but a file that cannot be parsed is replaced.
pub fn allow_agents(dirs: &Dirs, keys: &Keys, allow: &[AgentAct]) -> Result<()> {
    let now = Timestamp::now();
    let at = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let seal = hex(&mac(keys, allow, at).finalize().into_bytes());
    let file = SettingsFile {
        version: 1,
        agents: Some(SealedAgents {
            allow: allow.to_vec(),
            at,
            seal,
        }),
    };
    let text = toml::to_string(&file).expect("a settings file has plain fields only");
    let path = dirs.settings();
    files::replace(&path, text.as_bytes()).map_err(|problem| unusable(dirs, problem))
}

fn read(dirs: &Dirs) -> Result<SettingsFile> {
    let bytes = match files::read_private(&dirs.settings()) {
        Ok(bytes) => bytes,
        Err(Problem::Missing) => return Ok(SettingsFile::default()),
        Err(problem) => return Err(unusable(dirs, problem)),
    };
    let file = str::from_utf8(&bytes)
        .ok()
        .and_then(|text| toml::from_str(text).ok());
    file.filter(|file: &SettingsFile| file.version == 1)
        .ok_or_else(|| broken(dirs, "not a settings file of this version of mcpwrap"))
}

/// The MAC over the sealed message. No part can contain a newline.
fn mac(keys: &Keys, allow: &[AgentAct], at: Timestamp) -> Hmac<Sha256> {
    let words: Vec<_> = allow.iter().map(|act| act.name()).collect();
    let mut mac = Hmac::<Sha256>::new_from_slice(&*keys.seal).expect("HMAC takes any key");
    mac.update(format!("agents v1\n{at}\n{}\n", words.join(",")).as_bytes());
    mac
}

fn broken(dirs: &Dirs, cause: &str) -> Error {
    let shown = dirs.tilde(&dirs.settings());
    Error::new(Code::SettingsBroken, format!("cannot accept `{shown}`"))
        .cause(cause)
        .hint("run `mcpwrap config agents --allow ACT` (or `--forbid ACT`) in a terminal to seal a new list")
}

fn unusable(dirs: &Dirs, problem: Problem) -> Error {
    let shown = dirs.tilde(&dirs.settings());
    problem.explain(Code::FileUnusable, format!("cannot use `{shown}`"), &shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn only_a_sealed_list_counts() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let keys = Keys::from_master(&Secret::new(b"ours".to_vec()));
        let other = Keys::from_master(&Secret::new(b"other".to_vec()));
        assert_eq!(agents(&dirs, &keys).unwrap(), []);
        allow_agents(&dirs, &keys, &[AgentAct::Grant]).unwrap();
        assert_eq!(agents(&dirs, &keys).unwrap(), [AgentAct::Grant]);
        let text = std::fs::read_to_string(dirs.settings()).unwrap();
        for (from, to) in [
            ("[\"grant\"]", "[\"grant\", \"adopt\"]"),
            ("at = \"2", "at = \"1"),
            ("version = 1", "version = 2"),
            ("seal = \"", "seal = \"0"),
            ("seal", "seel"),
        ] {
            assert!(text.contains(from), "{from}");
            let forged = text.replacen(from, to, 1);
            files::replace(&dirs.settings(), forged.as_bytes()).unwrap();
            let error = agents(&dirs, &keys).unwrap_err();
            assert_eq!(error.code, Code::SettingsBroken, "{from}");
        }
        allow_agents(&dirs, &keys, &[]).unwrap();
        assert_eq!(agents(&dirs, &keys).unwrap(), []);
        assert!(agents(&dirs, &other).is_err());
    }
}
