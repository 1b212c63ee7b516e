//! Compares the client's command with the command in the policy.
//!
//! Invariants: arguments are compared byte by byte, without patterns or base names. The one exception
//! is the client's workspace, which is always a directory of the user. An argument of the
//! client that could be a secret is not repeated, because configs often contain `--api-key sk-…`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Policy, argument};
use crate::error::{Code, Error, Result};

impl Policy {
    /// Whether its pin is a tree of its own, which runs in place of the command.
    pub fn has_installed_package(&self) -> bool {
        let package = self.package.as_ref();
        package.is_some_and(|package| package.registry.is_installed())
    }

    fn not_allowed(&self, what: &str) -> Error {
        Error::new(Code::CommandNotAllowed, what).not_started(&self.server)
    }

    fn needs_a_folder(&self) -> Error {
        let (place, server) = (self.place(self.command_line), &self.server);
        self.not_allowed("the command needs a folder that the client names")
            .cause(format!("{place} has `{}`", argument::WORKSPACE))
            .hint(format!(
                "run `mcpwrap run {server} -- COMMAND` with the path of a folder in its place"
            ))
    }

    fn takes_no_command(&self, host: &str) -> Error {
        let (place, server) = (self.place(self.command_line), &self.server);
        self.not_allowed("a remote server takes no command")
            .cause(format!("{place} names the server at {host}"))
            .hint(format!(
                "write `mcpwrap run {server}` alone in the client's config, without `--` and what follows"
            ))
    }

    /// Checks the client's command. If it is empty, the policy's command runs; otherwise it must be equal.
    /// Returns the client's workspace, if the command has it. `home` is the user's home directory.
    ///
    /// # Errors
    /// `command-not-allowed`, with the first argument that differs if it is safe to show.
    pub fn check_command(&self, asked: &[OsString], home: &Path) -> Result<Option<PathBuf>> {
        let prefixes = self.command.iter().map(|word| argument::workspace(word));
        if asked.is_empty() {
            return match prefixes.flatten().next() {
                None => Ok(None),
                Some(_) => Err(self.needs_a_folder()),
            };
        }
        if let Some(remote) = &self.remote {
            return Err(self.takes_no_command(&remote.host()));
        }
        let pairs = prefixes.zip(asked);
        let mut folders = pairs.filter_map(|(prefix, asked)| {
            let path = asked.as_bytes().strip_prefix(prefix?.as_bytes())?;
            Some(Path::new(std::ffi::OsStr::from_bytes(path)))
        });
        let folder = folders.next();
        let is_one = folders.all(|other| Some(other) == folder);
        let equal = |(ours, asked): (&String, &OsString)| match argument::workspace(ours) {
            Some(prefix) => asked.as_bytes().starts_with(prefix.as_bytes()),
            None => ours.as_bytes() == asked.as_bytes(),
        };
        let same = self
            .command
            .iter()
            .zip(asked)
            .take_while(|pair| equal(*pair))
            .count();
        if same == self.command.len() && same == asked.len() {
            let Some(folder) = folder else {
                return Ok(None);
            };
            let refused = || self.not_allowed("the folder in the client's command is not allowed");
            if !is_one {
                return Err(refused()
                    .cause(format!("`{}` has two values", argument::WORKSPACE))
                    .hint("each must be the same folder"));
            }
            return match not_a_workspace(folder, home) {
                None => Ok(Some(folder.to_path_buf())),
                Some(why) => Err(refused()
                    .cause(format!("`{}` {why}", folder.display()))
                    .hint("open a project folder of yours in the client")),
            };
        }
        let what = if same == 0 {
            "the command in the client config differs from the policy"
        } else {
            "the client's command differs from the policy"
        };
        Err(Error::new(Code::CommandNotAllowed, what)
            .not_started(&self.server)
            .cause(format!(
                "{} allows `{}`; got `{}`",
                self.place(self.command_line),
                self.command.join(" "),
                shown(asked, same),
            ))
            .hint(format!(
                "if you changed it, update `command` with `mcpwrap policy edit {}`; otherwise find out who \
                 edited the client config",
                self.server,
            )))
    }
}

/// Why a path is not the folder of a project, if it is not.
fn not_a_workspace(path: &Path, home: &Path) -> Option<&'static str> {
    if !path.is_absolute() {
        return Some("is not an absolute path: the client did not put a folder there");
    }
    let Ok(real) = path.canonicalize() else {
        return Some("does not exist");
    };
    let home = home.canonicalize().unwrap_or_else(|_| home.to_path_buf());
    if home.starts_with(&real) {
        return Some("is your home directory, or contains it");
    }
    match real.metadata() {
        Ok(meta) if !meta.is_dir() => Some("is not a directory"),
        Ok(meta) if meta.uid() != nix::unistd::geteuid().as_raw() => {
            Some("belongs to another user")
        }
        Ok(_) => None,
        Err(_) => Some("cannot be read"),
    }
}

/// The client's command up to the first argument that must not be shown.
fn shown(asked: &[OsString], same: usize) -> String {
    let mut parts = Vec::new();
    let mut before = String::new();
    for (n, arg) in asked.iter().enumerate() {
        let text = arg.to_string_lossy().into_owned();
        let is_flag_value = before.starts_with('-') && !matches!(before.as_str(), "-y" | "--yes");
        if n >= same && (is_flag_value || !is_harmless(&text)) {
            parts.push("…".to_owned());
            break;
        }
        before.clone_from(&text);
        parts.push(text);
    }
    parts.join(" ")
}

/// Whether an argument is clearly a path, a package or a flag, not a value: its words are short or
/// letters only, and nothing in it assigns a value or authenticates.
fn is_harmless(text: &str) -> bool {
    let letters = |word: &str| word.len() < 24 && word.bytes().all(|b| b.is_ascii_lowercase());
    let words = || text.split(['/', '.', '-', '@', '_']);
    text.len() <= 100
        && !text.contains(['=', ':', ' '])
        && words().all(|word| word.len() < 8 || letters(word))
        && (words().count() > 1 || letters(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::load::parse_text;

    fn refusal(asked: &[&str]) -> Option<String> {
        let policy =
            parse_text("version = 1\ncommand = [\"npx\", \"-y\", \"server@1.2.3\"]\n").unwrap();
        let asked: Vec<OsString> = asked.iter().map(OsString::from).collect();
        policy
            .check_command(&asked, Path::new("/nowhere"))
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn only_the_same_arguments_are_allowed() {
        assert_eq!(refusal(&[]), None);
        assert_eq!(refusal(&["npx", "-y", "server@1.2.3"]), None);
        for other in [
            &["npx"][..],
            &["npx", "-y", "server@1.2.4"],
            &["npx", "-y", "server@1.2.3", "x"],
            &["/usr/bin/npx", "-y", "server@1.2.3"],
            &["npx -y server@1.2.3"],
            &["env"],
            &[""],
        ] {
            assert!(
                refusal(other).unwrap().contains("command-not-allowed"),
                "{other:?}"
            );
        }
    }

    #[test]
    fn the_workspace_is_a_directory_of_the_user() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let (project, file) = (home.join("src/project"), home.join("src/file"));
        crate::files::ensure_dir(&project).unwrap();
        crate::files::replace(&file, b"").unwrap();
        let policy = parse_text(
            "version = 1\ncommand = [\"s\", \"{client.workspace}\", \"--root={client.workspace}\"]\n",
        )
        .unwrap();
        let check = |one: &Path, two: &Path| {
            let root = format!("--root={}", two.display());
            let asked = ["s".into(), one.as_os_str().to_owned(), root.into()];
            policy
                .check_command(&asked, home)
                .map_err(|error| error.to_string())
        };
        assert_eq!(check(&project, &project), Ok(Some(project.clone())));
        let outside = project.join("../..");
        for (path, why) in [
            (Path::new("/"), "home directory"),
            (home, "home directory"),
            (outside.as_path(), "home directory"),
            (Path::new("src/project"), "absolute"),
            (Path::new("${workspaceFolder}"), "absolute"),
            (Path::new("/no/such/folder"), "does not exist"),
            (file.as_path(), "not a directory"),
        ] {
            let error = check(path, path).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert!(check(&project, home).unwrap_err().contains("two values"));
        let none = policy.check_command(&[], home).unwrap_err().to_string();
        assert!(none.contains("mcpwrap run"), "{none}");
        let other = ["s".into(), project.into_os_string(), "--other=x".into()];
        let other = policy.check_command(&other, home).unwrap_err().to_string();
        assert!(other.contains("differs from the policy"), "{other}");
    }

    #[test]
    fn possible_secrets_are_not_repeated() {
        let shown = |asked: &[&str]| refusal(asked).unwrap();
        assert!(shown(&["node", "./index.js"]).contains("got `node ./index.js`"));
        assert!(shown(&["npx", "-y", "evil-server@2"]).contains("got `npx -y evil-server@2`"));
        for value in [
            "sk-proj4711abcdef",
            "--key=hunter2",
            "postgres://u:p@h",
            "Zq3xYp9Lw2",
            "hunter2",
        ] {
            assert!(!shown(&["npx", "-y", value]).contains(value), "{value}");
            assert!(
                !shown(&["node", "--api-key", value]).contains(value),
                "{value}"
            );
            assert!(!shown(&["npx", "-p", value]).contains(value), "{value}");
            assert!(!shown(&[value]).contains(value), "{value}");
        }
    }
}
