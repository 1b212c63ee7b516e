//! Python packages: uvx, uv tool run, pipx run. Without uv, see `pip`.
//!
//! uv resolves with the user's registry settings, for the Python that will run the package, and
//! writes `uv.lock` with hashes; `uv sync --frozen` installs exactly that into an environment of
//! its own.
//!
//! Invariants: nothing is built from source unless the user allowed scripts, since a build runs the
//! package's code; files are copied, so that uv's cache and the installation share none.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::advisory::LockedPackages;
use super::archives;
use super::byte_code;
use super::client::{Call, FailedCall};
use super::cutoff::Cutoff;
use super::progress::InstallPhase;
use super::provenance::ArchiveFacts;
use super::python::{Python, identify, requirements};
use super::request::{Built, PinReport, PinRequest, all_too_young, failed};
use super::request::{not_whole, read, write};
use super::tree::measure;
use super::uv_lock::{index, locked, normal, published};
use super::uv_versions::{newest, passed};
use super::{Registry, local, pip, provenance, pypi_audit, tree};
use crate::error::{Error, Result};
use crate::parallel::both;
use crate::policy::Package;
use crate::policy::package::PackageSource;
use crate::secret::ServerName;

pub(super) fn build(staging: &Path, request: &PinRequest<'_>) -> Result<Built> {
    let (launch, server) = (request.launch, request.server);
    let name = launch
        .package
        .clone()
        .ok_or_else(|| failed(server).cause("no package named"))?;
    request.phase(InstallPhase::Resolving);
    // pip installs while it resolves.
    let (python, lock, built) = if local::find("uv").is_some() {
        let (python, lock) = resolved(staging, request, &name)?;
        (python, lock, None)
    } else {
        let (python, lock, root) = pip::build(staging, request, &name)?;
        (python, lock, Some(root))
    };
    let locked = locked(&lock).map_err(|cause| failed(server).cause(cause))?;

    let key = normal(&name);
    let found = locked
        .get(&key)
        .and_then(|versions| versions.first_key_value());
    let Some((version, integrity)) = found else {
        return Err(failed(server).cause(format!("the lock file has no `{name}`")));
    };
    let (root, told) = both(
        || {
            let root = built.map_or_else(|| installed(staging, request, &python), Ok);
            request.phase(InstallPhase::Asking);
            root
        },
        || {
            let about = (key.as_str(), version.as_str(), integrity.as_str());
            tell(staging, request, &python, &lock, (about, &locked))
        },
    );
    let root = root?;
    let (files, bytes) = measure(&root);
    let report = PinReport {
        packages: locked.len(),
        files,
        bytes,
        limit: Some(
            "of the Python installation only the interpreter is checked, not its standard library",
        ),
        ..told
    };
    let entry = format!("bin/{}", launch.entry.as_deref().unwrap_or(&name));
    let interpreted = is_python(&root, &entry, request)?;
    let package = Package {
        version: version.clone(),
        integrity: integrity.clone(),
        name,
        interpreter: if interpreted {
            python.path
        } else {
            String::new()
        },
        flags: if interpreted {
            flags(&python.version)
        } else {
            Vec::new()
        },
        entry,
        scripts: request.scripts,
        ..Package::bare(PackageSource::Pypi)
    };
    Ok(Built {
        package,
        report,
        lock: lock.into_bytes(),
        locked,
    })
}

/// Installs what the lock says, and compares it with the packages' lists.
fn installed(staging: &Path, request: &PinRequest<'_>, python: &Python) -> Result<PathBuf> {
    request.phase(InstallPhase::Installing);
    let root = sync(staging, request, python)?;
    request.phase(InstallPhase::Checking);
    archives::compare_python(&root).map_err(|error| not_whole(request.server, &error))?;
    byte_code::compile(staging, &root, &python.path);
    Ok(root)
}

/// What the registry tells of the package. No answer is not an error. Nothing here waits for another
/// question, and an installation can run at the same time.
fn tell(
    staging: &Path,
    request: &PinRequest<'_>,
    python: &Python,
    lock: &str,
    ((key, version, integrity), locked): ((&str, &str, &str), &LockedPackages),
) -> PinReport {
    let ask_archive = || {
        let index = index(lock, key);
        provenance::archive_facts(staging, &python.path, &index, key, integrity)
    };
    let ask_advisories = || {
        let all = (key, locked);
        let ask = || pypi_audit::advisories(staging, &python.path, lock, request.launch, all);
        let in_file = request
            .advisories
            .map(|file| file.advisories(Registry::Pypi, locked));
        in_file.unwrap_or_else(ask)
    };
    let ask_newest = || newest(staging, request, (key, version), &python.path);
    let ((archive, advisories), (latest, passed_over)) =
        both(|| both(ask_archive, ask_advisories), ask_newest);
    let published = published(lock, key);
    let age = request.before.and_then(Cutoff::age);
    PinReport {
        age_unknown: age.filter(|_| published.is_none()),
        published,
        attested: archive.as_ref().and_then(|archive| archive.attested),
        yanked: archive.as_ref().and_then(ArchiveFacts::yanked),
        advisories: Some(advisories),
        latest,
        passed_over,
        ..PinReport::default()
    }
}

/// The lock file, for the default Python or, as uvx does, for one that the package can use.
fn resolved(staging: &Path, request: &PinRequest<'_>, name: &str) -> Result<(Python, String)> {
    let first = python(staging, request, None)?;
    let failed_call = match resolve(staging, request, name, &first)? {
        Ok(lock) => return Ok((first, lock)),
        Err(failed) => failed,
    };
    let chosen = request.launch.option(&["-p", "--python"]).is_some();
    let needed = needed_pythons(&failed_call.said);
    let Some(last) = needed.last().filter(|_| !chosen) else {
        return Err(failed_call.error);
    };
    for range in &needed {
        let Ok(other) = python(staging, request, Some(range)) else {
            continue;
        };
        if other.path != first.path
            && let Ok(lock) = resolve(staging, request, name, &other)?
        {
            return Ok((other, lock));
        }
    }
    Err(failed(request.server)
        .cause(format!(
            "`{name}` needs Python {last}; here it is {}",
            first.version
        ))
        .hint(format!(
            "install a Python {last}, e.g. with `uv python install '{last}'`"
        )))
}

/// The ranges of Python versions that a failed resolution asks for: `>=3.12`, `>=3.10,<3.13`.
fn needed_pythons(said: &str) -> Vec<String> {
    // uv breaks its lines anywhere.
    let text = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut found = Vec::new();
    for rest in text.split("Python").skip(1) {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || ".,<>=!*".contains(c)));
        let range = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let range = range.trim_end_matches(['.', ',']).to_owned();
        if range.starts_with(['<', '>', '=']) && !found.contains(&range) {
            found.push(range);
        }
    }
    found
}

/// Lets uv resolve, and returns its lock file, or why there is none for this Python.
fn resolve(
    staging: &Path,
    request: &PinRequest<'_>,
    name: &str,
    python: &Python,
) -> Result<std::result::Result<String, Box<FailedCall>>> {
    write_project(staging, request, name, &python.version)?;
    let mut args = vec!["lock", "--python", &python.path];
    args.extend(passed(request.launch));
    // To resolve, uv would build what has no wheel, too.
    args.extend((!request.scripts).then_some("--no-build"));
    let lock = |dated: &[&str]| {
        let call = Call::new("uv", staging).args(&args).args(dated);
        match call.quick(request.quick).attempt() {
            Ok(_) => read(&staging.join("uv.lock"), request.server).map(Ok),
            Err(failed) => Ok(Err(failed)),
        }
    };
    // The command's own date counts, unless the user wants another one.
    let own = request.launch.option(&["--exclude-newer"]).is_some();
    let Some(cutoff) = request
        .before
        .filter(|cutoff| !(own && cutoff.is_default()))
    else {
        return lock(&[]);
    };
    let failed_call = match lock(&["--exclude-newer", &cutoff.to_string()])? {
        Ok(lock) => return Ok(Ok(lock)),
        Err(failed) => failed,
    };
    let dateless = failed_call.said.contains("is missing an upload date");
    if dateless && cutoff.is_default() {
        return lock(&[]);
    }
    let is_age = cutoff
        .age()
        .filter(|_| failed_call.said.contains("`exclude-newer`"));
    match is_age {
        Some(_) if dateless => Err(undated(request.server)),
        Some(age) => Err(all_too_young(request.server, age)),
        None => Ok(Err(failed_call)),
    }
}

/// The error for an age that cannot be looked at.
fn undated(server: &ServerName) -> Error {
    failed(server)
        .cause("the registry does not say when its files were published")
        .hint(format!(
            "run `mcpwrap pin {server} --min-age 0` to use them"
        ))
}

/// Installs what the lock says into `tree`.
fn sync(staging: &Path, request: &PinRequest<'_>, python: &Python) -> Result<PathBuf> {
    let root = staging.join("tree");
    let place = root.display().to_string();
    let venv = [
        "venv",
        "--quiet",
        "--relocatable",
        "--allow-existing",
        "--python",
        &python.path,
        &place,
    ];
    Call::new("uv", staging).args(&venv).output()?;
    let mut args = vec![
        "sync",
        "--frozen",
        "--no-install-project",
        "--no-editable",
        "--python",
        &python.path,
    ];
    args.extend(["--no-compile-bytecode", "--link-mode", "copy"]);
    args.extend((!request.scripts).then_some("--no-build"));
    Call::new("uv", staging)
        .args(&args)
        .env("UV_PROJECT_ENVIRONMENT", &root)
        .output()?;
    // Files that uv writes for itself.
    for name in [".lock", ".gitignore", "CACHEDIR.TAG"] {
        drop(fs::remove_file(root.join(name)));
    }
    Ok(root)
}

/// The Python that the command names, or one for this range of versions, or uv's default.
fn python(dir: &Path, request: &PinRequest<'_>, range: Option<&str>) -> Result<Python> {
    let wanted = range.or(request.launch.option(&["-p", "--python"]));
    let args: Vec<&str> = ["python", "find", "--no-project"]
        .into_iter()
        .chain(wanted)
        .collect();
    let found = match Call::new("uv", dir).args(&args).output() {
        Ok(found) => found,
        // Only Pythons that uv manages can be missing here; uvx would download them as well.
        Err(error) => match wanted {
            Some(version) => {
                Call::new("uv", dir)
                    .args(&["python", "install", "--quiet", version])
                    .output()?;
                Call::new("uv", dir).args(&args).output()?
            }
            None => return Err(error),
        },
    };
    let found = String::from_utf8_lossy(&found).trim().to_owned();
    identify(dir, &found, request.server)
}

/// The project whose dependencies are the package and its additional packages. Its `[tool.uv]`
/// table ends uv's search for settings in the directories above.
fn write_project(dir: &Path, request: &PinRequest<'_>, name: &str, python: &str) -> Result<()> {
    let list = toml::Value::from(requirements(request, name)?);
    let text = format!(
        "[project]\nname = \"mcpwrap-pin\"\nversion = \"0\"\nrequires-python = \"=={python}.*\"\n\
         dependencies = {list}\n\n[tool.uv]\npackage = false\n"
    );
    write(&dir.join("pyproject.toml"), text.as_bytes(), request.server)
}

/// Whether a program of the environment is a Python script.
fn is_python(root: &Path, entry: &str, request: &PinRequest<'_>) -> Result<bool> {
    let mut head = Vec::new();
    let file = fs::File::open(root.join(entry));
    let read = file.and_then(|file| file.take(256).read_to_end(&mut head));
    if read.is_err() {
        let all = tree::entries(&root.join("bin")).unwrap_or_default();
        let names: Vec<_> = all
            .iter()
            .map(|(path, _)| path.to_string_lossy().into_owned())
            .filter(|name| {
                !name.starts_with("python") && !name.contains("activate") && !name.contains('.')
            })
            .map(|name| format!("`{name}`"))
            .collect();
        let cause = format!(
            "the package has no program `{}`",
            entry.trim_start_matches("bin/")
        );
        let others = format!("installed programs: {}", names.join(", "));
        return Err(failed(request.server).cause(cause).cause(others));
    }
    let text = String::from_utf8_lossy(&head);
    match text.lines().next() {
        Some(line) if line.starts_with("#!") && text.contains("python") => Ok(true),
        Some(line) if line.starts_with("#!") => Err(failed(request.server)
            .cause(format!("`{entry}` is neither a Python script nor a binary"))),
        _ => Ok(false),
    }
}

/// No user site, no byte code written into the tree, and no directory before the library's.
fn flags(version: &str) -> Vec<String> {
    let minor = version
        .split('.')
        .nth(1)
        .and_then(|minor| minor.parse::<u32>().ok());
    let safe_path = minor.is_some_and(|minor| minor >= 11).then_some("-P");
    ["-s", "-B"]
        .into_iter()
        .chain(safe_path)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_needed_pythons_are_read_from_the_failure() {
        let said = "Because the requested Python version (==3.11.*) does not satisfy\n\
            Python>=3.12 and a<=0.1 depends on Python>=3.12, we can conclude\n\
            that. And a==1 depends on Python>=3.10,<3.13, we can conclude";
        assert_eq!(needed_pythons(said), [">=3.12", ">=3.10,<3.13"]);
        assert!(needed_pythons("Because the Python registry has no x").is_empty());
    }

    #[test]
    fn the_flags_of_each_python() {
        assert_eq!(flags("3.10"), ["-s", "-B"]);
        assert_eq!(flags("3.13"), ["-s", "-B", "-P"]);
    }
}
