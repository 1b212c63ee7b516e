//! The rules, by name.

use super::facts::Facts;
use super::finding::Severity;
use super::results::CheckResults;
use super::{
    audit_log, excess_permission, expired_credential, insecure_transport, kill_switch,
    plaintext_secret, secret_leak, secret_rotation, shared_environment, unpinned_server,
};

/// One of the ten.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Stable: `mcp01`.
    pub id: &'static str,
    pub severity: Severity,
    /// What is as it should be if nothing is found.
    pub title: &'static str,
    /// What it counts: servers, values, records.
    pub noun: &'static str,
    /// Its page of documentation.
    pub about: &'static str,
    pub(super) run: fn(&Facts, &mut CheckResults),
}

macro_rules! checks {
    ($($module:ident $id:literal $severity:ident $title:literal $noun:literal)+) => {
        /// All of them, in the order of the checklist.
        pub const RULES: &[Rule] = &[$(Rule {
            id: $id, severity: Severity::$severity, title: $title, noun: $noun,
            about: $module::ABOUT, run: $module::run,
        }),+];
    };
}

checks! {
    plaintext_secret "mcp01" Critical "no secret in a config file" "values"
    excess_permission "mcp02" Critical "each server has minimal permission" "servers"
    audit_log "mcp03" High "audit log is there and whole" "servers"
    secret_rotation "mcp04" High "secrets live in one place and are rotated" "secrets"
    insecure_transport "mcp05" Critical "transport is encrypted" "servers"
    shared_environment "mcp06" High "environments share no secret" "secrets"
    secret_leak "mcp07" High "output and logs show no secret" "servers"
    expired_credential "mcp08" Medium "secrets are there and not expired" "secrets"
    unpinned_server "mcp09" High "servers are pinned" "servers"
    kill_switch "mcp10" High "the kill switch works" "servers"
}

/// What is reported besides the ten: the id, its severity, what it means.
pub const OTHER_RULES: &[(&str, Severity, &str)] = &[
    (
        "unread",
        Severity::High,
        "a file could not be read, so nothing is known of it",
    ),
    (
        "ignore",
        Severity::Medium,
        "an ignore without a reason, or one that cannot be understood, ignores nothing",
    ),
];
