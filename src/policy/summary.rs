//! The summary of a policy: what `policy show` prints and what `grant` asks to approve.
//!
//! Invariant: the command is shown completely, with quotes around arguments that contain spaces.

use super::schema::Delivery;
use super::{
    Cwd, EnvRules, Limits, Policy, SecretBinding, SessionRules, StdoutRule, Stream, Unpinned, load,
};
use crate::dirs::Dirs;
use crate::error::printable;

/// A name and a fact.
type SummaryRow = (&'static str, String);

/// Additional notes of the caller about a policy.
pub type Notes<'a> = &'a dyn Fn(&Policy) -> Vec<String>;

/// Everything that a policy allows, as lines of a name and a fact, with additional `notes` of the
/// caller. A grant covers the profiles too, so their differences are shown.
pub fn text(dirs: &Dirs, policy: &Policy, notes: Notes<'_>) -> String {
    let base = lines(dirs, policy, notes);
    let mut text: String = base.iter().map(shown).collect();
    let profiles = if policy.profile.is_none() {
        policy.profiles.as_slice()
    } else {
        &[]
    };
    for profile in profiles {
        let merged = load::with_profile(dirs, policy, profile)
            .expect("a checked policy has the profiles that it names");
        let differs = |line: &SummaryRow| !base.contains(line);
        text.push_str(&shown(&(
            "profile",
            format!("{profile}, for `--profile {profile}`:"),
        )));
        text.extend(
            lines(dirs, &merged, notes)
                .iter()
                .filter(|line| differs(line))
                .map(shown),
        );
    }
    text
}

/// More lines of the same form.
pub fn rows(rows: &[(&'static str, String)]) -> String {
    rows.iter().map(shown).collect()
}

fn shown((name, fact): &SummaryRow) -> String {
    format!("  {name:<10} {}\n", printable(fact))
}

/// Structs are destructured without `..`, here and in [`limits`]: a new field does not compile until
/// it is shown, or ignored by name with the reason.
fn lines(dirs: &Dirs, policy: &Policy, notes: Notes<'_>) -> Vec<SummaryRow> {
    let Policy {
        // The heading above the lines names the server.
        server: _,
        // The path shows whose policy it is.
        tier: _,
        path,
        // These lines show the content of the text.
        digest: _,
        text: _,
        description,
        command: words,
        // Shown by `warnings`.
        argv_secrets: _,
        cwd,
        env: EnvRules { pass, set },
        secrets,
        // `text` shows each profile under its own heading.
        profile: _,
        profiles: _,
        session,
        // Shown by `warnings`.
        limits: _,
        package,
        // A line number, for messages.
        command_line: _,
    } = policy;
    let mut lines = vec![("policy", dirs.tilde(path))];
    if let Some(description) = description {
        lines.push(("about", description.clone()));
    }
    lines.push(("command", command(words)));
    if let Some(package) = package {
        lines.push(("pinned", package.to_string()));
    }
    lines.push((
        "directory",
        match cwd {
            Cwd::Private => "empty and private, for each run".to_owned(),
            Cwd::Client => "the client's (`cwd = \"client\"`)".to_owned(),
            Cwd::Path(path) => path.clone(),
        },
    ));
    for (variable, slot) in secrets {
        let SecretBinding {
            from,
            to,
            optional,
            // A line number, for messages.
            line: _,
        } = slot;
        let how = match to {
            Delivery::Env => "",
            Delivery::File => ", as a file in memory",
            Delivery::DiskFile => ", as a file on disk",
        };
        let optional = if *optional { ", optional" } else { "" };
        lines.push(("secret", format!("{variable} = {from}{how}{optional}")));
    }
    for (name, value) in set {
        lines.push(("sets", format!("{name} = {value}")));
    }
    if !pass.is_empty() {
        lines.push(("inherits", pass.join(", ")));
    }
    if *session != SessionRules::default() {
        let SessionRules {
            renew,
            restart,
            on_failure,
        } = *session;
        let words = [word(renew), word(restart), word(on_failure)];
        lines.push(("session", words.join(", ")));
    }
    let notes = notes(policy).into_iter().chain(warnings(policy));
    lines.extend(notes.map(|note| ("note", note)));
    lines
}

/// Warnings about settings that are less strict than the defaults.
pub fn warnings(policy: &Policy) -> Vec<String> {
    let mut warnings = Vec::new();
    if policy.argv_secrets {
        warnings.push("secrets may be arguments, which `ps` shows to every user".to_owned());
    }
    let on_disk = |slot: &SecretBinding| slot.to == Delivery::DiskFile;
    if policy.secrets.values().any(on_disk) {
        warnings.push("a secret is written to the disk while the server runs".to_owned());
    }
    warnings.extend(limits(&policy.limits));
    warnings
}

/// Warnings about limits that are less strict than the defaults.
fn limits(limits: &Limits) -> Vec<String> {
    let Limits {
        unpinned,
        mask,
        stdout,
        log_calls,
    } = limits;
    let mut warnings = Vec::new();
    if *unpinned == Unpinned::Allow {
        warnings.push("the package version can change without a new grant".to_owned());
    }
    for (stream, name) in [(Stream::Stdout, "stdout"), (Stream::Stderr, "stderr")] {
        if !mask.contains(&stream) {
            warnings.push(format!("secrets are not masked in {name}"));
        }
    }
    if *stdout == StdoutRule::Raw {
        warnings.push("stdout may contain lines that are not MCP messages".to_owned());
    }
    if !log_calls {
        warnings.push("tool calls are not logged".to_owned());
    }
    warnings
}

/// The command, quoted as for a shell.
pub fn command(words: &[String]) -> String {
    words
        .iter()
        .map(|arg| quoted(arg))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The keyword of a choice in the policy file.
fn word(choice: impl serde::Serialize) -> String {
    let word = serde_json::to_value(choice).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}

fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+%{}".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) {
        return arg.to_owned();
    }
    format!("'{}'", arg.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_told_apart() {
        for (arg, expected) in [
            ("-y", "-y"),
            ("@scope/pkg@1.2.3", "@scope/pkg@1.2.3"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", "'it'\\''s'"),
            ("$HOME", "'$HOME'"),
        ] {
            assert_eq!(quoted(arg), expected);
        }
    }
}
