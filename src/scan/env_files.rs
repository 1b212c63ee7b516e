//! The env files that the servers of a file read: named by `envFile`, or by the command itself
//! (`--env-file`, `dotenv -e`, `env-cmd -f`, `source`).

use std::path::{Path, PathBuf};

use super::path::{NOT_REGULAR, unreadable};
use crate::check::{CheckedServer, ConfigFile};
use crate::client::entry::SpannedText;
use crate::dirs::client_directory;

/// Options of any program that name an env file: `node`, `docker`, `uv`, `bun`, `deno`, `op run`.
const OPTIONS: &[&str] = &[
    "--env-file",
    "--env-file-if-exists",
    "--env_file",
    "--dotenv",
];

/// Programs that read one, with their options for it and whether they read `.env` without one.
const LOADERS: &[(&str, &[&str], bool)] = &[
    ("dotenv", &["-e", "-f", "--file", "--env"], true),
    ("dotenv-cli", &["-e"], true),
    ("dotenvx", &["-f", "--env-file", "-fk"], true),
    ("env-cmd", &["-f", "--file"], true),
    ("dotenv-run-script", &["-e"], true),
    ("honcho", &["-e", "--env"], true),
    ("foreman", &["-e", "--env"], true),
    ("direnv", &[], false),
    ("source", &[], false),
    (".", &[], false),
];

/// The existing env files, read.
pub(super) fn env_files(
    file: &ConfigFile,
    dir: &Path,
    root: Option<&Path>,
    shown: impl Fn(&Path) -> String,
) -> Vec<ConfigFile> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for server in &file.servers {
        for name in names(file, server) {
            let found = places(server, &name, dir, root)
                .into_iter()
                .find(|path| path.exists());
            paths.extend(found.filter(|path| !paths.contains(path)));
        }
    }
    let read = |path: PathBuf| {
        if !path.is_file() {
            return ConfigFile::unread(shown(&path), None, NOT_REGULAR.to_owned());
        }
        match std::fs::read_to_string(&path) {
            Ok(text) => ConfigFile::of_variables(shown(&path), text),
            Err(error) => ConfigFile::unread(shown(&path), None, unreadable(&error)),
        }
    };
    paths.into_iter().map(read).collect()
}

/// Where a client or a program would look for it, the likeliest place first.
fn places(server: &CheckedServer, name: &str, dir: &Path, root: Option<&Path>) -> Vec<PathBuf> {
    const HERE: &[&str] = &[
        "${workspaceFolder}/",
        "${workspaceRoot}/",
        "${CLAUDE_PROJECT_DIR}/",
        "$PWD/",
        "${PWD}/",
    ];
    let rest = HERE.iter().find_map(|head| name.strip_prefix(head));
    if rest.is_none() && name.contains("${") {
        return Vec::new();
    }
    let relative = rest.unwrap_or(name);
    let home = relative
        .strip_prefix("~/")
        .or_else(|| relative.strip_prefix("$HOME/"));
    if let Some(rest) = home {
        return client_directory("HOME")
            .map(|home| home.join(rest))
            .into_iter()
            .collect();
    }
    // A client's folder, such as `.vscode`, is in the project.
    let hidden = dir
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let above = dir.parent().filter(|_| hidden);
    let cwd = server.entry.cwd.as_deref().filter(|cwd| !cwd.contains('$'));
    let cwd = cwd.map(|cwd| dir.join(cwd));
    let roots = [cwd.as_deref(), above, rest.and(root), Some(dir), root];
    let roots = roots.into_iter().flatten();
    roots.map(|root| root.join(relative)).collect()
}

fn names(file: &ConfigFile, server: &CheckedServer) -> Vec<String> {
    let node = file
        .document
        .as_ref()
        .ok()
        .and_then(|document| document.find(&server.entry.path));
    let fields = ["envFile", "env_file", "envFiles"];
    let fields = fields.iter().filter_map(|key| node?.get(key));
    let own = fields.flat_map(|field| {
        let one = field.text().into_iter();
        one.chain(field.list().iter().filter_map(|item| item.text()))
    });
    let mut names: Vec<String> = own.map(str::to_owned).collect();
    names.extend(of_command(&words(&server.entry.words)));
    names
}

/// The words of a command line; a word that is a command line itself is split.
fn words(entry: &[SpannedText]) -> Vec<&str> {
    entry
        .iter()
        .flat_map(|word| word.text.split([' ', ';', '&', '|', '\n']))
        .map(|word| word.trim_matches(['"', '\'', '(', ')']))
        .filter(|word| !word.is_empty())
        .collect()
}

fn of_command(words: &[&str]) -> Vec<String> {
    let mut names = Vec::new();
    let mut loader: Option<&(&str, &[&str], bool)> = None;
    let mut is_given = false;
    for (n, word) in words.iter().enumerate() {
        let next = words.get(n + 1).copied().unwrap_or_default();
        let program = word.rsplit(['/', '\\']).next().unwrap_or(word);
        let program = program.split('@').next().unwrap_or(program);
        let (option, value) = word.split_once('=').unwrap_or((word, next));
        if *word == "--" {
            if loader.take().is_some_and(|(_, _, default)| *default)
                && !std::mem::take(&mut is_given)
            {
                names.push(".env".to_owned());
            }
        } else if let Some(found) = LOADERS.iter().find(|(name, ..)| *name == program) {
            if matches!(*word, "source" | ".") {
                names.extend(Some(next.to_owned()).filter(|name| name.contains("env")));
            } else {
                loader = Some(found);
            }
        } else if OPTIONS.contains(&option)
            || loader.is_some_and(|(_, options, _)| options.contains(&option))
        {
            is_given = true;
            names.push(value.to_owned());
        } else if *word == "cat" && next.contains(".env") {
            names.push(next.to_owned());
        }
    }
    names.retain(|name| !name.is_empty() && !name.starts_with('-'));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_files_that_commands_name() {
        for (line, expected) in [
            ("node --env-file=a.env x.js", &["a.env"][..]),
            ("node --env-file-if-exists a.env x.js", &["a.env"]),
            ("docker run -i --env-file a.env img", &["a.env"]),
            ("dotenv -e a.env -e b.env -- node x.js", &["a.env", "b.env"]),
            ("npx -y dotenv-cli@8.0.0 -e a.env -- node -e 1", &["a.env"]),
            ("dotenvx run -f a.env -- npx x", &["a.env"]),
            ("dotenvx run -- npx x", &[".env"]),
            ("npx env-cmd -f a.env node x.js", &["a.env"]),
            ("uv run --env-file a.env s.py", &["a.env"]),
            ("sh -c source a.env && exec node x.js", &["a.env"]),
            ("node -e 1", &[]),
            ("docker run -e A img", &[]),
        ] {
            let words: Vec<_> = line.split(' ').collect();
            assert_eq!(of_command(&words), expected, "{line}");
        }
    }
}
