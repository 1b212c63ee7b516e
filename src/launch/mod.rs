//! Starts servers: the resolved environment (`resolve`), the parent process (`guard`) the start itself (`start`) and
//! where it starts (`work`).

pub mod resolve;
pub mod guard;
pub mod start;
pub mod work;
