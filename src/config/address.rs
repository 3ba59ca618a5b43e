//! Addresses of other servers, checked as far as their text tells.
//!
//! What a name resolves to is checked again when a connection is made, so nothing here protects alone; but what can
//! be seen in the file should be said in the report, with its line. Clear text and private addresses need
//! `allow_private: true`; addresses that no provider can have (link-local, which holds the metadata services of
//! clouds, multicast, unspecified) are refused always.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::{Host, Url};

use crate::config::value::Value;

/// What is demanded of an address.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    /// Whether private addresses and clear text are allowed.
    pub(crate) allow_private: bool,
    /// Whether it may have a query.
    pub(crate) query: bool,
}

/// Who may be reached at an address.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Reach {
    /// A public server.
    Public,
    /// A machine of the operator's own, or this one.
    Private,
    /// Nothing that could be meant.
    Never,
}

/// The address in `value`; its text is never repeated, because it may hold a credential.
pub(crate) fn url(value: &Value<'_>, terms: Terms) -> Option<Url> {
    let text = value.filled_text()?;
    match check(text, terms) {
        Ok(url) => Some(url),
        Err(message) => value.wrong(message),
    }
}

/// Whether `url` names the listener at `own`.
pub(crate) fn is_own(url: &Url, own: SocketAddr) -> bool {
    if own.port() == 0 || url.port_or_known_default() != Some(own.port()) {
        return false;
    }
    let here = own.ip().is_loopback() || own.ip().is_unspecified();
    match address_of(url) {
        Some(ip) => ip == own.ip() || (own.ip().is_unspecified() && ip.is_loopback()),
        None => here && url.host_str().is_some_and(is_local_name),
    }
}

fn check(text: &str, terms: Terms) -> Result<Url, &'static str> {
    if !text.is_ascii() {
        return Err("must be ASCII; write an international name in its xn-- form");
    }
    if text.bytes().any(|b| b.is_ascii_control() || matches!(b, b' ' | b'\\')) {
        return Err("must not hold spaces, backslashes or control characters");
    }
    let url = Url::parse(text)
        .map_err(|_| "must be a whole address, as in https://api.example.com/v1")?;
    check_parts(&url, terms)?;
    check_reach(&url, terms)?;
    Ok(without_last_slash(url))
}

fn check_parts(url: &Url, terms: Terms) -> Result<(), &'static str> {
    match url.scheme() {
        "https" => {}
        "http" if terms.allow_private => {}
        "http" => return Err("clear text (http://) needs `allow_private: true`"),
        _ => return Err("must begin with https://"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or a password");
    }
    if url.fragment().is_some() {
        return Err("must not hold a fragment (#)");
    }
    if url.query().is_some() && !terms.query {
        return Err("must not hold a query (?); use `query`");
    }
    if url.port() == Some(0) {
        return Err("port 0 cannot be called");
    }
    Ok(())
}

fn check_reach(url: &Url, terms: Terms) -> Result<(), &'static str> {
    let reach = match address_of(url) {
        Some(ip) => reach(ip),
        None if url.host_str().is_some_and(is_local_name) => Reach::Private,
        None => Reach::Public,
    };
    match reach {
        Reach::Private if !terms.allow_private => {
            Err("a private or loopback address needs `allow_private: true`")
        }
        Reach::Public | Reach::Private => Ok(()),
        Reach::Never => {
            Err("link-local, metadata, multicast and unspecified addresses are refused")
        }
    }
}

/// The address where the host is one: `Url` has by then read every spelling of IPv4, such as `0x7f.1`.
fn address_of(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(ip) => Some(IpAddr::V4(ip)),
        Host::Ipv6(ip) => Some(IpAddr::V6(ip)),
        Host::Domain(_) => None,
    }
}

fn is_local_name(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host == "localhost" || host.ends_with(".localhost")
}

fn without_last_slash(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    url
}

fn reach(ip: IpAddr) -> Reach {
    match ip {
        IpAddr::V4(ip) => reach_v4(ip),
        IpAddr::V6(ip) => reach_v6(ip),
    }
}

fn reach_v4(ip: Ipv4Addr) -> Reach {
    let [first, second, third, _] = ip.octets();
    // 100.100.100.200 is a cloud's metadata service inside of the shared range.
    let metadata = ip.octets() == [100, 100, 100, 200];
    if metadata || first == 0 || first >= 224 || ip.is_link_local() {
        return Reach::Never;
    }
    let shared = first == 100 && (64..128).contains(&second);
    let reserved =
        (first, second, third) == (192, 0, 0) || (first == 198 && matches!(second, 18 | 19));
    if ip.is_loopback() || ip.is_private() || shared || reserved {
        return Reach::Private;
    }
    Reach::Public
}

fn reach_v6(ip: Ipv6Addr) -> Reach {
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        reach_v4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Private,
        // The metadata service of EC2.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => Reach::Never,
        // IPv4 in its mapped, compatible and translated (NAT64) forms.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            inner(high, low)
        }
        [first, ..] if first & 0xff00 == 0xff00 || first & 0xffc0 == 0xfe80 => Reach::Never,
        [first, ..] if first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfec0 => Reach::Private,
        _ => Reach::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Terms = Terms { allow_private: false, query: false };
    const PRIVATE: Terms = Terms { allow_private: true, query: false };

    #[test]
    fn a_public_https_address_is_taken_without_its_last_slash() {
        let url = check("https://api.example.com/v1/", STRICT).unwrap();
        assert_eq!(url.as_str(), "https://api.example.com/v1");
        assert_eq!(check("https://api.example.com", STRICT).unwrap().path(), "/");
    }

    #[test]
    fn what_is_not_a_plain_address_is_refused() {
        for bad in [
            "http://api.example.com/v1",
            "https://user:canary@example.com",
            "https://key@example.com",
            "https://example.com/#x",
            "https://example.com/?a=b",
            "file:///etc/passwd",
            "unix:/run/x",
            " https://example.com",
            "https://example.com ",
            "https://[fe80::1%25eth0]/",
            "https://exаmple.com",
            "https:\\\\example.com",
            "https://",
            "example.com/v1",
            "https://a\tb.com",
            "https://example.com:0/",
        ] {
            let said = check(bad, STRICT).unwrap_err();
            assert!(!said.contains("canary"), "{bad}");
        }
    }

    #[test]
    fn private_addresses_need_leave_in_every_spelling() {
        for private in [
            "https://127.0.0.1/",
            "https://10.1.2.3/",
            "https://192.168.0.1/",
            "https://172.16.0.1/",
            "https://100.64.0.1/",
            "https://localhost/",
            "https://a.localhost/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://[::1]/",
            "https://[fd12::1]/",
            "https://[::ffff:10.0.0.1]/",
        ] {
            assert!(check(private, STRICT).is_err(), "{private}");
            assert!(check(private, PRIVATE).is_ok(), "{private}");
        }
        assert!(check("http://api.example.com/", PRIVATE).is_ok());
    }

    #[test]
    fn metadata_services_are_never_reached() {
        for never in [
            "http://169.254.169.254/",
            "http://2852039166/",
            "http://0xA9FEA9FE/",
            "http://[fd00:ec2::254]/",
            "http://[::ffff:169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://0.0.0.0/",
            "http://[::]/",
            "http://224.0.0.1/",
            "http://[ff02::1]/",
            "http://[fe80::1]/",
            "http://100.100.100.200/",
        ] {
            assert!(check(never, PRIVATE).is_err(), "{never}");
        }
    }

    #[test]
    fn our_own_listener_is_recognized() {
        let own =
            |url: &str, listen: &str| is_own(&Url::parse(url).unwrap(), listen.parse().unwrap());
        assert!(own("http://127.0.0.1:8080/v1", "127.0.0.1:8080"));
        assert!(own("http://localhost:8080/v1", "127.0.0.1:8080"));
        assert!(own("http://127.0.0.1:8080/v1", "0.0.0.0:8080"));
        assert!(!own("http://127.0.0.1:8081/v1", "127.0.0.1:8080"));
        assert!(!own("http://example.com:8080/v1", "127.0.0.1:8080"));
        assert!(!own("http://127.0.0.1:8080/v1", "127.0.0.1:0"));
    }
}
