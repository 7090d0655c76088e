//! The timestamp countersignature of an envelope (trust-store-trust-policy, "Steps", "Validate Authentic
//! Timestamp"): proven against the `tsa` stores, its chain by the timestamping profile. Whether one is
//! needed, what its time means for the signer's chain, and revocation are `validations`' business.

#[cfg(test)]
mod tests;

use super::profile::{self, Purpose};
use crate::signature::Rejection;
use crate::x509::Certificate;
use crate::x509::timestamp::{Binding, Timestamp, Token};

/// Proves that an authority below one of the `anchors` stamped the envelope's signature. Anchors that are
/// no roots are passed over: the specification ends every chain at a root.
pub(super) fn verify(
    token: &[u8],
    signature: &[u8],
    anchors: &[Certificate],
) -> Result<Timestamp, Rejection> {
    let is_root = |certificate: &&Certificate| certificate.subject() == certificate.issuer();
    let roots: Vec<Certificate> = anchors.iter().filter(is_root).cloned().collect();
    let timestamp = Token::parse(token)
        .and_then(|token| token.verify(signature, &roots))
        .map_err(|why| unproven(&why.to_string()))?;
    // "Validate the `signing-certificate-v2` attribute of timestamp CMS. When missing, fail this step."
    if timestamp.binding() != Binding::V2 {
        return Err(unproven("its signed attributes lack signing-certificate-v2"));
    }
    profile::check(timestamp.chain(), Purpose::Timestamping)?;
    Ok(timestamp)
}

fn unproven(why: &str) -> Rejection {
    Rejection::Timestamp { found: format!("the one that is there is not valid: {why}").into() }
}
