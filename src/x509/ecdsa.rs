//! The two encodings of an ECDSA signature, each made of the other: what makes signatures has one of them only.

use super::KeyKind;
use super::der::{Reader, encode, sequence, tag};

/// How many bytes each of the two integers takes at full length; `None` for what is no curve.
fn width(kind: KeyKind) -> Option<usize> {
    match kind {
        KeyKind::P256 => Some(32),
        KeyKind::P384 => Some(48),
        KeyKind::P521 => Some(66),
        KeyKind::Rsa { .. } | KeyKind::Ed25519 => None,
    }
}

/// Both integers at full length, as a DER sequence of two (RFC 3279, section 2.2.3). `None` where it is not as long
/// as the curve's are.
pub fn to_asn1(fixed: &[u8], kind: KeyKind) -> Option<Vec<u8>> {
    let width = width(kind)?;
    let (r, s) = fixed.split_at_checked(width).filter(|(_, s)| s.len() == width)?;
    let mut body = integer(r);
    body.extend(integer(s));
    Some(encode(tag::SEQUENCE, &body))
}

/// A DER sequence of two integers, as both at full length (RFC 7518, section 3.4). `None` where it is no such
/// sequence, or one for a longer curve.
pub fn to_fixed(asn1: &[u8], kind: KeyKind) -> Option<Vec<u8>> {
    let width = width(kind)?;
    let mut inside = sequence(asn1).ok()?;
    let mut both = padded(&mut inside, width)?;
    both.extend(padded(&mut inside, width)?);
    inside.end().ok()?;
    Some(both)
}

/// A positive INTEGER of as few bytes as it takes.
pub(super) fn integer(magnitude: &[u8]) -> Vec<u8> {
    let significant = magnitude.iter().position(|b| *b != 0).map_or(&[0][..], |at| &magnitude[at..]);
    let mut content = Vec::with_capacity(significant.len() + 1);
    if significant.first().is_some_and(|top| top & 0x80 != 0) {
        content.push(0);
    }
    content.extend_from_slice(significant);
    encode(tag::INTEGER, &content)
}

fn padded(inside: &mut Reader<'_>, width: usize) -> Option<Vec<u8>> {
    let content = inside.expect(tag::INTEGER).ok()?.content;
    let magnitude = content.strip_prefix(&[0]).unwrap_or(content);
    let mut out = vec![0; width.checked_sub(magnitude.len())?];
    out.extend_from_slice(magnitude);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURVES: [(KeyKind, usize); 3] = [(KeyKind::P256, 32), (KeyKind::P384, 48), (KeyKind::P521, 66)];

    #[test]
    fn each_encoding_gives_the_other_back() {
        for (kind, width) in CURVES {
            for (r, s) in [(0x01, 0xff), (0x80, 0x7f), (0x00, 0x01)] {
                let mut fixed = vec![r; width];
                fixed.extend(vec![s; width]);
                let asn1 = to_asn1(&fixed, kind).unwrap();
                assert_eq!(to_fixed(&asn1, kind).unwrap(), fixed, "{kind} {r} {s}");
            }
        }
    }

    #[test]
    fn integers_have_as_few_bytes_as_they_take_and_stay_positive() {
        assert_eq!(integer(&[0, 0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(integer(&[0, 0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[0, 0]), [2, 1, 0]);
    }

    #[test]
    fn what_is_not_of_the_curve_is_none() {
        assert_eq!(to_asn1(&[1; 63], KeyKind::P256), None);
        assert_eq!(to_asn1(&[1; 65], KeyKind::P256), None);
        assert_eq!(to_asn1(&[1; 64], KeyKind::Ed25519), None);
        let longer = to_asn1(&[1; 96], KeyKind::P384).unwrap();
        assert_eq!(to_fixed(&longer, KeyKind::P256), None);
        assert_eq!(to_fixed(&longer[..longer.len() - 1], KeyKind::P384), None);
        assert_eq!(to_fixed(&encode(tag::SEQUENCE, &integer(&[1])), KeyKind::P384), None);
        let mut three = integer(&[1]).repeat(3);
        three = encode(tag::SEQUENCE, &three);
        assert_eq!(to_fixed(&three, KeyKind::P256), None);
    }
}
