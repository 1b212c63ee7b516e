//! The closed list of error codes, used in messages, the audit log, JSON-RPC errors and
//! `docs/errors.md`, which is generated from it.

use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// The stable name of an error. `docs/errors.md` is generated from this list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $variant,)+ }

        impl Code {
            /// All codes, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code with this name.
            pub fn of(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.name() == name)
            }

            /// The name as users and scripts see it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// When the error occurs, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+),)+ }
            }
        }
    };
}

codes! {
    /// The command line of mcpwrap is invalid.
    Usage = "usage",
    /// The name of a server, a secret or a profile has invalid characters or is too long.
    NameInvalid = "name-invalid",
    /// There is no home directory, or it belongs to another user.
    HomeUnusable = "home-unusable",
    /// The store belongs to other directories of mcpwrap: they were moved or copied, or another `MCPWRAP_HOME` is set.
    HomeMoved = "home-moved",
    /// A file or directory of mcpwrap can be changed by other users, belongs to another user, or is not a regular file.
    FileNotPrivate = "file-not-private",
    /// A file of mcpwrap cannot be read, written or parsed.
    FileUnusable = "file-unusable",
    /// `config.toml` is not valid.
    ConfigInvalid = "config-invalid",
    /// There is no policy of that name.
    PolicyNotFound = "policy-not-found",
    /// The policy is not valid TOML, has an unknown field, or contradicts itself.
    PolicyInvalid = "policy-invalid",
    /// The policy can be changed by other users, belongs to another user, or is not a regular file.
    PolicyNotPrivate = "policy-not-private",
    /// A policy of that name exists already.
    PolicyExists = "policy-exists",
    /// The policy was never granted.
    NotGranted = "not-granted",
    /// The policy was changed after it was granted.
    PolicyChanged = "policy-changed",
    /// The policy was revoked.
    Revoked = "revoked",
    /// The grant was not made by this user's mcpwrap: its seal does not match.
    GrantBroken = "grant-broken",
    /// The approved network settings, or a copy of a certificate file, were changed by another program.
    NetworkChanged = "network-changed",
    /// The client's command differs from the command in the policy.
    CommandNotAllowed = "command-not-allowed",
    /// A program, script or interpreter that the command runs changed, moved or is gone since the grant.
    ProgramChanged = "program-changed",
    /// A managed policy runs a program or script that a user other than root can change.
    ProgramUntrusted = "program-untrusted",
    /// The working directory would decide what the command runs, and the policy does not fix it.
    CommandNotFixed = "command-not-fixed",
    /// The command starts a package whose version is not pinned.
    Unpinned = "unpinned",
    /// The installed package, its lock file or its interpreter differs from the pin.
    PackageChanged = "package-changed",
    /// The pinned package is not installed on this machine.
    PackageAbsent = "package-absent",
    /// A package could not be resolved, downloaded or installed.
    PackageFailed = "package-failed",
    /// The program of the command does not exist.
    ProgramNotFound = "program-not-found",
    /// The program of the command exists but cannot be executed.
    ProgramNotExecutable = "program-not-executable",
    /// A value is delivered as a file, and no file system in memory can hold it.
    NoMemoryFilesystem = "no-memory-filesystem",
    /// The server could not be started for another reason (working directory, resources).
    LaunchFailed = "launch-failed",
    /// The sealed settings were not written by this user's mcpwrap.
    SettingsBroken = "settings-broken",
    /// The policy has no profile of that name.
    ProfileNotFound = "profile-not-found",
    /// A run requires a secret that belongs to another profile.
    SecretWrongProfile = "secret-wrong-profile",
    /// The store has no master key yet, which seals grants and the audit log.
    NotSetUp = "not-set-up",
    /// The store has no secret of that name.
    SecretNotFound = "secret-not-found",
    /// The store has more than one item of that name.
    SecretAmbiguous = "secret-ambiguous",
    /// The expiry date of the secret has passed.
    SecretExpired = "secret-expired",
    /// The remote server or the provider refused the credentials, and there are no newer ones.
    CredentialsRefused = "credentials-refused",
    /// A short-lived credential has ended, and could not be replaced in time.
    CredentialEnded = "credential-ended",
    /// `mcpwrap lock --sessions` was run: no server runs until `mcpwrap unlock`.
    SessionsLocked = "sessions-locked",
    /// The remote server needs a token, and there is none that is valid: the user has to log in.
    LoginNeeded = "login-needed",
    /// The value is empty, too short or digits only, so that it cannot be masked.
    SecretWeak = "secret-weak",
    /// The value cannot be used where the policy puts it (a NUL byte, or not UTF-8).
    SecretUnusable = "secret-unusable",
    /// The text after `from` is not a reference to a value.
    ReferenceInvalid = "reference-invalid",
    /// `config.toml` names no store of this name, or its definition is not valid.
    StoreUnknown = "store-unknown",
    /// The store does not exist on this machine, or its program is not installed.
    StoreAbsent = "store-absent",
    /// The store is locked.
    StoreLocked = "store-locked",
    /// The store's program or service knows no user: nobody is signed in, or the sign-in has expired.
    StoreSignedOut = "store-signed-out",
    /// The store refused access, or the user dismissed its prompt or did not confirm it.
    StoreDenied = "store-denied",
    /// The store cannot be reached over the network, or it is sealed or out of service.
    StoreUnavailable = "store-unavailable",
    /// The store refused because it was asked too often.
    StoreThrottled = "store-throttled",
    /// Values are not available yet: the store's dialog is open, or other sessions are asking the store.
    StoreWaiting = "store-waiting",
    /// The store did not answer in time.
    StoreTimeout = "store-timeout",
    /// The program of the store may be changed by other users, changed since the grant, or cannot be started.
    StoreProgramRefused = "store-program-refused",
    /// The store's answer has not the expected form.
    StoreAnswerInvalid = "store-answer-invalid",
    /// The store answered with another error.
    StoreFailed = "store-failed",
    /// The vault file or its key cannot be read, or they do not belong together.
    StoreBroken = "store-broken",
    /// The secret was deleted in its store, which still knows it.
    SecretDeleted = "secret-deleted",
    /// A short-lived credential could not be made, lives too short, or could not be kept for its withdrawal.
    MintRefused = "mint-refused",
    /// The reference leads to a short-lived credential, of which each read makes a new one.
    ReferenceIsMint = "reference-is-mint",
    /// Preparing the start of the server took longer than eight seconds.
    StartTimeout = "start-timeout",
    /// The audit log cannot be written and synced.
    AuditUnwritable = "audit-unwritable",
    /// The audit log was modified.
    AuditBroken = "audit-broken",
    /// The records of the audit log could not be delivered to another program.
    ExportFailed = "export-failed",
    /// A confirmation or input needs a terminal, and there is none.
    NoTerminal = "no-terminal",
    /// The clipboard has no text, or there is no program that reads it.
    ClipboardUnusable = "clipboard-unusable",
    /// An AI agent runs this command, which only the user may run.
    AgentRefused = "agent-refused",
    /// `--yes` is refused, because the administrator forbids it.
    YesRefused = "yes-refused",
    /// The user answered no.
    Declined = "declined",
    /// Another program changed a client's file after it was read, so it was not written.
    ClientConfigChanged = "client-config-changed",
    /// A client's config has an entry of this name already, which mcpwrap does not replace.
    EntryExists = "entry-exists",
    /// A record of the undo journal was not written by this user's mcpwrap: its seal is missing or does not match.
    JournalBroken = "journal-broken",
    /// The server exited.
    ServerExited = "server-exited",
    /// The server used a secret as the ID of a message, where it cannot be masked.
    SecretInId = "secret-in-id",
    /// A server that was tested did not list its tools, or said something that no client accepts.
    TestFailed = "test-failed",
    /// A remote server cannot be reached, or its answer is not one of MCP.
    RemoteFailed = "remote-failed",
    /// A remote server refused the credentials.
    RemoteRefused = "remote-refused",
    /// A running supervisor cannot be reached or does not answer.
    SupervisorUnreachable = "supervisor-unreachable",
    /// A process outlived the command that should have ended it.
    StillRunning = "still-running",
    /// The new server did not start, so the old one was kept.
    RenewFailed = "renew-failed",
    /// The authorization server refused, or what it or the remote server says about itself cannot be used.
    OAuthFailed = "oauth-failed",
    /// The remote server or its authorization server cannot be reached, or has an error. Nothing was changed.
    OAuthUnreachable = "oauth-unreachable",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
