//! Files that entries name, and from which programs give values to a server.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::extracted::shown;
use super::references::References;
use crate::client::entry::ServerEntry;
use crate::env_file;
use crate::files::io_text;
use crate::policy::template::is_variable_name;

/// A larger file is not read (bytes).
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A path of an entry from the root.
pub(super) fn absolute(
    text: &str,
    entry: &ServerEntry,
    references: &References<'_>,
) -> Result<PathBuf, String> {
    let written = references.value(text)?;
    let path = match written.strip_prefix("~/") {
        Some(rest) => references.home.join(rest),
        None => PathBuf::from(&written),
    };
    let cwd = entry.cwd.as_ref().map(PathBuf::from);
    let base = cwd.filter(|cwd| cwd.is_absolute());
    let base = base.or_else(|| references.project.clone());
    match base {
        _ if path.is_absolute() => Ok(path),
        Some(base) => Ok(base.join(path)),
        None => Err(format!(
            "the client's working directory decides which file `{}` is: write its full path, then adopt it",
            shown(text)
        )),
    }
}

/// The text of a regular file.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let meta = path.metadata().map_err(|error| io_text(&error))?;
    if !meta.is_file() {
        return Err("not a regular file".to_owned());
    }
    let file = File::open(path).map_err(|error| io_text(&error))?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| io_text(&error))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err("too large".to_owned());
    }
    Ok(text)
}

/// The names at the top of an encrypted file; `None` for another file.
pub(super) fn encrypted_names(path: &Path, text: &str) -> Option<Vec<String>> {
    let is_own = |name: &String| name == "sops" || name.starts_with("sops_");
    let ending = path.extension().and_then(|ending| ending.to_str());
    let all: Vec<String> = match ending {
        Some("json") => {
            let object: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(text).ok()?;
            object.keys().cloned().collect()
        }
        Some("env") => {
            let pairs = env_file::pairs(text).ok()?;
            pairs.into_iter().map(|(name, _)| name).collect()
        }
        _ => {
            let lines = text.lines().filter_map(|line| line.split_once(':'));
            let names = lines.map(|(name, _)| name.trim_matches('"').to_owned());
            names.filter(|name| is_variable_name(name)).collect()
        }
    };
    let is_encrypted = all.iter().any(is_own) && text.contains("ENC[");
    let names = all.into_iter().filter(|name| !is_own(name));
    is_encrypted.then(|| names.collect())
}
