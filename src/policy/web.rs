//! What may stand in the URLs and headers of a remote server, judged by the text alone.
//!
//! Invariants: the origin of a URL is fixed text, so no value decides where it is sent; a URL is
//! encrypted unless it stays on this machine; headers that HTTP or MCP itself uses belong to the bridge.

use std::net::Ipv6Addr;

use ureq::http::Uri;

use super::template::{self, Piece};
use crate::host::is_loopback;

/// A URL in parts. It has no user, no password and no fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteUrl {
    pub is_encrypted: bool,
    /// In lower case; an IPv6 address in brackets.
    pub host: String,
    /// `None` for the port of the scheme.
    pub port: Option<u16>,
    /// Starts with `/`; without the query. Placeholders are left out.
    pub path: String,
    pub has_query: bool,
}

/// What is wrong with a URL or a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebFault {
    pub cause: &'static str,
    pub hint: &'static str,
}

const NOT_A_URL: WebFault = WebFault {
    cause: "expected `https://HOST/PATH`",
    hint: "write the address that the server's documentation names",
};

impl RemoteUrl {
    /// Reads a URL with placeholders in its path and query.
    ///
    /// # Errors
    /// Why it cannot be used. The text is not repeated.
    pub fn new(text: &str) -> Result<Self, WebFault> {
        let fault = |cause, hint| Err(WebFault { cause, hint });
        let is_visible = |c: char| matches!(c, '!'..='~') && !"\"<>\\^`|".contains(c);
        if !text.chars().all(is_visible) {
            let host = text.split("://").nth(1).unwrap_or_default();
            let host = host.split(['/', '?', '#']).next().unwrap_or_default();
            if !host.is_ascii() {
                return fault(
                    "its host has a character that is not ASCII",
                    "write the host as DNS has it, with `xn--`: your browser shows it that way when you copy the address",
                );
            }
            return fault(
                "it has a character that no URL can have",
                "write such a character percent-encoded, e.g. `%20` for a blank",
            );
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(NOT_A_URL);
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        if authority.contains('@') {
            return fault(
                "a user or password in a URL ends up in logs",
                "store it, and send it in a header: `Authorization = \"Basic {secret.NAME}\"`",
            );
        }
        if authority.contains('{') || scheme.contains('{') {
            return fault(
                "a placeholder would decide where secrets are sent",
                "write the host; `{secret.NAME}` may stand in the path and the query",
            );
        }
        if tail.contains('#') {
            return fault(
                "a fragment (`#…`) is not sent to the server",
                "remove it, or write `%23` if it belongs to the path",
            );
        }
        let (uri, path) = parse(scheme, authority, tail).ok_or(NOT_A_URL)?;
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        // The parser takes ports that are no numbers of 16 bits.
        let after = authority.get(host.len()..).unwrap_or_default();
        let port = match after.strip_prefix(':') {
            Some(digits) if digits.starts_with('+') => return Err(NOT_A_URL),
            Some(digits) => Some(digits.parse::<u16>().map_err(|_| NOT_A_URL)?),
            None => None,
        };
        if !is_host(&host) || port == Some(0) {
            return Err(NOT_A_URL);
        }
        let is_encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_loopback(&host) => false,
            Some("http") => {
                return fault(
                    "`http:` is not encrypted, and the server is not on this machine",
                    "use `https:`; `http:` is allowed for `localhost`, `127.0.0.1` and `[::1]`",
                );
            }
            _ => return Err(NOT_A_URL),
        };
        let default = if is_encrypted { 443 } else { 80 };
        Ok(Self {
            is_encrypted,
            host,
            port: port.filter(|port| *port != default),
            path,
            has_query: tail.contains('?'),
        })
    }

    /// The host, and the port if it is not that of the scheme.
    pub fn place(&self) -> String {
        match self.port {
            None => self.host.clone(),
            Some(port) => format!("{}:{port}", self.host),
        }
    }

    /// Scheme, host and port (`https://mcp.example.com`).
    pub fn origin(&self) -> String {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        format!("{scheme}://{}", self.place())
    }

    /// Whether it names this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

/// The URL with its placeholders filled, and its path without them.
fn parse(scheme: &str, authority: &str, tail: &str) -> Option<(Uri, String)> {
    let (mut filled, mut bare) = (String::new(), String::new());
    for piece in template::parse(tail).ok()? {
        match piece {
            Piece::Text(text) => {
                filled.push_str(text);
                bare.push_str(text);
            }
            Piece::Secret(_) => filled.push('x'),
        }
    }
    // What is left of braces is text, which a URL has to encode.
    if bare.contains(['{', '}']) {
        return None;
    }
    let uri: Uri = format!("{scheme}://{authority}{filled}").parse().ok()?;
    let path = bare.split('?').next().unwrap_or_default();
    let path = if path.is_empty() { "/" } else { path };
    Some((uri, path.to_owned()))
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']');
        return address.is_some_and(|text| text.parse::<Ipv6Addr>().is_ok());
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    host.starts_with(|c: char| c.is_ascii_alphanumeric()) && host.chars().all(is_word)
}

/// Headers that HTTP or MCP itself uses, in lower case.
const OF_BRIDGE: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// How the names of others of them begin.
const PREFIXES_OF_BRIDGE: &[&str] = &["content-", "mcp-", "proxy-"];

/// Whether a header is set by the bridge alone.
pub fn is_of_bridge(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    OF_BRIDGE.contains(&name.as_str())
        || PREFIXES_OF_BRIDGE
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// What is wrong with the name of a header.
pub fn name_fault(name: &str) -> Option<WebFault> {
    if name.is_empty() || !name.chars().all(is_token) {
        return Some(WebFault {
            cause: "expected letters, digits and ``!#$%&'*+-.^_`|~``",
            hint: "write the name alone, as in `[headers]` `X-Api-Key = \"{secret.NAME}\"`",
        });
    }
    is_of_bridge(name).then_some(WebFault {
        cause: "HTTP or MCP itself uses this header, so the bridge sets it",
        hint: "remove it; most servers take a secret in `Authorization` or in a header of their own",
    })
}

/// A character of a token (RFC 9110, 5.6.2).
const fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(
            c,
            '!' | '#'
                | '$'
                | '%'
                | '&'
                | '\''
                | '*'
                | '+'
                | '-'
                | '.'
                | '^'
                | '_'
                | '`'
                | '|'
                | '~'
        )
}

/// What is wrong with the value of a header, a template.
pub fn value_fault(value: &str) -> Option<WebFault> {
    let is_visible = |c: char| matches!(c, ' '..='~' | '\t');
    if !value.chars().all(is_visible) {
        return Some(WebFault {
            cause: "a header is one line of ASCII text",
            hint: "remove line breaks and other invisible characters, and encode other letters",
        });
    }
    let is_padded = value.starts_with([' ', '\t']) || value.ends_with([' ', '\t']);
    (value.is_empty() || is_padded).then_some(WebFault {
        cause: "it is empty, or has a blank at one end",
        hint: "write the value, e.g. `\"Bearer {secret.NAME}\"`, or remove the header",
    })
}

/// Whether a text is one OAuth scope (RFC 6749, 3.3).
pub fn is_scope(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| matches!(c, '!' | '#'..='[' | ']'..='~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, origin, path) in [
            (
                "https://mcp.example.com/mcp",
                "https://mcp.example.com",
                "/mcp",
            ),
            ("https://MCP.Example.com", "https://mcp.example.com", "/"),
            ("https://a.example:443/x", "https://a.example", "/x"),
            (
                "https://a.example:8443/x?y=1",
                "https://a.example:8443",
                "/x",
            ),
            ("https://a.example?k={secret.KEY}", "https://a.example", "/"),
            (
                "https://a.example/{secret.KEY}/sse",
                "https://a.example",
                "//sse",
            ),
            ("http://localhost:3000/mcp", "http://localhost:3000", "/mcp"),
            ("http://127.0.0.1/", "http://127.0.0.1", "/"),
            ("http://[::1]:9/x", "http://[::1]:9", "/x"),
            ("https://10.0.0.5/x", "https://10.0.0.5", "/x"),
        ] {
            let url = RemoteUrl::new(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
            assert_eq!((url.origin().as_str(), url.path.as_str()), (origin, path));
            assert_eq!(url.has_query, text.contains('?'), "{text}");
        }
    }

    #[test]
    fn urls_that_are_refused() {
        for (text, why) in [
            ("", "expected"),
            ("a.example/mcp", "expected"),
            ("https://", "expected"),
            ("https:///mcp", "expected"),
            ("https://a.example:/mcp", "expected"),
            ("https://a.example:99999/mcp", "expected"),
            ("https://a.example:0/mcp", "expected"),
            ("https://a.example:+8/mcp", "expected"),
            ("https://%61.example/mcp", "expected"),
            ("https://[::1/mcp", "expected"),
            ("https://.example/mcp", "expected"),
            ("https://a.example/{id}", "expected"),
            ("ws://a.example/mcp", "expected"),
            ("file:///etc/passwd", "expected"),
            ("http://a.example/mcp", "not encrypted"),
            ("http://127.0.0.1.a.example/mcp", "not encrypted"),
            ("http://localhost.a.example/mcp", "not encrypted"),
            ("http://10.0.0.5/mcp", "not encrypted"),
            ("http://0.0.0.0/mcp", "not encrypted"),
            ("http://2130706433/mcp", "not encrypted"),
            ("https://u:p@a.example/mcp", "user or password"),
            ("http://localhost@a.example/mcp", "user or password"),
            ("https://a.example/mcp#x", "fragment"),
            ("https://{secret.HOST}/mcp", "where secrets are sent"),
            (
                "https://a.example{secret.HOST}/mcp",
                "where secrets are sent",
            ),
            ("https://a.example\\@b.example/mcp", "no URL"),
            ("https://a.example/a b", "no URL"),
            ("https://a.example/\n", "no URL"),
            ("https://ä.example/", "not ASCII"),
            ("https://a.example/ä", "no URL"),
        ] {
            let fault = RemoteUrl::new(text).unwrap_err();
            assert!(fault.cause.contains(why), "{text}: {fault:?}");
        }
    }

    #[test]
    fn headers() {
        for name in [
            "Authorization",
            "X-Api-Key",
            "Cookie",
            "x_y.z",
            "User-Agent",
        ] {
            assert_eq!(name_fault(name), None, "{name}");
        }
        for name in [
            "",
            "X Y",
            "X:Y",
            "X\nY",
            "ä",
            "host",
            "Content-Type",
            "MCP-Session-Id",
            "Proxy-Authorization",
            "ACCEPT",
            "Transfer-Encoding",
        ] {
            assert!(name_fault(name).is_some(), "{name}");
        }
        assert_eq!(value_fault("Bearer {secret.TOKEN}"), None);
        for value in ["", " x", "x\t", "a\r\nb", "a\0", "ä", "\u{7f}"] {
            assert!(value_fault(value).is_some(), "{value:?}");
        }
        assert!(is_scope("read:all") && is_scope("https://a.example/x"));
        assert!(!is_scope("") && !is_scope("a b") && !is_scope("a\"b") && !is_scope("a\\b"));
    }
}
