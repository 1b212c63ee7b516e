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
use super::npm_settings::NpmSettings;
use super::osv::AdvisoryFile;
use super::request::{PinReport, PinRequest, failed};
use super::{Registry, npm_audit};
use crate::error::Result;
use crate::files;
use crate::parallel::both;
use crate::secret::ServerName;

/// What was asked before npm had chosen the versions.
#[derive(Debug, Default)]
pub(super) struct AskedAhead {
    /// None: not asked, or npm does not tell.
    pub(super) settings: Option<NpmSettings>,
    /// The version that was wanted, if it is an exact one, and what the registry says of it.
    facts: Option<(String, PinReport)>,
}

impl AskedAhead {
    /// Asks in a directory that has a `package.json`, while npm resolves in another one.
    pub(super) fn ask(dir: &Path, (name, wanted): (&str, &str), request: &PinRequest<'_>) -> Self {
        let options = options(request.launch, None);
        let settings = NpmSettings::read(dir, &options);
        let asking = Asking {
            dir,
            options: &options,
            is_quick: request.quick,
        };
        let is_exact = semver::Version::parse(wanted).is_ok();
        let facts = is_exact.then(|| (wanted.to_owned(), asking.facts(name, wanted)));
        Self { settings, facts }
    }
}

/// The registry of a project, with the user's settings and the options of the command.
pub(super) struct NpmRegistry<'a> {
    dir: PathBuf,
    locked: &'a LockedPackages,
    options: Vec<String>,
    ahead: AskedAhead,
}

impl<'a> NpmRegistry<'a> {
    /// Writes the project with this lock into a directory.
    pub(super) fn new(
        dir: &Path,
        (lock, locked): (&Value, &'a LockedPackages),
        ahead: AskedAhead,
        (launch, server): (&ParsedCommand, &ServerName),
    ) -> Result<Self> {
        files::ensure_dir(dir).map_err(|problem| failed(server).cause(problem))?;
        write_lock(dir, lock, server)?;
        Ok(Self {
            dir: dir.to_path_buf(),
            locked,
            options: options(launch, None),
            ahead,
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
        let asking = Asking {
            dir: &self.dir,
            options: &self.options,
            is_quick: false,
        };
        let (report, advisories) = both(
            || {
                let known = self.ahead.facts.as_ref();
                let known = known.filter(|(asked, _)| asked == version);
                let report = match known {
                    Some((_, report)) => report.clone(),
                    None => asking.facts(name, version),
                };
                let age = request.before.and_then(Cutoff::age);
                let what = (name, version, wanted);
                PinReport {
                    age_unknown: age.filter(|_| report.published.is_none()),
                    passed_over: passed_over(&asking, what, request, &report),
                    publisher_before: publisher_before(&asking, (name, version), request, &report),
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
        if let Some(file) = file {
            return file.advisories(Registry::Npm, self.locked);
        }
        let ask = || npm_audit::ask(&self.dir, &self.options);
        if let Some(settings) = &self.ahead.settings {
            return npm_audit::advisories(&ask(), self.locked, Some(settings));
        }
        let (answer, settings) = both(ask, || NpmSettings::read(&self.dir, &self.options));
        npm_audit::advisories(&answer, self.locked, settings.as_ref())
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

/// Where and how a registry is asked.
struct Asking<'a> {
    dir: &'a Path,
    /// Those of every call there.
    options: &'a [String],
    /// Whether to give up soon.
    is_quick: bool,
}

impl Asking<'_> {
    /// What the registry reports about one version. No answer is not an error.
    fn facts(&self, name: &str, version: &str) -> PinReport {
        let what = format!("{name}@{version}");
        let args = ["view", &what, "--json"];
        let call = Call::new("npm", self.dir).args(&args).args(self.options);
        let answer = call.quick(self.is_quick).output().unwrap_or_default();
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
            attested: at(&["dist"]).and_then(attested),
            latest_published: latest.as_deref().and_then(|latest| text(&["time", latest])),
            latest,
            ..PinReport::default()
        }
    }

    /// One field of what the registry reports about a version, if it is there.
    fn field(&self, (name, version): (&str, &str), field: &str) -> Option<String> {
        let args = ["view", &format!("{name}@{version}"), field];
        let call = Call::new("npm", self.dir).args(&args).args(self.options);
        let answer = call.quick(self.is_quick).output().ok()?;
        let text = String::from_utf8_lossy(&answer).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }
}

/// Whether a version has a signed attestation. None if the registry does not tell: the main registry, and what hands on
/// its facts, has a signature of its own for each version (`npm audit signatures`).
fn attested(dist: &Value) -> Option<bool> {
    let is_attested = dist.get("attestations").is_some();
    let tells = is_attested || dist.get("signatures").is_some();
    tells.then_some(is_attested)
}

/// Who published the known version, if it was somebody else.
fn publisher_before(
    asking: &Asking<'_>,
    (name, version): (&str, &str),
    request: &PinRequest<'_>,
    report: &PinReport,
) -> Option<String> {
    let now = report.publisher.as_ref()?;
    let known = request
        .known
        .filter(|known| known.name == name && known.version != version)?;
    let before = asking.field((name, &known.version), "_npmUser.name")?;
    (before != *now).then_some(before)
}

/// Why the latest version was not taken, if it was not.
fn passed_over(
    asking: &Asking<'_>,
    (name, version, wanted): (&str, &str, &str),
    request: &PinRequest<'_>,
    report: &PinReport,
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
    let needed = asking.field((name, latest), "engines.node");
    Some(match needed {
        Some(needed) => format!("{latest}, which needs Node.js {needed}"),
        None => latest.to_owned(),
    })
}
