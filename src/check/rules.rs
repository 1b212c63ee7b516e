//! The table of rules, in the order of the report.
//!
//! A rule is a file of this folder with its `NAME`, its documentation (`ABOUT`) and its function
//! `run`, plus one line in the table. A test asks for a `bad` and an `ok` case of each in
//! `tests/golden/check/<name>`.

use super::facts::Facts;
use super::finding::Severity;
use super::results::CheckResults;
use super::{
    audit_log, excess_permission, expired_credential, insecure_transport, kill_switch,
    plaintext_secret, secret_leak, secret_rotation, shared_environment, unpinned_server,
};

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Stable: used in reports, SARIF and ignores.
    pub name: &'static str,
    /// Its number in the list of checks.
    pub number: u8,
    /// The risk of the OWASP MCP Top 10 that it detects, if one fits.
    pub owasp: Option<&'static str>,
    /// Of its worst possible finding.
    pub severity: Severity,
    /// What holds if nothing is found.
    pub title: &'static str,
    /// Its section of docs/checks.md.
    pub about: &'static str,
    pub(super) run: fn(&Facts, &mut CheckResults),
}

impl Rule {
    /// For filters: `check-1`, `OWASP-MCP01:2025`.
    pub fn tags(&self) -> Vec<String> {
        let owasp = self.owasp.map(|id| format!("OWASP-{id}"));
        let number = format!("check-{}", self.number);
        std::iter::once(number).chain(owasp).collect()
    }
}

macro_rules! rules {
    ($($module:ident, $number:literal, $owasp:expr, $severity:ident, $title:literal;)+) => {
        /// All rules.
        pub const RULES: &[Rule] = &[$(Rule {
            name: $module::NAME, number: $number, owasp: $owasp, severity: Severity::$severity,
            title: $title, about: $module::ABOUT, run: $module::run,
        }),+];
    };
}

// Why two rules have no OWASP id is in docs/decisions.md.
rules! {
    plaintext_secret, 1, Some("MCP01:2025"), Critical, "no secrets in config files";
    excess_permission, 2, Some("MCP02:2025"), Critical, "servers have least privilege";
    audit_log, 3, Some("MCP08:2025"), High, "audit log exists and is intact";
    secret_rotation, 4, Some("MCP01:2025"), High, "secrets are stored once and rotated";
    insecure_transport, 5, Some("MCP07:2025"), Critical, "transport is encrypted";
    shared_environment, 6, Some("MCP07:2025"), High, "environments do not share secrets";
    secret_leak, 7, Some("MCP01:2025"), High, "output and logs contain no secrets";
    expired_credential, 8, None, Medium, "secrets exist and have not expired";
    unpinned_server, 9, Some("MCP04:2025"), High, "servers are pinned";
    kill_switch, 10, None, High, "the kill switch works";
}

/// The rule that a finding names.
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

/// A file that could not be read.
pub const UNREADABLE_FILE: &str = "unreadable-file";
/// An entry of an unknown form.
pub const UNKNOWN_ENTRY: &str = "unknown-entry";
/// An ignore that has no effect.
pub const INVALID_IGNORE: &str = "invalid-ignore";

/// Findings about the check itself: name, severity, meaning.
pub const OTHER_RULES: &[(&str, Severity, &str)] = &[
    (
        UNREADABLE_FILE,
        Severity::High,
        "a file cannot be read, so it was not checked",
    ),
    (
        UNKNOWN_ENTRY,
        Severity::High,
        "a server entry has a form that mcpwrap does not understand, so not all of it was checked",
    ),
    (
        INVALID_IGNORE,
        Severity::Medium,
        "an ignore without a reason, or an invalid one, has no effect",
    ),
];

/// Ids from before the rules had names, still accepted in ignores. New rules are not added.
const OLD_NAMES: &[(&str, &str)] = &[
    ("mcp01", plaintext_secret::NAME),
    ("mcp02", excess_permission::NAME),
    ("mcp03", audit_log::NAME),
    ("mcp04", secret_rotation::NAME),
    ("mcp05", insecure_transport::NAME),
    ("mcp06", shared_environment::NAME),
    ("mcp07", secret_leak::NAME),
    ("mcp08", expired_credential::NAME),
    ("mcp09", unpinned_server::NAME),
    ("mcp10", kill_switch::NAME),
    ("unread", UNREADABLE_FILE),
    ("ignore", INVALID_IGNORE),
];

/// All names that a finding can have.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let others = OTHER_RULES.iter().map(|(name, ..)| *name);
    RULES.iter().map(|rule| rule.name).chain(others)
}

/// The name that replaced an old one.
pub(super) fn new_name(old: &str) -> Option<&'static str> {
    OLD_NAMES
        .iter()
        .find(|(known, _)| *known == old)
        .map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_rule_has_a_file_and_a_name_of_its_own() {
        let names: BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
        let numbers: BTreeSet<_> = RULES.iter().map(|rule| rule.number).collect();
        assert_eq!((names.len(), numbers.len()), (RULES.len(), RULES.len()));
        for rule in RULES {
            let file = format!("src/check/{}.rs", rule.name.replace('-', "_"));
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            assert!(file.is_file(), "{} is not there", file.display());
            let owasp = rule.owasp.unwrap_or("MCP00:2025");
            assert!(
                owasp.starts_with("MCP") && owasp.ends_with(":2025"),
                "{owasp}"
            );
        }
    }
}
