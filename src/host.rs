//! Hosts in URLs: addresses, and names of this machine.

use std::net::IpAddr;

/// The host of a URL with its port, if it has one; `None` without a host. For URLs that were checked before.
pub fn of_url(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split('/').next().filter(|host| !host.is_empty())
}

/// The address that a host is, in its usual form; an IPv6 address may be in brackets. `None` for a name.
pub fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

/// Whether a host names this machine: `localhost`, or a loopback address in its usual form.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || literal(host).is_some_and(|ip| ip.is_loopback())
}
