//! npm packages, for npx, bunx, pnpm dlx and yarn dlx.
//!
//! npm resolves with the user's registry settings and writes `package-lock.json`; `npm ci` installs
//! what the lock says and checks each archive against it.
//!
//! Invariants: `--ignore-scripts` unless the user allowed scripts; no settings of a project are
//! read, since the directory is mcpwrap's.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::ParsedCommand;
use super::client::{Call, FailedCall};
use super::cutoff::Cutoff;
use super::node::{interpreter, program};
use super::npm_facts::{AskedAhead, NpmRegistry};
use super::npm_project::{
    NEWEST, empty_cache, exact, locked, main_package, options, write_dependencies, write_manifest,
};
use super::npm_warnings::{file_warning, misfits};
use super::progress::InstallPhase;
use super::request::{Built, PinReport, PinRequest, all_too_young};
use super::request::{failed, not_whole, read};
use super::tree::{entries, measure};
use super::{advisory, archives};
use crate::error::{Error, Result};
use crate::files;
use crate::parallel;
use crate::policy::Package;
use crate::policy::package::PackageSource;
use crate::secret::ServerName;

pub(super) fn build(staging: &Path, request: &PinRequest<'_>) -> Result<Built> {
    let (launch, server) = (request.launch, request.server);
    let root = staging.join("tree");
    let name = launch
        .package
        .clone()
        .ok_or_else(|| failed(server).cause("no package named"))?;
    let wanted = request.to.or(launch.version.as_deref()).unwrap_or(NEWEST);
    // The user wants the newest one, and one that runs here.
    let wanted = if request.to == Some("latest") {
        NEWEST
    } else {
        wanted
    };
    let options = options(launch, request.before);
    let common: Vec<&str> = options.iter().map(String::as_str).collect();
    let asked = staging.join("asked");
    let (lock, ahead) = resolve_and_ask(&root, &asked, request, (&name, wanted))?;
    let locked = locked(&lock).map_err(|cause| failed(server).cause(cause))?;
    let entries: Value = serde_json::from_str(&lock).unwrap_or_default();
    let (lock, entries) = exact(&root, entries, server)?;
    let (version, integrity) = main_package(&entries, &name);
    if version.is_empty() {
        return Err(failed(server).cause(format!("the lock file has no `{name}`")));
    }
    let cache = ahead.settings.as_ref().map(|all| all.cache.clone());
    let cache = cache.ok_or_else(|| failed(server).cause("npm does not tell its settings"))?;
    let registry = NpmRegistry::new(&asked, (&entries, &locked), ahead, (launch, server))?;
    let what = (name.as_str(), version.as_str(), wanted);
    let (installed, told) = parallel::both(
        || {
            let installed = ci(&root, request, (&entries, &cache), &common);
            request.phase(InstallPhase::Asking);
            installed
        },
        || registry.tell(what, request),
    );
    let installed = installed?;
    if request.scripts {
        // After the comparison, because they change files. The user's own setting may forbid them.
        let rebuild = ["rebuild", "--ignore-scripts=false"];
        let call = Call::new("npm", &root).args(&rebuild).args(&common);
        call.output()?;
    }

    let (files, bytes) = measure(&root);
    let report = PinReport {
        scripts: with_scripts(&entries),
        native: native_modules(&root),
        misfits: installed.misfits,
        not_compared: installed.not_compared,
        packages: advisory::count(&locked),
        files,
        bytes,
        ..told
    };
    let entry = program(&root, &name, launch.entry.as_deref(), server)?;
    let (interpreter, flags) = interpreter(&root, &entry, request)?;
    let package = Package {
        name,
        version,
        integrity,
        interpreter,
        flags,
        entry: entry.to_string_lossy().into_owned(),
        scripts: request.scripts,
        ..Package::bare(PackageSource::Npm)
    };
    Ok(Built {
        package,
        report,
        lock: lock.into_bytes(),
        locked,
    })
}

/// What is to be said about an installation.
struct CiResult {
    misfits: Vec<String>,
    not_compared: usize,
}

/// Installs what the lock says, without scripts, and compares it with the archives.
fn ci(
    root: &Path,
    request: &PinRequest<'_>,
    (lock, cache): (&Value, &Path),
    options: &[&str],
) -> Result<CiResult> {
    let server = request.server;
    request.phase(InstallPhase::Installing);
    let run = |verb: &[&'static str]| Call::new("npm", root).args(verb).args(options).attempt();
    // What the plan has just read is not asked for again.
    let said = match run(&["ci", "--ignore-scripts", "--prefer-offline"]) {
        Err(failed) if lacks_optional_packages(&failed.said) => {
            // `npm install` installs what the lock says, too, and goes on without them.
            let said = run(&["install", "--ignore-scripts"]).map_err(|failed| failed.error)?;
            same_lock(root, lock, server)?;
            said
        }
        result => result.map_err(|failed| failed.error)?,
    };
    if let Some(warning) = file_warning(&said.err) {
        return Err(failed(server)
            .cause("npm did not write all files, although it reported success")
            .cause(warning));
    }
    request.phase(InstallPhase::Checking);
    let compared =
        archives::compare_npm(root, lock, cache).map_err(|error| not_whole(server, &error))?;
    Ok(CiResult {
        misfits: misfits(&said.err),
        not_compared: compared.without_archive,
    })
}

/// Whether `npm ci` refuses a lock only because the registry lacks optional packages, which are for
/// other platforms: they have no version in its message.
fn lacks_optional_packages(said: &str) -> bool {
    let mut missing = said
        .lines()
        .filter_map(|line| line.split_once("Missing: "))
        .map(|(_, rest)| rest.trim_end_matches(" from lock file"))
        .peekable();
    let others = said.contains("Invalid: ");
    missing.peek().is_some() && !others && missing.all(|package| package.ends_with('@'))
}

/// Refuses an installation that changed the lock.
fn same_lock(root: &Path, before: &Value, server: &ServerName) -> Result<()> {
    let after = read(&root.join("package-lock.json"), server)?;
    let after: Value = serde_json::from_str(&after).unwrap_or_default();
    if after.get("packages") == before.get("packages") {
        return Ok(());
    }
    Err(failed(server).cause("npm installed other packages than it had resolved"))
}

/// The packages of a lock that have install scripts.
pub(super) fn with_scripts(lock: &Value) -> Vec<String> {
    let packages = lock.get("packages").and_then(Value::as_object);
    let scripted = packages.into_iter().flatten().filter(|(_, entry)| {
        entry
            .get("hasInstallScript")
            .and_then(Value::as_bool)
            .unwrap_or_default()
    });
    let name = |path: &str| {
        path.rsplit("node_modules/")
            .next()
            .unwrap_or(path)
            .to_owned()
    };
    scripted.map(|(path, _)| name(path)).collect()
}

/// How many files of a tree are compiled modules of Node.js.
fn native_modules(root: &Path) -> usize {
    let all = entries(root).unwrap_or_default();
    let is_native = |path: &Path| path.extension().is_some_and(|ending| ending == "node");
    all.iter().filter(|(path, _)| is_native(path)).count()
}

/// Lets npm choose the versions in `root`. At the same time it asks, in `asked`, what does not depend on them.
fn resolve_and_ask(
    root: &Path,
    asked: &Path,
    request: &PinRequest<'_>,
    (name, wanted): (&str, &str),
) -> Result<(String, AskedAhead)> {
    let server = request.server;
    files::ensure_dir(asked).map_err(|problem| failed(server).cause(problem))?;
    for dir in [root, asked] {
        write_manifest(dir, request, name, wanted)?;
    }
    let options = options(request.launch, request.before);
    request.phase(InstallPhase::Resolving);
    let (lock, ahead) = parallel::both(
        || resolve(root, &options, request.quick, server),
        || AskedAhead::ask(asked, (name, wanted), request),
    );
    let lock = lock.map_err(|failed| too_young(request, *failed))?;
    Ok((lock, ahead))
}

/// Lets npm choose the versions; the text of its lock file.
fn resolve(
    root: &Path,
    options: &[String],
    quick: bool,
    server: &ServerName,
) -> std::result::Result<String, Box<FailedCall>> {
    Call::new("npm", root)
        .args(&["install", "--package-lock-only", "--ignore-scripts"])
        .args(options)
        .quick(quick)
        .attempt()?;
    read(&root.join("package-lock.json"), server).map_err(|error| Box::new(FailedCall::new(error)))
}

/// What npm says if only versions that are too young would do.
const TOO_YOUNG: &[&str] = &[" with a date before ", "No versions available for "];

/// The error of a failed resolution. If only young versions would do, it says so.
fn too_young(request: &PinRequest<'_>, failed_call: FailedCall) -> Error {
    match request.before.and_then(Cutoff::age) {
        Some(age) if TOO_YOUNG.iter().any(|text| failed_call.said.contains(text)) => {
            all_too_young(request.server, age)
        }
        _ => failed_call.error,
    }
}

/// The version of a package that `build` would install now.
pub(super) fn latest(
    dir: &Path,
    name: &str,
    launch: &ParsedCommand,
    server: &ServerName,
    before: Option<Cutoff>,
) -> Result<String> {
    let dependencies = Map::from_iter([(name.to_owned(), json!(NEWEST))]);
    write_dependencies(dir, &dependencies, server)?;
    let mut options = options(launch, before);
    options.push(empty_cache(dir));
    let lock = resolve(dir, &options, true, server).map_err(|failed| failed.error)?;
    let lock: Value = serde_json::from_str(&lock).unwrap_or_default();
    Ok(main_package(&lock, name).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_optional_packages_may_be_missing() {
        let one = "npm error code EUSAGE\nnpm error Missing: a-darwin-arm64@ from lock file\n";
        assert!(lacks_optional_packages(one));
        let other = format!("{one}npm error Missing: b@1.0.0 from lock file\n");
        assert!(!lacks_optional_packages(&other));
        assert!(!lacks_optional_packages("npm error code E404\n"));
    }
}
