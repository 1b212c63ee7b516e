//! Uses an installed program: `--version`, `init`, `run`; and what `adopt` writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::Release;
use crate::session::Session;
use crate::shell::{Done, output, read, write};

/// A program, perhaps behind another that starts it.
pub struct Probe<'a> {
    pub words: Vec<String>,
    /// Variables that the other one needs.
    pub variables: Vec<(&'static str, String)>,
    pub home: &'a Path,
}

impl<'a> Probe<'a> {
    pub fn of(program: &Path, home: &'a Path) -> Self {
        Self {
            words: vec![program.display().to_string()],
            variables: Vec::new(),
            home,
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let (program, first) = self
            .words
            .split_first()
            .map_or(("", &[][..]), |(a, b)| (a, b));
        let mut command = Command::new(program);
        command
            .args(first)
            .args(args)
            .env_clear()
            .env("HOME", self.home)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .envs(self.variables.iter().map(|(name, value)| (*name, value)))
            .current_dir(self.home);
        command
    }

    pub fn ok(&self, args: &[&str]) -> Done<String> {
        let mut command = self.command(args);
        let done = command.stdin(Stdio::null()).output();
        let done = done.map_err(|error| format!("{:?}: {error}", self.words))?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if done.status.success() {
            Ok(said(&done.stdout))
        } else {
            let said = said(&done.stdout) + &said(&done.stderr);
            Err(format!(
                "`mcpwrap {}`: {}\n{said}",
                args.join(" "),
                done.status
            ))
        }
    }

    /// The version, the set-up, and a session with a server that sends back what it gets.
    pub fn works(&self, release: &Release<'_>) -> Done {
        let version = self.ok(&["--version"])?;
        let expected = format!("mcpwrap {}", release.about.version);
        if version.trim() != expected {
            return Err(format!("`--version` says `{}`", version.trim()));
        }
        self.set_up()?;
        self.ok(&["policy", "new", "echo", "--", "/bin/cat"])?;
        self.ok(&["grant", "echo", "--yes"])?;
        echoes(&mut self.command(&["run", "echo"]))
    }

    fn set_up(&self) -> Done {
        let key = self.home.join("vault.key").display().to_string();
        self.ok(&["init", "--store", "file", "--key-file", &key])
            .map(drop)
    }

    /// Adopts an entry, removes what the program was started from, and starts the entry.
    pub fn outlives(&self, release: &Release<'_>, remove: impl Fn() -> Done) -> Done {
        self.set_up()?;
        let config = self.home.join(".cursor/mcp.json");
        let entry = json!({"mcpServers": {"echo": {"command": "/bin/cat",
            "env": {"API_KEY": "7c9e6679-7425-40de-944b-e07fc1f90ae7"}}}});
        write(&config, entry.to_string().as_bytes())?;
        self.ok(&["adopt", "--yes", "--no-pin"])?;
        let written: Value =
            serde_json::from_slice(&read(&config)?).map_err(|error| error.to_string())?;
        let entry = &written["mcpServers"]["echo"];
        let program = PathBuf::from(entry["command"].as_str().unwrap_or_default());
        let expected = self.home.join(".local/share/mcpwrap/bin/mcpwrap");
        if program != expected {
            return Err(format!("`adopt` wrote the command `{}`", program.display()));
        }
        same(&program, release)?;
        remove()?;
        let alone = Probe::of(&program, self.home);
        echoes(&mut alone.command(&["run", "echo"]))?;
        alone.ok(&["uninstall", "--yes"])?;
        if program.exists() {
            return Err(format!("`uninstall` left `{}`", program.display()));
        }
        Ok(())
    }
}

/// A session with a server that sends back what it gets.
fn echoes(run: &mut Command) -> Done {
    let mut session = Session::start(run)?;
    let answer = session.request("ping", &json!({}));
    let (status, stderr) = session.end()?;
    let answer = answer.map_err(|reason| format!("{reason}\n{stderr}"))?;
    match (answer["method"] == "ping", status.success()) {
        (true, true) => Ok(()),
        _ => Err(format!(
            "`run` answered {answer} and ended: {status}\n{stderr}"
        )),
    }
}

/// Whether an installed program has the bytes that were packed.
pub fn same(program: &Path, release: &Release<'_>) -> Done {
    if read(program)? == read(release.program)? {
        Ok(())
    } else {
        Err(format!("`{}` is another program", program.display()))
    }
}

/// An installed program: the bytes, that it works, and as root, that it needs nothing of the root that
/// it is installed in.
pub fn installed(program: &Path, root: &Path, release: &Release<'_>) -> Done {
    same(program, release)?;
    let home = root.join("home");
    fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    Probe::of(program, &home).works(release)?;
    let is_root = output(Command::new("id").arg("-u")).as_deref() == Some("0");
    let inside = program
        .strip_prefix(root)
        .map(|path| Path::new("/").join(path));
    if let (true, true, Ok(inside)) = (is_root, release.target.is_linux(), inside) {
        let mut chroot = Command::new("/usr/sbin/chroot");
        chroot.arg(root).arg(inside).arg("--version");
        let said = output(chroot.env_clear().env("HOME", "/"));
        said.ok_or("it needs files of the system")?;
    }
    Ok(())
}
