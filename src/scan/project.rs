//! Which client reads a project file at a path: the end of the path is matched with the table.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use globset::{GlobBuilder, GlobSet};

use crate::client::places::is_relative;
use crate::client::table::{CLIENTS, KnownClient};

/// The client that reads a project file at this path.
pub(super) fn client_of(path: &Path) -> Option<&'static KnownClient> {
    static PLACES: LazyLock<(GlobSet, Vec<&'static KnownClient>)> = LazyLock::new(|| {
        let places = CLIENTS
            .iter()
            .flat_map(|client| client.places.iter().map(move |place| (client, place.path)));
        let (owners, patterns): (Vec<_>, Vec<_>) = places
            .filter(|(_, place)| is_relative(place))
            .map(|(client, place)| (client, format!("**/{place}")))
            .unzip();
        (set(&patterns), owners)
    });
    let (set, owners) = &*PLACES;
    set.matches(path)
        .first()
        .and_then(|first| owners.get(*first).copied())
}

/// Whether some client reads a file of that name, or all files in that directory.
pub(super) fn is_client_name(path: &Path) -> bool {
    static NAMES: LazyLock<(GlobSet, Vec<&'static str>)> = LazyLock::new(|| {
        let places = CLIENTS.iter().flat_map(|client| client.places);
        let (mut names, mut dirs) = (Vec::new(), Vec::new());
        for place in places.filter(|place| !place.path.starts_with('%')) {
            let mut parts = place.path.rsplit('/');
            match (parts.next(), parts.next()) {
                (Some(name), Some(dir)) if name.starts_with("*.") && !dir.contains('*') => {
                    dirs.push(dir);
                }
                // A variable that names a file.
                (Some(name), None) if name.starts_with('$') => {}
                (Some(name), _) => names.push(name),
                (None, _) => {}
            }
        }
        for list in [&mut names, &mut dirs] {
            list.sort_unstable();
            list.dedup();
        }
        (set(&names), dirs)
    });
    let (names, dirs) = &*NAMES;
    let dir = || path.parent().and_then(Path::file_name);
    path.file_name().is_some_and(|name| names.is_match(name))
        || dirs.iter().any(|known| dir() == Some(OsStr::new(known)))
}

/// The patterns of the table, in which `*` matches within a name.
fn set<P: AsRef<str>>(patterns: &[P]) -> GlobSet {
    let patterns = patterns.iter().map(AsRef::as_ref);
    let globs = patterns.map(|pattern| GlobBuilder::new(pattern).literal_separator(true).build());
    let globs = globs.map(|glob| glob.expect("the locations in the table are valid patterns"));
    GlobSet::new(globs).expect("the patterns of the table fit into one set")
}

/// The client locations in a project whose root is this directory.
pub(super) fn places_of(root: &Path) -> Vec<PathBuf> {
    let places = CLIENTS.iter().flat_map(|client| client.places);
    places
        .filter(|place| is_relative(place.path) && !place.path.contains('*'))
        .map(|place| root.join(place.path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_of_a_path() {
        for (path, expected) in [
            ("a/.vscode/mcp.json", Some("vscode")),
            (".mcp.json", Some("claude-code")),
            ("x/.codex/config.toml", Some("codex")),
            ("x/config.toml", None),
            ("x/a.code-workspace", Some("vscode")),
            ("settings.json", None),
            (".continue/mcpServers/a.yaml", Some("continue")),
            (".claude/agents/a.md", Some("claude-code")),
            ("x/.claude-plugin/plugin.json", Some("claude-code")),
            ("README.md", None),
        ] {
            let client = client_of(Path::new(path)).map(|client| client.id);
            assert_eq!(client, expected, "{path}");
        }
    }
}
