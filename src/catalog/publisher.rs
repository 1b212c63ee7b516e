//! Who publishes a known server: the vendor of the service that it is for, or somebody else.

use super::{KnownRemote, KnownServer};

/// The publisher, as far as it is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publisher {
    Vendor,
    ThirdParty,
    Unconfirmed,
}

impl Publisher {
    /// The words that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vendor => "first-party",
            Self::ThirdParty => "third-party",
            Self::Unconfirmed => "publisher not confirmed",
        }
    }
}

impl KnownServer {
    /// The publisher of one of its packages.
    pub fn publisher(&self, package: &str) -> Publisher {
        let is_in = |list: &[String]| list.iter().any(|known| known == package);
        match (is_in(&self.first_party), is_in(&self.third_party)) {
            (true, _) => Publisher::Vendor,
            (false, true) => Publisher::ThirdParty,
            (false, false) => Publisher::Unconfirmed,
        }
    }

    /// The packages that it marks.
    #[cfg(test)]
    pub(super) fn marked(&self) -> impl Iterator<Item = &String> {
        self.first_party.iter().chain(&self.third_party)
    }
}

impl KnownRemote {
    /// Who runs it.
    pub const fn publisher(&self) -> Publisher {
        match self.first_party {
            Some(true) => Publisher::Vendor,
            Some(false) => Publisher::ThirdParty,
            None => Publisher::Unconfirmed,
        }
    }
}
