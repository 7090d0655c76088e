//! Which addresses are whose: the ground of the rules against requests forged through us (SSRF).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where the clouds of AWS give their machines and containers credentials: an instance's metadata ("Access instance metadata
/// for an EC2 instance"), ECS' and EKS' agents ("Container credential provider" of the SDKs' reference guide).
pub(super) const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
];

/// From where an address can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    /// From anywhere.
    Public,
    /// From a site (RFC 1918, RFC 4193, RFC 6598).
    Private,
    /// From this machine.
    Loopback,
    /// Never connected to, but by [`Rules::for_metadata`](super::rules::Rules::for_metadata): cloud metadata services live
    /// on link-local addresses, the rest is no single host.
    Never(&'static str),
}

impl Zone {
    /// The zone of the host that is reached in the end: IPv4 addresses inside IPv6 ones are unwrapped.
    pub(super) fn of(address: IpAddr) -> Self {
        // Those of IPv6 look like a site's own.
        if METADATA.contains(&address) {
            return Self::Never("where a machine gets its credentials");
        }
        match address {
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => match embedded(v6) {
                Some(v4) => of_v4(v4),
                None => of_v6(v6),
            },
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Zone {
    match address.octets() {
        [0, ..] => Zone::Never("unspecified"),
        [127, ..] => Zone::Loopback,
        [169, 254, ..] => Zone::Never("link-local"),
        [224..=239, ..] => Zone::Never("multicast"),
        [240..=255, ..] => Zone::Never("reserved"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Zone::Private,
        // IETF protocol assignments and benchmarking networks (RFC 6890): never the Internet's.
        [192, 0, 0, _] | [198, 18..=19, ..] => Zone::Private,
        _ => Zone::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Zone {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Zone::Never("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Zone::Loopback,
        [0xfe80..=0xfebf, ..] => Zone::Never("link-local"),
        [0xff00..=0xffff, ..] => Zone::Never("multicast"),
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Zone::Private,
        // Where the IPv4 address stands in them is the site's or a relay's choice.
        [0x64, 0xff9b, 1, ..] => Zone::Never("a local NAT64 prefix"),
        [0x2001, 0, ..] => Zone::Never("Teredo"),
        _ => Zone::Public,
    }
}

/// The IPv4 address that traffic to this address is for: mapped (RFC 4291, 2.5.5.2), compatible
/// (2.5.5.1), translated (RFC 2765), NAT64 (RFC 6052) and 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => (high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => (high, low),
        // `::` and `::1` are their own.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => (high, low),
        _ => return None,
    };
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Some(Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(text: &str) -> Zone {
        Zone::of(text.parse().unwrap())
    }

    #[test]
    fn addresses_and_their_disguises() {
        for public in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1", "::ffff:8.8.8.8", "2002:808:808::1"]
        {
            assert_eq!(zone(public), Zone::Public, "{public}");
        }
        for private in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.100.100.200",
            "fc00::1",
            "fd00:ec2::253",
            "fec0::1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:a00:1::1",
            "192.0.0.192",
            "198.18.0.1",
        ] {
            assert_eq!(zone(private), Zone::Private, "{private}");
        }
        for loopback in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "::127.0.0.1",
        ] {
            assert_eq!(zone(loopback), Zone::Loopback, "{loopback}");
        }
        for never in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "::ffff:0.0.0.0",
            "64:ff9b:1::a9fe:a9fe",
            "2001:0:1::1",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
        ] {
            assert!(matches!(zone(never), Zone::Never(_)), "{never}");
        }
    }
}
