//! The files that a script imports by a path relative to it, of Python and JavaScript.
//!
//! Imports are read from the text, without running it: a name that is computed is not found. Packages
//! that are installed elsewhere are not followed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// No more files are followed.
const FILES_MAX: usize = 2000;
/// A larger file is not read for its imports (bytes).
const FILE_BYTES_MAX: u64 = 4 << 20;
/// What stands before the path of an import in JavaScript.
const BEFORE_PATH: &[&str] = &["require(", "import(", "import ", "from "];
/// Endings that a JavaScript runtime adds.
const ENDINGS: &[&str] = &[
    "",
    ".js",
    ".mjs",
    ".cjs",
    ".ts",
    ".mts",
    ".json",
    "/index.js",
    "/index.ts",
];

/// All files that a script imports, directly or not, without the script itself.
pub(super) fn of(script: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![script.to_path_buf()];
    while let Some(file) = open.pop() {
        let small = fs::metadata(&file).is_ok_and(|meta| meta.len() <= FILE_BYTES_MAX);
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        if !small || found.len() >= FILES_MAX {
            continue;
        }
        let dir = file.parent().unwrap_or(Path::new("/"));
        let imported = match file.extension().and_then(|ending| ending.to_str()) {
            Some("py") => python(&text, dir, script.parent().unwrap_or(dir)),
            Some("js" | "mjs" | "cjs" | "ts" | "mts" | "jsx" | "tsx") => javascript(&text, dir),
            _ => Vec::new(),
        };
        for path in imported {
            if path != script && found.insert(path.clone()) {
                open.push(path);
            }
        }
    }
    found
}

/// The files of `import a.b` and `from .a import b`. `root` is the directory of the script, which
/// Python searches first.
fn python(text: &str, dir: &Path, root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in text.lines().map(str::trim_start) {
        if let Some(rest) = line.strip_prefix("import ") {
            for name in rest.split(',') {
                let name = name.split_whitespace().next().unwrap_or_default();
                found.extend(module(root, name));
            }
        } else if let Some((from, names)) = line
            .strip_prefix("from ")
            .and_then(|rest| rest.split_once(" import "))
        {
            let name = from.trim().trim_start_matches('.');
            // One dot is the directory of the file, each further one its parent.
            let dots = from.trim().len() - name.len();
            let base = match dots {
                0 => Some(root),
                dots => dir.ancestors().nth(dots - 1),
            };
            let Some(base) = base else { continue };
            found.extend(module(base, name));
            for name_of in names.split(',') {
                let word = name_of.trim_matches(['(', ')', ' ', '\\']);
                let word = word.split_whitespace().next().unwrap_or_default();
                found.extend(module(base, &format!("{name}.{word}")));
            }
        }
    }
    found
}

/// The files of a module below a directory: the packages that it is in, and itself.
fn module(base: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dir = base.to_path_buf();
    for part in name.split('.').filter(|part| !part.is_empty()) {
        let (package, file) = (
            dir.join(part).join("__init__.py"),
            dir.join(format!("{part}.py")),
        );
        // Python takes a package before a module of the same name.
        if package.is_file() {
            found.push(package);
        } else if file.is_file() {
            found.push(file);
        }
        dir.push(part);
    }
    found
}

fn javascript(text: &str, dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for before in BEFORE_PATH {
        for (at, _) in text.match_indices(before) {
            let rest = text
                .get(at + before.len()..)
                .unwrap_or_default()
                .trim_start();
            let mut chars = rest.chars();
            let Some(quote) = chars.next().filter(|c| ['"', '\'', '`'].contains(c)) else {
                continue;
            };
            let Some((path, _)) = chars.as_str().split_once(quote) else {
                continue;
            };
            if path.starts_with("./") || path.starts_with("../") {
                let file = ENDINGS
                    .iter()
                    .map(|ending| dir.join(format!("{path}{ending}")))
                    .find(|file| file.is_file());
                found.extend(file.and_then(|file| file.canonicalize().ok()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::replace;

    fn imports(files: &[(&str, &str)]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        for (name, text) in files {
            replace(&base.join(name), text.as_bytes()).unwrap();
        }
        let script = base.join(files.first().unwrap().0);
        let found = of(&script);
        let below = |path: &PathBuf| path.strip_prefix(&base).unwrap().display().to_string();
        found.iter().map(below).collect()
    }

    #[test]
    fn python_modules_and_packages() {
        let found = imports(&[
            (
                "server.py",
                "import os, helper as h\nfrom tools.web import get\nfrom tools import (cli, x)\n",
            ),
            ("helper.py", "    from deep import thing\n"),
            ("deep.py", ""),
            (
                "tools/__init__.py",
                "from . import own\nfrom .web import get\n",
            ),
            ("tools/web.py", "from ..shared import x\n"),
            ("tools/cli.py", "import helper\n"),
            ("tools/own.py", ""),
            ("shared.py", ""),
            ("unused.py", ""),
        ]);
        assert_eq!(
            found,
            [
                "deep.py",
                "helper.py",
                "shared.py",
                "tools/__init__.py",
                "tools/cli.py",
                "tools/own.py",
                "tools/web.py"
            ]
        );
        // A package comes before a module.
        let both = [("s.py", "import a\n"), ("a.py", ""), ("a/__init__.py", "")];
        assert_eq!(imports(&both), ["a/__init__.py"]);
    }

    #[test]
    fn javascript_paths() {
        let found = imports(&[
            (
                "server.mjs",
                "import { a } from './a.js';\nimport './b.js'\nconst c = await import(\"./lib\");\nimport x from 'express';\n",
            ),
            ("a.js", "const d = require('../x'), e = require(`./e`)\n"),
            ("b.js", ""),
            ("e.json", "{}"),
            ("lib/index.js", "export * from \"../a.js\"\n"),
            ("unused.js", ""),
        ]);
        assert_eq!(found, ["a.js", "b.js", "e.json", "lib/index.js"]);
    }
}
