//! Tokens of remote servers (OAuth 2.1 as MCP uses it): log in, refresh, log out.
//!
//! One owner per token: an item of the store for each policy and profile, changed only under a lock,
//! and synced before it is used. Everything that is sent goes through [`exchange::Exchange`].
//!
//! Invariants: nothing of one issuer is sent to another; a newer token is never replaced by an older
//! one; no login without the user.

pub mod address;
mod answer;
pub mod approval;
mod assertion;
mod attempt;
mod callback;
pub mod challenge;
pub mod client;
mod discovery;
#[cfg(test)]
mod discovery_tests;
mod endpoint;
pub mod exchange;
pub mod foreign;
pub mod health;
#[cfg(test)]
mod home_tests;
pub mod index;
mod item;
pub mod later;
pub mod login;
#[cfg(test)]
mod login_tests;
mod metadata;
mod network;
pub mod owner;
mod page;
pub mod place;
pub mod refresh;
mod registration;
mod registry;
mod renewal;
#[cfg(test)]
mod renewal_tests;
pub mod revoke;
mod revoke_at;
pub mod scope;
pub mod step_up;
pub mod token;
mod token_answer;
pub mod unrevoked;
#[cfg(test)]
mod unrevoked_tests;
