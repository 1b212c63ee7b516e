//! What an npm registry tells of a version besides its archive: who published it and when, whether it
//! was built where it says, and its advisories.
//!
//! Invariants: no answer is not an error for a pin; what a registry never tells is told apart from
//! what it denies. The questions are asked in a directory of their own, so that an installation can
//! run at the same time.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::ParsedCommand;
use super::advisory::{AdvisoryAnswer, LockedPackages, PublishedStatus};
use super::client::Call;
use super::cutoff::Cutoff;
use super::npm_project::{NEWEST, empty_cache, options, write_lock};
use super::osv::AdvisoryFile;
use super::request::{PinReport, PinRequest, failed};
use super::{Registry, npm_audit};
use crate::error::Result;
use crate::files;
use crate::parallel::both;
use crate::secret::ServerName;

/// The registry of a project, with the user's settings and the options of the command.
pub(super) struct NpmRegistry<'a> {
    dir: PathBuf,
    locked: &'a LockedPackages,
    options: Vec<String>,
}

impl<'a> NpmRegistry<'a> {
    /// Writes the project with this lock into a new directory.
    pub(super) fn new(
        dir: &Path,
        (lock, locked): (&Value, &'a LockedPackages),
        launch: &ParsedCommand,
        server: &ServerName,
    ) -> Result<Self> {
        files::ensure_dir(dir).map_err(|problem| failed(server).cause(problem))?;
        write_lock(dir, lock, server)?;
        Ok(Self {
            dir: dir.to_path_buf(),
            locked,
            options: options(launch, None),
        })
    }

    /// With an empty cache.
    #[must_use]
    pub(super) fn without_cache(mut self) -> Self {
        self.options.push(empty_cache(&self.dir));
        self
    }

    /// What the registry tells of an installation. No answer is not an error.
    pub(super) fn tell(
        &self,
        (name, version, wanted): (&str, &str, &str),
        request: &PinRequest<'_>,
    ) -> PinReport {
        let dir = &self.dir;
        let common: Vec<&str> = self.options.iter().map(String::as_str).collect();
        let (report, advisories) = both(
            || {
                let report = registry_facts(dir, (name, version), &common);
                let age = request.before.and_then(Cutoff::age);
                PinReport {
                    age_unknown: age.filter(|_| report.published.is_none()),
                    passed_over: passed_over(
                        dir,
                        (name, version, wanted),
                        request,
                        &report,
                        &common,
                    ),
                    publisher_before: publisher_before(
                        dir,
                        (name, version),
                        request,
                        &report,
                        &common,
                    ),
                    ..report
                }
            },
            || self.advisories(request.advisories),
        );
        PinReport {
            advisories: Some(advisories),
            ..report
        }
    }

    /// The advisories for the packages of the lock, from a file or from the registry.
    pub(super) fn advisories(&self, file: Option<&AdvisoryFile>) -> AdvisoryAnswer {
        match file {
            Some(file) => file.advisories(Registry::Npm, self.locked),
            None => npm_audit::advisories(&self.dir, self.locked, &self.options),
        }
    }

    /// What the registry says of a version that was published.
    ///
    /// # Errors
    /// `package-failed`: no answer.
    pub(super) fn status(&self, name: &str, version: &str) -> Result<PublishedStatus> {
        let what = format!("{name}@{version}");
        let args = ["view", &what, "version", "deprecated"];
        let call = Call::new("npm", &self.dir).args(&args);
        let answer = call
            .args(&["--json"])
            .args(&self.options)
            .quick(true)
            .attempt();
        let said = match answer {
            Ok(said) => said.out,
            Err(failed) if failed.said.contains("No match found for version") => {
                return Ok(PublishedStatus::Removed);
            }
            Err(failed) => return Err(failed.error),
        };
        let facts: Value = serde_json::from_slice(&said).unwrap_or_default();
        // One field alone has no name.
        let known = facts.get("version").unwrap_or(&facts);
        if known.as_str() != Some(version) {
            return Ok(PublishedStatus::Removed);
        }
        let deprecated = facts.get("deprecated").and_then(Value::as_str);
        Ok(match deprecated.filter(|text| !text.is_empty()) {
            Some(why) => PublishedStatus::Deprecated(why.to_owned()),
            None => PublishedStatus::Current,
        })
    }
}

/// What the registry reports about one version. No answer is not an error.
fn registry_facts(root: &Path, (name, version): (&str, &str), common: &[&str]) -> PinReport {
    let what = format!("{name}@{version}");
    let args: Vec<_> = ["view", &what, "--json"]
        .iter()
        .chain(common)
        .copied()
        .collect();
    let answer = Call::new("npm", root)
        .args(&args)
        .output()
        .unwrap_or_default();
    let facts: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let at = |keys: &[&str]| keys.iter().try_fold(&facts, |value, key| value.get(key));
    let text = |keys: &[&str]| at(keys).and_then(Value::as_str).map(str::to_owned);
    let people = at(&["maintainers"])
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let person = |one: &Value| {
        one.as_str()
            .or(one.get("name").and_then(Value::as_str))
            .map(str::to_owned)
    };
    let latest = text(&["dist-tags", "latest"]);
    PinReport {
        publisher: text(&["_npmUser"])
            .or_else(|| text(&["_npmUser", "name"]))
            .map(|who| {
                let name = who.split(" <").next().unwrap_or_default();
                name.to_owned()
            }),
        deprecated: text(&["deprecated"]).filter(|text| !text.is_empty()),
        published: text(&["time", version]).map(|time| time.chars().take(10).collect()),
        maintainers: people.iter().filter_map(person).collect(),
        attested: at(&["dist"]).and_then(|dist| attested(root, name, dist, common)),
        latest_published: latest.as_deref().and_then(|latest| text(&["time", latest])),
        latest,
        ..PinReport::default()
    }
}

/// Whether a version has a signed attestation. None if the registry never tells: neither of another
/// version of the package, nor of npm's own, which has one at the main registry.
fn attested(root: &Path, name: &str, dist: &Value, common: &[&str]) -> Option<bool> {
    if dist.get("attestations").is_some() {
        return Some(true);
    }
    let reported = |name: &str, version: &str| {
        let address = "dist.attestations.url";
        field(root, (name, version), address, common).is_some()
    };
    let of_npm = || {
        // A scope may have a registry of its own, of which npm's package says nothing.
        let scope = name.split_once('/').map(|(scope, _)| scope);
        let is_elsewhere = scope.is_some_and(|scope| has_registry(root, scope, common));
        !is_elsewhere && reported("npm", "latest")
    };
    let (of_package, of_npm) = both(|| reported(name, "*"), of_npm);
    (of_package || of_npm).then_some(false)
}

/// Whether a scope has a registry of its own, or may have.
fn has_registry(root: &Path, scope: &str, common: &[&str]) -> bool {
    let key = format!("{scope}:registry");
    let args = ["config", "get", &key];
    let call = Call::new("npm", root).args(&args);
    let said = call.args(common).output();
    said.map_or(true, |said| {
        String::from_utf8_lossy(&said).trim() != "undefined"
    })
}

/// One field of what the registry reports about a version, if it is there.
fn field(
    root: &Path,
    (name, version): (&str, &str),
    field: &str,
    options: &[&str],
) -> Option<String> {
    let args = ["view", &format!("{name}@{version}"), field];
    let answer = Call::new("npm", root).args(&args).args(options).output();
    let text = String::from_utf8_lossy(&answer.ok()?).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// Who published the known version, if it was somebody else.
fn publisher_before(
    root: &Path,
    (name, version): (&str, &str),
    request: &PinRequest<'_>,
    report: &PinReport,
    options: &[&str],
) -> Option<String> {
    let now = report.publisher.as_ref()?;
    let known = request
        .known
        .filter(|known| known.name == name && known.version != version)?;
    let before = field(root, (name, &known.version), "_npmUser.name", options)?;
    (before != *now).then_some(before)
}

/// Why the latest version was not taken, if it was not.
fn passed_over(
    root: &Path,
    (name, version, wanted): (&str, &str, &str),
    request: &PinRequest<'_>,
    report: &PinReport,
    options: &[&str],
) -> Option<String> {
    let latest = report.latest.as_deref()?;
    if wanted != NEWEST || latest == version || matches!(request.before, Some(Cutoff::Day(_))) {
        return None;
    }
    if let Some(cutoff) = request.before
        && let Some(published) = &report.latest_published
        && let Some(why) = cutoff.too_young(published)
    {
        return Some(format!("{latest}, {why}"));
    }
    let needed = field(root, (name, latest), "engines.node", options);
    Some(match needed {
        Some(needed) => format!("{latest}, which needs Node.js {needed}"),
        None => latest.to_owned(),
    })
}
