//! Addresses of servers and of authorization servers, checked and otherwise unchanged.
//!
//! Invariants: `https:`, or `http:` to this machine by name; no user, no fragment, no character that
//! would need an escape. The text stays as it was written, because issuers and resources are compared
//! and sent byte for byte.

use std::fmt;

use ureq::http::Uri;

use crate::host::is_loopback;

/// A longer address is refused (bytes).
const LENGTH_MAX: usize = 2048;

/// An absolute address.
#[derive(Clone, PartialEq, Eq)]
pub struct WebAddress {
    text: String,
    scheme: &'static str,
    host: String,
    port: u16,
    path: String,
}

impl WebAddress {
    /// A fragment is dropped.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.split('#').next().unwrap_or_default();
        if text.len() > LENGTH_MAX {
            return Err("longer than 2048 bytes");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a text with characters that a URL cannot have");
        }
        let uri: Uri = text.parse().map_err(|_| "not a URL")?;
        let scheme = match uri.scheme_str().map(str::to_ascii_lowercase).as_deref() {
            Some("https") => "https",
            Some("http") => "http",
            _ => return Err("not an `https:` URL"),
        };
        let authority = uri.authority().ok_or("a URL without a host")?;
        if authority.as_str().contains('@') {
            return Err("a URL that names a user");
        }
        let host = authority.host().to_ascii_lowercase();
        if host.is_empty() {
            return Err("a URL without a host");
        }
        if scheme == "http" && !is_loopback(&host) {
            return Err("`http:` to another machine");
        }
        let default = if scheme == "https" { 443 } else { 80 };
        Ok(Self {
            text: text.to_owned(),
            scheme,
            host,
            port: authority.port_u16().unwrap_or(default),
            path: uri.path().to_owned(),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// In lower case; an IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    /// Starts with `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The host and the port, if it is not that of the scheme.
    pub fn authority(&self) -> String {
        match (self.scheme, self.port) {
            ("https", 443) | ("http", 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority())
    }

    /// The same origin with this path, which starts with `/`.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn at(&self, path: &str) -> Result<Self, &'static str> {
        Self::parse(&format!("{}{path}", self.origin()))
    }

    /// The target of a reference that stands in a document from this address.
    ///
    /// # Errors
    /// As [`Self::parse`]; `..` is not followed.
    pub fn join(&self, reference: &str) -> Result<Self, &'static str> {
        let scheme = reference.split([':', '/', '?', '#']).next();
        let has_scheme = scheme.is_some_and(|scheme| {
            reference
                .get(scheme.len()..)
                .is_some_and(|rest| rest.starts_with(':'))
        });
        if has_scheme {
            return Self::parse(reference);
        }
        if reference.starts_with("//") {
            return Self::parse(&format!("{}:{reference}", self.scheme));
        }
        if reference.starts_with('/') {
            return self.at(reference);
        }
        if reference.starts_with('?') {
            return self.at(&format!("{}{reference}", self.path));
        }
        let reference = reference.strip_prefix("./").unwrap_or(reference);
        if reference.split('/').any(|part| part == "..") {
            return Err("leads out of its directory");
        }
        let directory = self.path.rsplit_once('/').map_or("", |(before, _)| before);
        self.at(&format!("{directory}/{reference}"))
    }

    /// Whether this is the origin of `other` and its path, or whole first segments of it.
    pub fn covers(&self, other: &Self) -> bool {
        let own = self.path.trim_end_matches('/');
        let rest = other.path.strip_prefix(own);
        self.origin() == other.origin()
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Debug for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the query, which may have a secret.
        write!(f, "{}{}", self.origin(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> WebAddress {
        WebAddress::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn only_https_or_this_machine() {
        for text in [
            "http://a.example/",
            "http://127.0.0.1.evil.example/",
            "ftp://a.example/",
            "https://user@a.example/",
            "https://a.example/a b",
            "https://a.example/\u{e9}",
            "https://a.example/\n",
            "https:///x",
            "/x",
            "",
            "javascript:alert(1)",
            "file:///etc/passwd",
        ] {
            assert!(WebAddress::parse(text).is_err(), "{text}");
        }
        for text in [
            "http://127.0.0.1:8080/",
            "http://localhost/x",
            "http://[::1]:1/",
        ] {
            at(text);
        }
        assert!(WebAddress::parse(&format!("https://a.example/{}", "x".repeat(2048))).is_err());
    }

    #[test]
    fn the_text_stays_and_the_origin_is_normal() {
        let address = at("https://A.Example:443/MCP?x=1#part");
        assert_eq!(address.as_str(), "https://A.Example:443/MCP?x=1");
        assert_eq!(address.origin(), "https://a.example");
        assert_eq!(address.path(), "/MCP");
        assert_eq!(at("http://[::1]:80").origin(), "http://[::1]");
        assert_eq!(
            at("https://a.example:8443").origin(),
            "https://a.example:8443"
        );
    }

    #[test]
    fn references_are_resolved() {
        let base = at("https://a.example/one/mcp?q");
        for (reference, target) in [
            ("https://b.example/x", "https://b.example/x"),
            ("//b.example/x", "https://b.example/x"),
            ("/x", "https://a.example/x"),
            ("?y", "https://a.example/one/mcp?y"),
            ("x/y", "https://a.example/one/x/y"),
            ("./x", "https://a.example/one/x"),
        ] {
            assert_eq!(
                base.join(reference).unwrap().as_str(),
                target,
                "{reference}"
            );
        }
        for reference in ["../x", "http://b.example/", "javascript:x", "data:,x"] {
            assert!(base.join(reference).is_err(), "{reference}");
        }
    }

    #[test]
    fn a_resource_covers_whole_segments() {
        for (resource, server, covers) in [
            ("https://a.example", "https://a.example/mcp", true),
            ("https://a.example/", "https://a.example/mcp", true),
            ("https://a.example/mcp", "https://a.example/mcp", true),
            ("https://a.example/mcp/", "https://a.example/mcp", true),
            ("https://a.example/mcp", "https://a.example/mcp/v1", true),
            ("https://a.example/mc", "https://a.example/mcp", false),
            ("https://a.example/other", "https://a.example/mcp", false),
            ("https://b.example/mcp", "https://a.example/mcp", false),
            ("https://a.example:8443/", "https://a.example/mcp", false),
        ] {
            assert_eq!(
                at(resource).covers(&at(server)),
                covers,
                "{resource} {server}"
            );
        }
    }
}
