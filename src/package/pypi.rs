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

use super::archives;
use super::client::Call;
use super::progress::InstallPhase;
use super::python::{Python, identify, requirements};
use super::request::{Built, PinReport, PinRequest, failed};
use super::request::{not_whole, read, write};
use super::tree::measure;
use super::uv_lock::{index, locked, normal, published};
use super::{ParsedCommand, local, pip, provenance, tree};
use crate::error::{Error, Result};
use crate::policy::Package;
use crate::policy::package::PackageSource;
use crate::secret::ServerName;

/// Options of uvx that say where packages come from and which are chosen.
const PASSED: &[&str] = &[
    "--index",
    "--default-index",
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--index-strategy",
    "--keyring-provider",
    "--prerelease",
    "--resolution",
    "--exclude-newer",
    "--allow-insecure-host",
];

pub(super) fn build(staging: &Path, request: &PinRequest<'_>) -> Result<Built> {
    let (launch, server) = (request.launch, request.server);
    let name = launch
        .package
        .clone()
        .ok_or_else(|| failed(server).cause("no package named"))?;
    request.phase(InstallPhase::Resolving);
    let (python, lock, root) = if local::find("uv").is_some() {
        let (python, lock) = resolved(staging, request, &name)?;
        request.phase(InstallPhase::Installing);
        let root = sync(staging, request, &python)?;
        request.phase(InstallPhase::Checking);
        archives::compare_python(&root).map_err(|error| not_whole(server, &error))?;
        (python, lock, root)
    } else {
        pip::build(staging, request, &name)?
    };
    let locked = locked(&lock).map_err(|cause| failed(server).cause(cause))?;

    let key = normal(&name);
    let found = locked
        .get(&key)
        .and_then(|versions| versions.first_key_value());
    let Some((version, integrity)) = found else {
        return Err(failed(server).cause(format!("the lock file has no `{name}`")));
    };
    request.phase(InstallPhase::Asking);
    let (files, bytes) = measure(&root);
    let report = PinReport {
        published: published(&lock, &key),
        attested: provenance::attested(staging, &python.path, &index(&lock, &key), &key, integrity),
        packages: locked.len(),
        files,
        bytes,
        limit: Some(
            "of the Python installation only the interpreter is checked, not its standard library",
        ),
        ..PinReport::default()
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
    let report = PinReport {
        latest: latest(staging, &package, launch, server).ok(),
        ..report
    };
    Ok(Built {
        package,
        report,
        lock: lock.into_bytes(),
        locked,
    })
}

/// The lock file, for the default Python or, as uvx does, for one that the package can use.
fn resolved(staging: &Path, request: &PinRequest<'_>, name: &str) -> Result<(Python, String)> {
    let lock = |python: &Python| {
        write_project(staging, request, name, &python.version)?;
        resolve(staging, request, python)
    };
    let first = python(staging, request, None)?;
    let error = match lock(&first) {
        Ok(lock) => return Ok((first, lock)),
        Err(error) => error,
    };
    let chosen = request.launch.option(&["-p", "--python"]).is_some();
    let needed = needed_python(&error).filter(|_| !chosen);
    let Some(needed) = needed else {
        return Err(error);
    };
    let no_other = |error: Error| {
        let version = &first.version;
        let needs = format!("{name} needs Python {needed}; found {version}");
        error.cause(needs).hint(format!(
            "install a Python {needed}, e.g. with `uv python install`"
        ))
    };
    let other = match python(staging, request, Some(&needed)) {
        Ok(other) if other.path != first.path => other,
        _ => return Err(no_other(failed(request.server))),
    };
    lock(&other).map(|lock| (other, lock))
}

/// The Python that a failed resolution asks for: `>=3.12`, `>=3.10,<3.13`.
fn needed_python(error: &Error) -> Option<String> {
    let text = error.to_string();
    // uv breaks its lines anywhere.
    let words: Vec<_> = text.split_whitespace().collect();
    let text = words.join(" ");
    let mut found = text.split("Python").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || ".,<>=!*".contains(c)));
        let range = rest
            .get(..end.unwrap_or(rest.len()))?
            .trim_end_matches(['.', ',']);
        range.starts_with(['<', '>', '=']).then(|| range.to_owned())
    });
    found.next()
}

/// Lets uv resolve, and returns its lock file.
fn resolve(staging: &Path, request: &PinRequest<'_>, python: &Python) -> Result<String> {
    let mut args = vec!["lock", "--python", &python.path];
    args.extend(passed(request.launch));
    args.extend(
        request
            .before
            .into_iter()
            .flat_map(|day| ["--exclude-newer", day]),
    );
    Call::new("uv", staging)
        .args(&args)
        .quick(request.quick)
        .output()?;
    read(&staging.join("uv.lock"), request.server)
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
    args.extend(["--compile-bytecode", "--link-mode", "copy"]);
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

/// The version that `build` would install now.
pub(super) fn latest(
    dir: &Path,
    package: &Package,
    launch: &ParsedCommand,
    server: &ServerName,
) -> Result<String> {
    let (name, python) = (package.name.as_str(), package.interpreter.as_str());
    if local::find("uv").is_none() {
        return pip::latest(dir, name, python);
    }
    let wanted = dir.join("wanted.in");
    write(&wanted, name.as_bytes(), server)?;
    let wanted = wanted.display().to_string();
    let mut args = vec!["pip", "compile", "--quiet", "--no-deps", "--no-header"];
    args.push("--no-annotate");
    args.extend((!package.scripts).then_some("--no-build"));
    args.extend(passed(launch));
    if !python.is_empty() {
        args.extend(["--python", python]);
    }
    args.push(&wanted);
    let answer = Call::new("uv", dir).args(&args).quick(true).output()?;
    let answer = String::from_utf8_lossy(&answer).trim().to_owned();
    Ok(answer.rsplit("==").next().unwrap_or_default().to_owned())
}

/// The options of the launcher that say where packages come from and which are chosen.
fn passed(launch: &ParsedCommand) -> Vec<&str> {
    let mut args = Vec::new();
    for (option, value) in &launch.options {
        if let Some(value) = value
            .as_deref()
            .filter(|_| PASSED.contains(&option.as_str()))
        {
            args.extend([option.as_str(), value]);
        }
    }
    args
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
    fn the_needed_python_is_read_from_the_failure() {
        let needed = |said: &str| {
            let error = Error::new(crate::error::Code::PackageFailed, "`uv lock` failed");
            needed_python(&error.cause(said))
        };
        let said = "Because the requested Python version (>=3.11, <3.12) does not satisfy\n\
                    Python>=3.12 and basic-memory==0.15.0 depends on Python>=3.12, we can conclude";
        assert_eq!(needed(said).as_deref(), Some(">=3.12"));
        let said = "depends on Python>=3.10,<3.13, we can conclude";
        assert_eq!(needed(said).as_deref(), Some(">=3.10,<3.13"));
        assert_eq!(needed("Because the Python registry has no x"), None);
    }

    #[test]
    fn the_flags_of_each_python() {
        assert_eq!(flags("3.10"), ["-s", "-B"]);
        assert_eq!(flags("3.13"), ["-s", "-B", "-P"]);
    }
}
