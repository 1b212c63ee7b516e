//! Python packages without uv, by `venv` and pip.
//!
//! pip resolves for the Python that will run the package and reports the archives it would take.
//! These, with their SHA-256, are the lock, and pip installs exactly them into an environment of
//! its own (`--require-hashes --no-deps`). Paths and times that pip and `venv` write are removed,
//! so that the same packages give the same tree.
//!
//! Invariant: nothing is built from source unless the user allowed scripts.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::archives;
use super::byte_code;
use super::client::Call;
use super::cutoff::Cutoff;
use super::pip_lock::HEAD;
use super::progress::InstallPhase;
use super::python::{Python, identify, requirements};
use super::request::{PinRequest, failed};
use super::request::{not_whole, read, write};
use super::{local, tree};
use crate::error::{Error, Result};
use crate::files::io_text;
use crate::secret::ServerName;

/// Options of uvx that say where packages come from, and what pip calls them.
const PASSED: &[(&str, &str)] = &[
    ("--default-index", "--index-url"),
    ("-i", "--index-url"),
    ("--index-url", "--index-url"),
    ("--index", "--extra-index-url"),
    ("--extra-index-url", "--extra-index-url"),
    ("-f", "--find-links"),
    ("--find-links", "--find-links"),
];

/// Options of uvx that change what is installed and have no equivalent in pip.
const UV_ONLY: &[&str] = &["--exclude-newer", "--resolution", "--prerelease"];

/// The first lines of a script that finds its interpreter beside itself.
const RELOCATABLE: &str = "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python' \"$0\" \"$@\"\n' '''\n";

/// The lock, and the environment installed from it.
pub(super) fn build(
    staging: &Path,
    request: &PinRequest<'_>,
    name: &str,
) -> Result<(Python, String, PathBuf)> {
    let server = request.server;
    let chosen = request.before.filter(|cutoff| !cutoff.is_default());
    let option = |cutoff: Cutoff| cutoff.age().map_or("--before", |_| "--min-age");
    let needs_uv = chosen.map(option).or_else(|| {
        let options = request.launch.options.iter().map(|(name, _)| name.as_str());
        options.into_iter().find(|name| UV_ONLY.contains(name))
    });
    if let Some(option) = needs_uv {
        return Err(
            without_uv(server).cause(format!("`{option}` needs `uv`, which is not installed"))
        );
    }
    let pip = Pip::find(staging, request)?;
    let root = staging.join("tree");
    let place = root.display().to_string();
    Call::new(&pip.python.path, staging)
        .args(&["-I", "-m", "venv", "--without-pip", &place])
        .output()?;
    let lock = pip.resolve(staging, request, name)?;
    request.phase(InstallPhase::Installing);
    let list = staging.join("lock.txt");
    write(&list, lock.as_bytes(), server)?;
    let list = list.display().to_string();
    let mut args = vec!["install", "--no-deps", "--require-hashes", "--no-compile"];
    args.extend(["--no-warn-script-location", "-r", &list]);
    let more = indexes(request);
    args.extend(more.iter().map(String::as_str));
    pip.run(staging, request, &args)?;
    archives::compare_python(&root).map_err(|error| not_whole(server, &error))?;
    remove_paths(&root, staging).map_err(|error| failed(server).cause(io_text(&error)))?;
    byte_code::compile(staging, &root, &pip.python.path);
    Ok((pip.python, lock, root))
}

/// The version that pip would install now.
pub(super) fn latest(dir: &Path, name: &str, python: &str, scripts: bool) -> Result<String> {
    let python = if python.is_empty() { "python3" } else { python };
    // pip builds a source archive to read its version, too.
    let no_build: &[&str] = if scripts {
        &[]
    } else {
        &["--only-binary", ":all:"]
    };
    let report = Call::new(python, dir)
        .args(&["-I", "-m", "pip", "install", "--dry-run", "--quiet"])
        .args(&["--ignore-installed", "--no-deps", "--report", "-", name])
        .args(no_build)
        .output()?;
    let report: Value = serde_json::from_slice(&report).unwrap_or_default();
    let version = report.pointer("/install/0/metadata/version");
    Ok(version
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned())
}

fn without_uv(server: &ServerName) -> Error {
    failed(server).hint("install uv, e.g. with `pipx install uv`")
}

fn indexes(request: &PinRequest<'_>) -> Vec<String> {
    let known = request.launch.options.iter().filter_map(|(name, value)| {
        let (_, pip) = PASSED.iter().find(|(known, _)| known == name)?;
        Some(format!("{pip}={}", value.as_deref()?))
    });
    known.collect()
}

/// A pip that installs into another Python's environment.
struct Pip {
    python: Python,
    /// The Python that has pip: the same one, or one of a helper environment.
    own: PathBuf,
}

impl Pip {
    fn find(staging: &Path, request: &PinRequest<'_>) -> Result<Self> {
        let wanted = request.launch.option(&["-p", "--python"]);
        let program = match wanted {
            Some(path) if path.contains('/') => path.to_owned(),
            Some(version) => format!("python{}", version.trim_start_matches("python")),
            None => "python3".to_owned(),
        };
        if local::find(&program).is_none() {
            return Err(without_uv(request.server).cause(format!(
                "neither `uv` nor `{program}` with pip is installed"
            )));
        }
        let python = identify(staging, &program, request.server)?;
        let has_pip = |path: &str| {
            let asked = Call::new(path, staging).args(&["-I", "-m", "pip", "--version"]);
            asked.output().is_ok()
        };
        if has_pip(&python.path) {
            let own = PathBuf::from(&python.path);
            return Ok(Self { python, own });
        }
        // Python includes pip for new environments, unless the system removed it.
        let helper = staging.join("helper");
        let place = helper.display().to_string();
        Call::new(&python.path, staging)
            .args(&["-I", "-m", "venv", &place])
            .output()
            .map_err(|error| {
                let cause = format!("`uv` is not installed, and `{program}` has no pip");
                without_uv(request.server).cause(cause).because(error)
            })?;
        let own = helper.join("bin/python");
        Ok(Self { python, own })
    }

    fn run(&self, staging: &Path, request: &PinRequest<'_>, args: &[&str]) -> Result<()> {
        let target = staging.join("tree/bin/python").display().to_string();
        let mut all = vec!["-I", "-m", "pip", "--python", &target];
        all.extend(args);
        all.extend(["--quiet", "--no-input", "--disable-pip-version-check"]);
        if !request.scripts {
            all.extend(["--only-binary", ":all:"]);
        }
        let call = Call::new(&self.own, staging).args(&all);
        call.quick(request.quick).output().map(drop)
    }

    /// What pip would install, as a list with hashes.
    fn resolve(&self, staging: &Path, request: &PinRequest<'_>, name: &str) -> Result<String> {
        let report = staging.join("report.json");
        let place = report.display().to_string();
        let wanted = requirements(request, name)?;
        let more = indexes(request);
        let mut args = vec![
            "install",
            "--dry-run",
            "--ignore-installed",
            "--report",
            &place,
        ];
        args.extend(more.iter().map(String::as_str));
        args.extend(wanted.iter().map(String::as_str));
        self.run(staging, request, &args)?;
        let report: Value =
            serde_json::from_str(&read(&report, request.server)?).unwrap_or_default();
        list(&report).map_err(|cause| failed(request.server).cause(cause))
    }
}

/// The lock file for a report of pip.
fn list(report: &Value) -> std::result::Result<String, String> {
    let installs = report.get("install").and_then(Value::as_array);
    let mut lines = Vec::new();
    for one in installs.into_iter().flatten() {
        let text = |path: &str| {
            one.pointer(path)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (name, version) = (text("/metadata/name"), text("/metadata/version"));
        let hash = text("/download_info/archive_info/hashes/sha256");
        let url = text("/download_info/url");
        let file = url.split(['?', '#']).next().unwrap_or_default();
        let file = file.rsplit('/').next().unwrap_or_default();
        if [name, version, hash, file].contains(&"") || one.get("is_direct") == Some(&true.into()) {
            return Err(format!(
                "`{name}` is not from a registry: pip reports no hash"
            ));
        }
        let name = super::uv_lock::normal(name);
        lines.push(format!("{name}=={version} --hash=sha256:{hash} # {file}"));
    }
    lines.sort();
    let mut lock = format!("{HEAD}\n");
    for line in lines {
        writeln!(lock, "{line}").map_err(|error| error.to_string())?;
    }
    Ok(lock)
}

/// Removes paths and times from an environment.
fn remove_paths(root: &Path, staging: &Path) -> std::io::Result<()> {
    let here = staging.display().to_string();
    for (path, kind) in tree::entries(root)? {
        let full = root.join(&path);
        if kind != tree::NodeKind::File {
            continue;
        }
        let name = path.to_string_lossy();
        if name == "pyvenv.cfg" {
            let text = fs::read_to_string(&full)?;
            keep_lines(&full, &text, |line| !line.starts_with("command "))?;
        } else if name.starts_with("bin/") {
            let Ok(text) = fs::read_to_string(&full) else {
                continue;
            };
            if name.to_lowercase().contains("activate") {
                fs::remove_file(&full)?;
            } else if let Some((first, rest)) = text.split_once('\n')
                && first.starts_with("#!")
                && first.contains(&here)
            {
                rewrite(&full, &format!("{RELOCATABLE}{rest}"))?;
            }
        } else if name.ends_with(".dist-info/RECORD") {
            // The scripts were rewritten, so their hashes in it no longer match.
            let text = fs::read_to_string(&full)?;
            keep_lines(&full, &text, |line| !line.starts_with("../../../bin/"))?;
        }
    }
    Ok(())
}

fn keep_lines(path: &Path, text: &str, keep: impl Fn(&&str) -> bool) -> std::io::Result<()> {
    let kept: String = text.split_inclusive('\n').filter(keep).collect();
    rewrite(path, &kept)
}

/// In place, with its mode.
fn rewrite(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::pip_lock;
    use super::*;

    #[test]
    fn a_report_becomes_a_lock() {
        let report = serde_json::json!({"install": [
            {"metadata": {"name": "Zope_X", "version": "2"}, "is_direct": false, "download_info":
                {"url": "https://r/zope_x-2-py3-none-any.whl", "archive_info": {"hashes": {"sha256": "bb"}}}},
            {"metadata": {"name": "a", "version": "1.0"}, "download_info":
                {"url": "https://r/a-1.0.whl#x", "archive_info": {"hashes": {"sha256": "aa"}}}},
        ]});
        let lock = list(&report).unwrap();
        assert_eq!(
            lock,
            "# mcpwrap pip lock 1\na==1.0 --hash=sha256:aa # a-1.0.whl\n\
             zope-x==2 --hash=sha256:bb # zope_x-2-py3-none-any.whl\n"
        );
        let locked = pip_lock::locked(&lock).unwrap();
        assert_eq!(locked["a"]["1.0"], "a-1.0.whl sha256:aa");
        assert_eq!(locked.len(), 2);
        assert!(pip_lock::locked("version = 1\n").is_none());
        let direct = serde_json::json!({"install": [{"metadata": {"name": "a", "version": "1"},
            "is_direct": true, "download_info": {"url": "https://r/a.whl",
            "archive_info": {"hashes": {"sha256": "aa"}}}}]});
        assert!(list(&direct).is_err());
    }
}
