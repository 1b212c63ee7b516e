//! Acts that change something and are recorded. Questions come in as closures and results go out as
//! values, without a terminal.

pub mod agents;
pub mod actor;
pub mod embedded_secrets;
pub mod needs;
pub mod notes;
pub mod question;
pub mod approve;
pub mod changed;
pub mod secrets;
pub mod release;
pub mod again;
pub mod revoke;
pub mod store_settings;
#[cfg(test)]
mod store_settings_tests;
pub mod stores;
pub mod store_check;
pub mod settings;
pub mod lock_sessions;
pub mod login;
pub mod logout;
pub mod network;
pub mod setup;
pub mod pin;
pub mod pin_several;
pub mod new_server;
pub mod registries;
pub mod head;
