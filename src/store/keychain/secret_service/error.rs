//! Failures of the Secret Service, as `keyring-core` passes them on.

use std::fmt;
use std::time::Duration;

use dbus::Path;

use super::bus::BusFault;
use super::provider::Provider;

/// A failure of a request.
#[derive(Debug)]
pub enum ServiceError {
    Fault(BusFault),
    /// The collection is locked, and prompting is not allowed.
    Locked,
    /// The collection is unlocked, but the program asks the user before each access.
    Unconfirmed,
    /// The prompt was dismissed.
    Dismissed,
    /// The prompt was not answered in this time.
    Unanswered(Duration),
    /// There is no default collection.
    NoCollection,
    /// There is no such item, or no longer.
    NoItem,
    /// Several items match.
    Ambiguous(Vec<Path<'static>>),
}

impl From<BusFault> for ServiceError {
    fn from(fault: BusFault) -> Self {
        match fault {
            BusFault::Refused(name, _) if name.ends_with(".IsLocked") => Self::Locked,
            BusFault::Refused(name, _)
                if name.ends_with(".NoSuchObject") || name.ends_with(".UnknownObject") =>
            {
                Self::NoItem
            }
            other => Self::Fault(other),
        }
    }
}

/// A failure, and the program that failed. Inside of a [`keyring_core::Error`].
#[derive(Debug)]
pub struct ServiceFailure {
    pub error: ServiceError,
    /// `None` if no program offers the service.
    pub provider: Option<Provider>,
}

impl fmt::Display for ServiceFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            ServiceError::Fault(fault) => fault.fmt(f),
            ServiceError::Locked => f.write_str("the collection is locked"),
            ServiceError::Unconfirmed => f.write_str("the user is asked before each access"),
            ServiceError::Dismissed => f.write_str("the prompt was dismissed"),
            ServiceError::Unanswered(limit) => {
                write!(
                    f,
                    "the prompt was not answered within {} s",
                    limit.as_secs()
                )
            }
            ServiceError::NoCollection => f.write_str("no default collection"),
            ServiceError::NoItem => f.write_str("no such item"),
            ServiceError::Ambiguous(paths) => write!(f, "{} items match", paths.len()),
        }
    }
}

impl std::error::Error for ServiceFailure {}
