//! What to pin, and what a client built for it.

use std::fs;
use std::path::Path;

use super::ParsedCommand;
use super::advisory::{Advisory, AdvisoryAnswer, LockedPackages};
use super::cutoff::Cutoff;
use super::differences::FileDifference;
use super::osv::AdvisoryFile;
use super::progress::{InstallPhase, InstallProgress};
use crate::config::MinAge;
use crate::error::{Code, Error, Result};
use crate::files::io_text;
use crate::policy::Package;
use crate::secret::ServerName;

/// What to pin.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a choice of the user"
)]
pub struct PinRequest<'a> {
    pub server: &'a ServerName,
    pub launch: &'a ParsedCommand,
    /// The version, if not that of the command.
    pub to: Option<&'a str>,
    /// Which packages are too young.
    pub before: Option<Cutoff>,
    /// Whether install scripts may run.
    pub scripts: bool,
    /// The current package of the policy.
    pub known: Option<&'a Package>,
    /// Whether to give up soon on a registry that does not answer.
    pub quick: bool,
    /// Whether to remove the installation again: only the report counts.
    pub dry_run: bool,
    /// Whether to compare all files with those of the current package.
    pub diff: bool,
    /// Where advisories are looked up, instead of the registry.
    pub advisories: Option<&'a AdvisoryFile>,
    /// Where to tell how far it is.
    pub progress: Option<&'a InstallProgress>,
}

impl PinRequest<'_> {
    pub(super) fn phase(&self, phase: InstallPhase) {
        if let Some(progress) = self.progress {
            progress.set(phase);
        }
    }
}

/// What the user should see before approving.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PinReport {
    /// When this version was published.
    pub published: Option<String>,
    pub maintainers: Vec<String>,
    /// Who published this version, and before it the known one, if that was somebody else.
    pub publisher: Option<String>,
    pub publisher_before: Option<String>,
    /// Whether the registry has a signed attestation of where it was built. None: it does not tell.
    pub attested: Option<bool>,
    /// The advisories for all packages. None if there is no registry to ask.
    pub advisories: Option<AdvisoryAnswer>,
    /// The latest version according to the registry.
    pub latest: Option<String>,
    /// When that was published, as the registry writes it.
    pub latest_published: Option<String>,
    /// What its publisher says of a deprecated version.
    pub deprecated: Option<String>,
    /// Why a version was withdrawn (yanked) from a Python registry.
    pub yanked: Option<String>,
    /// The latest version if it was passed over, with the reason.
    pub passed_over: Option<String>,
    /// Packages that need another interpreter than the one here.
    pub misfits: Vec<String>,
    /// Packages whose files could not be compared with an archive.
    pub not_compared: usize,
    /// Packages that have install scripts.
    pub scripts: Vec<String>,
    /// Those of them that had none in the known installation.
    pub new_scripts: Vec<String>,
    /// Compiled modules, which are not readable code.
    pub native: usize,
    pub packages: usize,
    pub files: usize,
    pub bytes: u64,
    /// The bytes that share their blocks on the disk with other installations.
    pub shared: u64,
    pub changes: PackageChanges,
    /// The changed files, if they were asked for and there is something to compare.
    pub differences: Option<Vec<FileDifference>>,
    /// Whether only packages published before a date were used.
    pub dated: bool,
    /// The age that could not be looked at, because the registry does not say when a version was
    /// published, or pip cannot choose by it.
    pub age_unknown: Option<MinAge>,
    /// What this pin does not cover, if anything.
    pub limit: Option<&'static str>,
}

impl PinReport {
    /// What speaks against this version, in short.
    pub fn remarks(&self) -> Vec<String> {
        let passed_over = self.passed_over.as_ref();
        let passed_over = passed_over.map(|latest| format!("passed over {latest}"));
        let deprecated = self.deprecated.as_ref();
        let deprecated = deprecated.map(|why| format!("this version is deprecated: {why}"));
        let advisories = self.advisories.iter().flat_map(|answer| &answer.found);
        let advisory = |one: &Advisory| {
            let (severity, summary) = (one.severity_name(), one.summary());
            format!(
                "advisory, {severity}: {}@{}: {summary}",
                one.package, one.version
            )
        };
        let known = passed_over.into_iter().chain(deprecated);
        known.chain(advisories.map(advisory)).collect()
    }

    /// The report for an installation of which only file times changed.
    pub fn of_times() -> Self {
        Self {
            limit: Some("only file times changed; all contents are the same"),
            ..Self::default()
        }
    }
}

/// Differences from the current installation of the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageChanges {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    /// Name, old version, new version.
    pub changed: Vec<(String, String, String)>,
}

/// What a client installed into a directory.
#[derive(Debug)]
pub struct Built {
    pub package: Package,
    pub report: PinReport,
    pub lock: Vec<u8>,
    pub locked: LockedPackages,
}

/// The error of a server that cannot be pinned, without a cause.
pub fn failed(server: &ServerName) -> Error {
    Error::new(Code::PackageFailed, format!("cannot pin server `{server}`"))
}

/// The error for a server of which every version that would do is too young.
pub fn all_too_young(server: &ServerName, age: MinAge) -> Error {
    failed(server)
        .cause(format!(
            "a package that it needs has only versions that are younger than {age}"
        ))
        .hint(format!(
            "run `mcpwrap pin {server} --min-age 0` to use them anyway"
        ))
}

/// The error for a tree that is not what its client downloaded.
pub fn not_whole(server: &ServerName, error: &std::io::Error) -> Error {
    failed(server)
        .cause(format!(
            "the installed files are not those of the archive: {}",
            io_text(error)
        ))
        .hint("check the free space and the disk, then run the command again")
}

/// Writes a file for a client.
pub fn write(path: &Path, bytes: &[u8], server: &ServerName) -> Result<()> {
    crate::files::replace(path, bytes).map_err(|problem| failed(server).cause(problem))
}

/// Reads a file that a client wrote.
pub fn read(path: &Path, server: &ServerName) -> Result<String> {
    fs::read_to_string(path)
        .map_err(|error| failed(server).cause(format!("`{}`: {}", path.display(), io_text(&error))))
}
