//! The record of a secret that leaves mcpwrap without a server.

use super::event::{Detail, Event, NewRecord, Outcome, SecretUse};

/// Where a secret goes when it leaves mcpwrap without a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination<'a> {
    /// To this host of its provider, which says whether it is valid.
    Provider(&'a str),
    /// Back into this client config, because the adoption of an entry is undone.
    Config(&'a str),
    /// To another store of this name, which needs it, because the user checks that store.
    Store(&'a str),
}

impl NewRecord {
    /// The release of a secret. It is appended before the secret leaves: no record, no release.
    /// `detail`: who does it.
    pub fn release(secret: SecretUse, to: Destination<'_>, detail: Detail) -> Self {
        let to_text = |to: &str| Some(to.to_owned());
        let (reason, host, file, note) = match to {
            Destination::Provider(host) => ("probe", to_text(host), None, None),
            Destination::Config(file) => ("undo", None, to_text(file), None),
            Destination::Store(name) => ("store", None, None, to_text(name)),
        };
        Self::new(Event::Release, Outcome::Intent)
            .secret(secret)
            .reason(reason)
            .detail(Detail {
                host,
                note,
                file,
                ..detail
            })
    }
}
