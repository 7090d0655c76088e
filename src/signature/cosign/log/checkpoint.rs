//! Checkpoints: a log's tree head as a signed note (C2SP `tlog-checkpoint.md`, `signed-note.md`; Rekor v1 has an
//! ECDSA key under a name of its own making).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::trust::sigstore::Log;

/// A note is at most so long, and has at most so many signatures: the log's and its witnesses'.
const MAX_SIZE: usize = 64 * 1024;
const MAX_SIGNATURES: usize = 64;
/// So many of them are tried that seem to be the log's: it makes one, and a note full of wrong ones is not worth the work.
const MAX_TRIED: usize = 4;
/// Signature type `0x01`: Ed25519 (signed-note.md, "Signature types").
const ED25519: u8 = 1;

/// A note, taken apart and unproven.
#[derive(Debug)]
pub(super) struct Checkpoint<'a> {
    /// Everything that is signed.
    text: &'a str,
    origin: &'a str,
    pub(super) size: u64,
    pub(super) root: Vec<u8>,
    signatures: Vec<Signature<'a>>,
}

#[derive(Debug)]
struct Signature<'a> {
    name: &'a str,
    key: [u8; 4],
    signature: Vec<u8>,
}

impl<'a> Checkpoint<'a> {
    /// Reads a note.
    ///
    /// # Errors
    /// Which part is not as it must be.
    pub(super) fn parse(note: &'a str) -> Result<Self, String> {
        let wrong = |why: &str| format!("its checkpoint {why}");
        if note.len() > MAX_SIZE {
            return Err(wrong("is too long"));
        }
        // The last empty line parts text and signatures; the text ends with its own newline.
        let at = note.rfind("\n\n").ok_or_else(|| wrong("has no signatures"))?;
        let (text, below) = note.split_at(at + 1);
        let below = below.strip_prefix('\n').and_then(|below| below.strip_suffix('\n'));
        let below = below.ok_or_else(|| wrong("ends within a line"))?;
        // Not `lines`, which would take carriage returns away that nobody signed.
        let mut lines = text.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or_else(|| wrong("has no origin"))?;
        let size = lines.next().filter(|line| is_decimal(line)).and_then(|line| line.parse().ok());
        let size = size.ok_or_else(|| wrong("has no tree size"))?;
        let root = lines.next().and_then(|line| STANDARD.decode(line).ok()).filter(|root| root.len() == 32);
        let root = root.ok_or_else(|| wrong("has no root hash"))?;
        let signatures: Vec<Signature<'a>> = below
            .split('\n')
            .map(|line| Signature::parse(line).ok_or_else(|| wrong("has a signature line that is none")))
            .collect::<Result<_, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(wrong("has too many signatures"));
        }
        Ok(Self { text, origin, size, root, signatures })
    }

    /// The log's signature is among them. Others are of witnesses, or of keys that nobody here knows, and prove
    /// nothing either way.
    pub(super) fn check_signature(&self, log: &Log) -> Result<(), String> {
        let by_log = |signature: &&Signature<'_>| {
            let known = log.checkpoint_id.starts_with(&signature.key);
            self.names(signature, log)
                && (known || (log.url.is_empty() && self.key_id(log).starts_with(&signature.key)))
        };
        let verifies = |signature: &Signature<'_>| {
            log.key.verify(log.algorithm(), self.text.as_bytes(), &signature.signature).is_ok()
        };
        if self.signatures.iter().filter(by_log).take(MAX_TRIED).any(verifies) {
            return Ok(());
        }
        Err(format!("its checkpoint was not signed by the log {}", log.shown()))
    }

    /// The id that a log of the second version has by its origin and key (signed-note.md, "Key ID").
    pub(super) fn key_id(&self, log: &Log) -> [u8; 32] {
        let named = Sha256::new_with_prefix(self.origin).chain_update([b'\n', ED25519]);
        // A raw Ed25519 key is the last 32 bytes of its SubjectPublicKeyInfo (RFC 8410, section 4).
        let spki = log.key.spki();
        named.chain_update(spki.get(spki.len().saturating_sub(32)..).unwrap_or_default()).finalize().into()
    }

    /// A log of the first version numbers its trees in the origin and signs by another name; one of the second
    /// signs by its origin, which is its host.
    fn names(&self, signature: &Signature<'_>, log: &Log) -> bool {
        if self.is_first_version() {
            return true;
        }
        signature.name == self.origin && log.host().is_none_or(|host| host == self.origin)
    }

    fn is_first_version(&self) -> bool {
        self.origin.rsplit_once(" - ").is_some_and(|(name, tree)| !name.is_empty() && is_decimal(tree))
    }
}

impl<'a> Signature<'a> {
    /// `— name base64(key id, signature)`
    fn parse(line: &'a str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (key, signature) = bytes.split_first_chunk::<4>()?;
        (!name.is_empty()).then(|| Self { name, key: *key, signature: signature.to_vec() })
    }
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
