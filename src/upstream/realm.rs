//! Which token servers a registry may send us to. A registry that could name any would be handed
//! our login, and could have us call what it cannot reach itself.

use url::Url;

use super::error::Error;
use crate::egress::{HostPattern, Origin};

/// Docker Hub and its token server, which live under two names.
const BUILT_IN: (&str, &str) = ("registry-1.docker.io", "auth.docker.io");

const MAX_LENGTH: usize = 2048;

/// The realm of a challenge, if tokens may be fetched there.
///
/// # Errors
/// [`Error::Forbidden`], with the key that would allow it.
pub(super) fn permitted(realm: &str, own: &Origin, allowed: &[HostPattern]) -> Result<Url, Error> {
    let forbidden = |why: String| Err(Error::Forbidden(why));
    let url = (realm.len() <= MAX_LENGTH).then(|| Url::parse(realm).ok()).flatten();
    let Some((url, origin)) = url.and_then(|url| Origin::of(&url).map(|origin| (url, origin))) else {
        return forbidden("the registry names a token server that is not a URL of http or https".to_owned());
    };
    if !url.username().is_empty() || url.password().is_some() {
        return forbidden(format!("the registry names a token server with a login in its URL: {origin}"));
    }
    if own.is_secure() && !origin.is_secure() {
        return forbidden(format!("the registry is asked over https, its token server {origin} is not"));
    }
    let is_pair = is_https(own, BUILT_IN.0) && is_https(&origin, BUILT_IN.1);
    if own.same_host_and_port(&origin) || is_pair || allowed.iter().any(|pattern| pattern.matches(&origin)) {
        return Ok(url);
    }
    forbidden(format!(
        "the registry sends us to {origin} for a token: put that host into allowed_hosts if it is meant"
    ))
}

fn is_https(origin: &Origin, host: &str) -> bool {
    origin.is_secure() && origin.host() == host && origin.port() == 443
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_permitted(realm: &str, own: &str, allowed: &[&str]) -> bool {
        let own = Origin::of(&Url::parse(own).unwrap()).unwrap();
        let allowed: Vec<_> = allowed.iter().map(|p| HostPattern::parse(p).unwrap()).collect();
        match permitted(realm, &own, &allowed) {
            Ok(_) => true,
            Err(Error::Forbidden(_)) => false,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn the_own_host_the_pair_and_allowed_hosts() {
        assert!(is_permitted("https://r.io/token", "https://r.io", &[]));
        assert!(is_permitted("http://r.io:5000/token", "http://r.io:5000", &[]));
        assert!(is_permitted("https://auth.docker.io/token", "https://registry-1.docker.io", &[]));
        assert!(is_permitted("https://auth.corp/token", "https://r.io", &["auth.corp"]));
        for (realm, own) in [
            ("https://evil.io/token", "https://r.io"),
            ("https://r.io:8443/token", "https://r.io"),
            ("https://r.io.evil.io/token", "https://r.io"),
            ("https://auth.docker.io/token", "https://r.io"),
            ("https://auth.docker.io:8443/token", "https://registry-1.docker.io"),
            ("http://r.io:443/token", "https://r.io"),
            ("http://r.io/token", "https://r.io"),
            ("https://user@r.io/token", "https://r.io"),
            ("file:///etc/passwd", "https://r.io"),
            ("/token", "https://r.io"),
        ] {
            assert!(!is_permitted(realm, own, &[]), "{realm} for {own}");
        }
        assert!(!is_permitted("http://auth.corp/token", "https://r.io", &["auth.corp"]), "downgrade");
        assert!(is_permitted("http://auth.corp/token", "http://r.io", &["auth.corp"]));
    }
}
