//! What the programs are documented to print: a row for each preset.

use serde_json::Value;

/// An id as Bitwarden has them.
pub(super) const ID: &str = "382580ab-1368-4e85-bfa3-b02e01400c9f";

/// A failure: exit code, stdout, stderr, and the code of the error.
pub(super) type Failure = (i32, &'static str, &'static str, &'static str);

pub(super) struct Preset {
    pub(super) id: &'static str,
    pub(super) settings: &'static str,
    pub(super) place: &'static str,
    /// What it prints for a value.
    pub(super) prints: fn(&str) -> String,
    /// What it prints is taken as it is.
    pub(super) is_raw: bool,
    pub(super) failures: &'static [Failure],
}

pub(super) fn line(value: &str) -> String {
    format!("{value}\n")
}

pub(super) fn bare(value: &str) -> String {
    value.to_owned()
}

pub(super) fn base64url(value: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE.encode(value) + "\n"
}

pub(super) fn document(value: &Value) -> String {
    format!("{value}\n")
}
