//! What the table of clients says of each client.

/// The system that a location applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    Any,
    Linux,
    Mac,
    /// Listed for completeness; mcpwrap does not run there yet.
    Windows,
}

/// One location of a client config.
#[derive(Clone, Copy, Debug)]
pub struct ConfigLocation {
    pub os: Os,
    pub path: &'static str,
    /// Whether only older versions of the client read it.
    pub old: bool,
}

/// What the user must do so that a client sees a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The client reloads the file automatically.
    Nothing,
    Restart,
    /// The client reloads the file and asks whether the changed server may start.
    Approve,
    RestartAndApprove,
}

/// A directory or file in which a client logs what servers say.
#[derive(Clone, Copy, Debug)]
pub struct LogLocation {
    pub path: &'static str,
    /// Whether only files with `mcp` in their path count.
    pub only_mcp: bool,
}

/// One MCP client.
#[derive(Clone, Copy, Debug)]
pub struct KnownClient {
    pub id: &'static str,
    pub name: &'static str,
    /// When the locations were last compared with the client's source or documentation; empty if
    /// they are known from reports only.
    pub verified: &'static str,
    pub after: After,
    /// Whether it expands `${…}` and similar references before it starts a server.
    pub fills_in: bool,
    /// How its files refer to the environment variable `NAME`; empty if they cannot.
    pub reference: &'static str,
    pub places: &'static [ConfigLocation],
    /// What it sets in the environment of the commands that its agent runs.
    pub agent: &'static [&'static str],
    /// Where it keeps older versions of its files.
    pub backups: &'static [&'static str],
    /// Where an editor keeps older versions of all files, or an agent what was typed.
    pub histories: &'static [&'static str],
    pub logs: &'static [LogLocation],
    /// Files that name the projects in which it was used.
    pub projects: &'static [&'static str],
}

const fn at(os: Os, path: &'static str, old: bool) -> ConfigLocation {
    ConfigLocation { os, path, old }
}
pub(super) const fn any(path: &'static str) -> ConfigLocation {
    at(Os::Any, path, false)
}
pub(super) const fn linux(path: &'static str) -> ConfigLocation {
    at(Os::Linux, path, false)
}
pub(super) const fn mac(path: &'static str) -> ConfigLocation {
    at(Os::Mac, path, false)
}
pub(super) const fn win(path: &'static str) -> ConfigLocation {
    at(Os::Windows, path, false)
}
pub(super) const fn old(path: &'static str) -> ConfigLocation {
    at(Os::Any, path, true)
}
pub(super) const fn old_linux(path: &'static str) -> ConfigLocation {
    at(Os::Linux, path, true)
}
pub(super) const fn old_mac(path: &'static str) -> ConfigLocation {
    at(Os::Mac, path, true)
}
pub(super) const fn all(path: &'static str) -> LogLocation {
    LogLocation {
        path,
        only_mcp: false,
    }
}
pub(super) const fn mcp(path: &'static str) -> LogLocation {
    LogLocation {
        path,
        only_mcp: true,
    }
}
