//! What an adopted entry needs of a store.

/// What a policy needs of a store, before it is known which store that is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AdoptWish {
    /// The type of the store.
    pub(super) kind: &'static str,
    /// Settings that the store must have.
    pub(super) settings: Vec<(&'static str, String)>,
    /// Variables of its program.
    pub(super) env: Vec<(String, String)>,
    /// Variables of its program that are secrets.
    pub(super) logins: Vec<(String, String)>,
    /// Variables of the server, and where their values are in the store.
    pub(super) values: Vec<(String, String)>,
    /// Whether the server may do without each of them.
    pub(super) is_optional: bool,
}
