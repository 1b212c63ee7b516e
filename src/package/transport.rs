//! Whether a URL protects what is sent to it from the network, judged by its text alone.
//!
//! Only the loopback addresses and `localhost` are local; no other name is.

/// How a server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Stdio,
    /// `https:` or `wss:`.
    Encrypted,
    /// Not encrypted, but the bytes stay on this machine.
    PlainLocal,
    /// Not encrypted, over a network.
    Plain,
}

impl Transport {
    /// The word in reports.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Encrypted => "https",
            Self::PlainLocal => "http-localhost",
            Self::Plain => "http-nonlocal",
        }
    }
}

/// How the server behind a URL is reached. An invalid URL counts as plain.
pub fn transport(address: &str) -> Transport {
    let lower = address.trim().to_ascii_lowercase();
    let Some((scheme, rest)) = lower.split_once("://") else {
        return Transport::Plain;
    };
    if matches!(scheme, "https" | "wss") {
        return Transport::Encrypted;
    }
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let loopback = host
        .parse::<std::net::IpAddr>()
        .is_ok_and(|ip| ip.is_loopback());
    let own = host == "localhost" || host.ends_with(".localhost") || host == "0.0.0.0";
    if loopback || own {
        Transport::PlainLocal
    } else {
        Transport::Plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_are_reached_unencrypted() {
        for (address, expected) in [
            ("https://a.example/mcp", Transport::Encrypted),
            ("HTTPS://A.EXAMPLE", Transport::Encrypted),
            ("http://localhost:3000/mcp", Transport::PlainLocal),
            ("http://127.0.0.1", Transport::PlainLocal),
            ("http://127.8.0.1:1", Transport::PlainLocal),
            ("http://[::1]:8080/x", Transport::PlainLocal),
            ("http://u:p@localhost/x", Transport::PlainLocal),
            ("http://localhost.example/x", Transport::Plain),
            ("http://localhost@evil.example/x", Transport::Plain),
            ("http://127.0.0.1.evil.example/x", Transport::Plain),
            ("http://10.0.0.5/x", Transport::Plain),
            ("ws://a.example", Transport::Plain),
            ("a.example/mcp", Transport::Plain),
        ] {
            assert_eq!(transport(address), expected, "{address}");
        }
    }
}
