//! The projects that the clients' own files name: `projects` of Claude Code and Codex, the workspaces
//! of editors.

use std::path::{Path, PathBuf};

use crate::client::document::Document;
use crate::client::places::Base;
use crate::client::table::KnownClient;
use crate::client::tree::{FileFormat, Node};

/// A workspace file is small (bytes).
const BYTES_MAX: u64 = 1 << 20;
/// Projects beyond this number are not searched.
const PROJECTS_MAX: usize = 5_000;

/// The existing directories of the projects, and the workspace files that name them.
#[derive(Debug, Default)]
pub(super) struct NamedProjects {
    pub(super) dirs: Vec<PathBuf>,
    pub(super) files: Vec<PathBuf>,
}

/// Collects the projects.
pub(super) fn projects(
    base: &Base,
    found: &[&Document],
    clients: &[&KnownClient],
) -> NamedProjects {
    let mut named = NamedProjects::default();
    for document in found {
        named.keys(base, document.root.get("projects"));
    }
    for place in clients.iter().flat_map(|client| client.projects) {
        for path in base.existing(place) {
            named.workspace(base, &path);
        }
    }
    named
}

impl NamedProjects {
    fn keys(&mut self, base: &Base, projects: Option<&Node>) {
        for member in projects.into_iter().flat_map(Node::map) {
            self.add(base, Path::new(&member.key));
        }
    }

    fn workspace(&mut self, base: &Base, path: &Path) {
        let Some(root) = read(path) else {
            return;
        };
        self.keys(base, root.get("projects"));
        if path.ends_with("trustedFolders.json") {
            self.keys(base, Some(&root));
        }
        let fields = ["folder", "workspace", "configuration"];
        let named = fields.iter().filter_map(|key| {
            let node = root.get(key)?;
            let inner = ["external", "path", "fsPath"];
            node.text()
                .or_else(|| inner.iter().find_map(|key| node.get(key)?.text()))
        });
        for text in named {
            let Some(target) = local(text) else { continue };
            if target.is_dir() {
                self.add(base, &target);
            } else if target.is_file() {
                self.members(base, &target);
            }
        }
    }

    /// The folders of a workspace of several folders.
    fn members(&mut self, base: &Base, file: &Path) {
        let dir = file.parent().unwrap_or(Path::new("/"));
        if let Some(root) = read(file) {
            for folder in root.get("folders").into_iter().flat_map(Node::list) {
                let path = folder
                    .get("path")
                    .or_else(|| folder.get("uri"))
                    .and_then(Node::text);
                if let Some(path) = path.and_then(local) {
                    self.add(base, &dir.join(path));
                }
            }
        }
        if !self.files.iter().any(|known| known == file) {
            self.files.push(file.to_path_buf());
        }
    }

    fn add(&mut self, base: &Base, dir: &Path) {
        let known = self
            .dirs
            .iter()
            .chain(&base.projects)
            .any(|known| known == dir);
        let own = dir == base.home || dir.parent().is_none();
        if dir.is_absolute() && !known && !own && self.dirs.len() < PROJECTS_MAX && dir.is_dir() {
            self.dirs.push(dir.to_path_buf());
        }
    }
}

fn read(path: &Path) -> Option<Node> {
    let meta = path.metadata().ok()?;
    if !meta.is_file() || meta.len() > BYTES_MAX {
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    Some(Document::read(FileFormat::Json, bytes).ok()?.root)
}

/// The path of a `file://` URL, or a plain path. Other machines have other schemes.
fn local(text: &str) -> Option<PathBuf> {
    let Some(path) = text.strip_prefix("file://") else {
        return (!text.contains("://")).then(|| PathBuf::from(text));
    };
    let path = path.strip_prefix("localhost").unwrap_or(path);
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_urls() {
        for (text, expected) in [
            ("file:///home/ana/My%20App", Some("/home/ana/My App")),
            ("/srv/app", Some("/srv/app")),
            ("vscode-remote://ssh-remote%2Bh/srv/app", None),
        ] {
            assert_eq!(local(text), expected.map(PathBuf::from), "{text}");
        }
    }

    #[test]
    fn projects_of_workspace_files() {
        let home = tempfile::tempdir().unwrap();
        let storage = home.path().join(".config/Code/User/workspaceStorage");
        for (name, text) in [
            (
                "a",
                format!(
                    "{{\"folder\": \"file://{}\"}}",
                    home.path().join("one").display()
                ),
            ),
            (
                "b",
                format!(
                    "{{\"workspace\": \"file://{}\"}}",
                    home.path().join("w/x.code-workspace").display()
                ),
            ),
            ("c", "{\"folder\": \"file:///absent/project\"}".to_owned()),
        ] {
            std::fs::create_dir_all(storage.join(name)).unwrap();
            crate::files::replace(&storage.join(name).join("workspace.json"), text.as_bytes())
                .unwrap();
        }
        for dir in ["one", "two", "w"] {
            std::fs::create_dir_all(home.path().join(dir)).unwrap();
        }
        let folders = b"{\"folders\": [{\"path\": \"../two\"}]}";
        crate::files::replace(&home.path().join("w/x.code-workspace"), folders).unwrap();
        let base = Base::new(home.path(), home.path(), |_| None);
        let client = crate::client::table::client("vscode").unwrap();
        let named = projects(&base, &[], &[client]);
        assert_eq!(
            named.dirs,
            [home.path().join("one"), home.path().join("w/../two")]
        );
        assert_eq!(named.files, [home.path().join("w/x.code-workspace")]);
    }
}
