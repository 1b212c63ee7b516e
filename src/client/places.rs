//! The locations of the table as paths on this machine.
//!
//! Lists directories to expand `*` and reads no file. Only directories that a location names are
//! listed.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use globset::{Glob, GlobMatcher};

use super::table::{CLIENTS, ConfigLocation, KnownClient, Os};
use crate::sys::ON_MACOS;

/// The directories and variables that locations refer to.
#[derive(Clone, Debug)]
pub struct Base {
    pub home: PathBuf,
    /// The working directory and its parents, up to the root of the repository.
    pub projects: Vec<PathBuf>,
    /// The value of a client's own variable, e.g. `CODEX_HOME`.
    pub variable: fn(&str) -> Option<PathBuf>,
    /// Other directories that are `~/.config` for some application, and are searched too.
    configs: Vec<PathBuf>,
    /// Other directories that are `~` for some application.
    homes: Vec<PathBuf>,
}

impl Base {
    /// The directories of a project: from here up to the first with a `.git`.
    pub fn new(home: &Path, here: &Path, variable: fn(&str) -> Option<PathBuf>) -> Self {
        let above = || {
            here.ancestors()
                .take_while(|dir| *dir != home && dir.parent().is_some())
        };
        let root = above().position(|dir| dir.join(".git").exists());
        // Outside of a repository only the directory itself belongs to a project.
        let projects = above()
            .take(root.map_or(1, |n| n + 1))
            .map(Path::to_path_buf)
            .collect();
        // Flatpak and Snap give an application directories of its own.
        let mut configs = glob(home, ".var/app/*/config");
        configs.extend(glob(home, "snap/*/current/.config"));
        let moved = variable("XDG_CONFIG_HOME").filter(|dir| *dir != home.join(".config"));
        configs.extend(moved);
        Self {
            home: home.to_path_buf(),
            projects,
            variable,
            configs,
            homes: glob(home, "snap/*/current"),
        }
    }

    /// The existing files of a column of the table: backups, logs, files that name projects.
    pub fn existing(&self, pattern: &str) -> Vec<PathBuf> {
        let mut paths = self.expand(pattern);
        paths.retain(|path| path.symlink_metadata().is_ok());
        paths
    }

    /// The existing files of a client in a project that another file names.
    pub fn in_project(project: &Path, client: &KnownClient) -> Vec<PathBuf> {
        let names: HashSet<std::ffi::OsString> = std::fs::read_dir(project)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        let places = client
            .places
            .iter()
            .filter(|place| is_here(place) && is_relative(place.path));
        let mut paths: Vec<PathBuf> = places
            .filter(|place| {
                let first = place.path.split('/').next().unwrap_or_default();
                first.contains('*') || names.contains(OsStr::new(first))
            })
            .flat_map(|place| glob(project, place.path))
            .collect();
        paths.retain(|path| path.symlink_metadata().is_ok());
        paths
    }

    /// Every path at which a client may have a file on this system, existing or not.
    pub fn paths(&self, client: &KnownClient) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for place in client.places.iter().filter(|place| is_here(place)) {
            for path in self.expand(place.path) {
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
        }
        paths
    }

    /// Every path of every client, with the client; a path that several clients read is listed
    /// once.
    pub fn all(&self) -> Vec<(&'static KnownClient, PathBuf)> {
        let mut all: Vec<(&'static KnownClient, PathBuf)> = Vec::new();
        let mut known = HashSet::new();
        for client in CLIENTS {
            for path in self.paths(client) {
                if known.insert(path.clone()) {
                    all.push((client, path));
                }
            }
        }
        all
    }

    /// The clients that read files of these names, by the path; the first one of each path.
    pub fn clients_of(&self, names: &HashSet<&OsStr>) -> HashMap<PathBuf, &'static KnownClient> {
        let may_be = |place: &&ConfigLocation| {
            let last = place.path.rsplit('/').next().unwrap_or_default();
            let is_named = match last.rsplit_once('*') {
                Some((_, end)) => {
                    let mut names = names.iter().map(|name| name.as_encoded_bytes());
                    names.any(|name| name.ends_with(end.as_bytes()))
                }
                None => names.contains(OsStr::new(last)),
            };
            is_here(place) && (is_named || place.path.starts_with('$'))
        };
        let mut clients = HashMap::new();
        for client in CLIENTS {
            for place in client.places.iter().filter(may_be) {
                for path in self.expand(place.path) {
                    clients.entry(path).or_insert(client);
                }
            }
        }
        clients
    }

    /// Whether only older versions of the client read this path.
    pub fn is_old(&self, client: &KnownClient, path: &Path) -> bool {
        let old = client
            .places
            .iter()
            .filter(|place| place.old && is_here(place));
        old.flat_map(|place| self.expand(place.path))
            .any(|place| place == path)
    }

    pub(super) fn expand(&self, place: &str) -> Vec<PathBuf> {
        if let Some(rest) = place.strip_prefix('$') {
            return self.of_variable(rest);
        }
        if let Some(rest) = place.strip_prefix("~/") {
            let mut paths = expanded(&self.home, rest);
            let config = rest.strip_prefix(".config/");
            let configs = config
                .into_iter()
                .flat_map(|rest| self.configs.iter().map(move |dir| (dir, rest)));
            let others = configs.chain(self.homes.iter().map(|dir| (dir, rest)));
            let others = others.flat_map(|(dir, rest)| glob(dir, rest));
            paths.extend(others.filter(|path| path.symlink_metadata().is_ok()));
            return paths;
        }
        if let Some(rest) = place.strip_prefix('/') {
            return expanded(Path::new("/"), rest);
        }
        self.projects
            .iter()
            .flat_map(|project| expanded(project, place))
            .collect()
    }

    /// `NAME/file` below the directory that a variable names, or the file that it names.
    fn of_variable(&self, place: &str) -> Vec<PathBuf> {
        let (name, rest) = place.split_once('/').unwrap_or((place, ""));
        let Some(value) = (self.variable)(name) else {
            return Vec::new();
        };
        match (rest, value.extension().is_some_and(|end| end != "d")) {
            ("", true) => vec![value],
            ("", false) => Vec::new(),
            (rest, _) => expanded(&value, rest),
        }
    }
}

/// Whether a location of the table is in a project.
pub fn is_relative(place: &str) -> bool {
    !place.starts_with(['~', '/', '$', '%'])
}

/// Where a client reads a file of a project, from the project's root.
enum RelativePlace {
    Path(&'static Path),
    Pattern(GlobMatcher),
}

/// The project to which a config file belongs: some client reads it there. `None` for the user's own.
pub fn project_of(home: &Path, path: &Path) -> Option<PathBuf> {
    /// The locations in a project, with the depth of each. Only those with a `*` need a matcher, and a
    /// matcher takes longer to make than a config file takes to parse.
    static RELATIVE: LazyLock<Vec<(usize, RelativePlace)>> = LazyLock::new(|| {
        let places = CLIENTS.iter().flat_map(|client| client.places);
        let relative = places.filter(|place| is_relative(place.path));
        let compiled = relative.filter_map(|place| {
            let pattern = if place.path.contains('*') {
                RelativePlace::Pattern(Glob::new(place.path).ok()?.compile_matcher())
            } else {
                RelativePlace::Path(Path::new(place.path))
            };
            Some((place.path.split('/').count(), pattern))
        });
        compiled.collect()
    });
    let root = |(depth, place): &(usize, RelativePlace)| {
        let root = path.ancestors().nth(*depth)?;
        let rest = path.strip_prefix(root).ok()?;
        let is_there = match place {
            RelativePlace::Path(place) => rest == *place,
            RelativePlace::Pattern(pattern) => pattern.is_match(rest),
        };
        (is_there && root != home).then(|| root.to_path_buf())
    };
    RELATIVE.iter().find_map(root)
}

/// Whether a location applies to this system.
pub(super) fn is_here(place: &ConfigLocation) -> bool {
    let here = if ON_MACOS { Os::Mac } else { Os::Linux };
    place.os == Os::Any || place.os == here
}

/// The paths of a pattern: itself, or, with `*`, the existing matches. A pattern without a match is
/// returned as it is, so that it can be shown as searched.
fn expanded(base: &Path, pattern: &str) -> Vec<PathBuf> {
    let found = glob(base, pattern);
    if found.is_empty() {
        vec![base.join(pattern)]
    } else {
        found
    }
}

/// How many directories `**` stands for at most.
const DEPTH_MAX: usize = 6;

fn glob(base: &Path, pattern: &str) -> Vec<PathBuf> {
    let Some(star) = pattern.split('/').position(|part| part.contains('*')) else {
        return vec![base.join(pattern)];
    };
    let parts: Vec<&str> = pattern.split('/').collect();
    let (head, tail) = parts.split_at(star);
    let dir = base.join(head.join("/"));
    let (Some(part), rest) = (tail.first(), tail.get(1..).unwrap_or_default().join("/")) else {
        return Vec::new();
    };
    if *part == "**" {
        let mut dirs = vec![dir];
        directories(&mut dirs, 0, DEPTH_MAX);
        let all = dirs.iter().flat_map(|dir| glob(dir, &rest));
        return all.filter(|path| path.symlink_metadata().is_ok()).collect();
    }
    // Most directories do not exist, and a matcher takes longer to make than that takes to see.
    let Ok(entries) = std::fs::read_dir(&dir) else {
        return Vec::new();
    };
    let Ok(matcher) = Glob::new(part).map(|glob| glob.compile_matcher()) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| matcher.is_match(name))
        .collect();
    names.sort();
    let found = names.into_iter().map(|name| dir.join(name));
    if rest.is_empty() {
        found.collect()
    } else {
        found.flat_map(|dir| glob(&dir, &rest)).collect()
    }
}

/// Adds the directories below those from `first` on, down to a depth, without those that hold code
/// of others. Links are not followed.
fn directories(dirs: &mut Vec<PathBuf>, first: usize, depth: usize) {
    if depth == 0 {
        return;
    }
    let level: Vec<PathBuf> = dirs.get(first..).unwrap_or_default().to_vec();
    let next = dirs.len();
    for dir in level {
        let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        let mut below: Vec<PathBuf> = entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path())
            .filter(|path| !path.ends_with("node_modules") && !path.ends_with(".git"))
            .collect();
        below.sort();
        dirs.extend(below);
    }
    if dirs.len() > next {
        directories(dirs, next, depth - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::table::client;

    #[test]
    fn the_project_of_a_file() {
        let home = Path::new("/home/ana");
        let of = |path: &str| project_of(home, Path::new(path));
        assert_eq!(
            of("/home/ana/src/app/.mcp.json"),
            Some("/home/ana/src/app".into())
        );
        assert_eq!(of("/srv/app/.cursor/mcp.json"), Some("/srv/app".into()));
        assert_eq!(of("/home/ana/.cursor/mcp.json"), None);
        assert_eq!(of("/home/ana/.claude.json"), None);
    }

    #[test]
    fn places_become_paths() {
        let home = tempfile::tempdir().unwrap();
        let project = home.path().join("src/app/deep");
        std::fs::create_dir_all(&project).unwrap();
        std::fs::create_dir(home.path().join("src/app/.git")).unwrap();
        std::fs::create_dir_all(home.path().join(".kiro/agents")).unwrap();
        std::fs::File::create_new(home.path().join(".kiro/agents/a.json")).unwrap();
        for file in [
            ".codex/plugins/cache/m/p/1.0.0/.mcp.json",
            ".codex/plugins/cache/m/p/1.0.0/.codex-plugin/plugin.json",
            ".var/app/dev.zed.Zed/config/zed/settings.json",
            "snap/code/current/.config/Code/User/mcp.json",
        ] {
            let path = home.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::File::create_new(path).unwrap();
        }
        let base = Base::new(home.path(), &project, |name| {
            (name == "CODEX_HOME").then(|| "/opt/codex".into())
        });
        let all: Vec<_> = base.all().into_iter().map(|(_, path)| path).collect();
        for path in [
            home.path().join(".cursor/mcp.json"),
            project.join(".mcp.json"),
            home.path().join("src/app/.mcp.json"),
            home.path().join(".kiro/agents/a.json"),
            PathBuf::from("/opt/codex/config.toml"),
            home.path().join(".codex/plugins/cache/m/p/1.0.0/.mcp.json"),
            home.path()
                .join(".codex/plugins/cache/m/p/1.0.0/.codex-plugin/plugin.json"),
            home.path()
                .join(".var/app/dev.zed.Zed/config/zed/settings.json"),
            home.path()
                .join("snap/code/current/.config/Code/User/mcp.json"),
        ] {
            assert!(all.contains(&path), "{}", path.display());
        }
        assert!(!all.contains(&home.path().join("src/.mcp.json")));
        let cline = client("cline").unwrap();
        for (path, old) in [
            ("Documents/Cline/MCP/cline_mcp_settings.json", true),
            (".cline/mcp.json", false),
        ] {
            assert_eq!(base.is_old(cline, &home.path().join(path)), old, "{path}");
        }
    }
}
