//! Short-lived credentials: made for one session of one server, extended and replaced while it lives, and
//! withdrawn at their issuer when it is gone.
//!
//! A store of `config.toml` makes them (`store::source::Minter`), or an App of GitHub (`github_app`); tokens of
//! accounts are shared by all sessions (`account`). The session
//! asks `live` what is due; `keeper` does it. What a killed run left is withdrawn by the next command that
//! opens the store (`left`).

pub mod access;
mod account;
pub mod clock;
pub mod fact;
mod github_app;
pub mod keeper;
pub mod kept;
pub mod left;
pub mod live;
pub mod minted;

pub use self::fact::{MintEvent, MintFact, MintReport};
pub use self::keeper::MintKeeper;
pub use self::live::LiveMints;
pub use self::minted::MintedValues;
