//! Commands that do not exist under the word that people try, and what does it.

/// The command, the words that people try after it, and what does it.
const MEANT: &[(&str, &[&str], &str)] = &[
    (
        "",
        &["allow", "approve", "accept", "trust"],
        "run `mcpwrap grant SERVER` to approve a policy",
    ),
    (
        "",
        &["stop", "kill", "deny", "disable", "block"],
        "run `mcpwrap revoke SERVER` to stop a server",
    ),
    (
        "",
        &["start", "exec", "launch"],
        "run `mcpwrap run SERVER` to start a server",
    ),
    (
        "",
        &["restart", "reload"],
        "run `mcpwrap renew SERVER` to restart a server",
    ),
    (
        "",
        &["scan", "audit", "doctor"],
        "run `mcpwrap check` to find problems",
    ),
    (
        "",
        &["undo", "restore", "rollback"],
        "run `mcpwrap adopt --undo` to restore entries",
    ),
    (
        "",
        &["list", "ls", "servers"],
        "run `mcpwrap policy list` to list servers",
    ),
    (
        "",
        &["set", "add"],
        "run `mcpwrap secret set NAME` to store a secret",
    ),
    (
        "",
        &["import", "migrate"],
        "run `mcpwrap adopt` to move secrets out of client configs",
    ),
    (
        "",
        &["setup", "install"],
        "run `mcpwrap init` to set up the store",
    ),
    (
        "",
        &["remove", "purge"],
        "run `mcpwrap uninstall` to remove everything",
    ),
    (
        "policy",
        &["allow", "approve", "grant", "accept"],
        "run `mcpwrap grant SERVER` to approve a policy",
    ),
    (
        "policy",
        &["deny", "revoke", "disable"],
        "run `mcpwrap revoke SERVER` to revoke a policy",
    ),
    (
        "policy",
        &["add", "create", "init"],
        "run `mcpwrap policy new SERVER`",
    ),
    (
        "policy",
        &["remove", "delete", "del"],
        "run `mcpwrap policy rm SERVER`",
    ),
    (
        "policy",
        &["validate", "check", "verify"],
        "run `mcpwrap policy lint`",
    ),
    (
        "policy",
        &["get", "cat", "print", "view"],
        "run `mcpwrap policy show SERVER`",
    ),
    (
        "secret",
        &["get", "show", "cat", "read", "reveal", "view"],
        "values are never printed; `mcpwrap secret list` shows names and fingerprints",
    ),
    (
        "secret",
        &["add", "create", "new", "put", "store"],
        "run `mcpwrap secret set NAME`",
    ),
    (
        "secret",
        &["remove", "delete", "del"],
        "run `mcpwrap secret rm NAME`",
    ),
    (
        "secret",
        &["update", "change", "replace"],
        "run `mcpwrap secret rotate NAME`",
    ),
];

/// What to run instead of a word that is no command. `path`: the command before it.
pub(super) fn hint(path: &str, typed: &str) -> Option<&'static str> {
    let is_meant =
        |(before, words, _): &&(&str, &[&str], &str)| *before == path && words.contains(&typed);
    MEANT.iter().find(is_meant).map(|(.., hint)| *hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_a_command() {
        use clap::CommandFactory as _;
        let root = crate::cli::Cli::command();
        for (path, words, _) in MEANT {
            let command = match *path {
                "" => Some(&root),
                name => root.find_subcommand(name),
            };
            let command = command.expect("it is a command");
            for word in *words {
                assert!(command.find_subcommand(word).is_none(), "{path} {word}");
            }
        }
    }
}
