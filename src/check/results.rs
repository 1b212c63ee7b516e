//! What one rule collects while it looks at the facts.

use super::finding::Finding;

/// What a rule counts. Different things are never added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Noun {
    File,
    Entry,
    Value,
    SecretValue,
    Policy,
    StoredSecret,
    Login,
    Supervisor,
    AuditLog,
    Answer,
    RegistryAnswer,
}

impl Noun {
    /// One of them, for the user.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Entry => "server entry",
            Self::Value => "value",
            Self::SecretValue => "secret value",
            Self::Policy => "policy",
            Self::StoredSecret => "stored secret",
            Self::Login => "login",
            Self::Supervisor => "supervisor",
            Self::AuditLog => "audit log",
            Self::Answer => "provider answer",
            Self::RegistryAnswer => "registry answer",
        }
    }

    /// Several of them, in JSON.
    pub const fn key(self) -> &'static str {
        match self {
            Self::File => "files",
            Self::Entry => "server_entries",
            Self::Value => "values",
            Self::SecretValue => "secret_values",
            Self::Policy => "policies",
            Self::StoredSecret => "stored_secrets",
            Self::Login => "logins",
            Self::Supervisor => "supervisors",
            Self::AuditLog => "audit_logs",
            Self::Answer => "provider_answers",
            Self::RegistryAnswer => "registry_answers",
        }
    }
}

/// Why a rule has nothing to check when paths are checked.
pub(super) const MACHINE_ONLY: &str = "machine-only; run `mcpwrap check` without a path";

/// What one rule found.
#[derive(Debug, Default)]
pub(super) struct CheckResults {
    /// In the order of the first count.
    pub(super) checked: Vec<(Noun, usize)>,
    pub(super) nothing: Option<&'static str>,
    pub(super) findings: Vec<Finding>,
}

impl CheckResults {
    /// Counts checked items; zero says that there could have been some.
    pub(super) fn count(&mut self, noun: Noun, count: usize) {
        match self.checked.iter_mut().find(|(known, _)| *known == noun) {
            Some((_, number)) => *number += count,
            None => self.checked.push((noun, count)),
        }
    }

    /// Notes why nothing can be checked, whatever there is.
    pub(super) fn nothing(&mut self, why: &'static str) {
        self.nothing = Some(why);
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}
