//! Pins what a policy's command starts: installs it, and includes it in the grant.
//!
//! Invariants: the user approves what was installed, and the differences, before the policy names
//! it. The installation is complete by then, and the policy is replaced as one file.
//! `pin_several` does the part that waits for registries.

use std::collections::{BTreeMap, BTreeSet};

use super::actor::Actor;
use super::approve;
use crate::audit::{Detail, Event, Log, NewRecord, Outcome};
use crate::config::MinAge;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files;
use crate::grant;
use crate::invocation::{self, Resolved};
use crate::package::{
    self, AdvisoryFile, Cutoff, Depth, InstallProgress, InstalledTree, ParsedCommand, Pin,
    PinReport, PinRequest, Registry,
};
use crate::policy::{self, Package, Policy, Tier, Unpinned, draft};
use crate::secret::{Keys, ServerName};

/// Which version to install, and how.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a choice of the user"
)]
pub struct PinOptions<'a> {
    /// A version, `latest`, or the digest or tag of an image.
    pub to: Option<&'a str>,
    /// Only packages published before this date.
    pub before: Option<jiff::civil::Date>,
    /// How old a version must be, if the user says so.
    pub min_age: Option<MinAge>,
    /// How old it must be by the settings, where the user does not say it.
    pub set_age: Option<MinAge>,
    pub allow_scripts: bool,
    /// Whether to install again what seems intact.
    pub repair: bool,
    /// Whether to install only to tell what would be pinned.
    pub dry_run: bool,
    /// Whether to compare all files with those that are pinned.
    pub diff: bool,
    /// Where advisories are looked up, instead of the registry.
    pub advisories: Option<&'a AdvisoryFile>,
    /// Whether it is part of adopting: the user approved it there, and a registry that does not
    /// answer is asked once.
    pub adopting: bool,
}

/// What was installed, and the policy that would name it.
#[derive(Clone, Copy, Debug)]
pub struct Installation<'a> {
    pub next: &'a Policy,
    pub resolved: &'a Resolved,
    pub package: &'a Package,
    pub report: &'a PinReport,
    pub keys: &'a Keys,
    /// What was pinned before.
    pub before: Option<&'a Package>,
}

/// The result of pinning one server.
#[derive(Debug)]
pub enum Pinned {
    /// Already pinned, and intact.
    Already(Package),
    /// Already pinned, and installed again.
    Repaired(Package),
    New {
        package: Package,
        /// The package has install scripts, which were not run.
        scripts_skipped: bool,
        /// What the user should know of it, for a pin without a question of its own.
        remarks: Vec<String>,
    },
}

/// What is there to pin, before the user approves it.
#[derive(Clone, Debug)]
pub enum PinCandidate {
    /// The policy's pin is intact.
    Unchanged(Package),
    /// Installed, or its new file states.
    New(Package, Box<PinReport>),
}

/// Whether a policy can be pinned here.
///
/// # Errors
/// `package-failed` for a managed policy, and for a remote server.
pub fn allowed(policy: &Policy) -> Result<()> {
    if policy.tier == Tier::Managed {
        return Err(managed(policy));
    }
    if let Some(remote) = &policy.remote {
        return Err(installs_nothing(policy, &remote.host()));
    }
    Ok(())
}

/// What can be pinned without installing anything; none if something must be installed.
///
/// # Errors
/// `package-failed`.
pub fn present(
    dirs: &Dirs,
    policy: &Policy,
    options: PinOptions<'_>,
) -> Result<Option<PinCandidate>> {
    let is_other = options.to.is_some()
        || options.before.is_some()
        || options.min_age.is_some()
        || options.diff
        || options.allow_scripts
        || options.repair;
    if is_other || package::verify(policy, dirs, Depth::Full).is_err() {
        return Ok(None);
    }
    Ok(match package::restamp(policy, dirs)? {
        Some(package) => Some(PinCandidate::New(package, Box::new(PinReport::of_times()))),
        None => policy.package.clone().map(PinCandidate::Unchanged),
    })
}

/// Installs what a policy's command starts.
///
/// # Errors
/// `package-failed`, `package-changed`.
pub fn install(
    dirs: &Dirs,
    policy: &Policy,
    options: PinOptions<'_>,
    progress: &InstallProgress,
) -> Result<PinCandidate> {
    let (server, known) = (&policy.server, policy.package.as_ref());
    // A pinned package keeps its version, unless another is requested.
    let same = known
        .map(|known| known.version.as_str())
        .filter(|version| !version.is_empty());
    let launch = package::parse(&policy.command);
    let request = PinRequest {
        server,
        launch: &launch,
        to: options.to.or(same),
        before: cutoff(options, &launch, same.is_some()),
        scripts: options.allow_scripts
            || (known.is_some_and(|known| known.scripts) && options.to.is_none()),
        known,
        quick: options.adopting,
        dry_run: options.dry_run,
        diff: options.diff,
        advisories: options.advisories,
        progress: Some(progress),
    };
    let (package, report) =
        package::install(dirs, &request).map_err(|error| named(server, error))?;
    Ok(PinCandidate::New(package, Box::new(report)))
}

/// Which versions are too young. A version that is named or already pinned may be of any age, unless
/// the user or a setting says otherwise.
fn cutoff(options: PinOptions<'_>, launch: &ParsedCommand, is_pinned: bool) -> Option<Cutoff> {
    if let Some(day) = options.before {
        let set = options.set_age.and_then(|age| Cutoff::of_age(age, true));
        return Some(Cutoff::Day(day).earlier(set));
    }
    if let Some(age) = options.min_age {
        return Cutoff::of_age(age, true);
    }
    let stays = is_pinned && options.to.is_none();
    let is_named = match options.to {
        Some(version) => version != "latest",
        None => launch.pin >= Pin::Exact,
    };
    match options.set_age.filter(|_| !stays) {
        Some(age) => Cutoff::of_age(age, true),
        None if stays || (is_named && !options.adopting) => None,
        None => Cutoff::of_age(MinAge::DEFAULT, false),
    }
}

/// With the server's name in front, where a client's own failure has none.
fn named(server: &ServerName, error: Error) -> Error {
    let what = format!("cannot pin server `{server}`");
    if error.what == what {
        return error;
    }
    let named = Error::new(error.code, what);
    if error.causes.is_empty() {
        let cause = error.what.clone();
        return named.cause(cause).caused_by(error);
    }
    named.caused_by(error)
}

/// Writes a candidate into its policy and grants that. `agree` returns an error if the user does
/// not approve; it is not called while adopting.
///
/// # Errors
/// `policy-changed`; those of the store, the log, and `agree`.
pub fn finish(
    dirs: &Dirs,
    policy: &Policy,
    candidate: PinCandidate,
    options: PinOptions<'_>,
    (actor, keys): (Actor, &Keys),
    agree: &mut dyn FnMut(&Installation<'_>) -> Result<()>,
) -> Result<Pinned> {
    let (server, known) = (&policy.server, policy.package.as_ref());
    let (package, report) = match candidate {
        PinCandidate::Unchanged(package) => return Ok(Pinned::Already(package)),
        PinCandidate::New(package, _) if known == Some(&package) => {
            return Ok(Pinned::Repaired(package));
        }
        PinCandidate::New(package, report) => (package, report),
    };
    // `unpinned = "allow"`, which adopt set in case pinning fails, is no longer needed.
    let text = if options.adopting {
        package.written(&draft::without_unpinned(&policy.text))
    } else {
        package.written(&policy.text)
    };
    let next = policy::load::check(dirs, server, &text)?;
    let resolved = invocation::resolve(&next, dirs)?;
    if !options.adopting {
        agree(&Installation {
            next: &next,
            resolved: &resolved,
            package: &package,
            report: &report,
            keys,
            before: known,
        })?;
    }
    record(dirs, &next, &package, keys, actor)?;
    write(dirs, policy, &next)?;
    approve::approve(dirs, &next, &resolved, keys, actor)?;
    Ok(Pinned::New {
        package,
        scripts_skipped: !report.scripts.is_empty(),
        remarks: report.remarks(),
    })
}

/// Whether `adopt` installs what a policy starts.
pub fn is_wanted(policy: &Policy) -> bool {
    let launch = package::parse(&policy.command);
    let installable = matches!(
        launch.registry,
        Registry::Npm | Registry::Pypi | Registry::Image
    );
    policy.package.is_none()
        && policy.remote.is_none()
        && installable
        && launch.obstacle.is_none()
        && launch.pin != Pin::Digest
}

/// How an unpinned server starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpinnable {
    ExactVersion,
    AnyVersion,
    NotAtAll,
}

impl Unpinnable {
    /// The value for a policy without a pin.
    pub fn of(policy: &Policy) -> Self {
        match (
            package::parse(&policy.command).pin.holds(),
            policy.limits.unpinned,
        ) {
            (true, _) => Self::ExactVersion,
            (false, Unpinned::Allow) => Self::AnyVersion,
            (false, Unpinned::Refuse) => Self::NotAtAll,
        }
    }
}

fn managed(policy: &Policy) -> Error {
    let what = format!("cannot pin server `{}`", policy.server);
    let path = policy.path.display();
    Error::new(Code::PackageFailed, what)
        .cause(format!(
            "its policy `{path}` is managed by the administrator"
        ))
        .hint("pin a policy of the same name as a normal user, and copy its `[package]` table")
}

fn installs_nothing(policy: &Policy, host: &str) -> Error {
    let server = &policy.server;
    Error::new(Code::PackageFailed, format!("cannot pin server `{server}`"))
        .cause(format!(
            "it runs at {host}, and nothing of it is installed here"
        ))
        .hint(format!(
            "run `mcpwrap policy show {server}` to see what it is sent"
        ))
}

fn record(dirs: &Dirs, next: &Policy, package: &Package, keys: &Keys, actor: Actor) -> Result<()> {
    let detail = Detail {
        package: Some(package.label()),
        by: None,
        ..actor.detail()
    };
    let entry = NewRecord::new(Event::Pin, Outcome::Ok)
        .server(&next.server)
        .policy(&next.digest)
        .detail(detail);
    Log::open(dirs, Some(keys))?.append(&[entry])
}

/// Replaces the policy, unless it was changed while the user was asked.
fn write(dirs: &Dirs, before: &Policy, next: &Policy) -> Result<()> {
    let server = &next.server;
    let now = policy::load(dirs, server, None)?;
    if now.digest != before.digest {
        let what = format!("cannot pin server `{server}`");
        return Err(Error::new(Code::PolicyChanged, what)
            .cause(format!(
                "`{}` was changed while `pin` was running",
                dirs.tilde(&next.path)
            ))
            .hint(format!("run `mcpwrap pin {server}` again")));
    }
    files::replace(&next.path, next.text.as_bytes()).map_err(|problem| {
        Error::new(
            Code::FileUnusable,
            format!("cannot write policy `{server}`"),
        )
        .cause(problem)
    })
}

/// One installation, and the servers whose policy or grant names it.
#[derive(Debug)]
pub struct Installed {
    pub tree: InstalledTree,
    pub used_by: BTreeSet<ServerName>,
}

/// All installations, the largest first.
///
/// # Errors
/// `policy-invalid` and similar codes: an unreadable policy may need any of them.
pub fn installed(dirs: &Dirs) -> Result<Vec<Installed>> {
    let mut users: BTreeMap<String, BTreeSet<ServerName>> = BTreeMap::new();
    let mut note = |server: &ServerName, package: Package| {
        users
            .entry(package.tree)
            .or_default()
            .insert(server.clone());
    };
    for (server, policy) in policy::list(dirs) {
        // An unreadable policy may need any of them.
        let policy = policy.map_err(|error| {
            let fix = format!("run `mcpwrap policy lint {server}` and fix it first");
            error
                .context("cannot tell which packages are used")
                .hint(fix)
        })?;
        // The last granted policy can be restored, and a running server may use its package.
        let granted = grant::last_text(dirs, &server);
        let granted = granted.and_then(|text| policy::load::check(dirs, &server, &text).ok());
        let packages = [policy.package, granted.and_then(|policy| policy.package)];
        packages
            .into_iter()
            .flatten()
            .for_each(|package| note(&server, package));
    }
    let all = package::installed(dirs).into_iter().map(|tree| Installed {
        used_by: users.remove(&tree.name).unwrap_or_default(),
        tree,
    });
    Ok(all.collect())
}
