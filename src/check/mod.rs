//! The ten checks: what the field asks of a machine with MCP servers, each answered with evidence.
//!
//! One file a check, with its own page of documentation in it (`docs/checks.md` is made from them),
//! one line in [`RULES`]. *Always* pure: the facts were gathered before, and nothing is changed.
//! *Never* silent about what could not be read: that is a finding, too.

mod comments;
mod facts;
mod file;
mod finding;
mod ignores;
mod json;
#[cfg(test)]
mod laws_tests;
mod report;
mod results;
mod rules;
mod sarif;

mod plaintext_secret;
mod excess_permission;
mod audit_log;
mod secret_rotation;
pub mod insecure_transport;
mod shared_environment;
mod secret_leak;
mod expired_credential;
pub mod unpinned_server;
mod kill_switch;

pub use facts::{
    AuditLog, AuditState, Facts, LastDrill, Leftover, LoadedPolicy, Machine, ProbeRecord,
    ProbeResult, SupervisorState,
};
pub use file::{CheckedServer, ConfigFile, ConfigValue, FieldKind, host};
pub use finding::{Finding, Fix, Location, Severity, masked, quoted};
pub use ignores::{Ignored, Ignores, LIST};
pub use json::json;
pub use report::{CheckReport, CheckSummary, run};
pub use rules::{INVALID_IGNORE, OTHER_RULES, RULES, Rule, UNREADABLE_FILE, rule};
pub use sarif::sarif;
