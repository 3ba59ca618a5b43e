//! Where a connection may go: the egress rule, applied to the addresses that a name resolved to, at connect.
//!
//! Names come from the operator's file, but what they resolve to does not. A name that points to a cloud's metadata
//! service would hand out credentials, so the rule judges addresses, never spellings, and only addresses that passed
//! are handed to the socket: nothing is resolved a second time between check and connect.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
};

use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

/// Addresses of metadata services that lie outside the link-local range: Alibaba's, Azure's wire server, and the
/// IPv6 ones of AWS and Google.
const METADATA_V4: [Ipv4Addr; 2] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Whether a connection to this address may be made.
///
/// Link-local, metadata, unspecified, multicast and reserved addresses never; loopback, private, shared and
/// documentation addresses only where the provider says `allow_private`. An IPv6 address that embeds an IPv4 one is
/// judged by both.
pub fn allowed(ip: IpAddr, allow_private: bool) -> bool {
    match reach(ip) {
        Reach::Public => true,
        Reach::Private => allow_private,
        Reach::Forbidden => false,
    }
}

/// How far an address reaches, from the most harmless to the most dangerous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Public,
    Private,
    Forbidden,
}

fn reach(ip: IpAddr) -> Reach {
    match ip {
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => reach_v6(v6),
    }
}

fn reach_v4(ip: Ipv4Addr) -> Reach {
    let [a, b, c, _] = ip.octets();
    let never = a == 0
        || a >= 224
        || ip.is_link_local()
        || (a, b, c) == (192, 0, 0)
        || METADATA_V4.contains(&ip);
    let shared = a == 100 && (64..128).contains(&b);
    let benchmark = a == 198 && (18..20).contains(&b);
    if never {
        Reach::Forbidden
    } else if ip.is_private() || ip.is_loopback() || ip.is_documentation() || shared || benchmark {
        Reach::Private
    } else {
        Reach::Public
    }
}

fn reach_v6(ip: Ipv6Addr) -> Reach {
    let segments = ip.segments();
    let [a, b, ..] = segments;
    let own = if ip.is_loopback() {
        return Reach::Private;
    } else if ip.is_unspecified()
        || ip.is_multicast()
        || ip.is_unicast_link_local()
        || METADATA_V6.contains(&ip)
    {
        Reach::Forbidden
    } else if ip.is_unique_local() || is_site_local(a) || is_documentation(a, b) {
        Reach::Private
    } else {
        Reach::Public
    };
    embedded(segments).into_iter().flatten().map(reach_v4).fold(own, Reach::max)
}

/// The deprecated range that unique local addresses replaced (RFC 3879).
fn is_site_local(first: u16) -> bool {
    first & 0xffc0 == 0xfec0
}

fn is_documentation(first: u16, second: u16) -> bool {
    (first, second) == (0x2001, 0xdb8)
}

/// The IPv4 addresses that an IPv6 address carries: mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP.
fn embedded(segments: [u16; 8]) -> [Option<Ipv4Addr>; 2] {
    match segments {
        // Local-use NAT64 (RFC 8215), as a /96 and as the /48 of RFC 6052, which splits the address around bit 64.
        [0x64, 0xff9b, 1, first, split, rest, g, h] => {
            [Some(v4(g, h)), Some(v4(first, split << 8 | rest >> 8))]
        }
        [0, 0, 0, 0, 0, 0 | 0xffff, g, h]
        | [0, 0, 0, 0, 0xffff, 0, g, h]
        | [0x64, 0xff9b, 0, 0, 0, 0, g, h]
        | [_, _, _, _, 0 | 0x200, 0x5efe, g, h] => [Some(v4(g, h)), None],
        [0x2002, high, low, ..] => [Some(v4(high, low)), None],
        // Teredo (RFC 4380): the server as it is, the client with every bit turned.
        [0x2001, 0, high, low, _, _, g, h] => [Some(v4(high, low)), Some(v4(!g, !h))],
        _ => [None, None],
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))
}

/// Why a name gave no address to connect to.
#[derive(Debug)]
pub(super) enum AddressFault {
    /// The resolver failed or knew no address.
    NotFound(String),
    /// Every address was refused; this is one of them.
    Forbidden(IpAddr),
}

impl fmt::Display for AddressFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(reason) => write!(f, "name not resolved: {reason}"),
            Self::Forbidden(ip) => write!(f, "address {ip} may not be connected to"),
        }
    }
}

impl std::error::Error for AddressFault {}

/// The system's resolver with the egress rule behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolver {
    pub(super) allow_private: bool,
}

/// Addresses that passed the rule.
pub(super) type Allowed = std::vec::IntoIter<SocketAddr>;

impl Resolver {
    /// Judges a host that is an address already; such a host never reaches the resolver.
    pub(super) fn check_literal(self, host: &str) -> Result<(), AddressFault> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        match bare.parse() {
            Ok(ip) if !allowed(ip, self.allow_private) => Err(AddressFault::Forbidden(ip)),
            _ => Ok(()),
        }
    }

    fn keep(self, found: impl Iterator<Item = SocketAddr>) -> Result<Allowed, AddressFault> {
        let (kept, refused): (Vec<_>, Vec<_>) =
            found.partition(|address| allowed(address.ip(), self.allow_private));
        match (kept.is_empty(), refused.first()) {
            (false, _) => Ok(kept.into_iter()),
            (true, Some(address)) => Err(AddressFault::Forbidden(address.ip())),
            (true, None) => Err(AddressFault::NotFound("no address".to_owned())),
        }
    }
}

impl Service<Name> for Resolver {
    type Response = Allowed;
    type Error = AddressFault;
    type Future = Pin<Box<dyn Future<Output = Result<Allowed, AddressFault>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AddressFault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let this = *self;
        Box::pin(async move {
            // The port is set by the connector.
            let found: io::Result<_> = tokio::net::lookup_host((name.as_str(), 0)).await;
            this.keep(found.map_err(|error| AddressFault::NotFound(error.to_string()))?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(text: &str) -> Reach {
        reach(text.parse().unwrap())
    }

    #[test]
    fn public_addresses_are_always_allowed() {
        for text in [
            "1.1.1.1",
            "104.18.7.192",
            "2606:4700::6812:7c0",
            "2002:102:304::1",
            "64:ff9b::101:101",
        ] {
            assert_eq!(judge(text), Reach::Public, "{text}");
        }
    }

    #[test]
    fn private_addresses_need_the_operators_word() {
        for text in [
            "127.0.0.1",
            "127.8.9.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "::1",
            "fd12::1",
            "fec0::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "2001:0:7f00:1::fefe:fefe",
            "2001:db8::5efe:10.0.0.1",
        ] {
            assert_eq!(judge(text), Reach::Private, "{text}");
            assert!(!allowed(text.parse().unwrap(), false) && allowed(text.parse().unwrap(), true));
        }
    }

    #[test]
    fn metadata_and_unreachable_addresses_are_never_allowed() {
        for text in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "ff02::1",
            "fe80::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "::a9fe:a9fe",
            "::ffff:0:a9fe:a9fe",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "64:ff9b:1:a9fe:a9:fe00::",
            "2002:a9fe:a9fe::1",
            "2001:0:a9fe:a9fe::",
            "2001::5601:5601",
            "fd00::5efe:169.254.169.254",
            "::ffff:0.0.0.0",
        ] {
            assert_eq!(judge(text), Reach::Forbidden, "{text}");
            assert!(!allowed(text.parse().unwrap(), true), "{text}");
        }
    }

    #[test]
    fn odd_spellings_are_plain_addresses_once_parsed_as_a_url() {
        for text in ["http://2852039166/", "http://0xA9FEA9FE/", "http://0251.0376.0251.0376/"] {
            let host = url::Url::parse(text).unwrap().host_str().unwrap().to_owned();
            assert!(Resolver { allow_private: true }.check_literal(&host).is_err(), "{text}");
        }
        assert!(
            Resolver { allow_private: true }.check_literal("[::ffff:169.254.169.254]").is_err()
        );
        assert!(Resolver { allow_private: false }.check_literal("api.example.com").is_ok());
    }

    #[test]
    fn only_allowed_addresses_reach_the_socket() {
        let mixed: [SocketAddr; 2] =
            ["169.254.169.254:0".parse().unwrap(), "1.1.1.1:0".parse().unwrap()];
        let kept = Resolver { allow_private: true }.keep(mixed.into_iter()).unwrap();
        assert_eq!(kept.collect::<Vec<_>>(), ["1.1.1.1:0".parse().unwrap()]);
        let bad = Resolver { allow_private: true }.keep(mixed.into_iter().take(1));
        assert!(matches!(bad, Err(AddressFault::Forbidden(_))));
    }
}
