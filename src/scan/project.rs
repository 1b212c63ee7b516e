//! Which client has a file of a project at a path: the places of the table, matched from their ends.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::client::table::{CLIENTS, Client};

/// The client that reads a file of a project at such a place.
pub fn client_of(path: &Path) -> Option<&'static Client> {
    CLIENTS.iter().find(|client| {
        client.places.iter().any(|place| {
            let project = !place.path.starts_with(['~', '$', '/', '%']);
            project && ends_with(path, place.path)
        })
    })
}

/// Whether some client has a file of that name, or takes every file in that directory, so that the
/// place is worth a look.
pub fn is_client_name(path: &Path) -> bool {
    static NAMES: OnceLock<(Vec<&'static str>, Vec<&'static str>)> = OnceLock::new();
    let (names, dirs) = NAMES.get_or_init(|| {
        let places = CLIENTS.iter().flat_map(|client| client.places);
        let mut known = (Vec::new(), Vec::new());
        for place in places {
            let mut parts = place.path.rsplit('/');
            match (parts.next(), parts.next()) {
                (Some("*.json" | "*.yaml"), Some(dir)) => known.1.push(dir),
                (Some(name), _) => known.0.push(name),
                (None, _) => {}
            }
        }
        for list in [&mut known.0, &mut known.1] {
            list.sort_unstable();
            list.dedup();
        }
        known
    });
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let dir = || path.parent().and_then(Path::file_name);
    names.iter().any(|pattern| fits(pattern, name))
        || dirs.iter().any(|known| dir() == Some(OsStr::new(known)))
}

/// Whether a name is as a pattern says, with `*` for a part of it.
fn fits(pattern: &str, name: &[u8]) -> bool {
    match pattern.split_once('*') {
        None => name == pattern.as_bytes(),
        Some((before, after)) => {
            name.len() >= before.len() + after.len()
                && name.starts_with(before.as_bytes())
                && name.ends_with(after.as_bytes())
        }
    }
}

/// Whether a path ends as a place does, with `*` for a part of a name.
fn ends_with(path: &Path, place: &str) -> bool {
    let mut names = path.components().rev();
    place.rsplit('/').all(|pattern| {
        let name = names.next().map(|name| name.as_os_str().as_encoded_bytes());
        name.is_some_and(|name| fits(pattern, name))
    })
}

/// The places of clients in a project whose root is this directory.
pub fn places_of(root: &Path) -> Vec<PathBuf> {
    let places = CLIENTS.iter().flat_map(|client| client.places);
    places
        .filter(|place| !place.path.starts_with(['~', '$', '/', '%']) && !place.path.contains('*'))
        .map(|place| root.join(place.path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_file_it_is() {
        for (path, expected) in [
            ("a/.vscode/mcp.json", Some("vscode")),
            (".mcp.json", Some("claude-code")),
            ("x/.codex/config.toml", Some("codex")),
            ("x/config.toml", None),
            ("x/a.code-workspace", Some("vscode")),
            ("settings.json", None),
            (".continue/mcpServers/a.yaml", Some("continue")),
        ] {
            let client = client_of(Path::new(path)).map(|client| client.id);
            assert_eq!(client, expected, "{path}");
        }
    }
}
