//! Starts servers: the resolved environment (`resolve`), the parent process (`guard`) the start itself (`start`) and
//! where it starts (`work`), and values delivered as files (`secret_files`). For a remote server, what its
//! bridge starts with (`remote`).

pub mod injected;
pub mod value_cache;
pub mod values;
pub mod resolve;
pub mod remote;
pub mod engine;
pub mod container;
mod identity;
pub mod mark;
pub mod guard;
pub mod start;
mod owned;
pub mod secret_files;
pub mod work;
