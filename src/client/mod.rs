//! The configuration files of MCP clients: where they are, what stands in them, how to change them.
//!
//! *Always* edits by replacing bytes inside one entry: everything else stays as it is, comments,
//! line ends and all. *Never* writes: this module turns texts into texts. A file that cannot be
//! read is refused with a reason. Absent: what a value means (`detect`), what a server may do
//! (`policy`).

pub mod edit;
pub mod entry;
mod find;
mod json;
pub mod places;
pub mod regions;
pub mod table;
mod toml;
pub mod tree;
pub mod document;
mod yaml;
