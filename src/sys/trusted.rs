//! Whether a program can be trusted by its path.
//!
//! Invariant: only root and this user can replace the program: they alone may write to it, to what its path leads
//! through, and to all directories above.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::user;
use crate::files::io_text;

/// The most links that a path may lead through.
const LINKS_MAX: usize = 16;
/// Directories where anybody can create files.
const TEMPORARY: &[&str] = &[
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    "/private/tmp",
    "/private/var/tmp",
];

/// Why a program is not run.
#[derive(Debug)]
pub struct Untrusted {
    /// Whether there is no such file.
    pub is_missing: bool,
    pub cause: String,
    /// What helps, if it is not another path.
    pub fix: Option<String>,
}

/// # Errors
/// Somebody else can replace the program, or it is none.
pub fn verify(program: &Path) -> Result<(), Untrusted> {
    let refuse = |cause: String, fix: Option<String>| {
        Err(Untrusted {
            is_missing: false,
            cause,
            fix,
        })
    };
    let mut at = program.to_path_buf();
    for _ in 0..LINKS_MAX {
        let shown = at.display().to_string();
        for step in at.ancestors() {
            let meta = std::fs::symlink_metadata(step).map_err(|error| Untrusted {
                is_missing: true,
                cause: format!("`{}`: {}", step.display(), io_text(&error)),
                fix: None,
            })?;
            if TEMPORARY
                .iter()
                .any(|temporary| step == Path::new(temporary))
            {
                let fix = "move it to a directory that only you can change".to_owned();
                return refuse(format!("`{shown}` is in a temporary directory"), Some(fix));
            }
            if let Some((fact, fix)) = writable(step, &meta) {
                let cause = format!("others can replace `{shown}`\n`{}` {fact}", step.display());
                return refuse(cause, Some(fix));
            }
        }
        if let Ok(target) = std::fs::read_link(&at) {
            at = leads_to(&at, &target);
        } else {
            let meta = std::fs::metadata(&at).ok();
            if meta.is_some_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0) {
                return Ok(());
            }
            let cause = format!("`{shown}` is not a regular file that can be executed");
            return refuse(cause, None);
        }
    }
    let cause = format!("`{}` leads through too many links", program.display());
    refuse(cause, Some("name the program itself".to_owned()))
}

/// Where a link leads, with the links of its directories resolved.
fn leads_to(link: &Path, target: &Path) -> PathBuf {
    let base = link.parent().unwrap_or(Path::new("/"));
    let path = base.join(target);
    match (path.parent().map(Path::canonicalize), path.file_name()) {
        (Some(Ok(dir)), Some(name)) => dir.join(name),
        _ => path,
    }
}

/// Why somebody else can change a file or directory, and the command that changes that.
fn writable(path: &Path, meta: &Metadata) -> Option<(String, String)> {
    let (owner, me, shown) = (meta.uid(), user::id(), path.display());
    if owner != 0 && owner != me {
        let fact = format!("belongs to user {owner}");
        return Some((
            fact,
            format!("run `sudo chown root {shown}`, then review its contents"),
        ));
    }
    // The mode of a symlink means nothing.
    if !meta.is_symlink() && meta.mode() & 0o022 != 0 {
        let fact = format!("has the mode {:04o}", meta.mode() & 0o7777);
        return Some((
            fact,
            format!("run `chmod go-w {shown}`, then review its contents"),
        ));
    }
    None
}
