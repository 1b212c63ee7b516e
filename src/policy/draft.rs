//! A policy that is about to be written: the text of its file, with comments for whoever reads it.
//!
//! *Never* holds a value of a secret. *Always* gives text that `load` accepts, or an error before
//! anything is written. Knows nothing of grants: what is written is not yet approved.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

use super::schema::{Delivery, Renew, Unpinned};
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
    /// Variables without which the server starts, too.
    pub optional: BTreeSet<String>,
    pub renew: Renew,
    pub unpinned: Unpinned,
    /// What is known of the server, for whoever reads the file.
    pub facts: Vec<String>,
    /// The same of a secret, by the variable.
    pub advice: BTreeMap<String, Vec<String>>,
}

impl Draft {
    /// The text of the policy file.
    pub fn text(&self, server: &ServerName) -> String {
        let mut text = format!(
            "# What the MCP server `{server}` may have and run. No secret is in this file.\n\
             # `mcpwrap policy schema` describes all fields; after a change: `mcpwrap grant {server}`.\n"
        );
        text.extend(self.facts.iter().map(|fact| comment(fact)));
        text.push_str("version = 1\n");
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
            for advice in self.advice.get(variable).into_iter().flatten() {
                line(comment(advice).trim_end());
            }
            line(&format!("from = \"{from}\""));
            if *to == Delivery::File {
                line("to = \"file\"");
            }
            if self.optional.contains(variable) {
                line("optional = true");
            }
        }
        match self.renew {
            Renew::Overlap => {}
            Renew::StopFirst => line("\n[session]\nrenew = \"stop-first\""),
            Renew::Manual => line("\n[session]\nrenew = \"manual\""),
        }
        if self.unpinned == Unpinned::Allow {
            text.push_str(UNPINNED);
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

/// What a policy says whose package may be another one tomorrow.
const UNPINNED: &str = "\n[limits]\n# The version of the package can change under this policy.\n\
                        unpinned = \"allow\"\n";

/// A text of ours without the permission to start whatever version is there. What its user wrote
/// stays.
pub fn without_unpinned(text: &str) -> String {
    text.replacen(UNPINNED, "", 1)
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
        format!("cannot write policy `{server}`"),
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
    let what = format!("cannot write policy `{server}`");
    problem.explain(Code::FileUnusable, what, &path)
}

/// One line of a comment, whatever is in the text.
fn comment(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    format!("# {}\n", plain.trim())
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
            optional: BTreeSet::from(["TOKEN".to_owned()]),
            renew: Renew::StopFirst,
            unpinned: Unpinned::Allow,
            facts: vec![odd.clone()],
            advice: BTreeMap::from([("TOKEN".to_owned(), vec![odd.clone()])]),
        };
        let written = draft.write(&dirs, &server).unwrap();
        let read = load(&dirs, &server, None).unwrap();
        assert_eq!(written, read);
        assert_eq!((&read.command, &read.env.set), (&draft.command, &draft.set));
        assert_eq!(read.description, Some(odd));
        assert_eq!(read.limits.unpinned, Unpinned::Allow);
        assert_eq!(read.session.renew, Renew::StopFirst);
        assert!(read.secrets["TOKEN"].optional);
        let pinned = load::parse_text(&without_unpinned(&read.text)).unwrap();
        assert_eq!(pinned.limits.unpinned, Unpinned::Refuse);
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
