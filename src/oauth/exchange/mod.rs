//! Requests to remote servers' metadata and to authorization servers, and their answers.
//!
//! Each exchange runs in a process of its own ([`process`]), which has neither the store nor a policy.
//! Invariant: an address that a server named is not on this machine or in a private network, unless
//! the MCP server itself is there or the policy names the issuer ([`Reach`]).

pub mod process;
mod reach;
#[cfg(test)]
pub mod script;
mod wire;
mod worker;

use serde::{Deserialize, Serialize};

use super::address::WebAddress;
use crate::bridge::channel::SecretText;
use crate::error::Result;

pub use self::reach::{Reach, Whereabouts};
pub use self::worker::{EXCHANGE, main};

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeRequest {
    pub address: WebAddress,
    pub headers: Vec<(String, SecretText)>,
    /// `POST` with this body, or `GET`.
    pub body: Option<SecretText>,
    pub reach: Reach,
    /// How many redirects to the same origin are followed.
    pub redirects: u8,
}

/// An answer, of any status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeAnswer {
    pub status: u16,
    /// Names in lower case. Only the headers that someone here reads.
    pub headers: Vec<(String, String)>,
    pub body: SecretText,
    /// Where the connected server is; `None` through a proxy.
    pub whereabouts: Option<Whereabouts>,
}

impl ExchangeAnswer {
    /// The values of a header.
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Carries out requests.
pub trait Exchange {
    /// # Errors
    /// `oauth-unreachable` if there is no answer; `oauth-failed` if the address is not allowed or the
    /// answer exceeds a limit.
    fn send(&self, request: &ExchangeRequest) -> Result<ExchangeAnswer>;
}

/// How many redirects of a document are followed.
const REDIRECTS_MAX: u8 = 3;

impl ExchangeRequest {
    /// Asks for a JSON document.
    pub fn get(address: WebAddress, reach: Reach) -> Self {
        Self {
            address,
            headers: vec![accept("application/json")],
            body: None,
            reach,
            redirects: REDIRECTS_MAX,
        }
    }

    /// Sends a form. No redirect is followed: it would carry credentials elsewhere.
    pub fn form(address: WebAddress, fields: &[(&str, &str)], reach: Reach) -> Self {
        Self::post(
            address,
            "application/x-www-form-urlencoded",
            form(fields),
            reach,
        )
    }

    /// Sends a body of this type.
    pub fn post(address: WebAddress, kind: &str, body: SecretText, reach: Reach) -> Self {
        let kind = ("content-type".to_owned(), SecretText::new(kind.to_owned()));
        Self {
            address,
            headers: vec![accept("application/json"), kind],
            body: Some(body),
            reach,
            redirects: 0,
        }
    }
}

fn accept(kind: &str) -> (String, SecretText) {
    ("accept".to_owned(), SecretText::new(kind.to_owned()))
}

/// Fields as `application/x-www-form-urlencoded`.
pub fn form(fields: &[(&str, &str)]) -> SecretText {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.extend(percent_encoding::utf8_percent_encode(name, FORM));
        text.push('=');
        text.extend(percent_encoding::utf8_percent_encode(value, FORM));
    }
    SecretText::new(text)
}

/// All but the unreserved characters of RFC 3986.
pub const FORM: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded() {
        let text = form(&[("a", "x y&z=1"), ("resource", "https://a.example/m?c")]);
        assert_eq!(
            text.as_str(),
            "a=x%20y%26z%3D1&resource=https%3A%2F%2Fa.example%2Fm%3Fc"
        );
    }
}
