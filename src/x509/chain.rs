//! From a leaf to an anchor: RFC 5280, section 6, as far as signatures of artifacts need it. Names are
//! compared by their DER, every certificate on the way (the anchor too) must be within its validity,
//! and what is not understood is refused.

use std::time::SystemTime;

use super::{Certificate, ExtendedKeyUsage};

/// The longest chain, leaf and anchor included.
pub const MAX_LENGTH: usize = 10;
/// The most certificate signatures that one search verifies, so that hostile intermediates which all
/// bear one name cost a bounded time.
const MAX_CHECKS: usize = 64;

/// How many signatures may still be verified: many searches may share what one claim is worth.
#[derive(Debug)]
pub struct Checks(usize);

impl Checks {
    /// So many.
    pub fn new(most: usize) -> Self {
        Self(most)
    }

    /// Takes one; `false` where none is left.
    pub fn take(&mut self) -> bool {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or_default();
        left.is_some()
    }

    /// Whether none is left.
    pub fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

impl Default for Checks {
    fn default() -> Self {
        Self(MAX_CHECKS)
    }
}

/// Why a chain is not believed. The furthest failure is told: a chain that reaches an anchor through
/// an expired certificate is `Expired`, not `Untrusted`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It ends at nothing that is trusted.
    #[error("{subject} leads to no trusted certificate")]
    Untrusted {
        /// The leaf's subject.
        subject: String,
    },
    /// A certificate's validity has ended.
    #[error("the certificate {subject} has expired")]
    Expired {
        /// Whose.
        subject: String,
        /// The last moment of its validity.
        not_after: SystemTime,
    },
    /// A certificate's validity has not begun.
    #[error("the certificate {subject} is not valid yet")]
    NotYetValid {
        /// Whose.
        subject: String,
        /// The first moment of its validity.
        not_before: SystemTime,
    },
    /// A certificate breaks a rule.
    #[error("{subject}: {rule}")]
    Invalid {
        /// Whose.
        subject: String,
        /// Which rule, and how.
        rule: String,
    },
}

impl Error {
    fn invalid(certificate: &Certificate, rule: impl Into<String>) -> Self {
        Self::Invalid { subject: certificate.subject().to_string(), rule: rule.into() }
    }
}

/// A chain that was checked: the leaf first, the anchor last. They are one where the leaf itself is
/// trusted.
#[derive(Clone, Debug)]
pub struct Path {
    certificates: Vec<Certificate>,
}

impl Path {
    /// Leaf to anchor.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// What the trust rests on.
    pub fn anchor(&self) -> Option<&Certificate> {
        self.certificates.last()
    }

    /// When the first of its certificates ends.
    pub fn not_after(&self) -> Option<SystemTime> {
        self.certificates.iter().map(Certificate::not_after).min()
    }
}

/// Walks a chain that is given in order, leaf first, to the first certificate that is an anchor or was
/// issued by one. Certificates beyond it are not looked at.
///
/// # Errors
/// The furthest failure.
pub fn ordered(chain: &[Certificate], anchors: &[Certificate], at: SystemTime) -> Result<Path, Error> {
    let leaf = leaf(chain)?;
    let mut worst = Error::Untrusted { subject: leaf.subject().to_string() };
    for end in 0..chain.len() {
        let (below, _) = chain.split_at(end + 1);
        let Some(last) = below.last() else { continue };
        for anchor in anchors {
            let mut path = below.to_vec();
            if anchor != last {
                if anchor.issued(last).is_err() {
                    continue;
                }
                path.push(anchor.clone());
            }
            match check(&path, at) {
                Ok(()) => return Ok(Path { certificates: path }),
                Err(error) => worst = error,
            }
        }
    }
    Err(worst)
}

/// Looks for a way from the leaf to an anchor through intermediates in any order.
///
/// # Errors
/// The furthest failure.
pub fn find(
    leaf: &Certificate,
    intermediates: &[Certificate],
    anchors: &[Certificate],
    at: SystemTime,
) -> Result<Path, Error> {
    find_within(leaf, intermediates, anchors, at, &mut Checks::default())
}

/// As [`find`], with the checks that are left.
///
/// # Errors
/// As [`find`]; [`Error::Untrusted`] where the checks did not suffice.
pub fn find_within(
    leaf: &Certificate,
    intermediates: &[Certificate],
    anchors: &[Certificate],
    at: SystemTime,
    checks: &mut Checks,
) -> Result<Path, Error> {
    let worst = Error::Untrusted { subject: leaf.subject().to_string() };
    let mut search = Search { intermediates, anchors, at, checks, worst };
    match search.extend(&mut vec![leaf.clone()]) {
        Some(path) => Ok(path),
        None => Err(search.worst),
    }
}

/// The rules of a whole chain, leaf first, each certificate issued by the next, but for validity.
///
/// # Errors
/// The first broken rule.
pub fn check_links(chain: &[Certificate]) -> Result<(), Error> {
    leaf(chain)?;
    for certificate in chain {
        if let Some(oid) = certificate.unhandled_critical().first() {
            return Err(Error::invalid(
                certificate,
                format!("its critical extension {oid} is not understood"),
            ));
        }
        if certificate.has_name_constraints() && chain.len() > 1 {
            return Err(Error::invalid(certificate, "its name constraints are not understood"));
        }
    }
    for (below, pair) in chain.windows(2).enumerate() {
        let [child, issuer] = pair else { continue };
        issuer.issued(child).map_err(|e| Error::invalid(child, e.to_string()))?;
        let between = chain.get(1..=below).unwrap_or_default();
        let counted = between.iter().filter(|c| c.subject() != c.issuer()).count();
        check_issuer(issuer, counted)?;
    }
    Ok(())
}

/// Whether every certificate is within its validity.
///
/// # Errors
/// The first that is not.
pub fn check_validity(chain: &[Certificate], at: SystemTime) -> Result<(), Error> {
    for certificate in chain {
        let subject = || certificate.subject().to_string();
        if at < certificate.not_before() {
            return Err(Error::NotYetValid { subject: subject(), not_before: certificate.not_before() });
        }
        if at > certificate.not_after() {
            return Err(Error::Expired { subject: subject(), not_after: certificate.not_after() });
        }
    }
    Ok(())
}

/// Whether a certificate may issue (RFC 5280, section 6.1.4 k to n), with `between` CA certificates
/// that are not self-issued between it and the leaf.
///
/// # Errors
/// The rule that forbids it.
pub fn check_issuer(issuer: &Certificate, between: usize) -> Result<(), Error> {
    let Some(constraints) = issuer.basic_constraints().filter(|b| b.ca) else {
        return Err(Error::invalid(issuer, "it is no CA (basic constraints) and may not issue certificates"));
    };
    if constraints.path_length.is_some_and(|most| between > most as usize) {
        return Err(Error::invalid(issuer, format!("its path length forbids {between} CAs below it")));
    }
    if issuer.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
        return Err(Error::invalid(issuer, "its key usage lacks keyCertSign"));
    }
    Ok(())
}

/// Whether the authorities above a leaf may lend their word to a purpose: one that is limited to other purposes, such as
/// a company's for web servers, cannot. RFC 5280 leaves that open; everybody who issues by purposes relies on it.
///
/// # Errors
/// The first that may not. `name` is what the purpose is called.
pub fn check_purpose(chain: &[Certificate], purpose: &str, name: &str) -> Result<(), Error> {
    let unfit = |issuer: &&Certificate| {
        let usage = issuer.extended_key_usage();
        usage.is_some_and(|usage| !usage.has(purpose) && !usage.has(ExtendedKeyUsage::ANY))
    };
    match chain.iter().skip(1).find(unfit) {
        Some(issuer) => {
            Err(Error::invalid(issuer, format!("its extended key usage is for other things than {name}")))
        }
        None => Ok(()),
    }
}

fn leaf(chain: &[Certificate]) -> Result<&Certificate, Error> {
    let Some(leaf) = chain.first() else {
        return Err(Error::Invalid { subject: String::new(), rule: "there is no certificate".to_owned() });
    };
    if chain.len() > MAX_LENGTH {
        return Err(Error::invalid(leaf, format!("its chain has more than {MAX_LENGTH} certificates")));
    }
    Ok(leaf)
}

fn check(chain: &[Certificate], at: SystemTime) -> Result<(), Error> {
    check_links(chain)?;
    check_validity(chain, at)
}

struct Search<'a> {
    intermediates: &'a [Certificate],
    anchors: &'a [Certificate],
    at: SystemTime,
    checks: &'a mut Checks,
    worst: Error,
}

impl Search<'_> {
    /// Depth first; `path` is the way so far and is left as it was found.
    fn extend(&mut self, path: &mut Vec<Certificate>) -> Option<Path> {
        let last = path.last()?.clone();
        if self.anchors.contains(&last)
            && let Some(found) = self.accept(path.clone())
        {
            return Some(found);
        }
        let (anchors, intermediates) = (self.anchors, self.intermediates);
        for anchor in anchors.iter().filter(|a| **a != last) {
            if self.issued(anchor, &last) {
                let whole = path.iter().cloned().chain([anchor.clone()]).collect();
                if let Some(found) = self.accept(whole) {
                    return Some(found);
                }
            }
        }
        for next in intermediates {
            if path.len() < MAX_LENGTH && !path.contains(next) && self.issued(next, &last) {
                path.push(next.clone());
                let found = self.extend(path);
                path.pop();
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    fn issued(&mut self, issuer: &Certificate, child: &Certificate) -> bool {
        issuer.subject() == child.issuer() && self.checks.take() && issuer.issued(child).is_ok()
    }

    fn accept(&mut self, path: Vec<Certificate>) -> Option<Path> {
        match check(&path, self.at) {
            Ok(()) => Some(Path { certificates: path }),
            Err(error) => {
                self.worst = error;
                None
            }
        }
    }
}
