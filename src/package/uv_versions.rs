//! Which versions of a Python package there are, and which one uv would choose.

use std::path::Path;

use super::client::Call;
use super::cutoff::Cutoff;
use super::request::{PinRequest, write};
use super::uv_lock::normal;
use super::{ParsedCommand, local, pip};
use crate::error::Result;
use crate::policy::Package;
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

/// A package, the Python that it is for (empty: the default one), and whether it may be built from source.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    name: &'a str,
    python: &'a str,
    scripts: bool,
}

/// The version that `build` would install now.
pub(super) fn latest(
    dir: &Path,
    package: &Package,
    launch: &ParsedCommand,
    server: &ServerName,
    before: Option<Cutoff>,
) -> Result<String> {
    let wanted = Wanted {
        name: &package.name,
        python: &package.interpreter,
        scripts: package.scripts,
    };
    let mut options = Vec::new();
    options.extend((!package.scripts).then_some("--no-build"));
    let moment = before.map(|cutoff| cutoff.to_string());
    if let Some(moment) = &moment {
        let dated = [options.as_slice(), &["--exclude-newer", moment]].concat();
        let found = compiled(dir, wanted, launch, server, &dated);
        // A registry that does not say when its files were published has none that are old enough.
        match found {
            Err(_) if before.is_some_and(Cutoff::is_default) => {}
            found => return found,
        }
    }
    compiled(dir, wanted, launch, server, &options)
}

/// The latest version of a package, and what is to be said if another one was chosen.
pub(super) fn newest(
    dir: &Path,
    request: &PinRequest<'_>,
    (name, version): (&str, &str),
    python: &str,
) -> (Option<String>, Option<String>) {
    let wanted = Wanted {
        name,
        python,
        scripts: request.scripts,
    };
    let answer = compiled(dir, wanted, request.launch, request.server, &["--no-deps"]);
    let latest = answer.ok().filter(|version| !version.is_empty());
    let is_day = matches!(request.before, Some(Cutoff::Day(_)));
    let is_chosen = is_day || request.to.is_some_and(|to| to != "latest");
    let other = latest
        .as_ref()
        .filter(|latest| !is_chosen && *latest != version);
    let is_young = || {
        let cutoff = request.before?;
        let dated = ["--no-deps", "--exclude-newer", &cutoff.to_string()];
        let old = compiled(dir, wanted, request.launch, request.server, &dated);
        let age = cutoff
            .age()
            .filter(|_| old.as_ref().is_ok_and(|old| old == version));
        age.map(|age| format!("published less than {age} ago, and a version must be that old"))
    };
    let passed_over = other.map(|latest| match is_young() {
        Some(why) => format!("{latest}, {why}"),
        None => format!(
            "{latest}, which cannot be installed here: no wheel, or no suitable dependencies"
        ),
    });
    (latest, passed_over)
}

/// The version that uv chooses with these options.
fn compiled(
    dir: &Path,
    wanted: Wanted<'_>,
    launch: &ParsedCommand,
    server: &ServerName,
    options: &[&str],
) -> Result<String> {
    let Wanted {
        name,
        python,
        scripts,
    } = wanted;
    if local::find("uv").is_none() {
        return pip::latest(dir, name, python, scripts);
    }
    let wanted = dir.join("wanted.in");
    write(&wanted, name.as_bytes(), server)?;
    let wanted = wanted.display().to_string();
    let mut args = vec!["pip", "compile", "--quiet", "--no-header", "--no-annotate"];
    args.extend(options);
    args.extend(passed(launch));
    if !python.is_empty() {
        args.extend(["--python", python]);
    }
    args.push(&wanted);
    let answer = Call::new("uv", dir).args(&args).quick(true).output()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let key = normal(name);
    let of_package = |line: &str| {
        let (name, version) = line.trim().split_once("==")?;
        let name = name.split('[').next()?;
        (normal(name) == key).then(|| version.split([' ', ';']).next().map(str::to_owned))?
    };
    Ok(answer.lines().find_map(of_package).unwrap_or_default())
}

/// The options of the launcher that say where packages come from and which are chosen.
pub(super) fn passed(launch: &ParsedCommand) -> Vec<&str> {
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
