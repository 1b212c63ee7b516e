//! A new policy: the text of its file, with comments for its readers.
//!
//! Invariants: it contains no secret values. Text that `load` would reject is an error before anything
//! is written. A new policy is not granted.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::PathBuf;

use super::remote_text::{remote_lines, string};
use super::schema::{Delivery, OnFailure, Renew, Unpinned};
use super::{Cwd, Policy, Remote, load};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem};
use crate::links;
use crate::reference::Reference;
use crate::secret::ServerName;
use crate::sys::files::place_all;

/// The content of a new policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    pub description: Option<String>,
    /// Empty for a remote server.
    pub command: Vec<String>,
    pub remote: Option<Remote>,
    pub argv_secrets: bool,
    pub cwd: Cwd,
    /// Why the server cannot start inside the fence.
    pub unfenced: Option<String>,
    pub pass: Vec<String>,
    pub set: BTreeMap<String, String>,
    /// Keyed by variable.
    pub secrets: BTreeMap<String, (Reference, Delivery)>,
    /// Variables of optional secrets.
    pub optional: BTreeSet<String>,
    pub renew: Renew,
    pub on_failure: OnFailure,
    pub unpinned: Unpinned,
    /// Facts about the server, written as comments.
    pub facts: Vec<String>,
    /// Facts about secrets, written as comments, keyed by variable.
    pub advice: BTreeMap<String, Vec<String>>,
}

impl Draft {
    /// The text of the policy file.
    pub fn text(&self, server: &ServerName) -> String {
        let mut text = format!(
            "# What the MCP server `{server}` may have and run. This file holds no secrets.\n\
             # `mcpwrap policy schema` describes all fields. After a change, run `mcpwrap grant {server}`.\n"
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
        match &self.remote {
            None => line(&format!("command = {}", list(&self.command))),
            Some(remote) => remote_lines(remote).iter().for_each(|text| line(text)),
        }
        if self.argv_secrets {
            line("# Other users of this machine can see arguments with `ps`.");
            line("argv_secrets = true");
        }
        if let Some(cwd) = self.cwd.text() {
            line(&format!("cwd = {}", string(cwd)));
        }
        if let Some(reason) = &self.unfenced {
            line(comment(&format!("Outside the fence, because {reason}.")).trim_end());
            line("fence = false");
        }
        if !self.pass.is_empty() || !self.set.is_empty() {
            line("\n[env]");
        }
        if !self.pass.is_empty() {
            line("# Inherited from the client, in addition to HOME, PATH and similar.");
            line(&format!("pass = {}", list(&self.pass)));
        }
        if !self.set.is_empty() {
            let pair = |(name, value): (&String, &String)| format!("{name} = {}", string(value));
            let pairs = self.set.iter().map(pair).collect::<Vec<_>>().join(", ");
            line(&format!("set = {{ {pairs} }}"));
        }
        self.secret_lines(&mut line);
        if self.renew != Renew::Overlap || self.on_failure != OnFailure::Error {
            line("\n[session]");
        }
        match self.renew {
            Renew::Overlap => {}
            Renew::StopFirst => line("renew = \"stop-first\""),
            Renew::Manual => line("renew = \"manual\""),
        }
        if self.on_failure == OnFailure::Stub {
            line(
                "# Without the server, the client gets a tool that says why, and recovers when it runs again.",
            );
            line("on_failure = \"stub\"");
        }
        if self.unpinned == Unpinned::Allow {
            text.push_str(UNPINNED);
        }
        text
    }

    fn secret_lines(&self, line: &mut dyn FnMut(&str)) {
        for (variable, (from, to)) in &self.secrets {
            line(&format!("\n[secrets.{variable}]"));
            for advice in self.advice.get(variable).into_iter().flatten() {
                line(comment(advice).trim_end());
            }
            line(&format!("from = \"{from}\""));
            match to {
                Delivery::Env => {}
                Delivery::File => line("to = \"file\""),
                Delivery::DiskFile => line("to = \"disk-file\""),
            }
            if self.optional.contains(variable) {
                line("optional = true");
            }
        }
    }

    /// Parses and checks the text.
    ///
    /// # Errors
    /// `policy-invalid`.
    pub fn check(&self, dirs: &Dirs, server: &ServerName) -> Result<Policy> {
        load::check(dirs, server, &self.text(server))
    }

    /// Writes the policy file. Does not grant it.
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

/// The `[limits]` table of a policy whose package has no fixed version.
const UNPINNED: &str = "\n[limits]\n# The package version can change without a new grant.\n\
                        unpinned = \"allow\"\n";

/// Removes the `[limits]` table that [`Draft::text`] wrote for an unpinned package. What the user
/// wrote stays.
pub fn without_unpinned(text: &str) -> String {
    text.replacen(UNPINNED, "", 1)
}

/// Checks that no policy file of this name exists.
///
/// # Errors
/// `policy-exists` if there is one, valid or not.
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
    .hint(format!("run `mcpwrap policy edit {server}` to change it"))
}

/// Replaces the user's policy file.
///
/// # Errors
/// `file-not-private`, `file-unusable`.
pub fn replace(dirs: &Dirs, server: &ServerName, bytes: &[u8]) -> Result<()> {
    links::replace(&load::path(dirs, server), bytes)
        .map_err(|problem| unwritten(dirs, server, problem))
}

/// Writes several new policies.
///
/// # Errors
/// `policy-exists`: none was written. `file-not-private`, `file-unusable`.
pub fn write_new(dirs: &Dirs, policies: &[&Policy]) -> Result<()> {
    let pending = |policy: &&Policy| {
        must_be_new(dirs, &policy.server)?;
        links::pending(&load::path(dirs, &policy.server), policy.text.as_bytes())
            .map_err(|problem| unwritten(dirs, &policy.server, problem))
    };
    let pending: Vec<_> = policies.iter().map(pending).collect::<Result<_>>()?;
    place_all(&pending).map_err(|(path, problem)| {
        let shown = dirs.tilde(&path);
        problem.explain(Code::FileUnusable, "cannot write the policies", &shown)
    })
}

/// Removes the user's policy file; of a link, only the link.
///
/// # Errors
/// `file-unusable`.
pub fn remove(dirs: &Dirs, server: &ServerName) -> Result<()> {
    files::remove(&load::path(dirs, server)).map_err(|problem| {
        let path = dirs.tilde(&load::path(dirs, server));
        let what = format!("cannot remove policy `{server}`");
        problem.explain(Code::FileUnusable, what, &path)
    })?;
    // An edit of it would bring it back. Without one there is nothing to remove.
    drop(remove_edit(dirs, server));
    Ok(())
}

/// The copy in which an invalid edit of a policy is kept, and the text that was edited.
pub fn saved_edit(dirs: &Dirs, server: &ServerName) -> (PathBuf, PathBuf) {
    let dir = dirs.state().join("edit");
    let copy = dir.join(format!("{server}.toml"));
    (copy, dir.join(format!("{server}.before")))
}

/// Removes both.
///
/// # Errors
/// One cannot be removed.
pub fn remove_edit(dirs: &Dirs, server: &ServerName) -> Result<(), Problem> {
    let (copy, base) = saved_edit(dirs, server);
    files::remove(&copy)?;
    files::remove(&base)
}

fn unwritten(dirs: &Dirs, server: &ServerName, problem: Problem) -> Error {
    let path = dirs.tilde(&load::path(dirs, server));
    let what = format!("cannot write policy `{server}`");
    problem.explain(Code::FileUnusable, what, &path)
}

/// One comment line, with control characters removed.
fn comment(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    format!("# {}\n", plain.trim())
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
            remote: None,
            argv_secrets: true,
            cwd: Cwd::Path("~/src".to_owned()),
            unfenced: Some(odd.clone()),
            pass: vec!["GITHUB_HOST".to_owned()],
            set: BTreeMap::from([
                ("A".to_owned(), odd.clone()),
                ("B".to_owned(), String::new()),
            ]),
            secrets: BTreeMap::from([(
                "TOKEN".to_owned(),
                (
                    Reference::new("secret:github/token").unwrap(),
                    Delivery::Env,
                ),
            )]),
            optional: BTreeSet::from(["TOKEN".to_owned()]),
            renew: Renew::StopFirst,
            on_failure: OnFailure::Stub,
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
        assert!(!read.fence);
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
        fn any_draft_is_parsed_back_unchanged(
            command in proptest::collection::vec("[^{\u{0}]{1,12}", 1..4),
            set in proptest::collection::btree_map("[A-Z]{1,6}", "[^{\u{0}]{0,12}", 0..3),
            description in proptest::option::of(".{0,12}"),
        ) {
            let dirs = Dirs::under(std::path::Path::new("/nowhere"));
            let server = ServerName::new("github").unwrap();
            let draft = Draft { description, command, set, ..Draft::default() };
            // Variables of the shell (`IFS`, `ENV`) may be set by value.
            let read = draft.check(&dirs, &server).unwrap();
            proptest::prop_assert_eq!(&read.command, &draft.command);
            proptest::prop_assert_eq!(&read.env.set, &draft.set);
            proptest::prop_assert_eq!(&read.description, &draft.description);
        }

        #[test]
        fn no_text_causes_a_panic(text in ".{0,200}", cut in 0..400_usize) {
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

    /// A value pasted anywhere except into a name is never in a message, wherever the file is truncated.
    #[test]
    fn a_pasted_value_is_not_in_a_message() {
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
                // If an equals sign follows, it is a name.
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
