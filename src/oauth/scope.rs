//! Sets of scopes: what a token may do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The scope that asks for a refresh token at `OpenID` providers.
pub const OFFLINE: &str = "offline_access";
/// More scopes, or longer ones, are ignored: a hostile server could fill the screen.
const SCOPES_MAX: usize = 100;
const LENGTH_MAX: usize = 256;

/// Scopes in the order in which they were named, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ScopeSet(Vec<String>);

impl ScopeSet {
    /// Reads scopes separated by blanks. What is not a scope (RFC 6749, 3.3) is left out.
    pub fn parse(text: &str) -> Self {
        Self::of(text.split(' '))
    }

    /// A set of these scopes.
    pub fn of(names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut found = Self::default();
        for name in names {
            found.add(name.as_ref());
        }
        found
    }

    /// Adds a scope.
    pub fn add(&mut self, name: &str) {
        let is_scope = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        let is_valid = !name.is_empty() && name.len() <= LENGTH_MAX && name.bytes().all(is_scope);
        if is_valid && self.0.len() < SCOPES_MAX && !self.contains(name) {
            self.0.push(name.to_owned());
        }
    }

    /// These scopes, and then those of the other set.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        for name in &other.0 {
            self.add(name);
        }
        self
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|known| known == name)
    }

    /// These scopes without those of the other set.
    pub fn without(&self, other: &Self) -> Self {
        Self::of(self.iter().filter(|name| !other.contains(name)))
    }

    /// Whether the other set has each of these scopes.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.iter().all(|name| other.contains(name))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl From<String> for ScopeSet {
    fn from(text: String) -> Self {
        Self::parse(&text)
    }
}

impl From<ScopeSet> for String {
    fn from(set: ScopeSet) -> Self {
        set.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_keep_their_order_and_no_doubles() {
        let a = ScopeSet::parse("write  read write \u{1b}[31m \"x\" a\\b");
        assert_eq!(a.to_string(), "write read");
        let both = a.clone().union(&ScopeSet::parse("read admin"));
        assert_eq!(both.to_string(), "write read admin");
        assert!(a.is_within(&both) && !both.is_within(&a));
        assert!(ScopeSet::default().is_within(&a));
    }

    #[test]
    fn a_hostile_list_is_cut() {
        let many = (0..10_000).map(|n| format!("s{n}"));
        assert_eq!(ScopeSet::of(many).iter().count(), SCOPES_MAX);
        assert!(ScopeSet::parse(&"x".repeat(300)).is_empty());
    }
}
