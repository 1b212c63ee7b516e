//! The keeper without servers, files or a clock: example sessions, and properties under events in
//! any order.

mod dialogs;
mod laws;
mod outside;
mod phases;
mod process;
mod stories;
mod world;
