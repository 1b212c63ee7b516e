//! What mcpwrap says when it does not do something: what, why, what to do.
//!
//! *Never* holds a secret, a piece of one, or its length. *Always* has a code from the closed list
//! below, which is the same in the message, the audit log, the JSON-RPC error and `docs/errors.md`.
//! The module that knows the facts writes the message; `cli::print` is the only one that shows it.

use std::fmt;

/// A result whose error can be shown to the user as it is.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Exit code: mcpwrap refused or failed before the server started (as `env`, `timeout`, `docker run`).
pub const EXIT_REFUSED: u8 = 125;
/// Exit code: the program was found but cannot be executed (as the shell).
pub const EXIT_NOT_EXECUTABLE: u8 = 126;
/// Exit code: the program was not found (as the shell).
pub const EXIT_NOT_FOUND: u8 = 127;
/// Exit code of the other verbs: a "no" answer, or findings.
pub const EXIT_NO: u8 = 1;
/// Exit code of the other verbs: an error.
pub const EXIT_ERROR: u8 = 2;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// The stable name of an error. The list is closed; `docs/errors.md` is made from it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $variant,)+ }

        impl Code {
            /// All codes, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name as users and scripts see it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// When the error occurs, one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+),)+ }
            }
        }
    };
}

codes! {
    /// The command line of mcpwrap itself is wrong.
    Usage = "usage",
    /// A name of a server, a secret or a profile has characters that are not allowed, or is too long.
    NameInvalid = "name-invalid",
    /// There is no home directory, or it belongs to another user.
    HomeUnusable = "home-unusable",
    /// A file or directory of mcpwrap's own can be changed by others, belongs to another user, or is not a plain file.
    FileNotPrivate = "file-not-private",
    /// A file of mcpwrap's own cannot be read, written or understood.
    FileUnusable = "file-unusable",
    /// `config.toml` is not valid.
    ConfigInvalid = "config-invalid",
    /// There is no policy of that name.
    PolicyNotFound = "policy-not-found",
    /// The policy is not valid TOML, has an unknown field, or contradicts itself.
    PolicyInvalid = "policy-invalid",
    /// The policy can be changed by others, belongs to another user, or is not a plain file.
    PolicyNotPrivate = "policy-not-private",
    /// A policy of that name exists already.
    PolicyExists = "policy-exists",
    /// The policy was never granted.
    NotGranted = "not-granted",
    /// The policy was changed after it was granted.
    PolicyChanged = "policy-changed",
    /// The policy was revoked.
    Revoked = "revoked",
    /// The grant was not made by this user's mcpwrap: its seal does not fit.
    GrantBroken = "grant-broken",
    /// The client asked for another command than the policy allows.
    CommandNotAllowed = "command-not-allowed",
    /// The command starts a package whose version is not pinned.
    Unpinned = "unpinned",
    /// The installed package, its lock file or its interpreter is not what was pinned.
    PackageChanged = "package-changed",
    /// The pinned package is not installed on this machine.
    PackageAbsent = "package-absent",
    /// A package could not be resolved, downloaded or installed.
    PackageFailed = "package-failed",
    /// The program of the command does not exist.
    ProgramNotFound = "program-not-found",
    /// The program of the command exists but cannot be executed.
    ProgramNotExecutable = "program-not-executable",
    /// The server could not be started for another reason (working directory, resources).
    LaunchFailed = "launch-failed",
    /// The policy has no profile of that name.
    ProfileNotFound = "profile-not-found",
    /// A secret of one profile was asked for in a run of another.
    SecretWrongProfile = "secret-wrong-profile",
    /// The store has no master key yet, which seals grants and the audit log.
    NotSetUp = "not-set-up",
    /// The store has no secret of that name.
    SecretNotFound = "secret-not-found",
    /// The store has more than one item of that name.
    SecretAmbiguous = "secret-ambiguous",
    /// The expiry date of the secret has passed.
    SecretExpired = "secret-expired",
    /// The value is empty, too short or digits only, so that it cannot be masked.
    SecretWeak = "secret-weak",
    /// The value cannot be used where the policy puts it (a NUL byte, or not UTF-8).
    SecretUnusable = "secret-unusable",
    /// There is no keychain on this machine, or it cannot be reached.
    KeychainAbsent = "keychain-absent",
    /// The keychain is locked.
    KeychainLocked = "keychain-locked",
    /// The keychain did not answer in time.
    KeychainTimeout = "keychain-timeout",
    /// The user dismissed the keychain's prompt, or the keychain denied access.
    KeychainDenied = "keychain-denied",
    /// The keychain answered with an error.
    KeychainFailed = "keychain-failed",
    /// The vault file does not exist yet.
    VaultAbsent = "vault-absent",
    /// The vault file needs its passphrase first.
    VaultLocked = "vault-locked",
    /// The vault file or its key cannot be read or does not fit.
    VaultBroken = "vault-broken",
    /// Starting needs the answer within eight seconds, and it took longer.
    StartTimeout = "start-timeout",
    /// The audit log cannot be written and synced.
    AuditUnwritable = "audit-unwritable",
    /// The audit log was changed after it was written.
    AuditBroken = "audit-broken",
    /// Another program did not take the records of the audit log.
    ExportFailed = "export-failed",
    /// A question needs a terminal, and there is none.
    NoTerminal = "no-terminal",
    /// `--yes` is not accepted: an AI agent runs this command, or the managed policy forbids it.
    YesRefused = "yes-refused",
    /// The answer to a question was no.
    Declined = "declined",
    /// A client's file was saved by another program after it was read, so it was not written.
    ClientConfigChanged = "client-config-changed",
    /// The server ended.
    ServerExited = "server-exited",
    /// The server put a secret where it cannot be masked.
    SecretInId = "secret-in-id",
    /// A running supervisor cannot be reached, or does not answer.
    SupervisorUnreachable = "supervisor-unreachable",
    /// A process outlived the command that should have ended it.
    StillRunning = "still-running",
    /// A new server did not come up, so the old one was kept.
    RenewFailed = "renew-failed",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One error, ready to be shown: `what` did not happen, `causes` say why, `hints` what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub code: Code,
    pub what: String,
    pub causes: Vec<String>,
    pub hints: Vec<String>,
}

impl Error {
    /// `what`: lower case, no full stop, names the server or file that was not served.
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        Self {
            code,
            what: what.into(),
            causes: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// Adds one link of the chain of reasons. A text of several lines keeps its lines.
    #[must_use]
    pub fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Adds one thing to do. At most two are worth having.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// [`Self::hint`], if there is one.
    #[must_use]
    pub fn hint_if(self, hint: Option<&str>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// The exit code of `mcpwrap run` when this error kept the server from starting.
    pub const fn run_exit(&self) -> u8 {
        match self.code {
            Code::ProgramNotFound => EXIT_NOT_FOUND,
            Code::ProgramNotExecutable => EXIT_NOT_EXECUTABLE,
            _ => EXIT_REFUSED,
        }
    }

    /// The whole message in one line, for a JSON-RPC error: what, why, what to do.
    pub fn line(&self) -> String {
        let mut line = format!("mcpwrap: {} [{}]", self.what, self.code);
        for cause in &self.causes {
            line.push_str(": ");
            line.push_str(cause.lines().next().unwrap_or_default());
        }
        for hint in &self.hints {
            line.push_str("; ");
            line.push_str(hint);
        }
        line
    }
}

/// The message in its lines, each with the prefix, because a client's log mixes them with others.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "mcpwrap: error[{}]: {}",
            self.code,
            printable(&self.what)
        )?;
        for cause in &self.causes {
            for (n, line) in cause.lines().enumerate() {
                let head = if n == 0 { "cause: " } else { "       " };
                writeln!(f, "mcpwrap: {head}{}", printable(line))?;
            }
        }
        for hint in &self.hints {
            writeln!(f, "mcpwrap: hint: {}", printable(hint))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Text from outside without control characters, so that it cannot steer a terminal or forge a
/// line, and without invisible ones that make a text read other than it is.
pub fn printable(text: &str) -> String {
    let misleads = |c| {
        matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars()
        .map(|c| {
            if c.is_control() || misleads(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_the_prefix() {
        let error = Error::new(Code::PolicyInvalid, "unknown field `secert`")
            .cause("~/p.toml:7:1\n7 | secert\n  | ^^^^^^")
            .hint("did you mean `secret`?");
        let text = error.to_string();
        assert_eq!(text.lines().count(), 5);
        assert!(text.lines().all(|line| line.starts_with("mcpwrap: ")));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let text = Error::new(Code::Usage, "a\u{1b}[31m\rb").to_string();
        assert!(!text.contains('\u{1b}') && !text.contains('\r'));
        assert_eq!(printable("a\u{202e}b\u{200b}é"), "a\u{fffd}b\u{fffd}é");
    }

    #[test]
    fn names_are_unique_and_kebab_case() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(before, names.len());
        assert!(
            names
                .iter()
                .all(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        );
    }
}
