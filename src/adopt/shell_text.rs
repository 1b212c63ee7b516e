//! Secrets in the script of `sh -c SCRIPT`: they become variables, which the script names.
//!
//! Invariant: the shell reads the same words as before, whatever the values are later.

use std::ops::Range;

use crate::package::program_name;
use crate::policy::argument::WRAPPERS;

/// Programs that start another one with their own variables and some more.
const KEEP: &[&str] = &[
    "cmd",
    "command",
    "direnv",
    "doppler",
    "dotenv",
    "dotenvx",
    "env-cmd",
    "exec",
    "fnm",
    "infisical",
    "mise",
    "op",
    "uv",
    "varlock",
    "volta",
    "winpty",
];

/// Programs and options behind which the variables are others.
const CLEAR: &[&str] = &[
    "-",
    "-i",
    "--ignore-environment",
    "chroot",
    "doas",
    "docker",
    "flatpak",
    "flatpak-spawn",
    "kubectl",
    "machinectl",
    "nerdctl",
    "oc",
    "pkexec",
    "podman",
    "run0",
    "runuser",
    "ssh",
    "su",
    "sudo",
    "systemd-run",
    "wsl",
];

/// Whether a shell after these words of a command has the variables that the command is started with. An
/// unknown program may clear them.
pub(super) fn gets_variables(before: &[String]) -> bool {
    let is_one_of = |word: &String, names: &[&str]| names.contains(&program_name(word).as_str());
    before
        .first()
        .is_none_or(|first| is_one_of(first, KEEP) || is_one_of(first, WRAPPERS))
        && !before.iter().any(|word| is_one_of(word, CLEAR))
}

/// The script with the variable in place of each secret, wherever its value stands.
///
/// # Errors
/// The script is not simple enough to tell how the shell quotes the secret.
pub(super) fn with_variables(
    shell: &str,
    script: &str,
    secrets: &[(String, String)],
) -> Result<String, String> {
    let refused = || {
        Err("its secret is in the script of a shell: move it into `env`, then adopt it".to_owned())
    };
    let is_plain = !matches!(program_name(shell).as_str(), "cmd" | "powershell" | "pwsh");
    // The last ones read the text a second time, and with it the value.
    let beyond = [
        "$(", "`", "<<", "eval ", "sh -c", "sh -lc", "ssh ", "su -c", "xargs",
    ];
    if !is_plain || beyond.iter().any(|open| script.contains(open)) {
        return refused();
    }
    let mut out = String::new();
    let (mut quote, mut at) = (None, 0);
    for (range, variable) in places(script, secrets) {
        let (Some(before), Some(value)) = (script.get(at..range.start), script.get(range.clone()))
        else {
            return refused();
        };
        if value.contains(['\'', '"', '\\', '$']) || before.ends_with('\\') {
            return refused();
        }
        quote = after(quote, before);
        out.push_str(before);
        let (close, open) = match quote {
            Some('"') => ("\"", "\""),
            Some(_) => ("'", "'"),
            None => ("", ""),
        };
        out.extend([close, "\"$", variable, "\"", open]);
        at = range.end;
    }
    out.push_str(script.get(at..).unwrap_or_default());
    Ok(out)
}

/// Where the values stand, in order. Of two that overlap, the longer one counts.
fn places<'a>(script: &str, secrets: &'a [(String, String)]) -> Vec<(Range<usize>, &'a str)> {
    let mut secrets: Vec<_> = secrets.iter().collect();
    secrets.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    let mut found: Vec<(Range<usize>, &str)> = Vec::new();
    for (value, variable) in secrets.into_iter().filter(|(value, _)| !value.is_empty()) {
        for (at, _) in script.match_indices(value.as_str()) {
            let range = at..at + value.len();
            let is_free = |(other, _): &(Range<usize>, &str)| {
                range.end <= other.start || other.end <= range.start
            };
            if found.iter().all(is_free) {
                found.push((range, variable));
            }
        }
    }
    found.sort_by_key(|(range, _)| range.start);
    found
}

/// The quote that is open after a text.
fn after(mut quote: Option<char>, text: &str) -> Option<char> {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None | Some('"'), '\\') => drop(chars.next()),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    quote
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_has_the_variables() {
        for (line, expected) in [
            ("", true),
            ("env A=1", true),
            ("/usr/bin/timeout 60", true),
            ("dotenvx run -f .env --", true),
            ("env -i", false),
            ("docker run -i --rm node:22", false),
            ("timeout 60 docker exec x", false),
            ("sudo -E", false),
            ("wsl.exe", false),
            ("an-unknown-wrapper --", false),
        ] {
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            assert_eq!(gets_variables(&words), expected, "{line}");
        }
    }

    #[test]
    fn the_shell_reads_the_same_words() {
        for (script, expected) in [
            ("T=VALUE exec node x", "T=\"$T\" exec node x"),
            ("export T='VALUE'; node x", "export T=''\"$T\"''; node x"),
            (
                "node x --auth \"Bearer VALUE\"",
                "node x --auth \"Bearer \"\"$T\"\"\"",
            ),
            ("a VALUE 'VALUE'", "a \"$T\" ''\"$T\"''"),
            ("node x 'it'\\''s VALUE'", "node x 'it'\\''s '\"$T\"''"),
        ] {
            let parts = [("VALUE".to_owned(), "T".to_owned())];
            let new = with_variables("/bin/sh", script, &parts).unwrap();
            assert_eq!(new, expected);
            assert!(with_variables("cmd.exe", script, &parts).is_err());
        }
        for script in [
            "T=$(echo VALUE)",
            "eval 'T=VALUE x'",
            "bash -c 'T=VALUE x'",
            "cat <<E\nVALUE\nE",
            "T=`echo VALUE`",
        ] {
            let parts = [("VALUE".to_owned(), "T".to_owned())];
            assert!(with_variables("sh", script, &parts).is_err());
        }
    }
}
