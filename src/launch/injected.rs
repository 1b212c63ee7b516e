//! Which secrets a server got, and how.

use crate::policy::Delivery;
use crate::reference::SecretLabel;
use crate::secret::Fingerprint;

/// An injected secret, for the audit log and `ps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injected {
    pub name: SecretLabel,
    /// The variable or header; `url` for a part of the URL.
    pub variable: String,
    pub fingerprint: Fingerprint,
    pub to: Place,
}

/// Where a server gets a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Env,
    File,
    DiskFile,
    /// A header of each request to a remote server.
    Header,
    /// The URL of a remote server.
    Url,
}

impl Place {
    /// The word in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::File => "file",
            Self::DiskFile => "disk-file",
            Self::Header => "header",
            Self::Url => "url",
        }
    }
}

impl From<Delivery> for Place {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Env => Self::Env,
            Delivery::File => Self::File,
            Delivery::DiskFile => Self::DiskFile,
        }
    }
}
