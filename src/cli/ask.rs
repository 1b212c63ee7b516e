//! Questions to the person at the terminal.
//!
//! *Always* on `/dev/tty`, never on stdin: a pipe is no person. *Never* shows a value that is typed,
//! and no question has a default answer. This is friction against programs that run as the user,
//! not a wall: see `docs/threat-model.md`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};

use zeroize::Zeroize as _;

use crate::config::Config;
use crate::dirs;
use crate::error::{Code, Error, Result, printable};
use crate::files::io_text;
use crate::secret::Secret;

/// What is typed may have this many bytes.
const ANSWER_BYTES_MAX: u64 = 1024;

/// Asks for a value without showing it. One line, without the newline.
///
/// # Errors
/// `no-terminal`; `declined` if nothing was typed.
pub fn hidden(prompt: &str) -> Result<Secret> {
    open()?;
    let mut typed = rpassword::prompt_password(prompt).map_err(|error| no_terminal(&error))?;
    let secret = Secret::new(typed.as_bytes().to_vec());
    typed.zeroize();
    if secret.is_empty() {
        return Err(Error::new(Code::Declined, "nothing was typed"));
    }
    Ok(secret)
}

/// Shows a text and asks for a name to be typed, so that nobody agrees to the wrong thing by habit.
///
/// # Errors
/// `no-terminal`; `declined` if something else was typed.
pub fn type_name(text: &str, name: &str) -> Result<()> {
    let answer = answer(&format!("{text}type `{name}` to agree: "))?;
    if answer == name {
        return Ok(());
    }
    Err(Error::new(
        Code::Declined,
        format!("`{name}` was not typed, so nothing was changed"),
    ))
}

/// Shows a text and asks yes or no.
///
/// # Errors
/// `no-terminal`.
pub fn confirm(text: &str) -> Result<bool> {
    let answer = answer(&format!("{text} [y/n] "))?;
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Whether a flag (`--yes`, `--from-stdin`) may stand for an answer. It is for scripts that set up machines; an AI agent
/// that approves of what it wrote itself is what the question is there to stop.
///
/// # Errors
/// `yes-refused`.
pub fn yes_allowed(config: &Config, flag: &str) -> Result<()> {
    let refused = |cause: String| {
        Error::new(
            Code::YesRefused,
            format!("`{flag}` not accepted: nothing was changed"),
        )
        .cause(cause)
    };
    if config.managed.forbid_yes {
        return Err(refused(format!("`{}` forbids it", dirs::MANAGED_CONFIG))
            .hint(format!("run it in a terminal without `{flag}`")));
    }
    match dirs::agent_variable() {
        Some(name) if !config.agents.allow_yes => Err(refused(format!(
            "an AI agent runs this command: `{name}` is set"
        ))
        .hint(format!("run it yourself, in a terminal without `{flag}`"))
        .hint("or allow it: `allow_yes = true` in `[agents]` of config.toml")),
        _ => Ok(()),
    }
}

fn answer(question: &str) -> Result<String> {
    let mut terminal = open()?;
    let question: Vec<_> = question.split('\n').map(printable).collect();
    let unusable = |error: io::Error| no_terminal(&error);
    terminal
        .write_all(question.join("\n").as_bytes())
        .map_err(unusable)?;
    let mut line = String::new();
    let mut reader = BufReader::new(io::Read::take(terminal, ANSWER_BYTES_MAX));
    reader.read_line(&mut line).map_err(unusable)?;
    Ok(line.trim().to_owned())
}

fn open() -> Result<File> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    terminal.map_err(|error| no_terminal(&error))
}

fn no_terminal(error: &io::Error) -> Error {
    Error::new(
        Code::NoTerminal,
        "the question was not asked: there is no terminal",
    )
    .cause(format!("`/dev/tty`: {}", io_text(error)))
    .hint("run it in a terminal; `mcpwrap help` shows which verbs take `--yes` or `--from-stdin`")
}
