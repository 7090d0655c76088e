//! Which hosts a certificate may speak for, and the references of a claim.

use crate::oci::{Digest, Registry, Repository, Tag};
use crate::x509::Certificate;

/// Splits a reference (`host[:port]/path[:tag][@digest]`) at its host, having checked the grammar.
/// The host is never supplied: a claim must say what it means.
pub(super) fn host(reference: &str) -> Option<&str> {
    let (host, rest) = reference.split_once('/')?;
    let (named, digest) = match rest.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (rest, None),
    };
    let (path, tag) = match named.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (named, None),
    };
    Repository::new(Registry::parse(host).ok()?, path).ok()?;
    let fits = tag.is_none_or(|t| Tag::parse(t).is_ok()) && digest.is_none_or(|d| Digest::parse(d).is_ok());
    fits.then_some(host)
}

/// Whether the certificate carries the host, port included. The common name counts only where there is
/// no subject alternative name of any kind (RFC 6125, section 6.4.4).
pub(super) fn carries(certificate: &Certificate, host: &str) -> bool {
    if certificate.has_san() {
        return certificate.dns_names().iter().any(|pattern| matches(pattern, host));
    }
    certificate.common_name().is_some_and(|pattern| matches(pattern, host))
}

/// The names that the certificate carries, for messages.
pub(super) fn shown(certificate: &Certificate) -> String {
    match certificate.common_name() {
        Some(name) if !certificate.has_san() => name.to_owned(),
        _ => certificate.dns_names().join(", "),
    }
}

/// Letters compare without case; a whole first label `*` stands for exactly one label (RFC 6125,
/// section 6.4.3).
fn matches(pattern: &str, host: &str) -> bool {
    if pattern.is_empty() || host.contains('*') {
        return false;
    }
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        (Some(parent), Some((label, rest))) => !label.is_empty() && parent.eq_ignore_ascii_case(rest),
        (Some(_), None) => false,
        (None, _) => pattern.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_match_whole_and_by_one_label() {
        for (pattern, host) in [
            ("registry.example.test", "registry.example.test"),
            ("Registry.Example.test", "registry.example.TEST"),
            ("*.example.test", "registry.example.test"),
            ("localhost:5000", "localhost:5000"),
        ] {
            assert!(matches(pattern, host), "{pattern} {host}");
        }
        for (pattern, host) in [
            ("*.example.test", "a.b.example.test"),
            ("*.example.test", "example.test"),
            ("*.example.test", ".example.test"),
            ("*.example.test", "registry.example.test:5000"),
            ("*", "localhost"),
            ("r*.example.test", "registry.example.test"),
            ("localhost", "localhost:5000"),
            ("registry.example.test", "evil-registry.example.test"),
            ("registry.example.test", "registry.example.test.evil"),
            ("*.example.test", "*.example.test"),
            ("", ""),
        ] {
            assert!(!matches(pattern, host), "{pattern} {host}");
        }
    }

    #[test]
    fn references_have_a_host() {
        let digest = Digest::sha256(b"x");
        assert_eq!(host("registry.example.test/app:v1"), Some("registry.example.test"));
        assert_eq!(host("localhost:5000/a/b"), Some("localhost:5000"));
        assert_eq!(host(&format!("docker.io/a:b@{digest}")), Some("docker.io"));
        for bad in ["app:v1", "", "/app", "host/", "host/App", "host/a:b:c", "host/a@sha256:1", "ho st/a"] {
            assert_eq!(host(bad), None, "{bad}");
        }
    }
}
