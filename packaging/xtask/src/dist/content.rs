//! The program with everything that goes with it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::about::About;
use super::archive::{Member, gzip, tarball};
use super::licences;
use super::targets::{NAME, Target};
use crate::shell::{Done, names, output, read, root, step, write};

const SHELLS: &[(&str, &str)] = &[
    ("bash", "mcpwrap"),
    ("zsh", "_mcpwrap"),
    ("fish", "mcpwrap.fish"),
];
const DOCUMENTS: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT", "README.md"];
/// Those of the crates in the program.
pub const LICENCES: &str = "LICENSES-OF-CRATES.txt";

/// A directory with `mcpwrap`, `man/`, `completions/` and the licences.
pub struct Content {
    pub dir: PathBuf,
}

impl Content {
    /// `documented` is a build of the same sources that this machine can run.
    pub fn stage(target: &Target, dir: PathBuf, program: &Path, documented: &Path) -> Done<Self> {
        drop(std::fs::remove_dir_all(&dir));
        let content = Self { dir };
        write(&content.program(), &read(program)?)?;
        for name in DOCUMENTS {
            write(&content.dir.join(name), &read(&root().join(name))?)?;
        }
        let licences = licences::text(target)?;
        write(&content.dir.join(LICENCES), licences.as_bytes())?;
        let man = content.dir.join("man");
        std::fs::create_dir_all(&man).map_err(|error| error.to_string())?;
        let mut pages = Command::new(documented);
        step("manual pages", pages.arg("man").arg(&man))?;
        for page in names(&man) {
            let packed = gzip(&read(&man.join(&page))?)?;
            write(&content.dir.join("man.gz").join(page + ".gz"), &packed)?;
        }
        for (shell, name) in SHELLS {
            let script = output(Command::new(documented).args(["completions", shell]));
            let script = script.ok_or_else(|| format!("no completions for {shell}"))? + "\n";
            let path = content.dir.join("completions").join(name);
            write(&path, script.as_bytes())?;
        }
        Ok(content)
    }

    pub fn program(&self) -> PathBuf {
        self.dir.join(NAME)
    }

    /// The archive, all in one directory.
    pub fn tarball(&self, about: &About, target: &Target) -> Done<Vec<u8>> {
        let top = about.archive(target);
        let mut members = vec![Member::program(
            format!("{top}/{NAME}"),
            read(&self.program())?,
        )];
        for name in DOCUMENTS.iter().chain([&LICENCES]) {
            members.push(Member::file(format!("{top}/{name}"), &self.dir.join(name))?);
        }
        for folder in ["man", "completions"] {
            for name in names(&self.dir.join(folder)) {
                let path = self.dir.join(folder).join(&name);
                members.push(Member::file(format!("{top}/{folder}/{name}"), &path)?);
            }
        }
        tarball(members, about.date)
    }
}
