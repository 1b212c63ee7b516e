//! The clipboard of the desktop, as a place from which a secret comes: read, and cleared once the value is stored.
//!
//! Its programs are found on the user's PATH like those of a server, and started by their absolute path, with
//! nothing but the road to the desktop in their environment. Invariant: a value never gets into an argument.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::dirs::{self, Dirs};
use crate::error::{Code, Error, Result};
use crate::files::io_text;
use crate::invocation;
use crate::secret::Secret;
use crate::sys::captured::{CapturedCommand, CapturedEnd, capture};
use crate::sys::trusted;

/// A program has this time; one that asks the desktop for longer gets no answer.
const LIMIT: Duration = Duration::from_secs(5);

/// A program that reads the clipboard, and the one that clears it.
struct ClipboardTool {
    /// The variable without which it has no desktop; none on macOS.
    needs: &'static str,
    read: (&'static str, &'static [&'static str]),
    clear: (&'static str, &'static [&'static str]),
}

const TOOLS: &[ClipboardTool] = &[
    ClipboardTool {
        needs: "WAYLAND_DISPLAY",
        read: ("wl-paste", &["--no-newline"]),
        clear: ("wl-copy", &["--clear"]),
    },
    ClipboardTool {
        needs: "DISPLAY",
        read: ("xclip", &["-selection", "clipboard", "-out"]),
        clear: ("xclip", &["-selection", "clipboard", "-in", "/dev/null"]),
    },
    ClipboardTool {
        needs: "DISPLAY",
        read: ("xsel", &["--clipboard", "--output"]),
        clear: ("xsel", &["--clipboard", "--clear"]),
    },
    ClipboardTool {
        needs: "",
        read: ("pbpaste", &[]),
        clear: ("pbcopy", &[]),
    },
];

/// Reads the clipboard with the first program that is there. `max`: the longest value (bytes).
///
/// # Errors
/// `clipboard-unusable`.
pub fn read(dirs: &Dirs, max: usize) -> Result<Secret> {
    let variables = dirs::desktop_variables();
    let is_set = |name: &str| name.is_empty() || variables.iter().any(|(known, _)| *known == name);
    let mut usable = TOOLS.iter().filter(|tool| is_set(tool.needs));
    let Some((tool, program)) = usable.find_map(|tool| {
        let program = invocation::locate(tool.read.0, dirs)?;
        Some((tool, program))
    }) else {
        let names: Vec<_> = TOOLS
            .iter()
            .map(|tool| format!("`{}`", tool.read.0))
            .collect();
        return Err(unusable()
            .cause(format!(
                "no desktop, or none of {} on PATH",
                names.join(", ")
            ))
            .hint(
                "install one (packages wl-clipboard, xclip or xsel), or paste the value when asked",
            ));
    };
    let value = run(&program, tool.read.1, &variables, max)?;
    Ok(Secret::new(value))
}

/// Empties the clipboard, and returns the program that did it.
///
/// # Errors
/// `clipboard-unusable`.
pub fn clear(dirs: &Dirs) -> Result<PathBuf> {
    let variables = dirs::desktop_variables();
    let is_set = |name: &str| name.is_empty() || variables.iter().any(|(known, _)| *known == name);
    let mut usable = TOOLS.iter().filter(|tool| is_set(tool.needs));
    // The one that was read.
    let tool = usable.find(|tool| invocation::locate(tool.read.0, dirs).is_some());
    let found = tool.and_then(|tool| Some((tool, invocation::locate(tool.clear.0, dirs)?)));
    let (tool, program) =
        found.ok_or_else(|| unusable().cause("no program on PATH that clears it"))?;
    run(&program, tool.clear.1, &variables, 0)?;
    Ok(program)
}

/// Runs one of the programs, and returns what it wrote.
fn run(
    program: &PathBuf,
    arguments: &[&str],
    variables: &[(&'static str, OsString)],
    max: usize,
) -> Result<Vec<u8>> {
    let shown = program.display();
    trusted::verify(program).map_err(|found| {
        let error = unusable().cause(found.cause);
        match found.fix {
            Some(fix) => error.hint(fix),
            None => error,
        }
    })?;
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    let environment: Vec<_> = variables
        .iter()
        .map(|(name, value)| (name.as_ref(), value.as_os_str()))
        .collect();
    let ran = capture(&CapturedCommand {
        program,
        arguments: &arguments,
        environment: &environment,
        input: Some(b""),
        stdout_max: max,
        deadline: Instant::now() + LIMIT,
    });
    let ran = ran.map_err(|error| unusable().cause(format!("`{shown}`: {}", io_text(&error))))?;
    let what = match ran.end {
        CapturedEnd::Exit(0) => return Ok(ran.stdout.to_vec()),
        // What it says may have a value in it, and is not repeated.
        CapturedEnd::Exit(code) => {
            format!("ended with exit code {code}: the clipboard has no text")
        }
        CapturedEnd::Signal(signal) => format!("died of signal {signal}"),
        CapturedEnd::Late => format!("gave no answer within {} s", LIMIT.as_secs()),
        CapturedEnd::TooLong => "gave more than a value can have".to_owned(),
    };
    Err(unusable()
        .cause(format!("`{shown}` {what}"))
        .hint("copy the value again, or paste it when asked"))
}

fn unusable() -> Error {
    Error::new(Code::ClipboardUnusable, "cannot use the clipboard")
}
