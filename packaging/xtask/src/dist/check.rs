//! `cargo xtask dist --check`: installs each form into a clean root and uses the program there.

mod channel;
mod crate_package;
mod installed;
mod node;
mod probe;
mod python;
mod recipe;

use std::path::Path;
use std::time::Instant;

use super::about::About;
use super::build::Profile;
use super::{directory, pack, recipes, targets};
use crate::cross::Cross;
use crate::shell::{Done, Outcome, names};

/// What the checks work on.
pub struct Release<'a> {
    about: &'a About,
    dist: &'a Path,
    /// The program that was packed: the installed one must have the same bytes.
    program: &'a Path,
    /// The end of the names of archives.
    target: &'static targets::Target,
}

impl Release<'_> {
    /// The one file with this ending.
    fn file(&self, ending: &str) -> Done<std::path::PathBuf> {
        let names = names(self.dist);
        let name = names.iter().find(|name| name.ends_with(ending));
        let name = name.ok_or_else(|| format!("no `*{ending}` was made"))?;
        Ok(self.dist.join(name))
    }
}

type Check = fn(&Release<'_>, &Path) -> Done<Outcome>;

const CHECKS: &[(&str, Check)] = &[
    ("the crate", crate_package::check),
    ("archive", installed::archive),
    ("deb", installed::deb),
    ("rpm", installed::rpm),
    ("apk", installed::apk),
    ("archlinux", installed::archlinux),
    ("pip", python::pip),
    ("uvx", python::uvx),
    ("npm", node::npm),
    ("npm without the program", node::without_program),
    ("npx", node::npx),
    ("formula", recipe::formula),
    ("PKGBUILD", recipe::pkgbuild),
    ("flake", recipe::flake),
    ("a new user, by archive", channel::archive),
    ("a new user, by deb", channel::deb),
    ("a new user, by rpm", channel::rpm),
    ("a new user, by pip", channel::pip),
    ("a new user, by uv", channel::uv),
    ("a new user, by npm", channel::npm),
    ("a new user, by cargo", channel::from_crate),
];

pub fn run() -> Done<Outcome> {
    let start = Instant::now();
    let about = About::read()?;
    let target = targets::native()?;
    if target.is_linux()
        && let Err(reason) = Cross::prepare(target.triple)
    {
        return Ok(Outcome::NotRun(reason));
    }
    let dist = directory(Profile::Check);
    drop(std::fs::remove_dir_all(&dist));
    let content = pack(&about, target, Profile::Check, &dist)?;
    recipes::build(&about, &dist)?;
    let release = Release {
        about: &about,
        dist: &dist,
        program: &content.program(),
        target,
    };
    let mut said = Vec::new();
    for (name, check) in CHECKS {
        let root = tempfile::Builder::new().prefix("mcpwrap-dist-").tempdir();
        let root = root.map_err(|error| error.to_string())?;
        let begun = Instant::now();
        let found = check(&release, root.path()).map_err(|reason| format!("{name}: {reason}"))?;
        let time = begun.elapsed().as_secs_f32();
        said.push(match found {
            Outcome::Passed => format!("   {name}: works, {time:.1} s"),
            Outcome::NotRun(reason) => format!("   {name}: skipped: {reason}"),
        });
        println!("{}", said.last().map_or("", String::as_str));
    }
    println!("── dist --check, {} s in all:", start.elapsed().as_secs());
    println!("{}", said.join("\n"));
    Ok(Outcome::Passed)
}

fn skipped(reason: &str) -> Outcome {
    Outcome::NotRun(reason.to_owned())
}
