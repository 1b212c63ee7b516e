//! Starts servers: the resolved environment (`resolve`), the parent process (`guard`) and the start
//! itself (`start`).

pub mod resolve;
pub mod guard;
pub mod start;
