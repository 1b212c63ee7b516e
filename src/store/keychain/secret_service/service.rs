//! The connection that a store and its credentials share. It reconnects once if the program was replaced.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::bus::{Bus, BusFault};
use super::calls::Link;
use super::error::{ServiceError, ServiceFailure};
use super::provider::Provider;

/// How the service is reached.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    /// The possible addresses of the session bus, best first.
    pub addresses: Vec<String>,
    /// How long all requests together may take, without prompts.
    pub wait: Duration,
    /// How long a prompt may take. `None`: no prompt is shown.
    pub prompt: Option<Duration>,
}

/// The shared connection.
pub(super) struct SecretService {
    link: Mutex<Link>,
    options: ServiceOptions,
}

impl fmt::Debug for SecretService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretService")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl SecretService {
    /// Connects to the bus. The first request is sent later.
    pub(super) fn connect(options: ServiceOptions) -> Result<Self, ServiceFailure> {
        match connect(&options, options.wait) {
            Ok(link) => Ok(Self {
                link: Mutex::new(link),
                options,
            }),
            Err(fault) => Err(ServiceFailure {
                error: fault.into(),
                provider: None,
            }),
        }
    }

    /// Runs `work`, and repeats it once with a new connection if the program exited.
    pub(super) fn run<T>(
        &self,
        work: impl Fn(&Link) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceFailure> {
        let mut link = self.lock();
        let answer = match work(&link) {
            Err(ServiceError::Fault(BusFault::Gone(_))) => {
                let new = connect(&self.options, link.left()).map_err(ServiceError::from);
                new.and_then(|new| {
                    *link = new;
                    work(&link)
                })
            }
            other => other,
        };
        answer.map_err(|error| ServiceFailure {
            error,
            provider: link.find_provider().ok().flatten(),
        })
    }

    /// The program that offers the service. `None` if there is none, or it does not answer.
    pub(super) fn provider(&self) -> Option<Provider> {
        self.lock().find_provider().ok().flatten()
    }

    fn lock(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(options: &ServiceOptions, wait: Duration) -> Result<Link, BusFault> {
    let bus = Bus::connect(&options.addresses, wait)?;
    Ok(Link::new(bus, options.prompt))
}
