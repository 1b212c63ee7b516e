//! The `[package]` table: what `mcpwrap pin` resolved, locked and installed.
//!
//! The table is part of the policy, so the grant covers it: whoever changes what runs changes the
//! policy. The `package` module computes and compares the digests.
//!
//! Invariant: it is written as one table of plain values, so that it can be replaced in the text of a
//! policy without changing the rest.

use std::fmt;
use std::path::{Component, Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a pinned package comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PackageSource {
    /// npm, or a mirror of it.
    Npm,
    /// `PyPI`, or a mirror of it.
    Pypi,
    /// A container registry.
    Image,
    /// A program on this machine.
    Local,
}

impl PackageSource {
    /// Whether a pin is a tree of its own, which has all that its command runs. A local program stays where it is, with
    /// the interpreter and the script that the command names.
    pub const fn is_installed(self) -> bool {
        matches!(self, Self::Npm | Self::Pypi)
    }
}

/// The pinned package, which runs instead of `command`. `mcpwrap pin SERVER` writes this table. If
/// you edit it by hand, mcpwrap refuses to start the server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Where the package comes from.
    pub registry: PackageSource,
    /// The name of the package.
    pub name: String,
    /// The exact version. For an image, its digest.
    pub version: String,
    /// The registry's checksum of the archive, to detect another archive of the same version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub integrity: String,
    /// The absolute path of the program that executes it. Empty if it is executable itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub interpreter: String,
    /// The interpreter's own arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// The file that is started: a path in the installed tree, or an absolute path for a local program.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub entry: String,
    /// Whether the install scripts of the package and its dependencies were run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scripts: bool,
    /// SHA-256 of the lock file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lock: String,
    /// SHA-256 of all installed files: their names, types and contents.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tree: String,
    /// SHA-256 of the interpreter, or of the program if it is executable itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program: String,
    /// SHA-256 of the list of file states that is compared before each start.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub files: String,
}

impl Package {
    /// An empty table with only the registry set.
    pub fn bare(registry: PackageSource) -> Self {
        Self {
            registry,
            name: String::new(),
            version: String::new(),
            integrity: String::new(),
            interpreter: String::new(),
            flags: Vec::new(),
            entry: String::new(),
            scripts: false,
            lock: String::new(),
            tree: String::new(),
            program: String::new(),
            files: String::new(),
        }
    }

    /// The first field that `mcpwrap pin` cannot have written, with the reason.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        let is_hash = |text: &str| {
            let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            text.is_empty() || (text.len() == 64 && text.bytes().all(digit))
        };
        let below = |text: &str| {
            Path::new(text)
                .components()
                .all(|c| matches!(c, Component::Normal(_)))
        };
        let installed = self.registry.is_installed();
        let image = self.registry == PackageSource::Image;
        let checks = [
            ("name", !self.name.is_empty(), "empty"),
            (
                "version",
                !self.version.is_empty() || !(installed || image),
                "empty",
            ),
            (
                "version",
                !image || self.version.starts_with("sha256:"),
                "expected an image digest (`sha256:…`)",
            ),
            (
                "lock",
                is_hash(&self.lock) && (!installed || !self.lock.is_empty()),
                NO_HASH,
            ),
            (
                "tree",
                is_hash(&self.tree) && (image || !self.tree.is_empty()),
                NO_HASH,
            ),
            (
                "program",
                is_hash(&self.program) && (image || !self.program.is_empty()),
                NO_HASH,
            ),
            (
                "files",
                is_hash(&self.files) && (image || !self.files.is_empty()),
                NO_HASH,
            ),
            (
                "entry",
                !installed || (!self.entry.is_empty() && below(&self.entry)),
                "outside the installed tree",
            ),
            (
                "interpreter",
                self.interpreter.is_empty() || self.interpreter.starts_with('/'),
                "not an absolute path",
            ),
        ];
        checks
            .into_iter()
            .find(|(_, fits, _)| !fits)
            .map(|(field, _, why)| (field, why))
    }

    /// The name and the version, for records.
    pub fn label(&self) -> String {
        let space = if self.version.is_empty() { "" } else { " " };
        format!("{}{space}{}", self.name, self.version)
    }

    /// The text of a policy with its `[package]` table replaced by this one, or with this one appended.
    pub fn written(&self, text: &str) -> String {
        let table = toml::to_string(self).expect("the table has plain fields only");
        let mut kept = without(text);
        if !kept.is_empty() && !kept.ends_with('\n') {
            kept.push('\n');
        }
        format!("{kept}\n[package]\n{table}")
            .trim_start_matches('\n')
            .to_owned()
    }
}

/// The form that a grant shows: `@s/server 1.2.3 from npm, install scripts were run`. A new field does
/// not compile until it is shown, or ignored by name.
impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            registry,
            // In the label.
            name: _,
            version: _,
            // How the package is started: `pin` derives it from the command, and the grant shows
            // manual changes in its diff.
            interpreter: _,
            flags: _,
            entry: _,
            scripts,
            // Digests, which a person cannot check.
            integrity: _,
            lock: _,
            tree: _,
            program: _,
            files: _,
        } = self;
        let registry = match registry {
            PackageSource::Npm => "from npm",
            PackageSource::Pypi => "from PyPI",
            PackageSource::Image => "as a container image",
            PackageSource::Local => "as a local program, by its content",
        };
        write!(f, "{} {registry}", self.label())?;
        f.write_str(if *scripts {
            ", install scripts were run"
        } else {
            ""
        })
    }
}

const NO_HASH: &str = "not a SHA-256 in hex";

/// The text of a policy without its `[package]` table and the empty lines before it.
pub fn without(text: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        let head = line.trim().split('#').next().unwrap_or_default().trim();
        if head.starts_with('[') && head.ends_with(']') {
            inside = head == "[package]";
            if inside {
                kept.truncate(kept.trim_end().len());
                kept.push('\n');
            }
        }
        if !inside {
            kept.push_str(line);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::load::parse_text;

    const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn package() -> Package {
        Package {
            registry: PackageSource::Npm,
            name: "@s/server".to_owned(),
            version: "1.2.3".to_owned(),
            integrity: "sha512-x".to_owned(),
            interpreter: "/usr/bin/node".to_owned(),
            flags: Vec::new(),
            entry: "node_modules/@s/server/index.js".to_owned(),
            scripts: false,
            lock: HASH.to_owned(),
            tree: HASH.to_owned(),
            program: HASH.to_owned(),
            files: HASH.to_owned(),
        }
    }

    #[test]
    fn the_table_is_written_and_read_and_replaced() {
        let first =
            "# mine\nversion = 1\ncommand = [\"npx\", \"s\"]\n\n[limits]\nunpinned = \"allow\"";
        let once = package().written(first);
        assert!(once.starts_with(first));
        assert_eq!(parse_text(&once).unwrap().package, Some(package()));
        assert_eq!(package().written(&once), once);
        assert_eq!(without(&once), format!("{first}\n"));

        let moved = once.replace("\n[limits]\nunpinned = \"allow\"\n", "") + "\n[limits]\n# end\n";
        let newer = Package {
            version: "1.2.4".to_owned(),
            ..package()
        };
        let text = newer.written(&moved);
        assert!(text.contains("\n[limits]\n# end\n\n[package]\n"), "{text}");
        assert_eq!(parse_text(&text).unwrap().package, Some(newer));
    }

    #[test]
    fn what_pin_would_not_write_is_refused() {
        let text = package().written("version = 1\ncommand = [\"npx\", \"s\"]\n");
        for (from, to, field) in [
            ("entry = \"node_modules/", "entry = \"../", "entry"),
            ("entry = \"node_modules/", "entry = \"/", "entry"),
            ("interpreter = \"/", "interpreter = \"", "interpreter"),
            ("tree = \"0", "tree = \"", "tree"),
            ("files = \"0", "files = \"G", "files"),
            ("name = \"@s/server\"", "name = \"\"", "name"),
            ("registry = \"npm\"", "registry = \"image\"", "version"),
        ] {
            assert!(text.contains(from), "{from}");
            let error = parse_text(&text.replace(from, to)).unwrap_err();
            assert!(
                error.what.contains(&format!("`package.{field}`")),
                "{error}"
            );
        }
    }
}
