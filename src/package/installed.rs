//! Verifies the installed package of a policy against its pin, and builds the command that starts
//! it.
//!
//! Quick, before each start: the states of all files, against a list whose digest is in the policy;
//! if a state changed, full. Full, also for `check`: lock, tree and interpreter by content. A
//! difference is refused, with both hashes. Between verification and start the user's own programs
//! could still replace a file: see `docs/packages.md`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::directory::{LOCK, LOCK_BYTES_MAX, directory, list_name};
use super::{ParsedCommand, image, local, manifest, node, parse, shadowing, tree};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, io_text};
use crate::policy::package::PackageSource;
use crate::policy::{Package, Policy};
use crate::secret::{ServerName, hex};

/// What is started instead of a policy's command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedCommand {
    /// The absolute path of the program, and its arguments. These are templates, as in `command`.
    pub command: Vec<String>,
    /// Variables that the command line sets (`env X=Y`).
    pub env: Vec<(String, String)>,
    /// The working directory that the command line sets.
    pub cwd: Option<PathBuf>,
    /// Whether a wrapper is started, which starts the package.
    pub is_wrapped: bool,
    /// The directory of the package's own programs, added in front of `PATH` as the launcher does.
    pub path_first: Option<PathBuf>,
}

impl ResolvedCommand {
    /// The program and the digest of its content, if the pin names them.
    pub fn program(&self, policy: &Policy) -> Option<(PathBuf, String)> {
        let first = self.command.first().filter(|_| !self.is_wrapped);
        let path = first.map(PathBuf::from)?;
        let digest = policy.package.as_ref()?.program.clone();
        (path.is_absolute() && !digest.is_empty()).then_some((path, digest))
    }

    /// The working directory: that of the command line, relative to the policy's.
    pub fn directory(&self, policy: &Path) -> PathBuf {
        match &self.cwd {
            Some(own) => policy.join(own),
            None => policy.to_path_buf(),
        }
    }

    /// The policy with this instead of its command, for `resolve` and `launch`. `inherited` is the
    /// environment from the client.
    pub fn into_policy(
        self,
        mut policy: Policy,
        inherited: &mut Vec<(OsString, OsString)>,
    ) -> Policy {
        if let Some(first) = &self.path_first {
            let set = policy.env.set.get_mut("PATH");
            let own = inherited.iter_mut().find(|(name, _)| name == "PATH");
            match (set, own) {
                (Some(path), _) => *path = format!("{}:{path}", first.display()),
                (None, Some((_, path))) => {
                    let mut joined = first.clone().into_os_string();
                    joined.push(":");
                    joined.push(&*path);
                    *path = joined;
                }
                (None, None) => inherited.push(("PATH".into(), first.clone().into_os_string())),
            }
        }
        policy.env.set.extend(self.env);
        policy.command = self.command;
        policy
    }
}

/// How closely an installation is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The states of the files, and their contents only if a state changed.
    Quick,
    /// The contents.
    Full,
}

/// What to start for a policy, after a quick verification; none if the policy has no package and
/// its own command runs.
///
/// # Errors
/// `package-changed`, `package-absent`.
fn entry(policy: &Policy, dirs: &Dirs) -> Result<Option<ResolvedCommand>> {
    let Some(package) = &policy.package else {
        return Ok(None);
    };
    verify(policy, dirs, Depth::Quick)?;
    Ok(Some(command(
        &parse(&policy.command),
        package,
        &place(dirs, package),
    )))
}

/// [`entry`] in parallel with `other`, so that large packages and slow stores add up to one wait.
pub fn entry_while<T>(
    policy: &Policy,
    dirs: &Dirs,
    other: impl FnOnce() -> T,
) -> (Result<Option<ResolvedCommand>>, T) {
    if policy.package.is_none() {
        return (Ok(None), other());
    }
    std::thread::scope(|scope| {
        let check = scope.spawn(|| entry(policy, dirs));
        let done = other();
        let entry = check.join().expect("verifying a package does not panic");
        (entry, done)
    })
}

/// Verifies that the installation of a policy matches its pin. A policy without a package passes.
///
/// # Errors
/// `package-changed`, `package-absent`.
pub fn verify(policy: &Policy, dirs: &Dirs, depth: Depth) -> Result<()> {
    let Some(package) = &policy.package else {
        return Ok(());
    };
    let server = &policy.server;
    if package.registry == PackageSource::Image {
        return Ok(());
    }
    let place = place(dirs, package);
    if package.registry != PackageSource::Local && !place.join("tree").is_dir() {
        return Err(absent(server, package));
    }
    let moved = match depth {
        Depth::Full => Some("everything".to_owned()),
        Depth::Quick => moved(&place, package),
    };
    if moved.is_some() {
        contents(server, package, &place)?;
    }
    if package.registry == PackageSource::Npm {
        let in_tree = package.flags.iter().any(|flag| flag == node::TREE_ONLY);
        let home = Some(dirs.home()).filter(|_| !in_tree);
        shadowing::refuse_above(&place, home, server)?;
    }
    Ok(())
}

fn place(dirs: &Dirs, package: &Package) -> PathBuf {
    directory(&dirs.packages(), package)
}

/// The first file whose state changed or cannot be read.
pub(super) fn moved(place: &Path, package: &Package) -> Option<String> {
    let name = list_name(&package.files);
    let list = files::read_private_up_to(&place.join(&name), LOCK_BYTES_MAX).unwrap_or_default();
    if hex(&Sha256::digest(&list)) != package.files {
        return Some(name);
    }
    manifest::first_moved(place, &list)
}

/// Compares the contents of the lock, the tree and the interpreter.
pub(super) fn contents(server: &ServerName, package: &Package, place: &Path) -> Result<()> {
    let interpreter = match (package.registry, package.interpreter.as_str()) {
        (_, "") => place.join("tree").join(&package.entry),
        (_, path) => PathBuf::from(path),
    };
    // The interpreter first: an upgrade of Node.js is the usual reason.
    compare(
        server,
        "the program",
        &interpreter,
        &package.program,
        tree::file_digest,
    )?;
    if package.registry == PackageSource::Local {
        let script = Some(PathBuf::from(&package.entry)).filter(|_| !package.entry.is_empty());
        let digest = |_: &Path| local::contents(script.as_deref());
        return compare(
            server,
            "the script",
            Path::new(&package.entry),
            &package.tree,
            digest,
        );
    }
    compare(
        server,
        "the lock file",
        &place.join(LOCK),
        &package.lock,
        tree::file_digest,
    )?;
    compare(
        server,
        "the installed tree",
        &place.join("tree"),
        &package.tree,
        tree::digest,
    )
}

fn compare(
    server: &ServerName,
    noun: &str,
    path: &Path,
    pinned: &str,
    digest: impl Fn(&Path) -> std::io::Result<String>,
) -> Result<()> {
    let found = match digest(path) {
        Ok(found) if found == pinned => return Ok(()),
        Ok(found) => format!("found  {found}"),
        Err(error) => format!("found  nothing readable: {}", io_text(&error)),
    };
    Err(Error::new(
        Code::PackageChanged,
        "the installed package differs from the pin",
    )
    .not_started(server)
    .cause(format!(
        "{noun} changed: `{}`\npinned {pinned}\n{found}",
        path.display()
    ))
    .hint(format!(
        "if you upgraded it yourself, run `mcpwrap pin {server}` to install it again and approve it"
    ))
    .hint("otherwise find out what modified it before you start it again"))
}

fn absent(server: &ServerName, package: &Package) -> Error {
    Error::new(
        Code::PackageAbsent,
        "its pinned package is not installed on this machine",
    )
    .not_started(server)
    .cause(format!(
        "`{}` {} was pinned on another machine, or was removed",
        package.name, package.version
    ))
    .hint(format!("run `mcpwrap pin {server}` to install it"))
}

/// The command line that starts the installed package as the launcher would.
fn command(launch: &ParsedCommand, package: &Package, place: &Path) -> ResolvedCommand {
    let tree = place.join("tree");
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let entry = text(tree.join(&package.entry));
    let own = || package.flags.iter().cloned().chain([entry.clone()]);
    let mut words: Vec<String> = match package.registry {
        _ if package.registry == PackageSource::Image => {
            let image = format!("{}@{}", package.name, package.version);
            let (words, mut env) = image::command(launch, &image);
            env.splice(0..0, launch.env.iter().cloned());
            return ResolvedCommand {
                command: launch.wrapper.iter().cloned().chain(words).collect(),
                env,
                is_wrapped: !launch.wrapper.is_empty(),
                ..ResolvedCommand::default()
            };
        }
        PackageSource::Local => {
            let program = [package.interpreter.clone()].into_iter();
            program
                .chain(launch.words.iter().skip(1).cloned())
                .collect()
        }
        PackageSource::Npm | PackageSource::Pypi | PackageSource::Image
            if package.interpreter.is_empty() =>
        {
            vec![entry]
        }
        // The environment is found by the path of its own `python`, a link to the interpreter.
        PackageSource::Pypi => [text(tree.join("bin/python"))]
            .into_iter()
            .chain(own())
            .collect(),
        PackageSource::Npm | PackageSource::Image => [package.interpreter.clone()]
            .into_iter()
            .chain(own())
            .collect(),
    };
    let path_first = match package.registry {
        PackageSource::Npm => Some(tree.join("node_modules/.bin")),
        PackageSource::Pypi => Some(tree.join("bin")),
        PackageSource::Image | PackageSource::Local => None,
    };
    if package.registry != PackageSource::Local {
        words.extend(launch.args.iter().cloned());
    }
    words.splice(0..0, launch.wrapper.iter().cloned());
    let cwd = launch.option(&["--directory"]).map(PathBuf::from);
    ResolvedCommand {
        command: words,
        env: launch.env.clone(),
        cwd,
        is_wrapped: !launch.wrapper.is_empty(),
        path_first,
    }
}
