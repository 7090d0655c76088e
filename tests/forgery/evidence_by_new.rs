//! refused: E0624

use portcullis::oci::Digest;
use portcullis::signature::{Evidence, Fingerprint, Signature, SignerName};

pub fn forged(signer: SignerName, signature: &Signature, subject: Digest) -> Evidence {
    Evidence::new(signer, signature, subject, Fingerprint([0; 32]))
}
