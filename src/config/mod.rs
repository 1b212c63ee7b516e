//! `config.toml`: the store and defaults of the user, and the restrictions of the administrator.
//!
//! A missing file means the defaults.
//!
//! Invariants: unknown fields are refused, because a misspelt restriction must not be ignored. The file
//! contains no secret, and errors do not repeat values, because people paste secrets by mistake.

pub mod audit;
mod edit;
mod managed_stores;
pub mod packages;
pub mod stores;

pub use audit::{Anchoring, Audit, Sink};
pub use packages::{MinAge, Packages};
pub use stores::StoreDefinition;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::dirs::{Dirs, MANAGED_CONFIG, MANAGED_STORES};
use crate::error::{Code, Error, Result};
use crate::files::Problem;
use crate::links;
use crate::secret::StoreName;
use crate::serde_words::Refusal;
use crate::suggest::nearest;

/// Which store keeps the secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// The OS keychain.
    #[default]
    Keychain,
    /// One encrypted file, for hosts without a keychain.
    File,
}

impl StoreKind {
    /// The name in `config.toml` and on the command line.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Keychain => "keychain",
            Self::File => "file",
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// The settings of the user and of the administrator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where `secret:NAME` is looked up.
    pub store: StoreKind,
    /// The key of the vault file; `~/` is the home directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
    /// What commands run by an AI agent may do.
    pub agents: Agents,
    /// How long the audit log is kept, and where records are forwarded.
    pub audit: Audit,
    /// Which versions are pinned.
    pub packages: Packages,
    /// The other stores, by the name that references use.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "stores::named"
    )]
    pub stores: BTreeMap<StoreName, StoreDefinition>,
    /// Which of them the administrator defines, in `/etc/mcpwrap/stores`.
    #[serde(skip)]
    pub managed_stores: BTreeSet<StoreName>,
    /// Why those of the administrator that cannot be used cannot be. Nothing else is used in their place.
    #[serde(skip)]
    pub broken_stores: BTreeMap<StoreName, Error>,
    /// Read from `/etc/mcpwrap/config.toml`, never from the user's file.
    #[serde(skip)]
    pub managed: Managed,
}

/// What commands run by an AI agent may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Agents {
    /// Has no effect: any program of the user can write it. `mcpwrap config agents` replaces it.
    pub allow_yes: bool,
}

/// The restrictions of the administrator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Managed {
    /// Refuses `--yes` for all users.
    pub forbid_yes: bool,
    /// Refuses to start servers without a fixed version, whatever their policies allow.
    pub forbid_unpinned: bool,
    /// Replaces the user's section.
    pub audit: Option<Audit>,
    /// The least age; users can only set a higher one.
    pub packages: Packages,
}

impl Config {
    /// Reads the user's file and the managed one.
    ///
    /// # Errors
    /// `config-invalid` with the line and the nearest known name; `file-not-private` if other users
    /// can change it, or if root does not own the managed file.
    pub fn load(dirs: &Dirs) -> Result<Self> {
        let mut config = Self::load_from(dirs, Path::new(MANAGED_CONFIG))?;
        config.add_managed_stores(Path::new(MANAGED_STORES));
        Ok(config)
    }

    fn load_from(dirs: &Dirs, managed: &Path) -> Result<Self> {
        let path = dirs.config_file();
        let mut config: Self = parse_file(dirs, &path)?;
        config.managed = parse_file(dirs, managed)?;
        if managed.metadata().is_ok_and(|meta| meta.uid() != 0) {
            return Err(Error::new(
                Code::FileNotPrivate,
                format!("cannot use `{}`", managed.display()),
            )
            .cause("administrator settings must be owned by root")
            .hint(format!("run `sudo chown root {}`", managed.display())));
        }
        Ok(config)
    }

    /// The settings of the audit log: the administrator's, or else the user's.
    pub fn audit(&self) -> &Audit {
        self.managed.audit.as_ref().unwrap_or(&self.audit)
    }

    /// How old a version must be: by `asked`, the option of a command, or by the settings.
    ///
    /// # Errors
    /// `usage` if the administrator requires more.
    pub fn min_age(&self, asked: Option<MinAge>) -> Result<Option<MinAge>> {
        let least = self.managed.packages.min_age;
        match (asked, least) {
            (Some(asked), Some(least)) if asked < least => Err(Error::new(
                Code::Usage,
                format!("cannot use `--min-age {}`", String::from(asked)),
            )
            .cause(format!(
                "the administrator requires versions that are at least {least} old ({MANAGED_CONFIG})"
            ))
            .hint(format!("use `--min-age {}` or more", String::from(least)))),
            (Some(asked), _) => Ok(Some(asked)),
            (None, least) => Ok(self.packages.min_age.max(least)),
        }
    }

    /// The path of the key file, if set.
    pub fn key_file(&self, dirs: &Dirs) -> Option<PathBuf> {
        self.key_file.as_deref().map(|text| dirs.expand(text))
    }
}

fn parse_file<T: Default + serde::de::DeserializeOwned>(dirs: &Dirs, path: &Path) -> Result<T> {
    let shown = dirs.tilde(path);
    let bytes = match links::read_private(path) {
        Ok(bytes) => bytes,
        Err(Problem::Missing) => return Ok(T::default()),
        Err(problem) => {
            return Err(problem.explain(
                Code::ConfigInvalid,
                format!("cannot use `{shown}`"),
                &shown,
            ));
        }
    };
    parse_text(&shown, bytes)
}

fn parse_text<T: serde::de::DeserializeOwned>(shown: &str, bytes: Vec<u8>) -> Result<T> {
    let text = String::from_utf8(bytes).map_err(|_| {
        Error::new(Code::ConfigInvalid, format!("`{shown}` is not valid")).cause("not UTF-8")
    })?;
    toml::from_str(&text).map_err(|error| invalid(shown, &text, error.message(), error.span()))
}

fn invalid(shown: &str, text: &str, message: &str, span: Option<std::ops::Range<usize>>) -> Error {
    let before = text
        .get(..span.unwrap_or_default().start)
        .unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let place = format!("{shown}:{line}:{column}");
    let error = Error::new(Code::ConfigInvalid, format!("`{shown}` is not valid"));
    let at = |fact: &str| error.clone().cause(format!("{place}: {fact}"));
    let refusal = Refusal::read(message);
    let error = at(&refusal.to_string());
    let Refusal::UnknownField { field, known } = refusal else {
        return error.hint("correct this line, or remove it to use the default");
    };
    match nearest(&field, known.iter().map(String::as_str)) {
        Some(name) => error.hint(format!("did you mean `{name}`?")),
        None => error.hint(format!("known fields: {}", known.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;

    fn dirs(home: &Path) -> Dirs {
        Dirs::under(home)
    }

    fn load(text: &str, managed: &str) -> Result<Config> {
        let home = tempfile::tempdir().unwrap();
        let dirs = dirs(home.path());
        files::replace(&dirs.config_file(), text.as_bytes()).unwrap();
        let path = home.path().join("managed.toml");
        files::replace(&path, managed.as_bytes()).unwrap();
        Config::load_from(&dirs, &path)
    }

    #[test]
    fn an_absent_file_means_the_defaults() {
        let home = tempfile::tempdir().unwrap();
        let config = Config::load_from(&dirs(home.path()), &home.path().join("none")).unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.store, StoreKind::Keychain);
    }

    #[test]
    fn what_is_written_is_read() {
        let home = tempfile::tempdir().unwrap();
        let dirs = dirs(home.path());
        files::replace(
            &dirs.config_file(),
            b"# mine\n[agents] # them\nallow_yes = true\n",
        )
        .unwrap();
        let mut config = Config::load(&dirs).unwrap();
        config.store = StoreKind::File;
        config.key_file = Some("~/k".into());
        config.save(&dirs).unwrap();
        assert_eq!(Config::load(&dirs).unwrap(), config);
        let text = std::fs::read_to_string(dirs.config_file()).unwrap();
        assert!(text.contains("# mine") && text.contains("# them"), "{text}");
        assert_eq!(config.key_file(&dirs).unwrap(), dirs.home().join("k"));
    }

    #[test]
    fn mistakes_are_named() {
        #[track_caller]
        fn case(text: &str, expected: &str) {
            let error = load(text, "").unwrap_err();
            assert_eq!(error.code, Code::ConfigInvalid);
            assert!(error.to_string().contains(expected), "{error}");
        }
        case("stor = \"file\"", "did you mean `store`?");
        case(
            "\n[agents]\nallow_yse = true",
            ":3:1: unknown field `allow_yse`",
        );
        case(
            "managed = 1",
            "known fields: store, key_file, agents, audit, packages, stores",
        );
        case(
            "store = \"ghp_0123456789\"",
            "expected `keychain` or `file`",
        );
        case(
            "[agents]\nallow_yes = \"ghp_0123456789\"",
            "expected `true` or `false`",
        );
        case("store = ", "config.toml:1:9");
        case(
            "[stores.Bad]\ntype = \"op\"",
            "config.toml:1:9: expected the name of a store in `[stores.NAME]`: lower-case letters",
        );
        case("[audit]\nretain = \"soon\"", "expected a number of days");
        case("[audit]\nforwards = []", "did you mean `forward`?");
        case("[audit]\nanchor = \"on\"", "expected `auto` or `off`");
    }

    #[test]
    fn the_administrator_sets_the_least_age() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let own = "[packages]\nmin_age = \"3d\"";
        let age = |text: &str| text.parse::<MinAge>().unwrap();
        let config = load(own, "[packages]\nmin_age = \"1w\"").unwrap();
        assert_eq!(config.min_age(None).unwrap(), Some(age("7d")));
        assert_eq!(config.min_age(Some(age("8d"))).unwrap(), Some(age("8d")));
        let error = config.min_age(Some(age("0"))).unwrap_err().to_string();
        assert!(error.contains("at least 1 week old"), "{error}");
        let config = load(own, "").unwrap();
        assert_eq!(config.min_age(None).unwrap(), Some(age("3d")));
        assert_eq!(config.min_age(Some(age("0"))).unwrap(), Some(age("0")));
    }

    #[test]
    fn values_are_not_repeated() {
        for text in [
            "store = \"ghp_0123\"",
            "key_file = 12345678",
            "store = ghp_0123",
            "= ghp_0123",
        ] {
            let error = load(text, "").unwrap_err().to_string();
            assert!(
                !error.contains("ghp_") && !error.contains("1234"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_managed_file_is_read_too() {
        if nix::unistd::geteuid().is_root() {
            assert!(load("", "forbid_yes = true").unwrap().managed.forbid_yes);
            assert!(load("", "forbid_yess = true").is_err());
        } else {
            assert_eq!(load("", "").unwrap_err().code, Code::FileNotPrivate);
        }
    }
}
