//! How a server is started: everything it gets (`resolve`), the process above it (`guard`), and the
//! start itself (`start`).

pub mod resolve;
pub mod guard;
pub mod start;
