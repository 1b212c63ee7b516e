//! Records in the forms that other programs read. Pure: a record in, text out.
//!
//! *Always* everything that the record has: what a form has no field for stands in the place that
//! the form has for such things. *Never* more than the record has.

pub mod csv;
pub mod ocsf;
pub mod otlp;
