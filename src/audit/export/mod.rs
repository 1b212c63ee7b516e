//! Exports records in formats of other programs. Pure: takes a record, returns text.
//!
//! Invariant: an exported record contains exactly what the record contains. What has no field in a
//! format goes into the format's field for additional data.

pub mod csv;
pub mod ocsf;
pub mod otlp;
