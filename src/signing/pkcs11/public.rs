//! A key's public half, as a token has it: with the private key, as an object of its own, or in a certificate.

use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::Error;
use crate::x509::{self, Certificate, PublicKey};

/// Of which attributes a public half is made.
const PARTS: [AttributeType; 6] = [
    AttributeType::PublicKeyInfo,
    AttributeType::Modulus,
    AttributeType::PublicExponent,
    AttributeType::EcParams,
    AttributeType::EcPoint,
    AttributeType::Value,
];

/// That of one object; `None` where it does not show it.
pub(super) fn of(
    session: &Session,
    object: ObjectHandle,
    class: ObjectClass,
) -> Result<Option<PublicKey>, Error> {
    // A private key's value is the secret itself: it is not even asked for.
    let parts = if class == ObjectClass::PRIVATE_KEY { &PARTS[..5] } else { &PARTS[..] };
    let attributes = session.get_attributes(object, parts)?;
    if class == ObjectClass::CERTIFICATE {
        let value = attributes.iter().find_map(|a| match a {
            Attribute::Value(value) => Some(value),
            _ => None,
        });
        let certificate = value.map(|der| Certificate::from_der(der)).transpose()?;
        return Ok(certificate.map(|certificate| certificate.public_key().clone()));
    }
    made_of(&attributes).map_err(Error::from)
}

fn made_of(attributes: &[Attribute]) -> Result<Option<PublicKey>, x509::Error> {
    let [mut info, mut modulus, mut exponent, mut parameters, mut point] = [None::<&[u8]>; 5];
    for attribute in attributes {
        match attribute {
            Attribute::PublicKeyInfo(der) if !der.is_empty() => info = Some(der),
            Attribute::Modulus(number) if !number.is_empty() => modulus = Some(number),
            Attribute::PublicExponent(number) if !number.is_empty() => exponent = Some(number),
            Attribute::EcParams(der) => parameters = Some(der),
            Attribute::EcPoint(der) => point = Some(der),
            _ => {}
        }
    }
    match (info, modulus.zip(exponent), parameters.zip(point)) {
        (Some(info), ..) => PublicKey::from_spki_der(info).map(Some),
        (_, Some((modulus, exponent)), _) => PublicKey::from_rsa(modulus, exponent).map(Some),
        (.., Some((parameters, point))) => of_curve(parameters, point).map(Some),
        _ => Ok(None),
    }
}

/// The point is an OCTET STRING (PKCS #11 v2.40, section 2.3.3); some tokens leave that away.
fn of_curve(parameters: &[u8], point: &[u8]) -> Result<PublicKey, x509::Error> {
    // Told apart by its length: a bare point begins with 0x04 as well.
    let bare = match point {
        bare if [32, 65, 97, 133].contains(&bare.len()) => bare,
        [0x04, 0x81, _, bare @ ..] | [0x04, _, bare @ ..] => bare,
        bare => bare,
    };
    // `id-Ed25519`, or its name as PKCS #11 v3.0 (section 2.3.5) has it in a PrintableString.
    const ED25519: [&[u8]; 2] = [&[0x06, 0x03, 0x2b, 0x65, 0x70], b"\x13\x0cedwards25519"];
    match ED25519.contains(&parameters) {
        true => PublicKey::from_ed25519(bare),
        false => PublicKey::from_curve_point(parameters, bare),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::Key;
    use crate::x509::KeyKind;

    fn bits(key: &PublicKey, width: usize) -> Vec<u8> {
        key.spki()[key.spki().len() - width..].to_vec()
    }

    #[test]
    fn curves_are_read_with_and_without_the_octet_string() {
        const P521: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
        const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        for (kind, parameters, width) in [(KeyKind::P256, P256, 65), (KeyKind::P521, P521, 133)] {
            let (key, _) = Key::generate(kind, None).unwrap();
            let point = bits(key.public(), width);
            let length = u8::try_from(width).unwrap();
            let octets = if width < 128 { vec![4, length] } else { vec![4, 0x81, length] };
            for point in [point.clone(), [octets, point].concat()] {
                let read = made_of(&[Attribute::EcParams(parameters.to_vec()), Attribute::EcPoint(point)]);
                assert_eq!(read.unwrap().as_ref(), Some(key.public()), "{kind}");
            }
        }
    }

    #[test]
    fn ed25519_has_two_names() {
        let (key, _) = Key::generate(KeyKind::Ed25519, None).unwrap();
        let point = [vec![4, 32], bits(key.public(), 32)].concat();
        for name in [&[0x06, 0x03, 0x2b, 0x65, 0x70][..], b"\x13\x0cedwards25519"] {
            let read = made_of(&[Attribute::EcParams(name.to_vec()), Attribute::EcPoint(point.clone())]);
            assert_eq!(read.unwrap().as_ref(), Some(key.public()));
        }
    }

    #[test]
    fn half_of_a_public_half_is_none() {
        assert_eq!(made_of(&[]).unwrap(), None);
        assert_eq!(made_of(&[Attribute::Modulus(vec![1]), Attribute::PublicKeyInfo(vec![])]).unwrap(), None);
        assert!(made_of(&[Attribute::PublicKeyInfo(vec![1])]).is_err());
        assert!(made_of(&[Attribute::Modulus(vec![1; 64]), Attribute::PublicExponent(vec![3])]).is_err());
    }
}
