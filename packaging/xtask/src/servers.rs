//! The most used servers of npm and PyPI, pinned without a version and started by mcpwrap and by their
//! launcher: the same version has to start, with the same tools. Run by hand; the table goes into
//! `docs/packages.md`.
//!
//! No account is used, so secrets are dummy values. Nothing of it survives the measurement of its server.

mod limited;
mod row;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use self::limited::{LimitedHome, tools};
use self::row::{Row, Said, measured_with, with_row};
use self::table::{Launcher, RealServer, SERVERS};
use crate::shell::{Done, Programs, output, root, target, which};

const PIN_LIMIT: Duration = Duration::from_mins(4);
/// The launcher installs at its start.
const LAUNCHER_LIMIT: Duration = Duration::from_mins(4);
/// Some servers ask their provider several times before they answer.
const START_LIMIT: Duration = Duration::from_mins(4);
/// Commands that ask nobody.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// Looks like a token of nobody, and opens nothing.
const DUMMY: &str = "none-9fK2mQx7Lw4vRt8ZbN3cYp6H";

/// The place of the table.
const DOCUMENT: &str = "docs/packages.md";

pub fn run(names: &[String]) -> Done {
    which("npm").ok_or("no `npm`")?;
    crate::deps::environment("uv", &crate::shell::cache().join("pypi/uv"))?;
    for name in names {
        let is_known = SERVERS.iter().any(|server| server.package == name);
        is_known
            .then_some(())
            .ok_or(format!("unknown server `{name}`"))?;
    }
    Programs::ToBuild.build("--quiet --bin mcpwrap")?;
    // A copy: a build meanwhile changes nothing.
    let place = tempfile::tempdir().map_err(|error| error.to_string())?;
    let program = place.path().join("mcpwrap");
    fs::copy(target("debug")?.join("mcpwrap"), &program).map_err(|error| error.to_string())?;
    let chosen: Vec<_> = SERVERS
        .iter()
        .filter(|server| names.is_empty() || names.iter().any(|name| name == server.package))
        .collect();
    let heading = measured_with(&versions());
    for (at, server) in chosen.iter().enumerate() {
        println!("── {} of {}: {}", at + 1, chosen.len(), server.package);
        let row = Measurement::new(server, &program)?.row();
        println!("{}{row}", row.problems());
        put(&heading, &row, names.is_empty())?;
    }
    Ok(())
}

/// Writes the row into the document, if its table is of the same day and programs, or is to be new.
fn put(heading: &str, row: &Row, may_begin: bool) -> Done {
    let document = root().join(DOCUMENT);
    let io = |error: std::io::Error| format!("{}: {error}", document.display());
    let text = fs::read_to_string(&document).map_err(io)?;
    let order: Vec<_> = SERVERS.iter().map(|server| server.package).collect();
    if let Some(text) = with_row(&text, heading, row, &order, may_begin)? {
        return fs::write(&document, text).map_err(io);
    }
    println!("   {DOCUMENT} keeps its table: it is of another day or of other versions");
    Ok(())
}

/// The programs that the figures depend on.
fn versions() -> [String; 3] {
    let uv = crate::shell::cache().join("pypi/uv/bin/uv");
    let version = |program: &Path, name: &str| {
        let said = output(Command::new(program).arg("--version")).unwrap_or_default();
        let version = said.split_whitespace().find(|word| {
            let word = word.trim_start_matches('v');
            word.starts_with(|first: char| first.is_ascii_digit())
        });
        format!("{name} {}", version.unwrap_or("?").trim_start_matches('v'))
    };
    [
        version(Path::new("node"), "Node.js"),
        version(Path::new("npm"), "npm"),
        version(&uv, "uv"),
    ]
}

/// One server in a home of its own.
struct Measurement<'a> {
    server: &'a RealServer,
    program: &'a Path,
    home: LimitedHome,
}

impl<'a> Measurement<'a> {
    fn new(server: &'a RealServer, program: &'a Path) -> Done<Self> {
        let home = LimitedHome::new()?;
        Ok(Self {
            server,
            program,
            home,
        })
    }

    fn row(&self) -> Row {
        let mut row = Row::new(self.server.package, self.server.launcher.registry());
        if let Err(problem) = self.set_up() {
            row.pinned = Err(self.shown(&problem));
            return row;
        }
        println!("   pins");
        let start = Instant::now();
        let pinned = self.pin();
        row.seconds = start.elapsed().as_secs_f64();
        match pinned {
            Ok(said) => {
                row.pinned = Ok(said);
                println!("   starts through mcpwrap");
                let mut run = self.mcpwrap(&["run", "server"]);
                row.tools = tools(&self.home, &mut run, START_LIMIT)
                    .map_err(|problem| self.shown(&problem));
            }
            Err(problem) => {
                row.pinned = Err(self.shown(&problem));
            }
        }
        println!("   starts through its launcher");
        row.launcher_tools = tools(&self.home, &mut self.launcher(), LAUNCHER_LIMIT)
            .map_err(|problem| self.failed_script().unwrap_or(problem))
            .map_err(|problem| self.shown(&problem));
        row.launcher_version = self.launcher_version();
        row
    }

    fn mcpwrap(&self, args: &[&str]) -> Command {
        let mut command = self.home.command(self.program);
        command.args(args).env("MCPWRAP_HOME", self.root());
        command
    }

    fn root(&self) -> PathBuf {
        self.home.path().join("mcpwrap")
    }

    fn succeeds(&self, args: &[&str], input: &str, limit: Duration) -> Done<String> {
        let (success, said) = self.home.end(&mut self.mcpwrap(args), input, limit)?;
        if success { Ok(said) } else { Err(said) }
    }

    /// The file store, a dummy value for each secret, and the policy.
    fn set_up(&self) -> Done {
        let key = self.home.path().join("vault.key").display().to_string();
        let init = ["init", "--store", "file", "--key-file", &key];
        self.succeeds(&init, "", COMMAND_LIMIT)?;
        let mut policy = format!("version = 1\ncommand = {:?}\n", self.server.command());
        if !self.server.env.is_empty() {
            let set = self.server.env.iter();
            let set: Vec<_> = set
                .map(|(name, value)| format!("{name} = {value:?}"))
                .collect();
            let set = set.join(", ");
            policy.extend(["[env]\nset = { ", &set, " }\n"]);
        }
        for (name, start) in self.server.secrets {
            let secret = format!("server/{}", name.to_lowercase().replace('_', "-"));
            let set = ["secret", "set", &secret, "--from-stdin"];
            self.succeeds(&set, &format!("{start}{DUMMY}"), COMMAND_LIMIT)?;
            policy.extend(["[secrets.", name, "]\nfrom = \"secret:", &secret, "\"\n"]);
        }
        let io = |error: std::io::Error| error.to_string();
        let dir = self.root().join("policies");
        fs::create_dir_all(&dir).map_err(io)?;
        fs::write(dir.join("server.toml"), policy).map_err(io)
    }

    /// Pins, and returns what was installed.
    fn pin(&self) -> Done<Said> {
        let said = self.succeeds(&["pin", "server", "--yes"], "", PIN_LIMIT)?;
        let policy = fs::read_to_string(self.root().join("policies/server.toml"))
            .map_err(|error| error.to_string())?;
        Ok(Said::read(&policy, &said))
    }

    /// The server as a client without mcpwrap starts it.
    fn launcher(&self) -> Command {
        let words = self.server.command();
        let secrets = self.server.secrets.iter();
        let mut command = match self.server.launcher {
            Launcher::Npx => self.home.command(Path::new("npx")),
            Launcher::Uvx => {
                let uv = crate::shell::cache().join("pypi/uv/bin/uvx");
                self.home.command(&uv)
            }
        };
        command
            .args(words.into_iter().skip(1))
            .envs(self.server.env.iter().copied())
            .envs(secrets.map(|(name, start)| (name, format!("{start}{DUMMY}"))));
        command
    }

    /// npx says nothing about an install script that fails: it is in its log.
    fn failed_script(&self) -> Option<String> {
        below(&self.home.path().join(".npm/_logs")).find_map(|log| {
            let text = fs::read_to_string(log).ok()?;
            row::failed_script(&text)
        })
    }

    /// The version that the launcher installed for itself.
    fn launcher_version(&self) -> Option<String> {
        let package = self.server.package;
        match self.server.launcher {
            Launcher::Npx => {
                let inner = Path::new("node_modules").join(package).join("package.json");
                let manifest = below(&self.home.path().join(".npm/_npx"))
                    .find_map(|dir| fs::read_to_string(dir.join(&inner)).ok())?;
                let manifest: serde_json::Value = serde_json::from_str(&manifest).ok()?;
                Some(manifest.get("version")?.as_str()?.to_owned())
            }
            Launcher::Uvx => {
                let normal = package.replace(['-', '.'], "_").to_lowercase();
                below(&self.home.path().join(".cache/uv/archive-v0"))
                    .filter(|dir| dir.join("pyvenv.cfg").exists())
                    .flat_map(|dir| below(&dir.join("lib")))
                    .flat_map(|dir| below(&dir.join("site-packages")))
                    .find_map(|dir| {
                        let name = dir.file_name()?.to_str()?.strip_suffix(".dist-info")?;
                        let (name, version) = name.rsplit_once('-')?;
                        let name = name.replace(['-', '.'], "_").to_lowercase();
                        (name == normal).then(|| version.to_owned())
                    })
            }
        }
    }

    /// What a program said, without the temporary home.
    fn shown(&self, text: &str) -> String {
        text.replace(&self.home.path().display().to_string(), "~")
    }
}

fn below(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}
