//! Content digests: an algorithm and a hash, always valid once constructed.
//! OCI image-spec 1.1, "Descriptor", section "Digests".

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Sha256, Sha512};

/// The registered algorithms that every implementation must or may support. BLAKE3 is not served
/// by any registry yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// `sha256`, 64 hexadecimal digits.
    Sha256,
    /// `sha512`, 128 hexadecimal digits.
    Sha512,
}

impl Algorithm {
    /// The name as it stands before the colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The hash's length in bytes.
    pub const fn hash_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// `sha256:…` or `sha512:…`. Comparing two digests compares algorithm and hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    // The unused tail of a SHA-256 hash is zero, so that derived comparisons hold.
    bytes: [u8; 64],
}

/// Why a string is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Neither `sha256:` nor `sha512:` stands in front.
    #[error("a digest starts with sha256: or sha512:")]
    Algorithm,
    /// The hash has the wrong length for its algorithm.
    #[error("a {} digest has {} hexadecimal digits, this one has {found}", .algorithm.as_str(), .algorithm.hash_len() * 2)]
    Length {
        /// What the prefix announced.
        algorithm: Algorithm,
        /// How many characters follow it.
        found: usize,
    },
    /// A character other than `0-9a-f`: the specification allows lower case only.
    #[error("a digest's hash is written in the characters 0-9 and a-f")]
    Character,
}

impl Digest {
    /// Reads `algorithm:hash`; lower-case hexadecimal only.
    ///
    /// # Errors
    /// [`DigestError`] names the first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hash) = match text.split_once(':') {
            Some(("sha256", hash)) => (Algorithm::Sha256, hash),
            Some(("sha512", hash)) => (Algorithm::Sha512, hash),
            _ => return Err(DigestError::Algorithm),
        };
        if hash.len() != algorithm.hash_len() * 2 {
            return Err(DigestError::Length { algorithm, found: hash.len() });
        }
        let mut bytes = [0; 64];
        for (byte, pair) in bytes.iter_mut().zip(hash.as_bytes().chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self { algorithm, bytes })
    }

    /// The digest with this hash; `None` where it has another length than the algorithm's.
    pub fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Option<Self> {
        if hash.len() != algorithm.hash_len() {
            return None;
        }
        let mut bytes = [0; 64];
        bytes[..hash.len()].copy_from_slice(hash);
        Some(Self { algorithm, bytes })
    }

    /// The digest of `content`.
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(content);
        hasher.finish()
    }

    /// The SHA-256 digest of `content`.
    pub fn sha256(content: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, content)
    }

    /// Whether `content` hashes to this digest.
    pub fn matches(&self, content: &[u8]) -> bool {
        Self::of(self.algorithm, content) == *self
    }

    /// Which hash it is.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hash itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.hash_len()]
    }

    /// The hash in lower-case hexadecimal, without the algorithm.
    pub fn hex(&self) -> String {
        hex::encode(self.as_bytes())
    }
}

/// What a hexadecimal digit stands for; upper case is not allowed.
fn digit(character: u8) -> Result<u8, DigestError> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        _ => Err(DigestError::Character),
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 128];
        let text = &mut text[..self.algorithm.hash_len() * 2];
        hex::encode_to_slice(self.as_bytes(), text).map_err(|_| fmt::Error)?;
        write!(f, "{}:{}", self.algorithm.as_str(), std::str::from_utf8(text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;
    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::parse(text)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Hashes content that arrives in pieces.
#[derive(Clone)]
pub struct Hasher(Inner);

#[derive(Clone)]
enum Inner {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// Starts a hash of the given kind.
    pub fn new(algorithm: Algorithm) -> Self {
        use sha2::Digest as _;
        Self(match algorithm {
            Algorithm::Sha256 => Inner::Sha256(Sha256::new()),
            Algorithm::Sha512 => Inner::Sha512(Sha512::new()),
        })
    }

    /// Adds the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        use sha2::Digest as _;
        match &mut self.0 {
            Inner::Sha256(h) => h.update(piece),
            Inner::Sha512(h) => h.update(piece),
        }
    }

    /// Ends the hash.
    pub fn finish(self) -> Digest {
        use sha2::Digest as _;
        let mut bytes = [0; 64];
        let algorithm = match self.0 {
            Inner::Sha256(h) => {
                bytes[..32].copy_from_slice(&h.finalize());
                Algorithm::Sha256
            }
            Inner::Sha512(h) => {
                bytes.copy_from_slice(&h.finalize());
                Algorithm::Sha512
            }
        };
        Digest { algorithm, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_digest_reads_as_it_prints() {
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::parse(text).unwrap().to_string(), text);
        assert_eq!(Digest::sha256(b"").to_string(), text);
        let long = Digest::of(Algorithm::Sha512, b"x");
        assert_eq!(Digest::parse(&long.to_string()), Ok(long));
    }

    #[test]
    fn what_is_not_a_digest_is_refused() {
        let hash = "a".repeat(64);
        assert_eq!(Digest::parse("md5:00"), Err(DigestError::Algorithm));
        assert_eq!(Digest::parse(&hash), Err(DigestError::Algorithm));
        assert_eq!(Digest::parse(&format!("sha256:{}", "A".repeat(64))), Err(DigestError::Character));
        assert_eq!(
            Digest::parse("sha256:abc"),
            Err(DigestError::Length { algorithm: Algorithm::Sha256, found: 3 })
        );
        assert!(Digest::parse(&format!("sha256:{}\u{e9}", "a".repeat(62))).is_err());
        assert!(Digest::parse(&format!("sha256:{hash}\n")).is_err());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,140}") {
            let _ = Digest::parse(&text);
        }

        #[test]
        fn pieces_hash_as_the_whole(content in proptest::collection::vec(any::<u8>(), 0..512), cut in 0usize..512) {
            let cut = cut.min(content.len());
            let mut hasher = Hasher::new(Algorithm::Sha512);
            hasher.update(&content[..cut]);
            hasher.update(&content[cut..]);
            prop_assert!(hasher.finish().matches(&content));
        }
    }
}
