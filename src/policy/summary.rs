//! The summary of a policy: what `policy show` prints and what `grant` asks to approve.
//!
//! Invariants: the command, or the address of a remote server, is shown completely, and it stands last,
//! after the secrets. Arguments that contain spaces are in quotes. Of what decides what runs, only printable ASCII is shown as it is:
//! other characters may look like something else.

use std::collections::BTreeMap;

use super::destination::destination;
use super::plain::{is_plain_ascii, word};
use super::schema::Delivery;
use super::{
    Cwd, EnvRules, Limits, MintRules, Policy, SecretBinding, SessionRules, StdoutRule, Stream,
    Unpinned, argument, load,
};
use crate::dirs::Dirs;
use crate::error::printable;
use crate::secret::MintName;

pub use super::plain::{ascii, ascii_line};

/// A name and a fact.
type SummaryRow = (&'static str, String);

/// Additional notes of the caller about a policy.
pub type Notes<'a> = &'a dyn Fn(&Policy) -> Vec<String>;

/// Everything that a policy allows, as lines of a name and a fact.
#[derive(Debug)]
pub struct Parts {
    pub rest: String,
    /// The secrets, and what runs.
    pub last: String,
}

/// Everything that a policy allows, with additional `notes` of the caller.
pub fn text(dirs: &Dirs, policy: &Policy, notes: Notes<'_>) -> String {
    let Parts { rest, last } = parts(dirs, policy, notes);
    rest + &last
}

/// [`text`] in two parts. A grant covers the profiles too, so their differences are shown.
pub fn parts(dirs: &Dirs, policy: &Policy, notes: Notes<'_>) -> Parts {
    let (base, last) = lines(dirs, policy, notes);
    let mut rest: String = base.iter().map(shown).collect();
    let (secrets, command): (Vec<_>, Vec<_>) = last.iter().partition(|(name, _)| *name == "secret");
    let mut secrets: String = secrets.into_iter().map(shown).collect();
    let profiles = if policy.profile.is_none() {
        policy.profiles.as_slice()
    } else {
        &[]
    };
    for profile in profiles {
        let merged = load::with_profile(dirs, policy, profile)
            .expect("a checked policy has the profiles that it names");
        let (own, own_last) = lines(dirs, &merged, notes);
        let title = shown(&("profile", format!("{profile}, for `--profile {profile}`:")));
        let mut other = own.iter().filter(|line| !base.contains(line)).peekable();
        if other.peek().is_some() {
            rest.push_str(&title);
            rest.extend(other.map(shown));
        }
        let mut new = own_last
            .iter()
            .filter(|line| !last.contains(line))
            .peekable();
        if new.peek().is_some() {
            secrets.push_str(&title);
            secrets.extend(new.map(shown));
        }
    }
    let command: String = command.into_iter().map(shown).collect();
    Parts {
        rest,
        last: secrets + &command,
    }
}

/// More lines of the same form.
pub fn rows(rows: &[(&'static str, String)]) -> String {
    rows.iter().map(shown).collect()
}

fn shown((name, fact): &SummaryRow) -> String {
    format!("  {name:<10} {}\n", printable(fact))
}

/// Structs are destructured without `..`, here and in [`limits`]: a new field does not compile until
/// it is shown, or ignored by name with the reason. Returns the secrets and the command apart.
fn lines(dirs: &Dirs, policy: &Policy, notes: Notes<'_>) -> (Vec<SummaryRow>, Vec<SummaryRow>) {
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
        remote,
        // Shown by `warnings`.
        argv_secrets: _,
        cwd,
        // Shown by `warnings`.
        fence: _,
        env: EnvRules { pass, set },
        secrets,
        // `text` shows those of each profile.
        references: _,
        mints,
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
    let (mut lines, mut last) = (vec![("policy", ascii(&dirs.tilde(path)))], Vec::new());
    if let Some(description) = description {
        lines.push(("about", without_gaps(description)));
    }
    last.extend(secret_rows(secrets, mints));
    for (name, value) in set {
        lines.push(("sets", format!("{name} = {}", ascii(value))));
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
    if let Some(package) = package {
        last.push(("pinned", ascii(&package.to_string())));
    }
    if let Some(remote) = remote {
        last.extend(destination(remote));
    } else {
        last.extend(places(cwd, words));
        last.push(("command", command(words)));
    }
    (lines, last)
}

/// The secrets, and the short-lived credentials that they are parts of.
fn secret_rows(
    secrets: &BTreeMap<String, SecretBinding>,
    mints: &BTreeMap<MintName, MintRules>,
) -> Vec<SummaryRow> {
    let mut rows = Vec::new();
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
        rows.push(("secret", format!("{variable} = {from}{how}{optional}")));
    }
    for (name, mint) in mints {
        rows.push(("secret", format!("mint:{name} = {}", mint.shown())));
    }
    rows
}

/// Where the server runs, and which folder it is told.
fn places(cwd: &Cwd, words: &[String]) -> Vec<SummaryRow> {
    let mut rows = Vec::new();
    if words.iter().any(|word| argument::workspace(word).is_some()) {
        let place = argument::WORKSPACE;
        let fact = format!("the client writes a folder of yours for {place}, but not your home");
        rows.push(("workspace", fact));
    }
    let directory = match cwd {
        Cwd::Private => "empty and private, for each run".to_owned(),
        Cwd::Client => "the client's (`cwd = \"client\"`)".to_owned(),
        Cwd::Path(path) => ascii(path),
    };
    rows.push(("directory", directory));
    rows
}

/// What `fence = false` allows.
const NO_FENCE: &str =
    "no fence: the server may signal and trace your other processes, and read their memory";

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
    if !policy.fence {
        warnings.push(NO_FENCE.to_owned());
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

/// What a policy starts or speaks to, in one line: its command, or the URL of a remote server.
pub fn target(policy: &Policy) -> String {
    match &policy.remote {
        Some(remote) => ascii(&remote.url),
        None => command(&policy.command),
    }
}

/// The command, quoted as for a shell.
pub fn command(words: &[String]) -> String {
    words
        .iter()
        .map(|arg| quoted(arg))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+%{}".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) {
        return arg.to_owned();
    }
    if is_plain_ascii(arg) {
        return format!("'{}'", arg.replace('\'', "'\\''"));
    }
    ascii(arg)
}

/// A text in any language, without gaps that may look like the end of a line.
fn without_gaps(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ")
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
            ("caf\u{e9}", "$'caf\\u00e9'"),
            // A Cyrillic letter, a zero-width space, an escape sequence, a quote among them.
            ("n\u{440}m", "$'n\\u0440m'"),
            ("a\u{200b}'\u{1b}[2K", "$'a\\u200b\\'\\u001b[2K'"),
            ("\u{1f600}\\", "$'\\U0001f600\\\\'"),
            ("a    b", "$'a\\x20{4}b'"),
        ] {
            assert_eq!(quoted(arg), expected);
        }
    }
}
