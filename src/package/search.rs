//! Launchers that are not at the front of a command: behind wrappers that nobody listed, in the text
//! of a script, in the arguments of another launcher.
//!
//! Invariant: a launcher anywhere counts. What only looks like one is refused too, until the policy
//! allows it.

use super::launcher::{SCRIPT, at_front, is_launcher, is_launcher_script, program_name};
use super::{ParsedCommand, Pin, Registry, shell};

const IN_ARGUMENT: &str = "an argument contains its command line";
const IN_ARGUMENTS: &str = "its arguments start another package";
pub(super) const ELSEWHERE: &str = "starts on another machine, in a container or as another user";

/// Programs that start a command where an installed package of this machine may not be.
const ELSEWHERE_NAMES: &[&str] = &[
    "ssh",
    "mosh",
    "wsl",
    "docker",
    "docker-compose",
    "podman",
    "nerdctl",
    "container",
    "kubectl",
    "oc",
    "flatpak",
    "flatpak-spawn",
    "snap",
    "distrobox",
    "distrobox-enter",
    "toolbox",
    "devcontainer",
    "vagrant",
    "multipass",
    "lxc",
    "incus",
    "machinectl",
    "nsenter",
    "chroot",
    "limactl",
    "lima",
    "colima",
    "orb",
    "gcloud",
    "coder",
    "gh",
    "su",
    "runuser",
    "doas",
    "pkexec",
    "bwrap",
    "firejail",
    "sandbox-exec",
];

/// Whether a wrapper starts its command where an installed package of this machine may not be.
pub(super) fn is_elsewhere(wrapper: &[String]) -> bool {
    wrapper
        .iter()
        .any(|word| ELSEWHERE_NAMES.contains(&program_name(word).as_str()))
}

/// What a script that is more than one plain command seems to start: its first launcher, as weakly
/// pinned as the weakest of all. A shell decides what really starts.
pub(super) fn script(script: &str) -> Option<ParsedCommand> {
    let commands = shell::commands(script);
    let found = commands.iter().filter_map(|command| first(&command.words));
    weakest(found).map(|found| ParsedCommand {
        obstacle: Some(SCRIPT),
        ..found
    })
}

/// What a command starts that has a launcher behind other words.
pub(super) fn behind(words: &[String]) -> Option<ParsedCommand> {
    for (n, word) in words.iter().enumerate() {
        let own = words.get(n..).unwrap_or_default();
        let found = at_front(own).filter(|found| n > 0 && is_package(found));
        if let Some(found) = found {
            let is_of_node = n > 0 && is_launcher_script(word);
            let kept = if is_of_node { n - 1 } else { n };
            return Some(ParsedCommand {
                wrapper: words.iter().take(kept).cloned().collect(),
                ..within(found)
            });
        }
        if let Some(found) = text(word) {
            return Some(ParsedCommand {
                obstacle: Some(IN_ARGUMENT),
                ..found
            });
        }
    }
    // `--command npx --args -y,server`: which package is known to the wrapper only.
    let bare = |word: &&String| is_launcher(word.rsplit('=').next().unwrap_or(word));
    let bare = words.iter().skip(1).find(bare)?;
    let launcher = [bare.rsplit('=').next().unwrap_or(bare).to_owned()];
    Some(ParsedCommand {
        obstacle: Some(IN_ARGUMENT),
        ..at_front(&launcher)?
    })
}

/// A launcher's command with what its own arguments start.
pub(super) fn within(mut found: ParsedCommand) -> ParsedCommand {
    let args = &found.args;
    let words = (0..args.len()).filter_map(|n| at_front(args.get(n..)?));
    let texts = args.iter().filter_map(|word| text(word));
    let Some(inner) = weakest(words.chain(texts).filter(is_package)) else {
        return found;
    };
    // The engine knows an image by its digest; what runs inside comes with it, if it is exact.
    if found.registry != Registry::Image || !inner.pin.holds() {
        found.obstacle.get_or_insert(IN_ARGUMENTS);
    }
    found.pin = found.pin.min(inner.pin);
    found.with.extend(inner.spec);
    found
}

/// What a text among the arguments starts, if it is a command line or code with one.
fn text(word: &str) -> Option<ParsedCommand> {
    if !word.contains(char::is_whitespace) && !word.contains(['"', '\'', '[']) {
        return None;
    }
    let commands = shell::commands(word);
    let found = commands.iter().filter_map(|command| first(&command.words));
    weakest(found.filter(is_package)).or_else(|| {
        // Code: `spawn("npx", ["-y", "server"])`.
        let between = |c: char| c.is_whitespace() || "\"'`[](){},;&|=".contains(c);
        let tokens = word.split(between).filter(|token| !token.is_empty());
        let tokens: Vec<_> = tokens.map(str::to_owned).collect();
        first(&tokens).filter(is_package)
    })
}

/// What the first launcher in these words starts.
fn first(words: &[String]) -> Option<ParsedCommand> {
    let mut suffixes = (0..words.len()).filter_map(|n| words.get(n..));
    let found = suffixes.find_map(at_front)?;
    let pin = if found.spec.is_some() {
        found.pin
    } else {
        Pin::Floating
    };
    Some(ParsedCommand { pin, ..found })
}

/// Whether a package of a registry is named.
fn is_package(found: &ParsedCommand) -> bool {
    found.spec.is_some() && found.registry != Registry::Local
}

/// The first of these, as weakly pinned as the weakest.
fn weakest(found: impl Iterator<Item = ParsedCommand>) -> Option<ParsedCommand> {
    found.reduce(|first, other| ParsedCommand {
        pin: first.pin.min(other.pin),
        ..first
    })
}
