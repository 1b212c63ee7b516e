//! Which addresses an exchange may connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// Where an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Whereabouts {
    /// On the internet.
    Public,
    /// In a network that is not reachable from the internet: private, link-local, unique local,
    /// shared, reserved.
    Private,
    /// On this machine.
    Loopback,
}

impl Whereabouts {
    /// Classifies an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => of_v6(v6),
        }
    }

    /// The place in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Public => "on the internet",
            Self::Private => "in a private network",
            Self::Loopback => "on this machine",
        }
    }
}

fn of_v4(v4: Ipv4Addr) -> Whereabouts {
    let [a, b, c, _] = v4.octets();
    if v4.is_loopback() {
        return Whereabouts::Loopback;
    }
    let is_private = v4.is_private()
        || v4.is_link_local()
        || v4.is_unspecified()
        || v4.is_broadcast()
        || v4.is_multicast()
        || v4.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b)) // shared (RFC 6598)
        || (a == 198 && (18..20).contains(&b)) // benchmarks (RFC 2544)
        || (a == 192 && b == 0 && c == 0); // protocol assignments (RFC 6890)
    if is_private {
        Whereabouts::Private
    } else {
        Whereabouts::Public
    }
}

fn of_v6(v6: Ipv6Addr) -> Whereabouts {
    if v6.is_loopback() {
        return Whereabouts::Loopback;
    }
    let [first, second, .., last_two, last] = v6.segments();
    // An IPv4 address inside: mapped, compatible, or translated by the network (RFC 6052).
    let is_translated = first == 0x64 && second == 0xff9b;
    let is_compatible = v6.octets().iter().take(12).all(|byte| *byte == 0);
    if v6.to_ipv4_mapped().is_some() || is_translated || is_compatible {
        let [a, b] = last_two.to_be_bytes();
        let [c, d] = last.to_be_bytes();
        let inner = of_v4(Ipv4Addr::new(a, b, c, d));
        return if v6.is_unspecified() {
            Whereabouts::Private
        } else {
            inner
        };
    }
    // Everything that is assigned to the internet is in 2000::/3; 6to4 (2002::) and Teredo (2001:0::)
    // lead to IPv4 addresses, and 2001:db8:: is for documents.
    let is_public = (first & 0xe000) == 0x2000
        && first != 0x2002
        && !(first == 0x2001 && (second == 0 || second == 0xdb8));
    if is_public {
        Whereabouts::Public
    } else {
        Whereabouts::Private
    }
}

/// Where an exchange may connect to, besides the internet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    pub private: bool,
    pub loopback: bool,
}

impl Reach {
    /// For addresses that the user or the policy names.
    pub const ANYWHERE: Self = Self {
        private: true,
        loopback: true,
    };
    /// For addresses that a server named.
    pub const INTERNET: Self = Self {
        private: false,
        loopback: false,
    };

    /// For addresses that a server at this place named: also where the server itself is.
    pub fn beside(server: Option<Whereabouts>) -> Self {
        Self {
            private: server == Some(Whereabouts::Private),
            loopback: server == Some(Whereabouts::Loopback),
        }
    }

    pub fn allows(self, place: Whereabouts) -> bool {
        match place {
            Whereabouts::Public => true,
            Whereabouts::Private => self.private,
            Whereabouts::Loopback => self.loopback,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        use Whereabouts::{Loopback, Private, Public};
        for (address, place) in [
            ("8.8.8.8", Public),
            ("127.0.0.1", Loopback),
            ("127.9.9.9", Loopback),
            ("10.0.0.1", Private),
            ("172.16.0.1", Private),
            ("172.32.0.1", Public),
            ("192.168.1.1", Private),
            ("169.254.169.254", Private),
            ("100.64.0.1", Private),
            ("0.0.0.0", Private),
            ("255.255.255.255", Private),
            ("224.0.0.1", Private),
            ("240.0.0.1", Private),
            ("::1", Loopback),
            ("::", Private),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:10.0.0.1", Private),
            ("::ffff:8.8.8.8", Public),
            ("::127.0.0.1", Loopback),
            ("64:ff9b::a00:1", Private),
            ("64:ff9b::808:808", Public),
            ("fe80::1", Private),
            ("fd00::1", Private),
            ("fc00::1", Private),
            ("ff02::1", Private),
            ("2001:db8::1", Private),
            ("2002:7f00:1::", Private),
            ("2606:4700::1111", Public),
        ] {
            assert_eq!(
                Whereabouts::of(address.parse().unwrap()),
                place,
                "{address}"
            );
        }
    }

    #[test]
    fn a_server_reaches_only_its_own_kind_of_place() {
        assert!(!Reach::INTERNET.allows(Whereabouts::Loopback));
        assert!(!Reach::INTERNET.allows(Whereabouts::Private));
        let local = Reach::beside(Some(Whereabouts::Loopback));
        assert!(local.allows(Whereabouts::Loopback) && !local.allows(Whereabouts::Private));
        let company = Reach::beside(Some(Whereabouts::Private));
        assert!(company.allows(Whereabouts::Private) && !company.allows(Whereabouts::Loopback));
        assert_eq!(Reach::beside(None), Reach::INTERNET);
    }
}
