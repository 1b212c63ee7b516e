//! Where the server and the proxy are, and which of both is connected to.
//!
//! Pure. Invariant: loopback is never reached through a proxy.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::Uri;
use hyper::header::HeaderValue;
use percent_encoding::percent_decode_str;

use crate::host::is_loopback;

/// Scheme, host and port: what credentials are bound to.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerOrigin {
    pub is_tls: bool,
    /// Without brackets, lower case.
    pub host: String,
    pub port: u16,
}

impl fmt::Debug for ServerOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl ServerOrigin {
    /// The origin of a URL; `None` if it is not one of HTTP.
    pub fn of(url: &Uri) -> Option<Self> {
        let is_tls = match url.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = url.host()?.trim_start_matches('[').trim_end_matches(']');
        Some(Self {
            is_tls,
            host: host.to_ascii_lowercase(),
            port: url.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
        })
    }

    /// The host as in a URL, with a port that is not the default of the scheme.
    pub fn authority(&self) -> String {
        let host = bracketed(&self.host);
        if self.port == if self.is_tls { 443 } else { 80 } {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// Host and port.
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }

    /// Without path and query, for messages.
    pub fn shown(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host) || self.host.ends_with(".localhost")
    }
}

fn bracketed(host: &str) -> String {
    if host.parse::<Ipv6Addr>().is_ok() {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// An HTTP proxy.
#[derive(Clone)]
pub struct HttpProxy {
    pub origin: ServerOrigin,
    /// The value of `Proxy-Authorization`.
    pub authorization: Option<HeaderValue>,
}

impl fmt::Debug for HttpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpProxy").field(&self.origin).finish()
    }
}

impl HttpProxy {
    /// Reads the URL of a proxy; without a scheme it is `http:`. `None` if it is invalid.
    pub fn parse(url: &str) -> Option<Self> {
        let url = url.trim();
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, _) = rest.split_at(end);
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let origin = ServerOrigin::of(&format!("{scheme}://{host}/").parse().ok()?)?;
        let authorization = match user {
            None => None,
            Some(user) => {
                let (name, password) = user.split_once(':').unwrap_or((user, ""));
                let mut plain: Vec<u8> = percent_decode_str(name).collect();
                plain.push(b':');
                plain.extend(percent_decode_str(password));
                let text = format!("Basic {}", BASE64_STANDARD.encode(plain));
                let mut value = HeaderValue::from_str(&text).ok()?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Some(Self {
            origin,
            authorization,
        })
    }
}

/// Whether a server is connected to without a proxy: loopback, or a match of `NO_PROXY`, whose words are
/// `*`, hosts (with their subdomains), addresses and networks, each perhaps with a port.
pub fn is_direct(origin: &ServerOrigin, no_proxy: &str) -> bool {
    let words = no_proxy.split([',', ' ']).map(str::trim);
    origin.is_loopback()
        || words
            .filter(|word| !word.is_empty())
            .any(|word| matches(origin, &word.to_ascii_lowercase()))
}

fn matches(origin: &ServerOrigin, word: &str) -> bool {
    if word == "*" {
        return true;
    }
    if let Some((network, bits)) = word.split_once('/') {
        return in_network(&origin.host, network, bits);
    }
    let bare = word.trim_start_matches('[').trim_end_matches(']');
    let (host, port) = match word.rsplit_once(':') {
        _ if bare.parse::<Ipv6Addr>().is_ok() => (bare, None),
        Some((host, port)) => (
            host.trim_start_matches('[').trim_end_matches(']'),
            Some(port),
        ),
        None => (word, None),
    };
    if port.is_some_and(|port| port.parse() != Ok(origin.port)) {
        return false;
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return origin.host.parse() == Ok(ip);
    }
    let host = host.trim_start_matches("*.").trim_start_matches('.');
    origin.host == host
        || origin
            .host
            .strip_suffix(host)
            .is_some_and(|head| head.ends_with('.') && !host.is_empty())
}

fn in_network(host: &str, network: &str, bits: &str) -> bool {
    let (Ok(host), Ok(network), Ok(bits)) = (host.parse(), network.parse(), bits.parse::<u32>())
    else {
        return false;
    };
    let same = |a: u128, b: u128, width: u32| {
        let rest = width.saturating_sub(bits);
        bits <= width && (rest >= width || a >> rest == b >> rest)
    };
    match (host, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> ServerOrigin {
        ServerOrigin::of(&url.parse().unwrap()).unwrap()
    }

    #[test]
    fn origins_name_their_default_port() {
        assert_eq!(
            origin("https://A.example/x"),
            origin("https://a.example:443/y")
        );
        assert_ne!(
            origin("https://a.example/"),
            origin("http://a.example:443/")
        );
        assert_eq!(
            origin("https://a.example:8443/").authority(),
            "a.example:8443"
        );
        assert_eq!(origin("http://[::1]:80/").authority(), "[::1]");
        assert_eq!(
            origin("https://a.example/?key=x").shown(),
            "https://a.example"
        );
        assert!(ServerOrigin::of(&"ftp://a.example/".parse().unwrap()).is_none());
    }

    #[test]
    fn a_proxy_gets_its_password() {
        let proxy = HttpProxy::parse("http://me:p%40ss%3a@proxy.example:3128").unwrap();
        assert_eq!(proxy.origin.host_and_port(), "proxy.example:3128");
        assert_eq!(proxy.authorization.unwrap(), "Basic bWU6cEBzczo=");
        assert!(
            HttpProxy::parse("proxy.example:3128")
                .unwrap()
                .authorization
                .is_none()
        );
        assert!(HttpProxy::parse("socks5://proxy.example").is_none());
        let proxy = HttpProxy::parse("http://me:hidden@proxy.example").unwrap();
        assert!(!format!("{proxy:?}").contains("hidden"));
    }

    #[test]
    fn some_servers_are_reached_directly() {
        for (url, no_proxy, direct) in [
            ("http://127.0.0.1:8080/", "", true),
            ("http://localhost/", "", true),
            ("https://[::1]/", "", true),
            ("https://a.example/", "", false),
            ("https://a.example/", "*", true),
            ("https://a.example/", "b.example, A.Example", true),
            ("https://x.a.example/", "a.example", true),
            ("https://x.a.example/", ".a.example", true),
            ("https://x.a.example/", "*.a.example", true),
            ("https://xa.example/", "a.example", false),
            ("https://a.example/", "a.example:8443", false),
            ("https://a.example:8443/", "a.example:8443", true),
            ("https://10.1.2.3/", "10.0.0.0/8", true),
            ("https://11.1.2.3/", "10.0.0.0/8", false),
            ("https://10.1.2.3/", "0.0.0.0/0", true),
            ("https://10.1.2.3/", "10.1.2.3", true),
            ("https://[fd00::1]/", "fd00::/8", true),
            ("https://[fd00::1]/", "[fd00::1]:443", true),
            ("https://[fd00::1]/", "fd00::2", false),
            ("https://a.example/", ".", false),
        ] {
            assert_eq!(
                is_direct(&origin(url), no_proxy),
                direct,
                "{url} {no_proxy}"
            );
        }
    }
}
