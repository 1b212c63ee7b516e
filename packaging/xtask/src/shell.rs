//! Starting programs, and the places of the project.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

pub type Done<T = ()> = Result<T, String>;

/// How a piece of work ended that some machines cannot do.
pub enum Outcome {
    Passed,
    NotRun(String),
}

/// The top of the project.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// What is installed for tests; not under version control.
pub fn cache() -> PathBuf {
    root().join(".cache")
}

/// `cargo` with these arguments (words), at the top of the project.
pub fn cargo(line: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.args(line.split_whitespace()).current_dir(root());
    command
}

/// Whether a piece of work builds the programs that it uses, or finds them built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Programs {
    ToBuild,
    Built,
}

impl Programs {
    /// Builds what these options of `cargo build` select, if that is still to be done.
    pub fn build(self, selected: &str) -> Done {
        match self {
            Self::ToBuild => step("build", &mut cargo(&format!("build --locked {selected}"))),
            Self::Built => Ok(()),
        }
    }
}

/// Runs a command to its end with its output shown, and expects success.
pub fn step(name: &str, command: &mut Command) -> Done {
    println!("── {name}");
    let start = Instant::now();
    let status = command
        .status()
        .map_err(|error| format!("{name}: {error}"))?;
    println!("── {name}: {status}, {} s", start.elapsed().as_secs());
    if status.success() {
        Ok(())
    } else {
        Err(format!("{name}: {status}"))
    }
}

/// Runs a command to its end and returns its stdout, if it succeeds.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Where a program is on the search path.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

/// The directory in which cargo puts the programs of a profile. The project sets a build target,
/// so there is a folder of that name in between.
pub fn target(profile: &str) -> Done<PathBuf> {
    let base = std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), PathBuf::from);
    target_in(&base, profile)
}

/// The same below another directory for what cargo builds.
pub fn target_in(base: &Path, profile: &str) -> Done<PathBuf> {
    let rustc = output(Command::new("rustc").arg("-vV")).ok_or("no rustc")?;
    let host = rustc
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .ok_or("no host")?;
    Ok(base.join(host).join(profile))
}

/// What went wrong with a file.
pub fn problem(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

pub fn read(path: &Path) -> Done<Vec<u8>> {
    std::fs::read(path).map_err(|error| problem(path, &error))
}

/// Bytes as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.map(digit).collect()
}

/// Writes a file, and makes the directories above it.
pub fn write(path: &Path, bytes: &[u8]) -> Done {
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(|error| problem(dir, &error))?;
    std::fs::write(path, bytes).map_err(|error| problem(path, &error))
}

/// The names in a directory, sorted; none if it does not exist.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}
