//! The help of `mcpwrap` itself: the commands in groups, which clap does not know. And what the help of each
//! command says beyond its arguments, from the same table as its manual page.

mod page;
mod servers;
mod set_up;

use clap::{Command, CommandFactory as _};

pub(super) use self::page::Page;
use super::Cli;

/// A title as clap prints its own.
macro_rules! title {
    ($text:literal) => {
        concat!("\u{1b}[1;4m", $text, ":\u{1b}[0m\n")
    };
}

/// Instead of clap's one list. A test compares the names and summaries with the enum of commands.
pub(super) const TEMPLATE: &str = concat!(
    "{about}\n\n{usage-heading} {usage}\n\n",
    title!("Set up"),
    "  init         Choose the secret store and create its keys\n",
    "  adopt        Move secrets out of client configs\n",
    "  check        Audit MCP configuration on this machine or in a repo\n",
    "  status       Show paths and whether the store works\n",
    "  config       Approve settings that all servers use\n\n",
    title!("Secrets"),
    "  secret       Store, list, rotate and remove secrets\n",
    "  store        Add, check and remove stores of other programs\n",
    "  unlock       Unlock the vault file until lock or reboot\n",
    "  lock         Forget the vault file's key\n\n",
    title!("Servers"),
    "  add          Add a server to the configs of clients\n",
    "  remove       Remove a server that was added, and what only it used\n",
    "  policy       Create, show, edit and validate policies\n",
    "  grant        Approve policies in their current form\n",
    "  pin          Install and lock the package a policy runs\n",
    "  login        Log in to a remote server that uses OAuth\n",
    "  logout       Revoke and remove the token of a remote server\n",
    "  run          Run a server with its secrets, for client configs\n",
    "  test         Start a server as a client does, and list its tools\n\n",
    title!("Control"),
    "  ps           List running servers\n",
    "  renew        Restart a server without dropping its sessions\n",
    "  revoke       Revoke approval and stop the servers\n",
    "  drill        Test the kill switch on this machine\n",
    "  log          Query, verify and export the audit log\n\n",
    title!("Other"),
    "  completions  Print a shell completion script\n",
    "  man          Write manual pages to a directory\n",
    "  uninstall    Restore client configs and remove everything\n\n",
    title!("Options"),
    "{options}{after-help}",
);

/// The page of `mcpwrap` itself.
pub(super) const ROOT: Page = page::page(
    "",
    "Each command says in its help what it does to them. `mcpwrap revoke` ends them, and nothing else does so \
     unasked.",
    &[
        ("mcpwrap adopt --dry-run", "what would move out of client configs"),
        ("mcpwrap add github", "a new server, in one command"),
        ("mcpwrap secret set github/token", "store a secret"),
        ("mcpwrap grant github", "approve a policy"),
        ("mcpwrap log --since 24h", "what was started, injected, refused"),
    ],
)
.one("a \"no\", or findings")
.files(&[
    ("~/.config/mcpwrap/config.toml", "the local store, other stores, defaults"),
    ("~/.config/mcpwrap/policies/SERVER.toml", "policies, without secrets"),
    ("~/.local/state/mcpwrap/", "grants, the audit log, the secret index, what undo needs"),
    ("~/.local/share/mcpwrap/", "the vault file, pinned servers"),
    ("$XDG_RUNTIME_DIR/mcpwrap/", "one control socket per running session"),
    ("/etc/mcpwrap/", "policies and settings of the administrator, which win"),
]);

/// The command line without the pages, for what prints them in another form.
pub(super) fn plain_command() -> Command {
    Cli::command()
}

/// The command line with the pages at the end of each help.
pub(super) fn command() -> Command {
    let more = "\n\nRun `mcpwrap help COMMAND` for the options of a command.";
    with_pages(Cli::command(), "").after_help(ROOT.examples_text() + more)
}

fn with_pages(mut command: Command, path: &str) -> Command {
    if let Some(page) = of(path) {
        command = command.after_help(page.text());
    }
    let names: Vec<String> = command
        .get_subcommands()
        .map(|one| one.get_name().to_owned())
        .collect();
    for name in names {
        let path = format!("{path} {name}");
        command = command.mut_subcommand(name, |one| with_pages(one, path.trim_start()));
    }
    command
}

/// The page of a command, by its path without `mcpwrap`.
pub(super) fn of(path: &str) -> Option<&'static Page> {
    let mut pages = set_up::PAGES.iter().chain(servers::PAGES);
    pages.find(|page| page.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(command: &Command, path: &str, found: &mut Vec<String>) {
        for one in command.get_subcommands() {
            let path = format!("{path} {}", one.get_name()).trim_start().to_owned();
            paths(one, &path, found);
            found.push(path);
        }
    }

    #[test]
    fn every_command_has_a_page_and_every_page_a_command() {
        let mut commands = Vec::new();
        paths(&Cli::command(), "", &mut commands);
        let mut pages: Vec<_> = set_up::PAGES.iter().chain(servers::PAGES).collect();
        pages.sort_by_key(|page| page.path);
        commands.sort();
        let names: Vec<_> = pages.iter().map(|page| page.path).collect();
        assert_eq!(names, commands);
    }

    /// What a user copies from a page is a command line that is understood.
    #[test]
    fn every_example_is_a_command_of_its_page() {
        for page in set_up::PAGES.iter().chain(servers::PAGES) {
            assert!(
                !page.examples.is_empty() && !page.running.is_empty(),
                "{}",
                page.path
            );
            // A line that is longer is wrapped on a wide terminal already.
            for line in page.text().lines() {
                assert!(line.chars().count() <= 98, "{}: {line}", page.path);
            }
            for (example, _) in page.examples {
                // Until a redirection or a pipe of the shell.
                let line = example
                    .split([';', '|', '<', '>'])
                    .next()
                    .unwrap_or_default();
                let words: Vec<_> = line
                    .split_whitespace()
                    .map(|word| word.trim_matches('\''))
                    .collect();
                let start = format!("mcpwrap {}", page.path);
                assert!(line.starts_with(&start), "{example}");
                let parsed = Cli::command().try_get_matches_from(&words);
                let is_fine = parsed.as_ref().is_ok_and(|_| true);
                // `--fd 3` is open in the shell that the example shows.
                assert!(
                    is_fine || line.contains("--fd"),
                    "{example}: {:?}",
                    parsed.err()
                );
            }
        }
    }
}
