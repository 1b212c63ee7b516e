//! Judges the MCP set-up of a machine or a repository: one rule per file, one table of rules.
//!
//! Invariants: nothing here reads a file, a clock or the network; `Facts` were gathered before, and
//! the rules only compare them. Whatever could not be read becomes a finding. No finding holds a
//! secret. docs/checks.md is generated from the rules.

mod comments;
mod facts;
mod file;
mod finding;
mod fixes;
mod foreign_command;
mod ignores;
mod json;
#[cfg(test)]
mod laws_tests;
mod news;
mod report;
mod results;
mod rules;
mod sarif;

mod plaintext_secret;
mod excess_permission;
mod excess_scopes;
mod audit_log;
mod secret_rotation;
pub mod insecure_transport;
mod shared_environment;
mod secret_leak;
mod store_references;
mod suspect_credentials;
mod expired_credential;
pub mod unpinned_server;
mod kill_switch;

pub use facts::{
    AuditLog, AuditState, Facts, KeyKind, LastDrill, Leftover, LeftoverKind, LoadedPolicy,
    LoginFacts, Machine, ProbeRecord, ProbeResult, SupervisorState, SuspectFacts,
};
pub use file::{CheckedServer, ConfigFile};
pub use finding::{Finding, Location, Severity, masked};
pub use ignores::{Ignores, LIST};
pub use json::json;
pub use report::{CheckReport, CheckSummary, CheckVerdict, run};
pub use rules::{OTHER_RULES, RULES, UNREADABLE_FILE, rule};
pub use sarif::sarif;
