//! What trust begins with: a certificate or a public key, as a file has it and as people compare it.

use crate::x509::{Certificate, Error, PublicKey};

/// A certificate or a public key.
#[derive(Clone, Debug)]
pub enum Anchor {
    /// Somebody's certificate.
    Certificate(Certificate),
    /// A key that nothing says anything of.
    Key(PublicKey),
}

impl Anchor {
    /// Reads all certificates of a PEM text, its public key, or one of either in DER.
    ///
    /// # Errors
    /// Neither; a private key above all.
    pub fn all_from(bytes: &[u8]) -> Result<Vec<Self>, Error> {
        let is_der = bytes.first() == Some(&0x30);
        let names_key = !is_der && String::from_utf8_lossy(bytes).contains("PUBLIC KEY-----");
        if names_key || (is_der && PublicKey::from_spki_der(bytes).is_ok()) {
            let key = if is_der { PublicKey::from_spki_der(bytes) } else { PublicKey::from_pem(bytes) };
            return Ok(vec![Self::Key(key?)]);
        }
        Ok(Certificate::all_from(bytes)?.into_iter().map(Self::Certificate).collect())
    }

    /// SHA-256 over a certificate's DER, or over a key's SubjectPublicKeyInfo: the number in refusals.
    pub fn fingerprint(&self) -> [u8; 32] {
        match self {
            Self::Certificate(certificate) => certificate.fingerprint(),
            Self::Key(key) => key.fingerprint(),
        }
    }

    /// As PEM.
    pub fn to_pem(&self) -> String {
        match self {
            Self::Certificate(certificate) => certificate.to_pem(),
            Self::Key(key) => key.to_pem(),
        }
    }

    /// What it is, for people.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Certificate(_) => "certificate",
            Self::Key(_) => "public key",
        }
    }

    /// A file's name that tells whose it is, and is no other's.
    pub(super) fn file_name(&self) -> String {
        let name = match self {
            Self::Certificate(certificate) => certificate.common_name().unwrap_or("certificate"),
            Self::Key(_) => "key",
        };
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
        let name: String = name.chars().take(40).map(plain).collect();
        let name = name.trim_matches('-').to_ascii_lowercase();
        let number = hex::encode(&self.fingerprint()[..6]);
        let ending = if matches!(self, Self::Certificate(_)) { "crt" } else { "pub" };
        format!("{name}{}{number}.{ending}", if name.is_empty() { "" } else { "-" })
    }
}

/// Reads a fingerprint as people copy it: 64 hexadecimal digits, with `sha256:` before them or colons between pairs.
pub fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text).replace(':', "");
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_they_are_copied() {
        let digits = "ab".repeat(32);
        let pairs = vec!["AB"; 32].join(":");
        for text in [digits.clone(), format!("sha256:{digits}"), pairs, digits.to_uppercase()] {
            assert_eq!(fingerprint(&text), Some([0xab; 32]), "{text}");
        }
        for bad in ["", "ab", "sha512:ab", &digits[1..], &format!("{digits}00")] {
            assert_eq!(fingerprint(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_private_key_is_no_anchor() {
        let key = rcgen::KeyPair::generate().unwrap();
        assert!(Anchor::all_from(key.serialize_pem().as_bytes()).is_err());
        assert!(Anchor::all_from(&key.serialize_der()).is_err());
        let public = Anchor::all_from(key.public_key_pem().as_bytes()).unwrap();
        let [Anchor::Key(_)] = &public[..] else { panic!("{public:?}") };
        let again = Anchor::all_from(public[0].to_pem().as_bytes()).unwrap();
        assert_eq!(again[0].fingerprint(), public[0].fingerprint());
    }

    #[test]
    fn a_file_name_is_plain_whatever_the_certificate_says() {
        let key = rcgen::KeyPair::generate().unwrap();
        for (name, begins) in
            [("../../etc/passwd", "etc-passwd-"), ("Wabbit Networks", "wabbit-networks-"), ("é", "")]
        {
            let mut params = rcgen::CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            let made = params.self_signed(&key).unwrap();
            let anchor = &Anchor::all_from(made.pem().as_bytes()).unwrap()[0];
            let file = anchor.file_name();
            assert!(file.starts_with(begins) && file.ends_with(".crt"), "{file}");
            assert!(file.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)), "{file}");
            assert_eq!(
                Anchor::all_from(anchor.to_pem().as_bytes()).unwrap()[0].fingerprint(),
                anchor.fingerprint()
            );
        }
    }
}
