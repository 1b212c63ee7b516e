//! The keeper without servers, files or a clock: its stories as plain tests, and its laws under
//! events in any order.

mod laws;
mod outside;
mod phases;
mod process;
mod stories;
mod world;
