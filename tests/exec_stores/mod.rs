//! Stores that are read by programs.

mod dialog;
mod fake;
mod hostile;
mod launch;
mod memory;
mod presets;
mod real;
mod rows;
mod rows_managers;
mod rows_services;
mod spoken;
mod table;

pub(crate) use self::launch::define;
