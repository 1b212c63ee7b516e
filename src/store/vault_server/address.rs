//! The address of a server, and of what it redirects to.
//!
//! Invariant: it is encrypted unless it stays on this machine, and contains no user and no password.

use ureq::http::Uri;

use crate::host::{is_loopback, literal};

/// An address in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerUrl {
    pub(super) is_encrypted: bool,
    /// In lower case; an IPv6 address in brackets.
    pub(super) host: String,
    /// `None` for the port of the scheme.
    port: Option<u16>,
    /// Without a slash at its end; empty for the root.
    pub(super) path: String,
}

impl ServerUrl {
    /// # Errors
    /// What is wrong with it. The text is not repeated.
    pub(super) fn new(text: &str) -> Result<Self, &'static str> {
        const NOT_A_URL: &str = "expected `https://HOST:PORT`";
        let uri: Uri = text.parse().map_err(|_| NOT_A_URL)?;
        let authority = uri.authority().ok_or(NOT_A_URL)?;
        if authority.as_str().contains('@') {
            return Err("a user or password in a URL ends up in logs");
        }
        let host = authority.host().to_ascii_lowercase();
        let after = authority.as_str().get(host.len()..).unwrap_or_default();
        let port = match after.strip_prefix(':') {
            // The parser takes ports that are no numbers of 16 bits.
            Some(digits) => Some(digits.parse::<u16>().map_err(|_| NOT_A_URL)?),
            None => None,
        };
        let is_encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_loopback(&host) => false,
            Some("http") => return Err("`http:` is not encrypted, and only for this machine"),
            _ => return Err(NOT_A_URL),
        };
        if host.is_empty() || port == Some(0) {
            return Err(NOT_A_URL);
        }
        Ok(Self {
            is_encrypted,
            host,
            port,
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The host with its port, if it has one.
    pub(super) fn place(&self) -> String {
        match self.port {
            None => self.host.clone(),
            Some(port) => format!("{}:{port}", self.host),
        }
    }

    /// Scheme, host and port.
    pub(super) fn origin(&self) -> String {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        format!("{scheme}://{}", self.place())
    }

    /// Whether it names this machine.
    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Whether the host is a name that has to be looked up.
    pub(super) fn is_name(&self) -> bool {
        literal(&self.host).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, place, path) in [
            ("https://Bao.Example:8200", "bao.example:8200", ""),
            ("https://bao.example/vault/", "bao.example", "/vault"),
            ("http://127.0.0.1:8200", "127.0.0.1:8200", ""),
            ("http://localhost:8200/", "localhost:8200", ""),
            ("http://[::1]:8200", "[::1]:8200", ""),
        ] {
            let url = ServerUrl::new(text).unwrap();
            assert_eq!((&*url.place(), &*url.path), (place, path));
        }
        for text in [
            "http://bao.example:8200",
            "http://127.0.0.1.example",
            "http://localhost@bao.example",
            "https://u:p@bao.example",
            "https://bao.example:0",
            "https://bao.example:99999",
            "https://",
            "bao.example:8200",
            "ftp://bao.example",
            "/v1",
            "",
        ] {
            assert!(ServerUrl::new(text).is_err(), "{text}");
        }
    }
}
