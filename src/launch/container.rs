//! Servers that are containers: the program that mcpwrap starts is only a client of the engine.
//!
//! Each container of a run gets labels and a file with its ID (`--cidfile`). It is ended through the
//! engine and seen to be gone. Invariant: an engine that cannot be asked is an error that names the
//! container, never a success.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::engine::{Engine, EngineContainer, environment, seen};
use super::mark::{self, RunMark};
use crate::dirs::Dirs;
use crate::files;
use crate::package::{self, Registry};
use crate::policy::{Policy, template};
use crate::secret::{Secret, ServerName};

/// How long a killed container may take to disappear.
const GONE_LIMIT: Duration = Duration::from_secs(5);
/// The containers of a server, and how its engine is asked about them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Container {
    pub server: ServerName,
    /// The supervisor that started it, if one did.
    pub supervisor: Option<u32>,
    engine: Engine,
    /// All of these labels.
    labels: Vec<String>,
    /// Where the engine writes the ID, unless the command has an own `--cidfile`.
    cidfile: Option<PathBuf>,
    /// The file that has this, removed when the container is seen to be gone.
    note: Option<PathBuf>,
}

/// Where the options of `docker run` begin in a command, if it is one.
fn options_at(command: &[String]) -> Option<(usize, Engine)> {
    let launch = package::parse(command);
    if launch.registry != Registry::Image {
        return None;
    }
    // Wrappers (`env`, `nice`) are before it. The words of a shell script are not in the command.
    let start = command.len().checked_sub(launch.words.len())?;
    if command.get(start..)? != launch.words {
        return None;
    }
    let run = launch.words.iter().position(|word| word == "run")?;
    let (program, options) = launch.words.get(..run)?.split_first()?;
    let engine = Engine {
        program: program.clone(),
        // `docker --context NAME run`, `podman container run`.
        options: options
            .iter()
            .filter(|word| *word != "container")
            .cloned()
            .collect(),
        environment: Vec::new(),
    };
    Some((start + run + 1, engine))
}

/// Why the container that a command starts cannot be ended, if it starts one.
pub fn untracked(command: &[String]) -> Option<&'static str> {
    let launch = package::parse(command);
    let program = launch
        .words
        .first()
        .and_then(|word| Path::new(word).file_name());
    let is_client = program.is_some_and(|name| name == "docker" || name == "podman");
    let runs = launch.words.iter().any(|word| word == "run");
    let starts = launch.registry == Registry::Image || (is_client && runs);
    (starts && options_at(command).is_none()).then_some(
        "mcpwrap cannot end the container that this command starts; write `docker run` directly, without a shell",
    )
}

impl Container {
    /// The container that a server's command starts, and the options that label it with their place
    /// in the command. `base` is the path of its files, without extension.
    pub fn of_launch(
        policy: &Policy,
        mark: &RunMark,
        base: &Path,
        variables: &[(OsString, Zeroizing<Vec<u8>>)],
        secrets: &[(String, Secret)],
    ) -> Option<(Self, usize, Vec<String>)> {
        let (at, engine) = options_at(&policy.command)?;
        let launch = base.file_name()?.to_str()?;
        let labels = vec![
            format!("mcpwrap.server={}", mark.server),
            format!("mcpwrap.home={}", mark.home),
            format!("mcpwrap.launch={launch}"),
        ];
        let mut options: Vec<_> = labels
            .iter()
            .map(|label| format!("--label={label}"))
            .collect();
        let own = |word: &String| word == "--cidfile" || word.starts_with("--cidfile=");
        let cidfile = base.with_extension("cid");
        let cidfile = (!policy.command.iter().skip(at).any(own)).then_some(cidfile);
        options.extend(
            cidfile
                .iter()
                .map(|path| format!("--cidfile={}", path.display())),
        );
        let variables = variables
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_slice()));
        let container = Self {
            server: mark.server.clone(),
            supervisor: Some(std::process::id()),
            engine: Engine {
                environment: environment(variables, secrets),
                ..engine
            },
            labels,
            cidfile,
            note: Some(base.with_extension("json")),
        };
        Some((container, at, options))
    }

    /// All containers of a server, as its policy starts them with these inherited variables.
    pub fn of_policy(
        dirs: &Dirs,
        policy: &Policy,
        inherited: impl FnOnce() -> Vec<(OsString, OsString)>,
    ) -> Option<Self> {
        let (_, engine) = options_at(&policy.command)?;
        let mut variables = inherited();
        for (name, value) in &policy.env.set {
            if template::secrets(value).next().is_none() {
                variables.retain(|(known, _)| known.as_os_str() != name.as_str());
                variables.push((name.into(), value.into()));
            }
        }
        let pairs = variables
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_bytes()));
        Some(Self {
            server: policy.server.clone(),
            supervisor: None,
            engine: Engine {
                environment: environment(pairs, &[]),
                ..engine
            },
            labels: vec![
                format!("mcpwrap.server={}", policy.server),
                format!("mcpwrap.home={}", mark::home(dirs)),
            ],
            cidfile: None,
            note: None,
        })
    }

    /// The containers that were started and not yet seen to be gone.
    pub fn noted(dirs: &Dirs) -> Vec<Self> {
        let dirs = dirs.runtimes().iter();
        let entries = dirs
            .filter_map(|dir| std::fs::read_dir(dir).ok())
            .flatten()
            .flatten();
        let paths = entries.map(|entry| entry.path());
        let is_note = |path: &PathBuf| {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            name.starts_with("container-") && path.extension() == Some(OsStr::new("json"))
        };
        let read = |path: PathBuf| {
            let note: Self = serde_json::from_slice(&files::read_private(&path).ok()?).ok()?;
            Some(Self {
                note: Some(path),
                ..note
            })
        };
        paths.filter(is_note).filter_map(read).collect()
    }

    /// Writes the note, before the start.
    ///
    /// # Errors
    /// The runtime directory cannot be written.
    pub fn write_note(&self) -> std::io::Result<()> {
        let Some(note) = &self.note else {
            return Ok(());
        };
        files::replace(note, &self.encode())
            .map_err(|problem| std::io::Error::other(problem.to_string()))
    }

    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The inverse of [`Self::encode`].
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Whether one was started and not yet seen to be gone.
    pub const fn is_noted(&self) -> bool {
        self.note.is_some()
    }

    /// What the user can run to see it.
    pub fn query(&self) -> String {
        let labels: Vec<_> = self
            .labels
            .iter()
            .map(|label| format!("--filter label={label}"))
            .collect();
        format!("{} ps -a {}", self.engine.words(), labels.join(" "))
    }

    /// The containers that run, or could.
    ///
    /// # Errors
    /// Why the engine cannot be asked.
    pub fn alive(&self) -> Result<Vec<EngineContainer>, String> {
        let mut words = vec!["ps".to_owned(), "-a".to_owned(), "--no-trunc".to_owned()];
        for label in &self.labels {
            words.extend(["--filter".to_owned(), format!("label={label}")]);
        }
        words.extend(["--format".to_owned(), "{{.ID}} {{.State}}".to_owned()]);
        let mut all: Vec<EngineContainer> =
            self.engine.ask(&words)?.lines().filter_map(seen).collect();
        if let Some(id) = self
            .cidfile
            .as_ref()
            .and_then(|path| std::fs::read_to_string(path).ok())
        {
            let id = id.trim();
            let is_id = id.len() >= 12 && id.bytes().all(|b| b.is_ascii_hexdigit());
            if is_id && all.iter().all(|one| one.id != id) {
                // Not listed: it is gone, which `inspect` confirms with an error.
                let inspect = ["inspect", "--format", "{{.Id}} {{.State.Status}}", id];
                let answer = self
                    .engine
                    .ask(&inspect.map(str::to_owned))
                    .unwrap_or_default();
                all.extend(answer.lines().filter_map(seen));
            }
        }
        all.retain(|one| one.runs() || one.waits());
        Ok(all)
    }

    /// Kills what runs and waits until nothing does. Returns what was killed.
    ///
    /// # Errors
    /// Why a container may be alive.
    pub fn end(&self) -> Result<Vec<EngineContainer>, String> {
        let deadline = Instant::now() + GONE_LIMIT;
        let mut killed: Vec<EngineContainer> = Vec::new();
        let mut pause = Duration::from_millis(10);
        loop {
            let alive = self.alive()?;
            if alive.is_empty() {
                self.forget();
                return Ok(killed);
            }
            if Instant::now() > deadline {
                let ids: Vec<_> = alive.iter().map(EngineContainer::short).collect();
                return Err(format!("container {} is still running", ids.join(", ")));
            }
            for one in alive {
                let words: &[&str] = if one.waits() {
                    &["rm", "-f"]
                } else {
                    &["kill"]
                };
                let mut words: Vec<_> = words.iter().map(ToString::to_string).collect();
                words.push(one.id.clone());
                // It may have ended by itself; the next look tells.
                drop(self.engine.ask(&words));
                if !killed.contains(&one) {
                    killed.push(one);
                }
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    /// Removes its files.
    pub fn forget(&self) {
        for path in self.cidfile.iter().chain(&self.note) {
            drop(std::fs::remove_file(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_options_of_a_container_are_found() {
        for (line, at) in [
            ("docker run -i --rm mcp/x", Some(2)),
            ("env A=b podman container run x", Some(5)),
            ("/usr/bin/docker run x run", Some(2)),
            ("docker compose run x", None),
            ("docker --context a run x", Some(4)),
            ("npx -y x@1.0.0 run", None),
        ] {
            let found = options_at(&words(line)).map(|(at, _)| at);
            assert_eq!(found, at, "{line}");
        }
        let shell = ["sh", "-c", "docker run -i x"].map(str::to_owned);
        assert_eq!(options_at(&shell).map(|(at, _)| at), None);
        assert!(untracked(&shell).is_some());
        assert!(untracked(&words("docker compose run x")).is_some());
        let (_, engine) = options_at(&words("docker --context a container run x")).unwrap();
        assert_eq!(engine.words(), "docker --context a");
        assert!(untracked(&words("docker run x")).is_none());
        assert!(untracked(&words("npx x run")).is_none());
    }
}
