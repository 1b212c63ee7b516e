//! What is made from all archives of a release: checksums, the formula of Homebrew, the `PKGBUILD` of
//! the AUR, npm's main package, and the lines that say how to install.

use std::fmt::Write as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::about::About;
use super::npm;
use super::targets::{NAME, NPM, TARGETS, Target, WHEEL};
use crate::shell::{self, Done, names, read, root};

pub const SUMS: &str = "SHA256SUMS";

/// Writes them into `dist`, from what is there.
pub fn build(about: &About, dist: &Path) -> Done {
    let is_complete = |target: &Target| dist.join(archive(about, target)).is_file();
    let found: Vec<_> = TARGETS.iter().filter(|one| is_complete(one)).collect();
    let spec = |_: &Target| Some(about.version.clone());
    let (name, bytes) = npm::launcher(about, spec)?;
    shell::write(&dist.join(name), &bytes)?;
    for (template, file) in [
        ("packaging/homebrew/mcpwrap.rb", "mcpwrap.rb"),
        ("packaging/aur/PKGBUILD", "PKGBUILD"),
    ] {
        let text = read(&root().join(template))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let wanted = TARGETS.iter().filter(|target| text.contains(target.triple));
        let absent: Vec<_> = wanted
            .filter(|target| !is_complete(target))
            .map(|target| target.triple)
            .collect();
        if absent.is_empty() {
            let filled = fill(about, &text, &|target| {
                digest(&dist.join(archive(about, target)))
            })?;
            shell::write(&dist.join(file), filled.as_bytes())?;
        } else {
            println!("── {file}: NOT MADE: no archive of {}", absent.join(", "));
        }
    }
    if found.len() == TARGETS.len() {
        shell::write(&dist.join("install.md"), install(about, dist).as_bytes())?;
    }
    shell::write(&dist.join(SUMS), sums(dist)?.as_bytes())
}

pub fn archive(about: &About, target: &Target) -> String {
    about.archive(target) + ".tar.gz"
}

/// A template with the version, and address and checksum of each archive.
pub fn fill(
    about: &About,
    template: &str,
    digest: &dyn Fn(&Target) -> Done<String>,
) -> Done<String> {
    // The comment is about the template.
    let lines = template
        .lines()
        .filter(|line| !line.starts_with("# `cargo xtask dist`"));
    let mut text = lines.collect::<Vec<_>>().join("\n") + "\n";
    for (name, value) in [
        ("version", &about.version),
        ("description", &about.description),
        ("repository", &about.repository),
    ] {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    for target in TARGETS {
        let (url, sum) = (
            format!("{{{{url:{}}}}}", target.triple),
            format!("{{{{sha256:{}}}}}", target.triple),
        );
        if text.contains(&sum) {
            text = text.replace(&url, &about.download(&archive(about, target)));
            text = text.replace(&sum, &digest(target)?);
        }
    }
    match text.find("{{") {
        None => Ok(text),
        Some(at) => {
            let rest: String = text[at..].chars().take(40).collect();
            Err(format!("the template has an unknown field: {rest}"))
        }
    }
}

pub fn digest(file: &Path) -> Done<String> {
    let mut text = String::new();
    for byte in Sha256::digest(read(file)?) {
        _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// As `sha256sum` prints and reads it.
fn sums(dist: &Path) -> Done<String> {
    let mut text = String::new();
    for name in names(dist) {
        let path = dist.join(&name);
        if path.is_file() && name != SUMS {
            _ = writeln!(text, "{}  {name}", digest(&path)?);
        }
    }
    Ok(text)
}

/// How to install this release, for its page: only channels that have it.
fn install(about: &About, dist: &Path) -> String {
    let About {
        version,
        repository,
        ..
    } = about;
    let owner = repository.trim_start_matches("https://github.com/");
    let mut text = format!(
        "## Install\n\n\
         Each archive has a static program (on macOS: one that needs the system's libraries only), manual pages and \
         completions.\n\n\
         | With | Command |\n|---|---|\n\
         | npm | `npm install --global {NPM}@{version}` |\n\
         | PyPI | `uv tool install {WHEEL}=={version}` or `pipx install {WHEEL}=={version}` |\n\
         | cargo-binstall | `cargo binstall {NAME}@{version}` |\n\
         | cargo | `cargo install --locked {NAME}@{version}` (not a static program) |\n"
    );
    for (ending, command) in [
        (".deb", "sudo apt install ./FILE.deb"),
        (".rpm", "sudo dnf install ./FILE.rpm"),
        (".apk", "sudo apk add --allow-untrusted ./FILE.apk"),
        (".pkg.tar.zst", "sudo pacman -U ./FILE.pkg.tar.zst"),
    ] {
        if names(dist).iter().any(|name| name.ends_with(ending)) {
            _ = writeln!(text, "| a file below (`{ending}`) | `{command}` |");
        }
    }
    _ = write!(
        text,
        "\n## Verify\n\n    sha256sum --check --ignore-missing {SUMS}\n    \
         gh attestation verify FILE --repo {owner}\n"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> About {
        About {
            version: "1.2.3".into(),
            description: "does it".into(),
            licence: "MIT".into(),
            repository: "https://github.com/o/r".into(),
            keywords: Vec::new(),
            date: 0,
        }
    }

    #[test]
    fn templates_are_filled() {
        for (template, count) in [("homebrew/mcpwrap.rb", 4), ("aur/PKGBUILD", 2)] {
            let path = root().join("packaging").join(template);
            let text = std::fs::read_to_string(path).unwrap();
            let digest = |target: &Target| Ok(format!("sum-of-{}", target.triple));
            let filled = fill(&about(), &text, &digest).unwrap();
            assert_eq!(filled.matches("sum-of-").count(), count, "{filled}");
            assert!(!filled.contains("xtask"), "{filled}");
            let url = "https://github.com/o/r/releases/download/v1.2.3/mcpwrap-v1.2.3-aarch64-";
            assert!(filled.contains(url), "{filled}");
        }
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let filled = fill(&about(), "{{versoin}}", &|_| Ok(String::new()));
        assert!(filled.is_err());
    }
}
