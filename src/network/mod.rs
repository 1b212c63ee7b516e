//! The network settings of servers: proxies and certificate authorities that the user approved.
//!
//! They choose whom a server talks to and which certificates it accepts, so they are never those of
//! the client. One record for all servers, sealed with a key from the store; grants do not contain
//! it and stay valid when it changes. A certificate file is copied, so that its content is approved.
//!
//! Invariants: a record that was changed by hand is refused, not ignored: without the approved proxy
//! a server would connect directly. A proxy's password is in the store, never in the record.

mod collect;
mod for_stores;
mod record;
mod verified;

pub use self::collect::{Collected, collect, ignored, of_terminal};
pub use self::for_stores::for_stores;
pub use self::record::NetworkRecord;
pub use self::verified::{Network, NetworkVariable, approve, find, verify};
