//! Where a client may connect to. The address that is really connected to decides, so a name that
//! points elsewhere by then changes nothing.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use super::Error;
use super::address::{METADATA, Zone};
use super::origin::{HostPattern, Origin};

/// The rules of one client.
#[derive(Debug)]
pub(super) struct Rules {
    /// The service the client is for.
    own: Option<Origin>,
    /// Addresses given for the own host, instead of DNS.
    fixed: Vec<SocketAddr>,
    /// The own host is this machine.
    loopback: bool,
    /// The own host has been seen at a private address, so it may send us to its neighbours.
    private: AtomicBool,
    allowed: Vec<HostPattern>,
    reach: Reach,
}

/// How far an entry in `allowed` and a name that nobody listed lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// To the service and to where it sends us; listed hosts may be private, never this machine.
    Service,
    /// To any public host; listed hosts may be private, and this machine where their name says so.
    Revocation,
    /// To every address but those that are nobody's.
    Everywhere,
    /// To the service that gives this machine its credentials, and to nobody else.
    Metadata,
}

impl Rules {
    /// The rules for one service, which is at `fixed` where that is not empty.
    pub(super) fn for_service(own: Origin, fixed: Vec<SocketAddr>, allowed: Vec<HostPattern>) -> Self {
        Self::new(Some(own), fixed, allowed, Reach::Service)
    }

    /// The rules for asking whether certificates are revoked. They name the hosts themselves.
    pub(super) fn for_revocation(allowed: Vec<HostPattern>, everywhere: bool) -> Self {
        let reach = if everywhere { Reach::Everywhere } else { Reach::Revocation };
        Self::new(None, Vec::new(), allowed, reach)
    }

    /// The rules for the service that gives this machine its credentials, at one of the addresses that are known for that, or
    /// on this machine itself; `None` for any other.
    pub(super) fn for_metadata(own: Origin) -> Option<Self> {
        let known = own.literal().is_some_and(|ip| METADATA.contains(&ip)) || own.says_loopback();
        known.then(|| Self::new(Some(own), Vec::new(), Vec::new(), Reach::Metadata))
    }

    fn new(own: Option<Origin>, fixed: Vec<SocketAddr>, allowed: Vec<HostPattern>, reach: Reach) -> Self {
        let literal = own.as_ref().and_then(Origin::literal);
        let named = || fixed.iter().map(SocketAddr::ip).chain(literal).map(Zone::of);
        // The operator wrote the address or the name; what DNS says is not enough for loopback.
        let loopback = named().any(|z| z == Zone::Loopback) || own.as_ref().is_some_and(Origin::is_localhost);
        let private = AtomicBool::new(named().any(|z| z == Zone::Private));
        Self { own, fixed, loopback, private, allowed, reach }
    }

    /// The addresses that stand in for what DNS says of this host.
    pub(super) fn fixed(&self, to: &Origin) -> &[SocketAddr] {
        if self.is_own(to) { &self.fixed } else { &[] }
    }

    pub(super) fn is_own(&self, to: &Origin) -> bool {
        self.own.as_ref().is_some_and(|own| own.same_host_and_port(to))
    }

    /// Whether this is a service on this machine that is meant, and that no proxy can reach.
    pub(super) fn is_meant_here(&self, to: &Origin) -> bool {
        (self.loopback && self.is_own(to)) || (to.says_loopback() && self.may_ask_here(to))
    }

    /// Judges a name before anything is asked about it.
    pub(super) fn permit_name(&self, to: &Origin) -> Result<(), Error> {
        if to.is_localhost() {
            return self.permit_zone(to, Zone::Loopback, "localhost");
        }
        to.literal().map_or(Ok(()), |ip| self.permit(to, ip))
    }

    /// Judges the address that is about to be connected to.
    pub(super) fn permit(&self, to: &Origin, address: IpAddr) -> Result<(), Error> {
        match self.reach {
            Reach::Metadata => self.permit_metadata(to, address),
            _ => self.permit_zone(to, Zone::of(address), &address.to_string()),
        }
    }

    fn permit_metadata(&self, to: &Origin, address: IpAddr) -> Result<(), Error> {
        let known = METADATA.contains(&address) || Zone::of(address) == Zone::Loopback;
        if known && self.is_own(to) {
            return Ok(());
        }
        Err(Error::Forbidden(format!(
            "{} is at {address}, which gives no machine its credentials",
            to.host()
        )))
    }

    fn permit_zone(&self, to: &Origin, zone: Zone, shown: &str) -> Result<(), Error> {
        let host = to.host();
        let refused = |what: String| Err(Error::Forbidden(what));
        match zone {
            Zone::Public => Ok(()),
            Zone::Never(why) => refused(format!("{host} is at {shown}, which is {why}: never connected to")),
            Zone::Loopback if self.loopback || self.may_ask_here(to) => Ok(()),
            Zone::Loopback => refused(format!("{host} is at {shown}, this machine: {}", self.way_here())),
            Zone::Private if self.is_own(to) => {
                self.private.store(true, Ordering::Relaxed);
                Ok(())
            }
            Zone::Private if self.private.load(Ordering::Relaxed) || self.is_allowed(to) => Ok(()),
            Zone::Private if self.reach == Reach::Everywhere => Ok(()),
            Zone::Private => {
                let list = if self.reach == Reach::Service { "allowed_hosts" } else { "egress.allow" };
                refused(format!(
                    "{host} is at {shown}, a private address: put the host into {list} if it is meant"
                ))
            }
        }
    }

    /// Whether a host that is not the own one may be on this machine. A certificate can name any host
    /// and DNS can point it here, so both the list and the name in the URL have to say so.
    fn may_ask_here(&self, to: &Origin) -> bool {
        match self.reach {
            Reach::Service | Reach::Metadata => false,
            Reach::Revocation => to.says_loopback() && self.is_allowed(to),
            Reach::Everywhere => true,
        }
    }

    fn way_here(&self) -> &'static str {
        match self.reach {
            Reach::Service | Reach::Metadata => {
                "only an upstream whose url or resolve says so is asked there"
            }
            Reach::Revocation | Reach::Everywhere => {
                "only localhost or a loopback address that stands in egress.allow is asked there"
            }
        }
    }

    fn is_allowed(&self, to: &Origin) -> bool {
        self.allowed.iter().any(|pattern| pattern.matches(to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::of(&url::Url::parse(url).unwrap()).unwrap()
    }

    fn rules(own: &str, fixed: &[&str], allowed: &[&str]) -> Rules {
        Rules::for_service(
            origin(own),
            fixed.iter().map(|a| SocketAddr::new(a.parse().unwrap(), 443)).collect(),
            patterns(allowed),
        )
    }

    fn patterns(allowed: &[&str]) -> Vec<HostPattern> {
        allowed.iter().map(|p| HostPattern::parse(p).unwrap()).collect()
    }

    fn permits(rules: &Rules, to: &str, address: &str) -> bool {
        rules.permit(&origin(to), address.parse().unwrap()).is_ok()
    }

    #[test]
    fn a_public_upstream_sends_us_to_public_hosts_only() {
        let rules = rules("https://r.io", &[], &["s3.corp"]);
        assert!(permits(&rules, "https://cdn.io", "1.1.1.1"));
        assert!(!permits(&rules, "https://cdn.io", "10.0.0.1"));
        assert!(!permits(&rules, "https://cdn.io", "127.0.0.1"));
        assert!(!permits(&rules, "https://cdn.io", "::ffff:10.0.0.1"));
        assert!(permits(&rules, "https://s3.corp", "10.0.0.1"));
        assert!(!permits(&rules, "https://s3.corp", "127.0.0.1"));
        assert!(!permits(&rules, "https://s3.corp", "169.254.169.254"));
        assert!(!permits(&rules, "https://r.io", "127.0.0.1"), "a name in DNS is not enough for loopback");
    }

    #[test]
    fn neighbours_of_a_private_upstream_may_be_private() {
        let rules = rules("https://r.corp", &[], &[]);
        assert!(!permits(&rules, "https://s3.corp", "10.0.0.2"));
        assert!(permits(&rules, "https://r.corp", "10.0.0.1"));
        assert!(permits(&rules, "https://s3.corp", "10.0.0.2"));
        assert!(!permits(&rules, "https://s3.corp", "127.0.0.1"));
        assert!(!permits(&rules, "https://r.corp", "169.254.169.254"));
    }

    #[test]
    fn loopback_is_beside_what_the_operator_wrote_as_loopback() {
        for own in ["http://localhost:5000", "http://127.0.0.1:5000", "http://[::1]:5000"] {
            let rules = rules(own, &[], &[]);
            assert!(permits(&rules, "http://127.0.0.1:9000", "127.0.0.1"), "{own}");
            assert!(!permits(&rules, "http://10.0.0.1", "10.0.0.1"), "{own}");
        }
        assert!(permits(&rules("https://r.io", &["127.0.0.1"], &[]), "https://r.io", "127.0.0.1"));
    }

    #[test]
    fn names_are_judged_even_where_a_proxy_resolves_them() {
        let rules = rules("https://r.io", &[], &[]);
        for bad in [
            "http://169.254.169.254",
            "http://localhost",
            "http://a.localhost.",
            "http://[::ffff:127.0.0.1]",
            "http://10.1.1.1",
        ] {
            assert!(matches!(rules.permit_name(&origin(bad)), Err(Error::Forbidden(_))), "{bad}");
        }
        rules.permit_name(&origin("https://cdn.io")).unwrap();
    }

    #[test]
    fn certificates_send_us_to_public_hosts_and_to_listed_ones() {
        let rules = Rules::for_revocation(patterns(&["ocsp.corp", "pki.corp:8080"]), false);
        assert!(permits(&rules, "http://ocsp.io", "1.1.1.1"));
        assert!(!permits(&rules, "http://ocsp.io", "10.0.0.1"));
        assert!(permits(&rules, "http://ocsp.corp", "10.0.0.1"));
        assert!(permits(&rules, "http://pki.corp:8080", "10.0.0.1"));
        assert!(!permits(&rules, "http://pki.corp", "10.0.0.1"), "another port of a listed host");
        assert!(!permits(&rules, "http://ocsp.corp", "169.254.169.254"));
        assert!(!permits(&rules, "http://ocsp.io", "10.0.0.1"), "a private neighbour opens nothing");
        assert!(matches!(rules.permit_name(&origin("http://10.0.0.1")), Err(Error::Forbidden(_))));
    }

    #[test]
    fn certificates_send_us_to_this_machine_only_where_list_and_name_say_so() {
        let rules = Rules::for_revocation(patterns(&["127.0.0.1:8888", "localhost", "ocsp.corp"]), false);
        assert!(permits(&rules, "http://127.0.0.1:8888", "127.0.0.1"));
        assert!(permits(&rules, "http://localhost:1", "::1"));
        assert!(rules.is_meant_here(&origin("http://127.0.0.1:8888")));
        assert!(!permits(&rules, "http://127.0.0.1", "127.0.0.1"), "another port");
        assert!(!permits(&rules, "http://ocsp.corp", "127.0.0.1"), "a listed name that DNS points here");
        assert!(!rules.is_meant_here(&origin("http://ocsp.corp")));
        assert!(!permits(&rules, "http://ocsp.io", "127.0.0.1"));
        let unlisted = Rules::for_revocation(Vec::new(), false);
        assert!(matches!(unlisted.permit_name(&origin("http://localhost")), Err(Error::Forbidden(_))));
    }

    #[test]
    fn a_machines_credentials_come_from_known_addresses_and_this_machine_alone() {
        let rules = |own: &str| Rules::for_metadata(origin(own));
        for own in [
            "http://169.254.169.254",
            "http://169.254.170.2",
            "http://169.254.170.23:80",
            "http://[fd00:ec2::23]",
        ] {
            let (rules, address) = (rules(own).unwrap(), origin(own).literal().unwrap().to_string());
            rules.permit_name(&origin(own)).unwrap();
            assert!(permits(&rules, own, &address), "{own}");
            assert!(!permits(&rules, "http://169.254.170.9", "169.254.170.9"));
            assert!(!permits(&rules, "http://169.254.169.254:81", "169.254.169.254"), "not the own one");
            assert!(!permits(&rules, "https://r.io", "1.1.1.1"), "another host is not reached");
        }
        let here = rules("http://localhost:51679").unwrap();
        assert!(
            permits(&here, "http://localhost:51679", "127.0.0.1")
                && here.is_meant_here(&origin("http://localhost:51679"))
        );
        assert!(!permits(&here, "http://localhost:51679", "1.1.1.1"), "wherever DNS says that it is");
        for other in
            ["http://169.254.169.253", "http://10.0.0.1", "http://r.io", "http://[::ffff:169.254.169.254]"]
        {
            assert!(rules(other).is_none(), "{other}");
        }
        // No setting leads there.
        for own in ["http://169.254.169.254", "http://[fd00:ec2::254]"] {
            let upstream = Rules::for_service(origin(own), Vec::new(), patterns(&[&own[7..]]));
            assert!(upstream.permit_name(&origin(own)).is_err(), "{own}");
        }
    }

    #[test]
    fn on_ones_own_machine_any_address_is_asked_that_is_a_hosts() {
        let rules = Rules::for_revocation(Vec::new(), true);
        assert!(permits(&rules, "http://ocsp.io", "127.0.0.1"));
        assert!(permits(&rules, "http://ocsp.io", "10.0.0.1"));
        assert!(!permits(&rules, "http://ocsp.io", "169.254.169.254"));
    }
}
