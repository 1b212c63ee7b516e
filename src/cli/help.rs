//! The help of `mcpwrap` itself: the commands in groups, which clap does not know.

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

pub(super) const EXAMPLES: &str = concat!(
    title!("Examples"),
    "  mcpwrap adopt --dry-run\n",
    "  mcpwrap add github\n",
    "  mcpwrap secret set github/token\n",
    "  mcpwrap grant github\n",
    "  mcpwrap log --since 24h\n\n",
    "Run `mcpwrap help COMMAND` for the options of a command.",
);
