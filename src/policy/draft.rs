//! A policy that is about to be written: the text of its file, with comments for whoever reads it.
//!
//! *Never* holds a value of a secret. *Always* gives text that `load` accepts, or an error before
//! anything is written. Knows nothing of grants: what is written is not yet approved.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use super::schema::{Delivery, Unpinned};
use super::{Policy, load};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem};
use crate::secret::{SecretRef, ServerName};

/// What a new policy says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    pub description: Option<String>,
    pub command: Vec<String>,
    pub argv_secrets: bool,
    pub cwd: Option<String>,
    pub pass: Vec<String>,
    pub set: BTreeMap<String, String>,
    /// By the variable.
    pub secrets: BTreeMap<String, (SecretRef, Delivery)>,
    pub unpinned: Unpinned,
}

impl Draft {
    /// The text of the policy file.
    pub fn text(&self, server: &ServerName) -> String {
        let mut text = format!(
            "# What the MCP server `{server}` may have and run. No secret is in this file.\n\
             # `mcpwrap policy schema` describes all fields; after a change: `mcpwrap grant {server}`.\n\
             version = 1\n"
        );
        let mut line = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        if let Some(description) = &self.description {
            line(&format!("description = {}", string(description)));
        }
        line(&format!("command = {}", list(&self.command)));
        if self.argv_secrets {
            line("# Other users of this machine can see the arguments of a program with `ps`.");
            line("argv_secrets = true");
        }
        if let Some(cwd) = &self.cwd {
            line(&format!("cwd = {}", string(cwd)));
        }
        if !self.pass.is_empty() || !self.set.is_empty() {
            line("\n[env]");
        }
        if !self.pass.is_empty() {
            line("# Let through from the client, besides HOME, PATH and the like.");
            line(&format!("pass = {}", list(&self.pass)));
        }
        if !self.set.is_empty() {
            let pair = |(name, value): (&String, &String)| format!("{name} = {}", string(value));
            let pairs = self.set.iter().map(pair).collect::<Vec<_>>().join(", ");
            line(&format!("set = {{ {pairs} }}"));
        }
        for (variable, (from, to)) in &self.secrets {
            line(&format!("\n[secrets.{variable}]"));
            line(&format!("from = \"{from}\""));
            if *to == Delivery::File {
                line("to = \"file\"");
            }
        }
        if self.unpinned == Unpinned::Allow {
            line("\n[limits]");
            line("# The version of the package can change under this policy.");
            line("unpinned = \"allow\"");
        }
        text
    }

    /// The checked policy that the text would be.
    ///
    /// # Errors
    /// `policy-invalid`.
    pub fn check(&self, dirs: &Dirs, server: &ServerName) -> Result<Policy> {
        load::check(dirs, server, &self.text(server))
    }

    /// Writes the policy file. It is not granted by that.
    ///
    /// # Errors
    /// `policy-invalid`; `policy-exists`; `file-not-private`, `file-unusable`.
    pub fn write(&self, dirs: &Dirs, server: &ServerName) -> Result<Policy> {
        let policy = self.check(dirs, server)?;
        must_be_new(dirs, server)?;
        let path = load::path(dirs, server);
        match files::create(&path, policy.text.as_bytes()) {
            Err(Problem::Io(error)) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(exists(dirs, server));
            }
            done => done.map_err(|problem| unwritten(dirs, server, problem))?,
        }
        Ok(policy)
    }
}

/// # Errors
/// `policy-exists` if there is a file of that name, whatever is in it.
pub fn must_be_new(dirs: &Dirs, server: &ServerName) -> Result<()> {
    match load::path(dirs, server).symlink_metadata() {
        Ok(_) => Err(exists(dirs, server)),
        Err(_) => Ok(()),
    }
}

fn exists(dirs: &Dirs, server: &ServerName) -> Error {
    let path = dirs.tilde(&load::path(dirs, server));
    Error::new(
        Code::PolicyExists,
        format!("policy of server `{server}` not written"),
    )
    .cause(format!("`{path}` exists"))
    .hint(format!("`mcpwrap policy edit {server}` changes it"))
}

/// Puts a text in the place of the user's policy file.
///
/// # Errors
/// `file-not-private`, `file-unusable`.
pub fn replace(dirs: &Dirs, server: &ServerName, bytes: &[u8]) -> Result<()> {
    files::replace(&load::path(dirs, server), bytes)
        .map_err(|problem| unwritten(dirs, server, problem))
}

fn unwritten(dirs: &Dirs, server: &ServerName, problem: Problem) -> Error {
    let path = dirs.tilde(&load::path(dirs, server));
    let what = format!("policy of server `{server}` not written");
    problem.explain(Code::FileUnusable, what, &path)
}

fn string(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn list(texts: &[String]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| string(text)).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let server = ServerName::new("github").unwrap();
        let odd = "a \"b\" 'c' \\ \n\t# é {x}".to_owned();
        let draft = Draft {
            description: Some(odd.clone()),
            command: vec!["npx".to_owned(), odd.clone(), "{secret.TOKEN}".to_owned()],
            argv_secrets: true,
            cwd: Some("~/src".to_owned()),
            pass: vec!["GITHUB_HOST".to_owned()],
            set: BTreeMap::from([
                ("A".to_owned(), odd.clone()),
                ("B".to_owned(), String::new()),
            ]),
            secrets: BTreeMap::from([(
                "TOKEN".to_owned(),
                (
                    SecretRef::new("secret:github/token").unwrap(),
                    Delivery::Env,
                ),
            )]),
            unpinned: Unpinned::Allow,
        };
        let written = draft.write(&dirs, &server).unwrap();
        let read = load(&dirs, &server, None).unwrap();
        assert_eq!(written, read);
        assert_eq!((&read.command, &read.env.set), (&draft.command, &draft.set));
        assert_eq!(read.description, Some(odd));
        assert_eq!(read.limits.unpinned, Unpinned::Allow);
        assert_eq!(
            draft.write(&dirs, &server).unwrap_err().code,
            Code::PolicyExists
        );
    }

    #[test]
    fn a_draft_that_contradicts_itself_is_not_written() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let server = ServerName::new("github").unwrap();
        let draft = Draft {
            command: vec!["npx".to_owned()],
            pass: vec!["LD_PRELOAD".to_owned()],
            ..Draft::default()
        };
        assert_eq!(
            draft.write(&dirs, &server).unwrap_err().code,
            Code::PolicyInvalid
        );
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }

    proptest::proptest! {
        /// "What parses prints and parses the same."
        #[test]
        fn any_draft_is_read_as_it_was_meant(
            command in proptest::collection::vec("[^{\u{0}]{1,12}", 1..4),
            set in proptest::collection::btree_map("[A-Z]{1,6}", "[^{\u{0}]{0,12}", 0..3),
            description in proptest::option::of(".{0,12}"),
        ) {
            let dirs = Dirs::under(std::path::Path::new("/nowhere"));
            let server = ServerName::new("github").unwrap();
            let draft = Draft { description, command, set, ..Draft::default() };
            // Names of the shell's own (`IFS`, `ENV`) may be set by value.
            let read = draft.check(&dirs, &server).unwrap();
            proptest::prop_assert_eq!(&read.command, &draft.command);
            proptest::prop_assert_eq!(&read.env.set, &draft.set);
            proptest::prop_assert_eq!(&read.description, &draft.description);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}", cut in 0..400_usize) {
            let dirs = Dirs::under(std::path::Path::new("/nowhere"));
            let server = ServerName::new("github").unwrap();
            drop(load::check(&dirs, &server, &text));
            let all = include_str!("../../tests/golden/policy/ok/all.toml");
            let cut = all.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(all.len());
            let (before, after) = all.split_at(cut);
            drop(load::check(&dirs, &server, &format!("{before}{text}{after}")));
            drop(load::check(&dirs, &server, &format!("{before}{text}")));
        }
    }

    /// A value pasted anywhere but into a name is not in the message, however the file is cut off.
    #[test]
    fn a_pasted_value_is_in_no_message() {
        const VALUE: &str = "ghp_0123456789abcdefghijABCDEFGHIJ";
        let dirs = Dirs::under(std::path::Path::new("/nowhere"));
        let server = ServerName::new("github").unwrap();
        let all = include_str!("../../tests/golden/policy/ok/all.toml");
        let mut refused = 0;
        for (at, _) in all.char_indices() {
            let (before, after) = all.split_at(at);
            if !before.ends_with(['"', '\'', '=', '#']) && !before.ends_with("= ") {
                continue;
            }
            for rest in
                ["", after, "\"", "\n", " = 1\n"].map(|rest| format!("{before}{VALUE}{rest}"))
            {
                // With an equals sign behind it, it is a name.
                if rest.ends_with("= 1\n") && !before.ends_with(['"', '\'']) {
                    continue;
                }
                if let Err(error) = load::check(&dirs, &server, &rest) {
                    refused += 1;
                    assert!(
                        !error.to_string().contains(&VALUE[4..12]),
                        "{rest}\n{error}"
                    );
                }
            }
        }
        assert!(refused > 100);
    }
}
