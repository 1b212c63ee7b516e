//! Finds a server's policy, reads it once, and checks it. The managed tier comes first.
//!
//! Invariants: checks apply to the opened file, never to its path. A policy that is unreadable,
//! incomplete or of another user is an error, never an empty policy.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use sha2::{Digest as _, Sha256};
use toml::de::DeTable;

use super::document::PolicyDocument;
use super::schema::PolicyFile;
use super::source::PolicySource;
use super::{Cwd, Policy, Remote, Tier, explain};
use crate::dirs::{Dirs, MANAGED_POLICIES};
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem};
use crate::links;
use crate::secret::{ProfileName, ServerName, hex};
use crate::suggest::nearest;

/// Reads and checks the policy of a server, with one profile merged in.
///
/// # Errors
/// `policy-not-found`, `policy-invalid`, `policy-not-private`, `profile-not-found`.
pub fn load(dirs: &Dirs, server: &ServerName, profile: Option<&ProfileName>) -> Result<Policy> {
    let managed = Path::new(MANAGED_POLICIES).join(file_name(server));
    let origin = Origin {
        server,
        tier: Tier::Managed,
        shown: managed.display().to_string(),
    };
    match files::read_managed(&managed) {
        Ok(bytes) => return parse(&origin, &managed, &bytes, profile),
        Err(Problem::Missing) => {}
        Err(problem) => return Err(unusable(&origin, &problem)),
    }
    let path = path(dirs, server);
    let origin = Origin {
        server,
        tier: Tier::User,
        shown: dirs.tilde(&path),
    };
    match read_own(&path) {
        Ok(bytes) => parse(&origin, &path, &bytes, profile),
        Err(Problem::Missing) => Err(not_found(dirs, server)),
        Err(problem) => Err(unusable(&origin, &problem)),
    }
}

/// All policies, ordered by name. An invalid one does not hide the others.
pub fn list(dirs: &Dirs) -> Vec<(ServerName, Result<Policy>)> {
    let with_policy = |server: ServerName| {
        let policy = load(dirs, &server, None);
        (server, policy)
    };
    names(dirs).into_iter().map(with_policy).collect()
}

/// The servers that have a policy file, valid or not, in either tier.
pub fn names(dirs: &Dirs) -> BTreeSet<ServerName> {
    let tiers = [PathBuf::from(MANAGED_POLICIES), dirs.policies()];
    let entries = tiers
        .iter()
        .filter_map(|dir| std::fs::read_dir(dir).ok())
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| server_of(&entry.path()))
        .collect()
}

/// The path of a user's policy, existing or not.
pub fn path(dirs: &Dirs, server: &ServerName) -> PathBuf {
    dirs.policies().join(file_name(server))
}

/// Checks the text of a future user policy, without a profile.
///
/// # Errors
/// `policy-invalid`.
pub fn check(dirs: &Dirs, server: &ServerName, text: &str) -> Result<Policy> {
    let path = path(dirs, server);
    let origin = Origin {
        server,
        tier: Tier::User,
        shown: dirs.tilde(&path),
    };
    parse(&origin, &path, text.as_bytes(), None)
}

/// The same policy, parsed from the same text, with a profile merged in.
///
/// # Errors
/// `profile-not-found`.
pub fn with_profile(dirs: &Dirs, policy: &Policy, profile: &ProfileName) -> Result<Policy> {
    let Policy {
        server,
        tier,
        path,
        text,
        ..
    } = policy;
    let origin = Origin {
        server,
        tier: *tier,
        shown: dirs.tilde(path),
    };
    parse(&origin, path, text.as_bytes(), Some(profile))
}

/// What is known about a file before it is read.
#[derive(Debug)]
struct Origin<'a> {
    server: &'a ServerName,
    tier: Tier,
    /// The path as shown in messages.
    shown: String,
}

fn read_own(path: &Path) -> std::result::Result<Vec<u8>, Problem> {
    // Anyone who can change the directory can change the policy.
    for dir in path.ancestors().skip(1).take(2) {
        files::check_dir(dir)?;
    }
    links::read_private(path)
}

fn parse(
    origin: &Origin<'_>,
    path: &Path,
    bytes: &[u8],
    profile: Option<&ProfileName>,
) -> Result<Policy> {
    let server = origin.server;
    let invalid = |what: &str, cause: &str| {
        let source = PolicySource {
            server,
            shown: &origin.shown,
            text: "",
        };
        source.fault_in_file(what, cause)
    };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = line_after(bytes, error.valid_up_to());
        let place = format!("{}:{line}", origin.shown);
        invalid("bytes that are not UTF-8", &place)
    })?;
    if text.trim().is_empty() {
        return Err(
            invalid("no fields", &format!("`{}` is empty", origin.shown)).hint(format!(
                "run `mcpwrap policy edit {server}` to write it, or remove the file"
            )),
        );
    }
    let source = PolicySource {
        server,
        shown: &origin.shown,
        text,
    };
    let table = DeTable::parse(text).map_err(|error| explain::syntax(&source, &error))?;
    let file = PolicyFile::deserialize(toml::Deserializer::from(table.clone()))
        .map_err(|error| explain::fields(&source, table.get_ref(), &error))?;
    let document = PolicyDocument { source, table };
    let mut checked = document.check(&file)?;
    let profiles: Vec<_> = checked.profiles.keys().cloned().collect();
    let references = checked.references();
    let what_runs = file.url.as_ref().map_or("command", |_| "url");
    let parts = match profile {
        None => checked.base,
        Some(name) => {
            let own = checked.profiles.remove(name);
            own.ok_or_else(|| no_profile(server, name, &profiles))?
        }
    };
    Ok(Policy {
        server: server.clone(),
        tier: origin.tier,
        path: path.to_path_buf(),
        digest: hex(&Sha256::digest(bytes)),
        text: text.to_owned(),
        command_line: document.line(&[what_runs]),
        description: file.description,
        command: file.command,
        remote: file.url.map(|url| Remote {
            url,
            transport: file.transport,
            headers: file.headers,
            oauth: file.oauth,
        }),
        argv_secrets: file.argv_secrets,
        cwd: Cwd::new(file.cwd.as_deref()),
        fence: file.fence,
        env: parts.env,
        secrets: parts.secrets,
        references,
        mints: checked.mints,
        profile: profile.cloned(),
        profiles,
        session: file.session,
        limits: file.limits,
        package: file.package,
    })
}

/// The number of the line that follows so many bytes, from 1.
fn line_after(bytes: &[u8], count: usize) -> usize {
    let before = bytes.iter().take(count);
    before.filter(|b| **b == b'\n').count() + 1
}

fn no_profile(server: &ServerName, name: &ProfileName, known: &[ProfileName]) -> Error {
    let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    let has = if known.is_empty() {
        "the policy has no profiles".to_owned()
    } else {
        format!("known profiles: {}", known.join(", "))
    };
    Error::new(
        Code::ProfileNotFound,
        format!("no profile `{name}` in the policy of server `{server}`"),
    )
    .cause(has)
    .hint(format!(
        "add `[profile.{name}.secrets.VARIABLE]` with `mcpwrap policy edit {server}`"
    ))
}

fn not_found(dirs: &Dirs, server: &ServerName) -> Error {
    let error = Error::new(
        Code::PolicyNotFound,
        format!("no policy for server `{server}`"),
    )
    .cause(format!(
        "`{}` does not exist",
        dirs.tilde(&path(dirs, server))
    ));
    let names = names(dirs);
    let known = names.iter().map(ServerName::as_str);
    match nearest(server.as_str(), known) {
        Some(near) => error.hint(format!(
            "did you mean `{near}`? run `mcpwrap policy list` to see all policies"
        )),
        None => error.hint(format!(
            "run `mcpwrap adopt` to write one from your client's config, or `mcpwrap policy new \
             {server}` to start from scratch"
        )),
    }
}

fn unusable(origin: &Origin<'_>, problem: &Problem) -> Error {
    let Origin {
        server,
        tier: _,
        shown,
    } = origin;
    match problem {
        Problem::NotPrivate { fact, fix } => Error::new(
            Code::PolicyNotPrivate,
            format!("cannot use policy `{server}`"),
        )
        .cause(format!("{shown}: {fact}"))
        .hint(fix),
        Problem::Missing | Problem::TooLarge { .. } | Problem::Io(_) => Error::new(
            Code::PolicyInvalid,
            format!("cannot read policy `{server}`"),
        )
        .cause(format!("{shown}: {problem}")),
    }
}

fn file_name(server: &ServerName) -> String {
    format!("{server}.toml")
}

fn server_of(path: &Path) -> Option<ServerName> {
    let is_toml = path.extension() == Some(OsStr::new("toml"));
    is_toml
        .then(|| ServerName::new(path.file_stem()?.to_str()?).ok())
        .flatten()
}

/// Parses a policy from a text, for tests of other modules.
#[cfg(test)]
pub(crate) fn parse_text(text: &str) -> Result<Policy> {
    let server = ServerName::new("github").expect("a good name");
    let shown = "github.toml".to_owned();
    let origin = Origin {
        server: &server,
        tier: Tier::User,
        shown,
    };
    parse(&origin, Path::new("/p/github.toml"), text.as_bytes(), None)
}
