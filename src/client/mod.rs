//! The configuration files of MCP clients: where they are, what they contain, how to change them.
//!
//! Invariants: an edit replaces bytes inside one entry and keeps everything else, including
//! comments and line ends; this module turns texts into texts and writes no file; an unreadable
//! file is refused with a reason. The meaning of values is in `detect`, permissions are in
//! `policy`.

pub mod agents;
pub mod edit;
pub mod entry;
mod fields;
mod find;
pub mod form;
pub mod entry_text;
pub mod insert;
#[cfg(test)]
mod insert_tests;
pub mod insertion;
mod flow;
mod json;
mod location;
pub mod places;
pub mod own_file;
pub mod reconnect;
pub mod regions;
pub mod remote_edit;
mod skim;
pub mod table;
mod toml;
pub mod tree;
pub mod document;
mod yaml;
