//! Shows whose a certificate or key is. What certificates say is others' text, and is shown so that it can move no
//! cursor.

use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use crate::setting::time;
use crate::telemetry::Untrusted;
use crate::trust::Anchor;
use crate::x509::Certificate;

/// One anchor, and the file that it is in.
pub(super) fn anchor(
    out: &mut impl Write,
    anchor: &Anchor,
    file: Option<&Path>,
    now: SystemTime,
) -> io::Result<()> {
    match anchor {
        Anchor::Certificate(certificate) => {
            writeln!(out, "certificate: {}", Untrusted::new(certificate.subject().to_string()))?;
            writeln!(out, "  sha256: {}", hex::encode(anchor.fingerprint()))?;
            describe(out, certificate, now)?;
        }
        Anchor::Key(key) => {
            writeln!(out, "public key: {}", key.kind())?;
            writeln!(out, "  sha256: {}", hex::encode(anchor.fingerprint()))?;
        }
    }
    file.map_or(Ok(()), |file| writeln!(out, "  file: {}", file.display()))
}

fn describe(out: &mut impl Write, certificate: &Certificate, now: SystemTime) -> io::Result<()> {
    let (from, to) = (certificate.not_before(), certificate.not_after());
    let standing = match now {
        now if now < from => " (not yet valid)",
        now if now > to => " (expired)",
        _ => "",
    };
    writeln!(out, "  valid: {} to {}{standing}", time::show(from), time::show(to))?;
    match certificate.is_self_signed() {
        true => writeln!(out, "  issuer: itself")?,
        false => writeln!(out, "  issuer: {}", Untrusted::new(certificate.issuer().to_string()))?,
    }
    writeln!(out, "  key: {}", certificate.public_key().kind())
}
