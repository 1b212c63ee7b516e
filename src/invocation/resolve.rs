//! Resolves a command in the user's terminal: from words to files, PATH, variables and directory.

use std::path::{Path, PathBuf};

use super::directory::{code_of, workspace_decides};
use super::file::{FileRole, SealedFile, head};
use super::interpreter::{CodeArguments, is_path, is_url};
use super::sealed::{Invocation, Resolved};
use super::search_path::{self, SearchPath};
use super::terminal::Terminal;
use super::{container, module, shebang, shim, stores, uncovered, version};
use crate::dirs::{self, Dirs};
use crate::error::{Code, Error, Result};
use crate::files::io_text;
use crate::package::lookup::{NotFound, executable, search};
use crate::package::{self, ParsedCommand, Registry};
use crate::policy::{Cwd, Policy, Tier};

/// A script may run a script may run a script.
const INTERPRETERS_MAX: usize = 4;

/// Resolves the command of a policy with the variables of this process, the user's terminal. Nothing on
/// this machine decides what a remote server is: its address is in the policy.
///
/// # Errors
/// `program-not-found`, `program-not-executable`; `command-not-fixed` if the client's working
/// directory would decide what runs; `file-unusable`.
pub fn resolve(policy: &Policy, dirs: &Dirs) -> Result<Resolved> {
    resolve_for_grant(policy, dirs, &Terminal::new(dirs))
}

/// [`resolve`] for one of many policies, in a terminal that was read before.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_for_grant(policy: &Policy, dirs: &Dirs, terminal: &Terminal) -> Result<Resolved> {
    let mut resolved = if policy.remote.is_some() {
        Resolved::default()
    } else {
        resolve_in(policy, dirs, terminal)?
    };
    (resolved.invocation.stores, resolved.stores) = stores::seal(policy, dirs)?;
    Ok(resolved)
}

/// Resolves the command alone, without the stores that the policy names.
pub(super) fn resolve_in(policy: &Policy, dirs: &Dirs, terminal: &Terminal) -> Result<Resolved> {
    Resolver::new(policy, dirs, terminal)?.resolve()
}

struct Resolver<'a> {
    policy: &'a Policy,
    dirs: &'a Dirs,
    terminal: &'a Terminal,
    /// The working directory, if the policy fixes it.
    directory: Option<PathBuf>,
    path: SearchPath,
    files: Vec<SealedFile>,
}

impl<'a> Resolver<'a> {
    fn new(policy: &'a Policy, dirs: &'a Dirs, terminal: &'a Terminal) -> Result<Self> {
        let path = match policy.env.set.get("PATH") {
            // The user wrote it: nothing is left out.
            Some(set) => SearchPath {
                entries: std::env::split_paths(set)
                    .filter(|dir| dir.is_absolute())
                    .collect(),
                dropped: Vec::new(),
            },
            None => terminal.path.clone(),
        };
        let directory = match &policy.cwd {
            Cwd::Private | Cwd::Client => None,
            Cwd::Path(text) => {
                let path = dirs.expand(text);
                let real = path.canonicalize().map_err(|error| {
                    unresolved(policy, Code::FileUnusable)
                        .cause(format!("`cwd`: `{}`: {}", path.display(), io_text(&error)))
                        .hint("create the directory, or fix `cwd` in the policy")
                })?;
                Some(real)
            }
        };
        Ok(Self {
            policy,
            dirs,
            terminal,
            directory,
            path,
            files: Vec::new(),
        })
    }

    fn resolve(mut self) -> Result<Resolved> {
        let policy = self.policy;
        let launch = package::parse(&policy.command);
        let code = code_of(policy, &launch);
        if workspace_decides(policy, &launch, &code) {
            return Err(unresolved(policy, Code::CommandNotFixed)
                .cause("the client's workspace would decide what runs")
                .hint("write `{client.workspace}` only as an argument of the server itself"));
        }
        if !policy.has_installed_package() {
            self.refuse_unfixed(&launch, &code)?;
            self.programs(&launch)?;
        } else if let Some(wrapper) = launch.wrapper.first() {
            self.program(wrapper, FileRole::Program, INTERPRETERS_MAX)?;
        }
        self.arguments(&code)?;
        self.refuse_ambiguous()?;
        let home = self.dirs.home();
        let mut env = self.terminal.account.clone();
        if policy.tier == Tier::User {
            env.extend(self.terminal.own.clone());
        }
        let engine = policy
            .command
            .first()
            .map(|word| package::program_name(word));
        let variable = |name: &str| dirs::server_variable(name)?.into_string().ok();
        env.extend(container::engine(
            engine.as_deref().unwrap_or_default(),
            home,
            &variable,
        ));
        let invocation = Invocation {
            directory: self.directory,
            path: self.path.entries,
            env,
            files: self.files,
            stores: Vec::new(),
        };
        refuse_odd_names(policy, &invocation)?;
        Ok(Resolved {
            uncovered: uncovered::of(policy, &launch, &code),
            dropped: self.path.dropped,
            stores: Vec::new(),
            invocation,
        })
    }

    /// The program of the command, and the one that a wrapper (`env X=Y PROGRAM`) starts.
    fn programs(&mut self, launch: &ParsedCommand) -> Result<()> {
        let first = self.policy.command.first().map_or("", String::as_str);
        self.program(first, FileRole::Program, INTERPRETERS_MAX)?;
        let Some(inner) = launch.words.first().filter(|word| *word != first) else {
            return Ok(());
        };
        // What a shell script seems to start is a guess.
        let is_guess = launch.obstacle.is_some();
        let own_path = launch.env.iter().any(|(name, _)| name == "PATH");
        if !is_guess && !own_path && !inner.contains(char::is_whitespace) {
            self.program(inner, FileRole::Program, INTERPRETERS_MAX)?;
        }
        Ok(())
    }

    /// Finds and seals a program and what runs it.
    fn program(&mut self, word: &str, role: FileRole, depth: usize) -> Result<()> {
        let (found, name) = self.find(word)?;
        let is_first = self.files.is_empty();
        let found = match shim::of(&found) {
            None => found,
            Some(shim) => {
                let dir = self.directory.as_deref().unwrap_or(self.dirs.home());
                let target = shim.target(word, dir, &self.path.entries);
                let target = target.ok_or_else(|| {
                    unresolved(self.policy, Code::ProgramNotFound)
                        .cause(format!(
                            "`{}` is a shim, and `{} which {word}` names no program",
                            found.display(),
                            shim.manager
                        ))
                        .hint(format!(
                            "choose a version with {}, or write the program's full path in `command`",
                            shim.manager
                        ))
                })?;
                self.path_first(&target);
                target
            }
        };
        if is_first {
            self.path_first(&found);
        }
        let mut file = self.seal(role, name, found)?;
        // A managed policy is resolved at each start, and its versions are shown to nobody.
        if self.policy.tier == Tier::User {
            file.version = version::of(word, &file, self.dirs.home());
        }
        let (found, real) = (file.found.clone(), file.real.clone());
        self.files.push(file);
        if let Some(settings) = environment(&found) {
            let file = self.seal(FileRole::Environment, None, settings)?;
            self.files.push(file);
        }
        let head = head(&real).unwrap_or_default();
        let Some(line) = shebang::read(&head).filter(|_| depth > 0) else {
            return Ok(());
        };
        for word in [Some(line.program), line.searched].into_iter().flatten() {
            self.program(&word, FileRole::Interpreter, depth - 1)?;
        }
        Ok(())
    }

    fn path_first(&mut self, program: &Path) {
        // A shell starts what PATH has for the user, and its own directory says nothing about that.
        if self.policy.env.set.contains_key("PATH") || search_path::starts_others(program) {
            return;
        }
        if let Some(dir) = program.parent() {
            self.path.put_first(dir, self.terminal.temporary.as_deref());
        }
    }

    /// The path of a program, and its name if PATH was searched for it.
    fn find(&self, word: &str) -> Result<(PathBuf, Option<String>)> {
        let refused = |not_found: NotFound| match not_found {
            NotFound::Nowhere => unresolved(self.policy, Code::ProgramNotFound)
                .cause(self.path.absence(word))
                .hint("install it, or write its full path in `command`"),
            NotFound::NotExecutable(path) => {
                let error = unresolved(self.policy, Code::ProgramNotExecutable);
                let shown = path.display();
                if path.is_dir() {
                    error.cause(format!("`{shown}` is a directory"))
                } else {
                    error
                        .cause(format!("`{shown}` is not marked as executable"))
                        .hint(format!("run `chmod +x {shown}`"))
                }
            }
        };
        if !word.contains('/') {
            let found = search(word, &self.path.entries).map_err(refused)?;
            return Ok((found, Some(word.to_owned())));
        }
        let path = self.absolute(word, "program")?;
        match executable(&path) {
            Some(true) => Ok((path, None)),
            Some(false) => Err(refused(NotFound::NotExecutable(path))),
            None if path.is_dir() => Err(refused(NotFound::NotExecutable(path))),
            None => Err(refused(NotFound::Nowhere)),
        }
    }

    /// A path of the command, from the working directory if that is fixed.
    fn absolute(&self, word: &str, noun: &str) -> Result<PathBuf> {
        let path = Path::new(word);
        match &self.directory {
            _ if path.is_absolute() => Ok(path.to_path_buf()),
            Some(dir) => Ok(dir.join(path)),
            None => Err(self.not_fixed(&format!("{noun} `{word}` is a relative path"))),
        }
    }

    fn not_fixed(&self, cause: &str) -> Error {
        let which = match self.policy.cwd {
            Cwd::Client => "the client's working directory",
            _ => "an empty private directory",
        };
        unresolved(self.policy, Code::CommandNotFixed)
            .cause(format!("{cause}, and the server starts in {which}"))
            .hint("write the full path, or set `cwd` in the policy to the directory it belongs to")
    }

    fn seal(&self, role: FileRole, name: Option<String>, found: PathBuf) -> Result<SealedFile> {
        let shown = found.display().to_string();
        SealedFile::new(role, name, found).map_err(|error| {
            unresolved(self.policy, Code::FileUnusable)
                .cause(format!("`{shown}`: {}", io_text(&error)))
        })
    }

    /// Refuses what another directory would turn into another program.
    fn refuse_unfixed(&self, launch: &ParsedCommand, code: &CodeArguments) -> Result<()> {
        let is_fixed = self.directory.is_some()
            || code
                .directory
                .as_deref()
                .is_some_and(|dir| dir.starts_with('/'));
        if code.of_project && !is_fixed {
            let what = format!("`{}` starts what a project names", launch.launcher);
            return Err(self.not_fixed(&what));
        }
        let is_launcher = !matches!(launch.registry, Registry::Local | Registry::Image);
        if self.policy.cwd == Cwd::Client && is_launcher && self.policy.package.is_none() {
            let what = format!("`{}` may use a package of a project", launch.launcher);
            return Err(self.not_fixed(&what).hint(format!(
                "or run `mcpwrap pin {}` to install the package once",
                self.policy.server
            )));
        }
        Ok(())
    }

    /// Seals the files of code that the arguments name.
    fn arguments(&mut self, code: &CodeArguments) -> Result<()> {
        let base = match (&code.directory, &self.directory) {
            (Some(dir), Some(own)) => Some(own.join(dir)),
            (Some(dir), None) if dir.starts_with('/') => Some(PathBuf::from(dir)),
            (Some(_), None) => None,
            (None, own) => own.clone(),
        };
        for (word, is_needed) in code.paths() {
            if word.is_empty() || word.contains("{secret.") || is_url(word) {
                continue;
            }
            let path = match &base {
                _ if word.starts_with('/') => PathBuf::from(word),
                Some(base) => base.join(word),
                // The name of a package: a private directory has none.
                None if !is_needed || !is_path(word) && self.policy.cwd == Cwd::Private => continue,
                None => return Err(self.not_fixed(&format!("`{word}` is a relative path"))),
            };
            let files = module::files_of(&path, is_needed);
            if files.is_empty() && is_needed && is_path(word) && !word.ends_with('*') {
                return Err(unresolved(self.policy, Code::ProgramNotFound)
                    .cause(format!("`{}` does not exist", path.display()))
                    .hint("fix the path in `command`"));
            }
            for file in files {
                let file = self.seal(FileRole::Script, None, file)?;
                self.files.push(file);
            }
        }
        let Some(name) = &code.module else {
            return Ok(());
        };
        if self.policy.cwd == Cwd::Client {
            return Err(self.not_fixed(&format!("`-m {name}` is searched there first")));
        }
        let program = self.files.last().map(|file| file.found.clone());
        let found = module::find(name, base.as_deref(), program.as_deref(), self.dirs.home());
        let found = found.ok_or_else(|| {
            unresolved(self.policy, Code::ProgramNotFound)
                .cause(format!("module `{name}` not found as a file"))
                .hint("write the path of its file in place of `-m`, or set `cwd` to its project")
        })?;
        let file = self.seal(FileRole::Module, Some(name.clone()), found)?;
        self.files.push(file);
        Ok(())
    }

    /// Each name must lead to the sealed file on the final PATH.
    fn refuse_ambiguous(&self) -> Result<()> {
        for file in &self.files {
            let Some(name) = file.name.as_deref().filter(|_| file.role.is_searched()) else {
                continue;
            };
            let now = search(name, &self.path.entries);
            if now.is_ok_and(|now| {
                now != file.found && now.canonicalize().ok().as_ref() != Some(&file.real)
            }) {
                return Err(unresolved(self.policy, Code::CommandNotFixed)
                    .cause(format!("PATH has more than one `{name}`"))
                    .hint("write the full path in `command`"));
            }
        }
        Ok(())
    }
}

/// The settings of the Python environment that a program belongs to.
fn environment(program: &Path) -> Option<PathBuf> {
    let settings = program.parent()?.parent()?.join("pyvenv.cfg");
    settings.is_file().then_some(settings)
}

/// A grant is a text file.
fn refuse_odd_names(policy: &Policy, invocation: &Invocation) -> Result<()> {
    let files = invocation.files.iter();
    let paths = files.flat_map(|file| [&file.found, &file.real]);
    let mut all = paths.chain(&invocation.directory).chain(&invocation.path);
    match all.find(|path| path.to_str().is_none()) {
        None => Ok(()),
        Some(path) => Err(unresolved(policy, Code::FileUnusable)
            .cause(format!("`{}`: its name is not UTF-8", path.display()))
            .hint("rename it")),
    }
}

fn unresolved(policy: &Policy, code: Code) -> Error {
    Error::new(
        code,
        format!("cannot resolve the command of server `{}`", policy.server),
    )
}
