//! Short-lived credentials: made for one session of one server, extended and replaced while it lives, and
//! withdrawn at their issuer when it is gone.
//!
//! A store of `config.toml` makes them (`store::source::Minter`), or an App of GitHub (`github_app`). The session
//! asks `live` what is due; `keeper` does it. What a killed run left is withdrawn by the next command that
//! opens the store (`left`).

pub mod access;
pub mod clock;
mod github_app;
pub mod keeper;
pub mod kept;
pub mod left;
pub mod live;

pub use self::keeper::{MintEvent, MintFact, MintKeeper, MintedValues};
pub use self::live::LiveMints;
