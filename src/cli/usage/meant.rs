//! Commands that do not exist under the word that people try, and what does it.

/// The command, the words that people try after it, and what does it.
const MEANT: &[(&str, &[&str], &str)] = &[
    (
        "",
        &["allow", "approve", "accept", "trust", "permit"],
        "run `mcpwrap grant SERVER` to approve a policy",
    ),
    (
        "",
        &[
            "stop",
            "kill",
            "deny",
            "disable",
            "block",
            "killswitch",
            "kill-switch",
            "quarantine",
        ],
        "run `mcpwrap revoke SERVER` to stop a server",
    ),
    (
        "",
        &["start", "exec", "launch", "wrap", "serve", "proxy"],
        "run `mcpwrap run SERVER` to start a server",
    ),
    (
        "",
        &["restart", "reload", "refresh"],
        "run `mcpwrap renew SERVER` to restart a server",
    ),
    (
        "",
        &["rotate", "update-secret"],
        "run `mcpwrap secret rotate NAME` to replace a value",
    ),
    (
        "",
        &[
            "scan", "audit", "doctor", "inspect", "lint", "analyze", "validate", "diagnose",
        ],
        "run `mcpwrap check` to find problems",
    ),
    (
        "",
        &["undo", "restore", "rollback", "revert", "unwrap", "unadopt"],
        "run `mcpwrap adopt --undo` to restore entries",
    ),
    (
        "",
        &["list", "ls", "servers"],
        "run `mcpwrap policy list` to list servers",
    ),
    (
        "",
        &["set", "keys", "vault", "credentials", "env"],
        "run `mcpwrap secret set NAME` to store a secret, `mcpwrap secret list` to list them",
    ),
    (
        "",
        &["import", "migrate", "protect"],
        "run `mcpwrap adopt` to move secrets out of client configs",
    ),
    (
        "",
        &["setup", "install", "configure", "bootstrap"],
        "run `mcpwrap init` to set up the store",
    ),
    (
        "",
        &["purge", "reset"],
        "run `mcpwrap uninstall` to remove everything",
    ),
    (
        "",
        &["logs", "history", "events", "journal"],
        "run `mcpwrap log` to see what happened",
    ),
    (
        "",
        &["who-has", "whohas", "who"],
        "run `mcpwrap log who-has NAME` to see who has a secret",
    ),
    (
        "",
        &["verify"],
        "run `mcpwrap log verify` for the log, `mcpwrap check --verify` for secrets",
    ),
    (
        "",
        &["lock-version", "freeze", "upgrade", "update", "outdated"],
        "run `mcpwrap pin SERVER` to pin a server, `mcpwrap pin --outdated` to see newer versions",
    ),
    (
        "",
        &["tools", "probe", "ping", "try"],
        "run `mcpwrap test SERVER` to list the tools of a server",
    ),
    (
        "",
        &["auth", "authorize", "signin", "sign-in"],
        "run `mcpwrap login SERVER` to log in to a remote server",
    ),
    (
        "",
        &["top", "running", "processes", "sessions"],
        "run `mcpwrap ps` to list running servers",
    ),
    (
        "",
        &["info", "paths", "health", "version"],
        "run `mcpwrap status` to see paths and whether the store works",
    ),
    (
        "",
        &["new", "create"],
        "run `mcpwrap add SERVER` for a server, `mcpwrap secret set NAME` for a secret",
    ),
    (
        "",
        &["rm", "delete"],
        "run `mcpwrap remove SERVER` for a server, `mcpwrap secret rm NAME` for a secret",
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
        "log",
        &["show", "list", "tail", "query", "search"],
        "run `mcpwrap log` with `--since`, `--server`, `--event` or `--follow`",
    ),
    (
        "log",
        &["who", "whohas", "holders"],
        "run `mcpwrap log who-has NAME`",
    ),
    (
        "store",
        &["set", "new", "create"],
        "run `mcpwrap store add NAME --type TYPE`",
    ),
    (
        "store",
        &["remove", "delete", "del"],
        "run `mcpwrap store rm NAME`",
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
