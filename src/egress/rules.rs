//! Where a client may connect to. The address that is really connected to decides, so a name that
//! points elsewhere by then changes nothing.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use super::Error;
use super::address::Zone;
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
    /// Nothing but `own` and `allowed` is contacted.
    closed: bool,
}

impl Rules {
    pub(super) fn new(
        own: Option<Origin>,
        fixed: Vec<SocketAddr>,
        allowed: Vec<HostPattern>,
        closed: bool,
    ) -> Self {
        let literal = own.as_ref().and_then(Origin::literal);
        let named = || fixed.iter().map(SocketAddr::ip).chain(literal).map(Zone::of);
        // The operator wrote the address or the name; what DNS says is not enough for loopback.
        let loopback = named().any(|z| z == Zone::Loopback) || own.as_ref().is_some_and(Origin::is_localhost);
        let private = AtomicBool::new(named().any(|z| z == Zone::Private));
        Self { own, fixed, loopback, private, allowed, closed }
    }

    /// The addresses that stand in for what DNS says of this host.
    pub(super) fn fixed(&self, to: &Origin) -> &[SocketAddr] {
        if self.is_own(to) { &self.fixed } else { &[] }
    }

    pub(super) fn is_own(&self, to: &Origin) -> bool {
        self.own.as_ref().is_some_and(|own| own.same_host_and_port(to))
    }

    /// Whether this is our own upstream on this machine, which no proxy can reach.
    pub(super) fn is_own_loopback(&self, to: &Origin) -> bool {
        self.loopback && self.is_own(to)
    }

    /// Judges a name before anything is asked about it.
    pub(super) fn permit_name(&self, to: &Origin) -> Result<(), Error> {
        if self.closed && !self.is_own(to) && !self.is_allowed(to) {
            return Err(Error::Forbidden(format!("{to} is neither an upstream nor in egress.allow")));
        }
        if to.is_localhost() {
            return self.permit_zone(to, Zone::Loopback, "localhost");
        }
        to.literal().map_or(Ok(()), |ip| self.permit(to, ip))
    }

    /// Judges the address that is about to be connected to.
    pub(super) fn permit(&self, to: &Origin, address: IpAddr) -> Result<(), Error> {
        self.permit_zone(to, Zone::of(address), &address.to_string())
    }

    fn permit_zone(&self, to: &Origin, zone: Zone, shown: &str) -> Result<(), Error> {
        let host = to.host();
        let refused = |what: String| Err(Error::Forbidden(what));
        match zone {
            Zone::Public => Ok(()),
            Zone::Never(why) => refused(format!("{host} is at {shown}, which is {why}: never connected to")),
            Zone::Loopback if self.loopback => Ok(()),
            Zone::Loopback => refused(format!(
                "{host} is at {shown}, this machine: only an upstream whose url or resolve says so is asked there"
            )),
            Zone::Private if self.is_own(to) => {
                self.private.store(true, Ordering::Relaxed);
                Ok(())
            }
            Zone::Private if self.private.load(Ordering::Relaxed) || self.is_allowed(to) => Ok(()),
            Zone::Private => refused(format!(
                "{host} is at {shown}, a private address: put the host into allowed_hosts if it is meant"
            )),
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
        Rules::new(
            Some(origin(own)),
            fixed.iter().map(|a| SocketAddr::new(a.parse().unwrap(), 443)).collect(),
            allowed.iter().map(|p| HostPattern::parse(p).unwrap()).collect(),
            false,
        )
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
    fn a_closed_client_contacts_listed_hosts_only() {
        let rules = Rules::new(None, vec![], vec![HostPattern::parse("ocsp.io").unwrap()], true);
        rules.permit_name(&origin("http://ocsp.io")).unwrap();
        assert!(matches!(rules.permit_name(&origin("http://other.io")), Err(Error::Forbidden(_))));
    }
}
