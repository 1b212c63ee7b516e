//! The bridge to remote servers: the real binary against a faulty server of our own.

mod basics;
mod credentials;
mod driver;
mod failures;
mod hostile;
mod modern;
mod older;
pub(crate) mod proxy;
mod sessions;
mod streams;
pub(crate) mod web;
