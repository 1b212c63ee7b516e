//! What a command line starts (registry, package, version, how exactly), and how that package is
//! installed once, checked at each start, and started.
//!
//! Invariants: a package launcher that `parse` does not fully understand is floating, and any other
//! program is local. `parse` is pure; only `install` changes something. Windows forms (`npx.cmd`,
//! `cmd /c`) are understood, since configs travel.

mod advisory;
mod archives;
mod byte_code;
mod client;
mod cutoff;
mod differences;
mod directory;
mod failure;
mod image;
mod imports;
mod install;
mod installed;
mod launcher;
mod local;
pub mod lookup;
mod manifest;
mod node;
mod news;
mod npm;
mod npm_audit;
mod npm_facts;
mod npm_project;
mod npm_settings;
mod npm_warnings;
mod osv;
mod osv_range;
mod osv_severity;
mod parse;
#[cfg(test)]
mod parse_tests;
mod pinned;
mod pip;
mod pip_lock;
mod progress;
mod provenance;
mod pypi;
mod pypi_audit;
mod python;
mod request;
mod restamp;
mod search;
#[cfg(test)]
mod search_tests;
mod shadowing;
mod sharing;
mod shell;
mod spec;
#[cfg(test)]
mod spec_tests;
mod staging;
mod stored;
mod table;
mod transport;
mod tree;
mod unfenced;
mod uv_lock;
mod uv_versions;
mod variables;

use std::fmt;

pub use advisory::{Advisory, AdvisoryAnswer, AdvisorySeverity, PublishedStatus};
pub use cutoff::Cutoff;
pub use differences::DifferenceKind;
pub use install::{has_versions, install, is_newer, latest};
pub use installed::{Depth, ResolvedCommand, entry_while, verify};
pub use launcher::program_name;
pub use news::{PackageNews, advisories, news};
pub use osv::AdvisoryFile;
pub use parse::parse;
pub use pinned::check_pinned;
pub use progress::{InstallPhase, InstallProgress, Snapshot};
pub use request::{PackageChanges, PinReport, PinRequest};
pub use restamp::{restamp, with_new_interpreter};
pub use stored::{InstalledTree, installed, installed_count, remove};
pub use transport::{Transport, transport};
pub use tree::{file_digest, remove as remove_tree};
pub use unfenced::reason as unfenced;
pub use variables::read_by as variables_read;

/// Where a package comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registry {
    /// npm and its mirrors: npx, bunx, pnpm, yarn, deno's `npm:`.
    Npm,
    /// `PyPI` and its mirrors: uvx, pipx.
    Pypi,
    /// A container registry: docker, podman.
    Image,
    /// A module path of Go.
    Go,
    /// `NuGet`, through `dnx`.
    Nuget,
    /// JSR, through deno.
    Jsr,
    /// A flake of Nix.
    Nix,
    /// A URL: deno's `https:` imports, `jbang`.
    Url,
    /// No package: a local program.
    Local,
}

impl Registry {
    /// The word in policies and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pypi => "pypi",
            Self::Image => "image",
            Self::Go => "go",
            Self::Nuget => "nuget",
            Self::Jsr => "jsr",
            Self::Nix => "nix",
            Self::Url => "url",
            Self::Local => "local",
        }
    }
}

/// How exactly a command line says which code runs; the weakest of all packages it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pin {
    /// No version, a dist-tag, a branch: can change at any time.
    Floating,
    /// `@latest`, written out.
    Latest,
    /// An image without a tag, or `:latest`.
    ImageLatest,
    /// A range: `^1`, `>=1.2`, `1.x`.
    Range,
    /// An image tag, which its owner can move.
    ImageTag,
    /// One version, a full commit.
    Exact,
    /// An image digest.
    Digest,
    /// A local program, script or directory.
    Local,
}

impl Pin {
    /// The word in reports.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Floating => "floating",
            Self::Latest => "latest",
            Self::ImageLatest => "docker latest/no tag",
            Self::Range => "range",
            Self::ImageTag => "docker tag",
            Self::Exact => "pinned exact",
            Self::Digest => "docker digest",
            Self::Local => "local path",
        }
    }

    /// Whether the same command line always names the same version.
    pub const fn holds(self) -> bool {
        matches!(self, Self::Exact | Self::Digest | Self::Local)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// What a command line starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedCommand {
    /// `npx`, `uv tool run`, or the name of a local program.
    pub launcher: String,
    pub registry: Registry,
    pub pin: Pin,
    /// The package as written: `@scope/name@1.2.3`.
    pub spec: Option<String>,
    /// Its name in the registry, if it comes from one.
    pub package: Option<String>,
    /// Its exact version, tag or digest, if one is written.
    pub version: Option<String>,
    /// Further packages that are installed beside it (`--with`, a second `-p`), as written.
    pub with: Vec<String>,
    /// Which of the package's programs, if the command line says so; the path of a local program.
    pub entry: Option<String>,
    /// The words before it that still start when the package is pinned: `op run --`. Empty for
    /// wrappers that change nothing for the server.
    pub wrapper: Vec<String>,
    /// The launcher's command line, without wrappers.
    pub words: Vec<String>,
    /// The arguments of the server itself.
    pub args: Vec<String>,
    /// Variables that a wrapper sets (`env X=Y`).
    pub env: Vec<(String, String)>,
    /// The launcher's own options, with their values.
    pub options: Vec<(String, Option<String>)>,
    /// Why it cannot be installed in advance, only started as written.
    pub obstacle: Option<&'static str>,
}

impl ParsedCommand {
    /// The value of the first of these options of the launcher.
    pub fn option(&self, names: &[&str]) -> Option<&str> {
        let found = self
            .options
            .iter()
            .find(|(name, _)| names.contains(&name.as_str()));
        found.and_then(|(_, value)| value.as_deref())
    }

    /// A command that can be pinned in place of one with an obstacle.
    fn instead(&self) -> &'static str {
        match self.registry {
            Registry::Npm => {
                "`npx -y PACKAGE@VERSION`, `npx -y -p PACKAGE@VERSION PROGRAM`, or `node` with an \
                 absolute path"
            }
            Registry::Pypi => {
                "`uvx PACKAGE@VERSION`, `uvx --from PACKAGE==VERSION PROGRAM`, or a program with an \
                 absolute path"
            }
            _ => "a program with an absolute path, or a package and its version",
        }
    }

    /// The URL that a bridge (e.g. `mcp-remote`) connects to.
    pub fn remote(&self) -> Option<&str> {
        let bridge = self
            .package
            .as_deref()
            .is_some_and(|name| table::BRIDGES.contains(&name));
        let address = |arg: &&String| arg.starts_with("http://") || arg.starts_with("https://");
        if bridge {
            self.args.iter().find(address).map(String::as_str)
        } else {
            None
        }
    }
}
