//! The packages of npm, from files: a registry has only what is released.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::probe::{self, Probe};
use super::python::home;
use super::{Release, skipped};
use crate::dist::npm;
use crate::dist::targets::{NPM, Target};
use crate::shell::{Done, Outcome, step, which, write};

/// The main package, with the package for this system as a file.
pub fn launcher(release: &Release<'_>, root: &Path) -> Done<PathBuf> {
    let spec = |target: &Target| {
        let name = npm::file(&npm::platform(target), &release.about.version);
        let file = release.dist.join(name);
        file.is_file().then(|| format!("file:{}", file.display()))
    };
    let (name, bytes) = npm::launcher(release.about, spec)?;
    let file = root.join(name);
    write(&file, &bytes)?;
    Ok(file)
}

fn install(release: &Release<'_>, root: &Path, how: &str) -> Done {
    let mut command = Command::new("npm");
    command
        .args(["install", "--offline", "--no-audit", "--no-fund"])
        .arg("--prefix")
        .arg(root.join("prefix"))
        .arg(how)
        .arg(launcher(release, root)?)
        .env("npm_config_cache", root.join("npm-cache"))
        .env("npm_config_update_notifier", "false")
        .current_dir(root);
    step("npm install", &mut command)
}

pub fn npm(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    if which("npm").is_none() {
        return Ok(skipped("no `npm`"));
    }
    install(release, root, "--global")?;
    let modules = root
        .join("prefix/lib/node_modules")
        .join(NPM)
        .join("node_modules");
    let program = modules
        .join(npm::platform(release.target))
        .join("bin/mcpwrap");
    probe::same(&program, release)?;
    Probe::of(&root.join("prefix/bin/mcpwrap"), &home(root)?).works(release)?;
    Ok(Outcome::Passed)
}

/// `--omit=optional` leaves the program out. The launcher says so.
pub fn without_program(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    if which("npm").is_none() {
        return Ok(skipped("no `npm`"));
    }
    install(release, root, "--omit=optional")?;
    let mut command = Command::new(root.join("prefix/node_modules/.bin/mcpwrap"));
    let ended = command.arg("--version").stdin(Stdio::null()).output();
    let ended = ended.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&ended.stderr);
    match (ended.status.code(), said.contains("is not installed")) {
        (Some(127), true) => Ok(Outcome::Passed),
        _ => Err(format!("{}: {said}", ended.status)),
    }
}

/// What `adopt` wrote works after npm's cache was emptied.
pub fn npx(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    let Some(npx) = which("npx") else {
        return Ok(skipped("no `npx`"));
    };
    let store = root.join("npm-cache");
    let package = format!("--package={}", launcher(release, root)?.display());
    let words = [
        &npx.display().to_string(),
        "--yes",
        "--offline",
        &package,
        "mcpwrap",
    ];
    let probe = Probe {
        words: words.map(str::to_owned).to_vec(),
        variables: vec![
            ("npm_config_cache", store.display().to_string()),
            ("npm_config_update_notifier", "false".to_owned()),
        ],
        home: &home(root)?,
    };
    probe.outlives(release, || {
        std::fs::remove_dir_all(&store).map_err(|error| error.to_string())
    })?;
    Ok(Outcome::Passed)
}
