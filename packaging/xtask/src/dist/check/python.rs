//! The wheel: pip installs it, and uvx runs it from its cache.

use std::path::Path;
use std::process::Command;

use super::probe::{self, Probe};
use super::{Release, skipped};
use crate::shell::{Done, Outcome, cache, output, step};

/// Whether Python can make an environment with pip.
pub fn has_pip() -> bool {
    let imports = ["-I", "-c", "import pip, venv, ensurepip"];
    output(Command::new("python3").args(imports)).is_some()
}

pub fn pip(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    if !has_pip() {
        return Ok(skipped("no `python3` with `pip`"));
    }
    let environment = root.join("environment");
    let mut venv = Command::new("python3");
    step(
        "python -m venv",
        venv.args(["-m", "venv"]).arg(&environment),
    )?;
    let mut pip = Command::new(environment.join("bin/pip"));
    pip.args(["install", "--quiet", "--no-index", "--no-deps"])
        .arg(release.file(".whl")?);
    step("pip install", &mut pip)?;
    probe::installed(&environment.join("bin/mcpwrap"), root, release)?;
    Ok(Outcome::Passed)
}

/// What `adopt` wrote works after the cache was emptied.
pub fn uvx(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    let uv = cache().join("pypi/uv/bin/uv");
    if !uv.is_file() {
        return Ok(skipped("no `uv` (`cargo xtask deps`)"));
    }
    let store = root.join("uv-cache");
    let mut words = vec![uv.display().to_string()];
    let wheel = release.file(".whl")?.display().to_string();
    let run = [
        "tool",
        "run",
        "--offline",
        "--quiet",
        "--from",
        &wheel,
        "mcpwrap",
    ];
    words.extend(run.map(str::to_owned));
    let probe = Probe {
        words,
        variables: vec![("UV_CACHE_DIR", store.display().to_string())],
        home: &home(root)?,
    };
    probe.outlives(release, || {
        std::fs::remove_dir_all(&store).map_err(|error| error.to_string())
    })?;
    Ok(Outcome::Passed)
}

/// An empty home.
pub fn home(root: &Path) -> Done<std::path::PathBuf> {
    let home = root.join("home");
    std::fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    Ok(home)
}
