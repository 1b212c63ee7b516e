//! What is shipped: `cargo xtask dist` builds the program for one target and packs it in every form,
//! into `target/dist`.
//!
//! Invariants: the same commit gives the same bytes, on any machine with the same tools; no form runs
//! anything when it is installed.

mod about;
mod archive;
mod build;
mod check;
mod content;
mod licences;
mod npm;
mod recipes;
mod sbom;
mod system;
mod targets;
mod wheel;

pub use build::{Profile, build};
pub use check::run as check;
pub use targets::named;

use std::path::{Path, PathBuf};

use self::about::About;
use self::content::Content;
use self::targets::Target;
use crate::shell::{Done, names, root, write};

fn directory(profile: Profile) -> PathBuf {
    root().join(match profile {
        Profile::Release => "target/dist",
        Profile::Check => "target/dist-check",
    })
}

/// Builds and packs one target: this machine's, if none is named.
pub fn run(target: Option<&str>) -> Done {
    let about = About::read()?;
    let target = match target {
        Some(triple) => named(triple)?,
        None => targets::native()?,
    };
    let dist = directory(Profile::Release);
    pack(&about, target, Profile::Release, &dist)?;
    index_of(&about, &dist)
}

/// Makes what needs the archives of all targets, from those in `target/dist`.
pub fn index() -> Done {
    index_of(&About::read()?, &directory(Profile::Release))
}

fn index_of(about: &About, dist: &Path) -> Done {
    sbom::build(about, dist)?;
    recipes::build(about, dist)?;
    println!("── in {}:", dist.display());
    for name in names(dist) {
        println!("   {name}");
    }
    Ok(())
}

/// The program, and every form of it. Returns the content of the forms.
fn pack(about: &About, target: &'static Target, profile: Profile, dist: &Path) -> Done<Content> {
    let program = build(target, profile)?;
    // Manual pages and completions are the same for all targets.
    let documented = if target.is_native() {
        program.clone()
    } else {
        build(targets::native()?, profile)?
    };
    let stage = dist.with_extension("stage").join(target.triple);
    let content = Content::stage(target, stage, &program, &documented)?;
    let archive = content.tarball(about, target)?;
    write(&dist.join(recipes::archive(about, target)), &archive)?;
    for (name, bytes) in [
        wheel::build(about, target, &content)?,
        npm::program(about, target, &content)?,
    ] {
        write(&dist.join(name), &bytes)?;
    }
    system::build(about, target, &content, dist)?;
    Ok(content)
}
