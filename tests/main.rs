//! The integration tests, in one crate. They run the real binary through the builder in `harness`;
//! each file is named after its subject.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::similar_names,
    reason = "helpers of tests fail loudly, and they start programs"
)]

mod desktop;
mod harness;

mod audit;
mod bridge;
mod add;
mod adopt;
mod adopt_copies;
mod adopt_faults;
mod adopt_files;
mod adopt_journal;
mod adopt_kept;
mod adopt_remote;
mod adopt_revoked;
mod adopt_stores;
mod adopt_undo;
mod agents;
mod container;
mod control;
mod control_group;
mod credentials;
mod check;
mod client_end;
mod docs;
mod documents;
mod edit;
mod env;
mod exec_stores;
mod fake;
mod faults;
mod fence;
mod grant;
mod grant_shown;
mod help;
mod home;
mod keychain;
mod keychain_others;
mod init;
mod incident;
mod invocation;
mod launch;
mod lock_sessions;
mod mask;
mod messages;
mod mint;
mod oauth;
mod overview;
mod own_copy;
mod pin;
mod policy;
mod process;
mod refusals;
mod remote;
mod remote_policy;
mod renew;
mod revoke;
mod secrets;
mod secret_input;
mod stores;
mod suspects;
mod store_checks;
mod store_commands;
mod soak;
mod streams;
mod test_command;
mod tidy;
mod transparent;
mod uninstall;
mod usage;
mod vault_server;
mod wall;
mod weak;
