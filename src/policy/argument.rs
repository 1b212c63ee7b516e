//! Arguments of a command that are more than text: the client's workspace, and the text of a shell.

use std::path::Path;

/// Stands for the folder that the client has opened.
pub const WORKSPACE: &str = "{client.workspace}";

/// The text before [`WORKSPACE`] in an argument that ends with it: nothing, or `--name=`.
pub fn workspace(argument: &str) -> Option<&str> {
    let prefix = argument.strip_suffix(WORKSPACE)?;
    (prefix.is_empty() || is_option(prefix)).then_some(prefix)
}

/// Whether a text is `--name=`.
fn is_option(prefix: &str) -> bool {
    let name = prefix.strip_suffix('=').unwrap_or_default();
    let letters = name.trim_start_matches('-');
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    letters.len() < name.len() && !letters.is_empty() && letters.chars().all(allowed)
}

/// Whether an argument of a command is the text of a shell's script, in which a value would be code.
pub fn is_shell_text(command: &[String], n: usize) -> bool {
    let is_shell = |word: &String| {
        let name = Path::new(word).file_name().and_then(|name| name.to_str());
        let name = name.unwrap_or_default();
        let name = name.strip_suffix(".exe").unwrap_or(name);
        SHELLS.contains(&name)
    };
    let before = command.get(..n).unwrap_or_default();
    let Some(shell) = before.iter().position(is_shell) else {
        return false;
    };
    // `sh -c TEXT NAME ARGUMENT…`: the arguments are not part of the text.
    let options = before.get(shell + 1..).unwrap_or_default();
    options.last().is_some_and(|flag| is_script_flag(flag))
}

/// `-c`, also among other letters (`-lc`), and what PowerShell and cmd call it.
fn is_script_flag(flag: &str) -> bool {
    let lower = flag.to_ascii_lowercase();
    let short = flag.starts_with('-') && !flag.starts_with("--") && flag.ends_with('c');
    short || matches!(lower.as_str(), "--command" | "-command" | "/c" | "/k")
}

/// Programs that start another one, with their own variables and search path.
pub const WRAPPERS: &[&str] = &[
    "env", "ionice", "nice", "nohup", "setsid", "stdbuf", "time", "timeout", "xvfb-run",
];

/// Programs that take a script as an argument.
pub const SHELLS: &[&str] = &[
    "sh",
    "bash",
    "zsh",
    "dash",
    "ash",
    "ksh",
    "fish",
    "pwsh",
    "powershell",
    "cmd",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_stands_alone_or_after_a_fixed_option() {
        for (argument, expected) in [
            ("{client.workspace}", Some("")),
            ("--root={client.workspace}", Some("--root=")),
            ("-r={client.workspace}", Some("-r=")),
            ("{client.workspace}/src", None),
            ("/x/{client.workspace}", None),
            ("--a=b={client.workspace}", None),
            ("root={client.workspace}", None),
            ("--={client.workspace}", None),
            ("--root {client.workspace}", None),
        ] {
            assert_eq!(workspace(argument), expected, "{argument}");
        }
    }

    #[test]
    fn the_text_of_a_shell() {
        for (line, n, expected) in [
            ("sh -c x", 2, true),
            ("/bin/bash -lc x", 2, true),
            ("env A=1 bash -e -c x", 5, true),
            ("cmd.exe /c x", 2, true),
            ("sh -c x y", 3, false),
            ("node -c x", 2, false),
        ] {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(is_shell_text(&words, n), expected, "{line}");
        }
    }
}
