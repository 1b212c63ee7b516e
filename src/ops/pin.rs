//! Pins what a policy's command starts: installs it, and includes it in the grant.
//!
//! Invariants: the user approves what was installed, and the differences, before the policy names
//! it. The installation is complete by then, and the policy is replaced as one file.

use super::actor::Actor;
use super::approve;
use crate::audit::{Detail, Event, Log, NewRecord, Outcome};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files;
use crate::grant;
use crate::invocation::{self, Resolved};
use crate::package::{self, Depth, Pin, PinReport, PinRequest, Registry};
use crate::policy::{self, Package, Policy, Tier, Unpinned, draft};
use crate::secret::Keys;

/// Which version to install, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct PinOptions<'a> {
    /// A version, `latest`, or the digest or tag of an image.
    pub to: Option<&'a str>,
    /// Only packages published before this date.
    pub before: Option<jiff::civil::Date>,
    pub allow_scripts: bool,
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

/// How the user is informed and asked.
pub struct PinDialog<'a> {
    /// Called when the installation starts.
    pub begin: &'a mut dyn FnMut(&Policy),
    /// Returns an error if the user does not approve. Not called while adopting.
    pub agree: &'a mut dyn FnMut(&Installation<'_>) -> Result<()>,
}

impl std::fmt::Debug for PinDialog<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PinDialog")
    }
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
    },
}

/// Pins one server. `keys` are opened at the first use.
///
/// # Errors
/// `package-failed`, `package-changed`, `policy-changed`; those of the store, the log, and the
/// dialog.
pub fn pin(
    dirs: &Dirs,
    config: &Config,
    policy: &Policy,
    options: PinOptions<'_>,
    actor: Actor,
    keys: &mut Option<Keys>,
    dialog: &mut PinDialog<'_>,
) -> Result<Pinned> {
    let server = &policy.server;
    if policy.tier == Tier::Managed {
        return Err(managed(policy));
    }
    let known = policy.package.as_ref();
    let is_other = options.to.is_some() || options.before.is_some() || options.allow_scripts;
    let intact = package::verify(policy, dirs, Depth::Full).is_ok();
    let again = if is_other || !intact {
        None
    } else {
        package::restamp(policy, dirs)?
    };
    if let Some(known) = known.filter(|_| !is_other && intact && again.is_none()) {
        return Ok(Pinned::Already(known.clone()));
    }
    // Fail before downloading anything if the store does not open.
    let keys = match keys {
        Some(keys) => keys,
        None => keys.insert(approve::open_keys(dirs, config)?),
    };
    let (package, report) = if let Some(package) = again {
        (package, PinReport::of_times())
    } else {
        (dialog.begin)(policy);
        install(dirs, policy, options)?
    };
    if known == Some(&package) {
        return Ok(Pinned::Repaired(package));
    }
    // `unpinned = "allow"`, which adopt set in case pinning fails, is no longer needed.
    let text = if options.adopting {
        package.written(&draft::without_unpinned(&policy.text))
    } else {
        package.written(&policy.text)
    };
    let next = policy::load::check(dirs, server, &text)?;
    let resolved = invocation::resolve(&next, dirs)?;
    if !options.adopting {
        (dialog.agree)(&Installation {
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
    })
}

/// Installs what a policy's command starts.
fn install(dirs: &Dirs, policy: &Policy, options: PinOptions<'_>) -> Result<(Package, PinReport)> {
    let (server, known) = (&policy.server, policy.package.as_ref());
    // A pinned package keeps its version, unless another is requested.
    let same = known
        .map(|known| known.version.as_str())
        .filter(|version| !version.is_empty());
    let before = options.before.map(|day| day.to_string());
    let request = PinRequest {
        server,
        launch: &package::parse(&policy.command),
        to: options.to.or(same),
        before: before.as_deref(),
        scripts: options.allow_scripts
            || (known.is_some_and(|known| known.scripts) && options.to.is_none()),
        known,
        quick: options.adopting,
    };
    package::install(dirs, &request)
}

/// Whether `adopt` installs what a policy starts.
pub fn is_wanted(policy: &Policy) -> bool {
    let launch = package::parse(&policy.command);
    let installable = matches!(
        launch.registry,
        Registry::Npm | Registry::Pypi | Registry::Image
    );
    policy.package.is_none()
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

/// Removes the installations that no policy uses. Returns their names, and how many are in use.
///
/// # Errors
/// `policy-invalid` and similar codes: an unreadable policy may need any of them.
pub fn prune(dirs: &Dirs) -> Result<(Vec<String>, usize)> {
    let mut used = Vec::new();
    for (server, policy) in policy::list(dirs) {
        // An unreadable policy may need any of them.
        let policy = policy.map_err(|error| {
            let fix = format!("run `mcpwrap policy lint {server}` and fix it first");
            error.context("cannot remove unused packages").hint(fix)
        })?;
        used.extend(policy.package);
        // The last granted policy can be restored, and a running server may use its package.
        let granted = grant::last_text(dirs, &server);
        let granted = granted.and_then(|text| policy::load::check(dirs, &server, &text).ok());
        used.extend(granted.and_then(|policy| policy.package));
    }
    let removed = package::prune(dirs, &used)?;
    Ok((removed, used.len()))
}
