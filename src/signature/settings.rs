//! `signers.NAME`: which format, where its key is acquired, until when it counts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;

use super::material::Material;
use super::{
    Basis, Evidence, Format, Rejected, Rejection, Signature, SignerName, Strength, Subject, TimeSource,
    Verifier, cosign, notation, nv2,
};
use crate::oci::Repository;
use crate::setting::{SettingError, time};
use crate::trust::{Need, RevocationData};

/// One signer: exactly one of the formats.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SignerSettings {
    /// Where its key is acquired: shown to whoever is refused.
    pub acquire: Option<String>,
    /// Signatures count only with an authentic time before this moment: for a stolen key.
    #[serde(with = "time::optional")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub valid_until: Option<SystemTime>,
    /// It signs as the Notary v2 prototype does.
    pub nv2: Option<nv2::Settings>,
    /// It signs as the Notary Project does.
    pub notation: Option<notation::Settings>,
    /// It signs as cosign does.
    pub cosign: Option<cosign::Settings>,
}

impl SignerSettings {
    /// Makes paths absolute, from `base`.
    pub fn resolve(&mut self, base: &Path) {
        if let Some(settings) = &mut self.nv2 {
            settings.resolve(base);
        }
        if let Some(settings) = &mut self.notation {
            settings.resolve(base);
        }
        if let Some(settings) = &mut self.cosign {
            settings.resolve(base);
        }
    }

    /// Has a sigstore signer that names no trusted root judge by this one, where there is one.
    pub fn use_trusted_root(&mut self, root: Option<PathBuf>) {
        if let Some(cosign) = &mut self.cosign
            && cosign.roots.is_none()
        {
            cosign.shares_root = cosign.trusted_root.is_none();
            cosign.trusted_root = cosign.trusted_root.take().or(root);
        }
    }

    /// The files and folders to watch.
    pub fn paths(&self) -> Vec<PathBuf> {
        let nv2 = self.nv2.iter().flat_map(nv2::Settings::paths);
        let notation = self.notation.iter().flat_map(notation::Settings::paths);
        let cosign = self.cosign.iter().flat_map(cosign::Settings::paths);
        nv2.chain(notation).chain(cosign).collect()
    }
}

/// Builds the verifier of one signer, reading its trust material.
///
/// # Errors
/// The key that is wrong, relative to the signer's own.
pub fn build(name: &SignerName, settings: &SignerSettings) -> Result<Arc<dyn Verifier>, SettingError> {
    if let Some(address) = &settings.acquire {
        check_address(address)?;
    }
    let verifier: Arc<dyn Verifier> = match (&settings.nv2, &settings.notation, &settings.cosign) {
        (Some(s), None, None) => Arc::new(nv2::verifier(name, s).map_err(|e| e.under("nv2"))?),
        (None, Some(s), None) => Arc::new(notation::verifier(name, s).map_err(|e| e.under("notation"))?),
        (None, None, Some(s)) => Arc::new(cosign::verifier(name, s).map_err(|e| e.under("cosign"))?),
        _ => return Err(SettingError::here("exactly one of nv2, notation and cosign is needed")),
    };
    Ok(match settings.valid_until {
        Some(valid_until) => Arc::new(Until { verifier, valid_until }),
        None => verifier,
    })
}

/// People follow it, so it is a web address and nothing else.
fn check_address(address: &str) -> Result<(), SettingError> {
    match url::Url::parse(address) {
        Ok(url) if matches!(url.scheme(), "https" | "http") => Ok(()),
        Ok(_) => Err(SettingError::new(["acquire"], "an https or http address is needed")),
        Err(e) => Err(SettingError::new(["acquire"], format!("not a URL: {e}"))),
    }
}

/// A verifier whose proofs count only where an authentic time puts them before a moment.
struct Until {
    verifier: Arc<dyn Verifier>,
    valid_until: SystemTime,
}

impl Verifier for Until {
    fn signer(&self) -> &SignerName {
        self.verifier.signer()
    }

    fn format(&self) -> Format {
        self.verifier.format()
    }

    fn strength(&self, repository: &Repository) -> Strength {
        self.verifier.strength(repository)
    }

    fn basis(&self, repository: &Repository) -> Option<Basis> {
        self.verifier.basis(repository)
    }

    fn revision(&self) -> [u8; 32] {
        let until = crate::setting::time::show(self.valid_until);
        Material::new("until").part("time", until).part("verifier", self.verifier.revision()).finish()
    }

    fn limitation(&self) -> Option<String> {
        self.verifier.limitation().or_else(|| {
            (!self.verifier.proves_time()).then(|| {
                format!(
                    "signer {}: valid_until needs an authentic time, which its {} signatures do not prove, so that \
                     it admits nothing",
                    self.signer(),
                    self.format()
                )
            })
        })
    }

    fn proves_time(&self) -> bool {
        self.verifier.proves_time()
    }

    fn trust_ends(&self) -> Option<SystemTime> {
        self.verifier.trust_ends()
    }

    fn needs(&self, subject: &Subject, signature: &Signature, now: SystemTime) -> Vec<Need> {
        self.verifier.needs(subject, signature, now)
    }

    fn verify(
        &self,
        subject: &Subject,
        signature: &Signature,
        revocation: &RevocationData,
        now: SystemTime,
    ) -> Result<Evidence, Rejected> {
        let evidence = self.verifier.verify(subject, signature, revocation, now)?;
        let found = match evidence.signed_at() {
            Some((at, source)) if source != TimeSource::Claimed => {
                if at < self.valid_until {
                    return Ok(evidence);
                }
                format!("it was signed at {}", crate::setting::time::show(at))
            }
            Some(_) => "only the signer itself says when it was signed".to_owned(),
            None => "nothing says when it was signed".to_owned(),
        };
        Err(Rejection::SignedTooLate { valid_until: self.valid_until, found: found.into() }.into())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::oci::{Descriptor, Digest};
    use crate::signature::{Code, Fingerprint};

    /// Proves everything, at a time of its own.
    struct Yes(SignerName, Option<(SystemTime, TimeSource)>);

    impl Verifier for Yes {
        fn signer(&self) -> &SignerName {
            &self.0
        }
        fn format(&self) -> Format {
            Format::Nv2
        }
        fn strength(&self, _: &Repository) -> Strength {
            Strength::Enforced
        }
        fn revision(&self) -> [u8; 32] {
            [7; 32]
        }
        fn verify(
            &self,
            subject: &Subject,
            signature: &Signature,
            _: &RevocationData,
            _: SystemTime,
        ) -> Result<Evidence, Rejected> {
            let digest = subject.descriptor.digest;
            let mut evidence = Evidence::new(self.0.clone(), signature, digest, Fingerprint([0; 32]));
            evidence.signed_at = self.1;
            Ok(evidence)
        }
    }

    fn judge(signed_at: Option<(SystemTime, TimeSource)>) -> Result<Evidence, Rejected> {
        let yes = Arc::new(Yes(SignerName("a".into()), signed_at));
        let until = Until { verifier: yes, valid_until: UNIX_EPOCH + Duration::from_secs(100) };
        let digest = Digest::sha256(b"x");
        let subject = Subject {
            repository: Repository::parse("docker.io/library/app").unwrap(),
            descriptor: Descriptor::new("application/x", digest, 1),
        };
        let signature = Signature {
            format: Format::Nv2,
            digest,
            media_type: "application/x".into(),
            payload: bytes::Bytes::new(),
            annotations: Default::default(),
        };
        until.verify(&subject, &signature, &RevocationData::default(), UNIX_EPOCH)
    }

    #[test]
    fn only_an_authentic_time_before_the_end_counts() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert!(judge(Some((at(99), TimeSource::Timestamp))).is_ok());
        for late in [
            None,
            Some((at(99), TimeSource::Claimed)),
            Some((at(100), TimeSource::Timestamp)),
            Some((at(101), TimeSource::Log)),
        ] {
            assert_eq!(judge(late).unwrap_err().code(), Code::SignedTooLate, "{late:?}");
        }
    }

    #[test]
    fn the_end_is_part_of_the_revision() {
        let revision = |seconds| {
            let yes = Arc::new(Yes(SignerName("a".into()), None));
            Until { verifier: yes, valid_until: UNIX_EPOCH + Duration::from_secs(seconds) }.revision()
        };
        assert_ne!(revision(1), revision(2));
    }

    #[test]
    fn faults_are_named_by_their_keys() {
        let fault = |text: &str| {
            let settings: SignerSettings = serde_json::from_str(text).unwrap();
            build(&SignerName("a".into()), &settings).err().unwrap().path.join(".")
        };
        assert_eq!(fault("{}"), "");
        assert_eq!(fault(r#"{"nv2": {}, "cosign": {}}"#), "");
        assert_eq!(fault(r#"{"nv2": {}}"#), "nv2.certificates");
        assert_eq!(fault(r#"{"cosign": {}}"#), "cosign.key");
        assert_eq!(fault(r#"{"nv2": {"certificates": ["x"]}, "acquire": "javascript:alert(1)"}"#), "acquire");
        assert!(serde_json::from_str::<SignerSettings>(r#"{"nv3": {}}"#).is_err());
    }

    #[test]
    fn a_signer_whose_key_is_to_come_is_built() {
        let text = r#"{"nv2": {"certificates": ["/absent/folder"]}, "acquire": "https://wabbit.example/keys",
            "valid_until": "2027-01-31T00:00:00Z"}"#;
        let mut settings: SignerSettings = serde_json::from_str(text).unwrap();
        settings.resolve(Path::new("/etc"));
        assert_eq!(settings.paths(), [Path::new("/absent/folder")]);
        let verifier = build(&SignerName("wabbit".into()), &settings).unwrap();
        assert_eq!(verifier.format(), Format::Nv2);
        assert!(verifier.limitation().is_some());
    }
}
