//! Acts: what changes something and is recorded. Questions come in as closures, results go out as
//! values: nothing here knows of a terminal.

pub mod actor;
pub mod embedded_secrets;
pub mod approve;
pub mod revoke;
pub mod secrets;
pub mod setup;
pub mod pin;
pub mod head;
