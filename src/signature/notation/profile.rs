//! The certificates of a signature: their profile and their order (signature-specification,
//! "Certificate Requirements"). Independent of any trust store and of the time.

use super::algorithm::Algorithm;
use crate::signature::Rejection;
use crate::x509::{Certificate, ExtendedKeyUsage, KeyUsage};

/// What a signing certificate must not be for besides. `OCSPSigning` is not in the specification's
/// list, but notation refuses it, and an OCSP responder's key has no business signing artifacts.
const FORBIDDEN_PURPOSES: [(&str, &str); 6] = [
    (ExtendedKeyUsage::ANY, "anyExtendedKeyUsage"),
    (ExtendedKeyUsage::SERVER_AUTH, "serverAuth"),
    (ExtendedKeyUsage::CLIENT_AUTH, "clientAuth"),
    (ExtendedKeyUsage::EMAIL_PROTECTION, "emailProtection"),
    (ExtendedKeyUsage::TIME_STAMPING, "timeStamping"),
    (ExtendedKeyUsage::OCSP_SIGNING, "OCSPSigning"),
];
/// `digitalSignature` and `contentCommitment`; every other usage is forbidden to a signer.
const LEAF_USAGES: u16 = 0b11;

/// What the chain's leaf signs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Artifacts.
    CodeSigning,
    /// Timestamps. That its leaf is for these alone was checked with the token ([`crate::x509::timestamp`]).
    Timestamping,
}

/// Checks a whole chain, the signer first and a self-signed root last.
///
/// Only basic constraints, key usage and extended key usage are honoured: the specification says that
/// all other extensions must not be evaluated, critical or not.
pub(super) fn check(chain: &[Certificate], purpose: Purpose) -> Result<(), Rejection> {
    let Some((leaf, issuers)) = chain.split_first() else {
        return Err(Rejection::Malformed { what: "certificate chain", why: "it is empty".into() });
    };
    check_leaf(leaf, purpose)?;
    for (at, pair) in chain.windows(2).enumerate() {
        let [child, issuer] = pair else { continue };
        // A self-signed certificate on the way would be a second root.
        if child.is_self_signed() {
            return Err(broken(child, "it is self-signed, but the chain goes on"));
        }
        issuer.issued(child).map_err(|e| broken(child, &e.to_string()))?;
        check_issuer(issuer, at, purpose)?;
    }
    let root = issuers.last().unwrap_or(leaf);
    root.issued(root).map_err(|e| broken(root, &format!("the chain must end at a self-signed root: {e}")))
}

fn check_leaf(leaf: &Certificate, purpose: Purpose) -> Result<(), Rejection> {
    if leaf.basic_constraints().is_some_and(|b| b.ca) {
        return Err(broken(leaf, "a signing certificate must not be a CA's"));
    }
    // "Signature Algorithm Requirements", which hold for timestamps as for envelopes.
    let key = leaf.public_key().kind();
    if Algorithm::of(key).is_none() {
        return Err(broken(leaf, &format!("its key is of kind {key}, which signs nothing here")));
    }
    let usage = key_usage(leaf, purpose)?;
    if !usage.digital_signature() {
        return Err(broken(leaf, "its key usage lacks digitalSignature"));
    }
    if usage.bits & !LEAF_USAGES != 0 {
        let names = usage.names().join(", ");
        return Err(broken(leaf, &format!("its key usage is more than digitalSignature: {names}")));
    }
    if purpose == Purpose::CodeSigning
        && let Some(purposes) = leaf.extended_key_usage()
        && let Some((_, name)) = FORBIDDEN_PURPOSES.iter().find(|(oid, _)| purposes.has(oid))
    {
        return Err(broken(leaf, &format!("its extended key usage must not contain {name}")));
    }
    Ok(())
}

/// `below` is how many CA certificates stand between the issuer and the signer.
fn check_issuer(issuer: &Certificate, below: usize, purpose: Purpose) -> Result<(), Rejection> {
    match issuer.basic_constraints() {
        Some(b) if !b.ca => return Err(broken(issuer, "its basic constraints say that it is no CA's")),
        Some(b) if !b.critical => return Err(broken(issuer, "its basic constraints are not critical")),
        Some(b) if b.path_length.is_some_and(|most| below > most as usize) => {
            return Err(broken(issuer, &format!("its path length forbids {below} CAs below it")));
        }
        Some(_) => {}
        None => return Err(broken(issuer, "it has no basic constraints")),
    }
    if !key_usage(issuer, purpose)?.key_cert_sign() {
        return Err(broken(issuer, "its key usage lacks keyCertSign"));
    }
    Ok(())
}

/// Must be there; and critical, where the specification says MUST and not SHOULD.
fn key_usage(certificate: &Certificate, purpose: Purpose) -> Result<KeyUsage, Rejection> {
    match certificate.key_usage() {
        None => Err(broken(certificate, "it has no key usage")),
        Some(usage) if purpose == Purpose::CodeSigning && !usage.critical => {
            Err(broken(certificate, "its key usage is not critical"))
        }
        Some(usage) => Ok(usage),
    }
}

fn broken(certificate: &Certificate, rule: &str) -> Rejection {
    Rejection::Certificate { subject: certificate.subject().to_string().into(), why: rule.into() }
}
