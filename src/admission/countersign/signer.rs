//! Who counter-signs for a policy: a key with its certificates, and what is made with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::oci::{Descriptor, Digest, Manifest, Repository};
use crate::policy::{CounterFormat, CounterSign, Decision, Revision};
use crate::setting::SettingError;
use crate::signature::notation::may_sign as notation_profile;
use crate::signature::nv2::may_claim;
use crate::signing::dsse::Statement;
use crate::signing::{Artifact, Error, SigningKey, cosign, notation, nv2};
use crate::trust;
use crate::x509::Certificate;

/// SLSA, "Verification Summary Attestation (VSA)", version 1.
const VSA: &str = "https://slsa.dev/verification_summary/v1";
const VERIFIER: &str = "urn:portcullis";
/// What passed, in the field where SLSA's own levels would stand.
const LEVEL: &str = "PORTCULLIS_ALLOWED";

/// One policy's counter-signer.
#[derive(Debug)]
pub struct CounterSigner {
    pub(super) key: Arc<SigningKey>,
    chain: Vec<Certificate>,
    pub(super) settings: CounterSign,
    /// Different wherever something else would be made.
    pub(super) name: String,
}

/// What was made about one manifest.
pub(super) struct Made {
    pub(super) referrers: Vec<Artifact>,
    pub(super) tagged: Option<Artifact>,
}

impl Made {
    pub(super) fn all(&self) -> impl Iterator<Item = &Artifact> {
        self.referrers.iter().chain(&self.tagged)
    }
}

impl CounterSigner {
    pub(super) fn of(key: Arc<SigningKey>, settings: &CounterSign) -> Result<Self, SettingError> {
        let fault = |key: &str, why: &dyn std::fmt::Display| SettingError::new([key], why.to_string());
        let chain = match &settings.certificate_chain {
            Some(path) => {
                trust::certificates(std::slice::from_ref(path)).map_err(|e| fault("certificate_chain", &e))?
            }
            None => key.chain().to_vec(),
        };
        if chain.first().is_some_and(|leaf| leaf.public_key() != key.public()) {
            return Err(fault("certificate_chain", &"its first certificate is another key's"));
        }
        settings.formats.iter().try_for_each(|format| may_sign(*format, &key, &chain))?;
        let mut hash = Sha256::new();
        hash.update(key.public().fingerprint());
        for certificate in &chain {
            hash.update(Sha256::digest(certificate.der()));
        }
        hash.update(format!("{:?}{}{:?}", settings.formats, settings.attest, settings.published_as));
        Ok(Self { key, chain, settings: settings.clone(), name: hex::encode(hash.finalize()) })
    }

    /// The name of what it makes under a revision of its policy.
    pub(super) fn name(&self, revision: Revision) -> String {
        format!("{}@{revision}", self.name)
    }

    /// The key's SHA-256, over its SubjectPublicKeyInfo.
    pub(super) fn fingerprint(&self) -> String {
        hex::encode(self.key.public().fingerprint())
    }

    pub(super) fn before_serving(&self) -> bool {
        self.settings.before_serving
    }

    /// Whether it signs under the subject's `.sig` tag.
    pub(super) fn is_tagged(&self) -> bool {
        self.settings.formats.contains(&CounterFormat::Cosign)
    }

    /// Signs a manifest in every format that is asked for. `beside` holds the signatures of others under the
    /// `.sig` tag.
    pub(super) async fn sign(
        &self,
        repository: &Repository,
        subject: &Descriptor,
        decision: &Decision,
        inputs: &[Digest],
        beside: Option<&Manifest>,
    ) -> Result<Made, Error> {
        let subject = &Descriptor::new(subject.media_type.clone(), subject.digest, subject.size);
        let (name, at, none) = (self.published(repository), decision.decided(), BTreeMap::new());
        let mut made = Made { referrers: Vec::new(), tagged: None };
        for format in &self.settings.formats {
            let artifact = match format {
                CounterFormat::Notation => self.notation(notation::Form::Jws, subject, decision).await?,
                CounterFormat::NotationCose => self.notation(notation::Form::Cose, subject, decision).await?,
                CounterFormat::CosignBundle => cosign::bundle(&self.key, subject, &none, None, at).await?,
                CounterFormat::Nv2 => {
                    let references = &[format!("{name}@{}", subject.digest)];
                    let claim = nv2::Claim { subject, references, issued: at, lifetime: None };
                    let token = nv2::sign(&self.key, &self.chain, &claim, nv2::Form::Jwt).await?;
                    nv2::artifact(token, nv2::Form::Jwt, subject, at)?
                }
                CounterFormat::Cosign => {
                    let layer = cosign::sign(&self.key, &name, &subject.digest, &none, None).await?;
                    made.tagged = Some(layer.beside(beside)?);
                    continue;
                }
            };
            made.referrers.push(artifact);
        }
        if self.settings.attest {
            let predicate = summary(repository, decision, inputs);
            let statement = Statement {
                subject: &subject.digest,
                name: Some(&name),
                annotations: &none,
                predicate_type: VSA,
                predicate: &predicate,
            };
            made.referrers.push(cosign::attest(&self.key, subject, &statement, None, at).await?);
        }
        Ok(made)
    }

    async fn notation(
        &self,
        form: notation::Form,
        subject: &Descriptor,
        decision: &Decision,
    ) -> Result<Artifact, Error> {
        let at = decision.decided();
        let claim = notation::Claim { subject, annotations: &BTreeMap::new(), signed: at, expires: None };
        let envelope = notation::sign(&self.key, &self.chain, &claim, form, None).await?;
        notation::artifact(envelope, form, self.chain.iter().map(Certificate::der), subject, at)
    }

    /// The repository that content is signed as.
    fn published(&self, repository: &Repository) -> String {
        match &self.settings.published_as {
            None => repository.to_string(),
            Some(name) => name
                .replace("{registry}", repository.registry().as_str())
                .replace("{path}", repository.path()),
        }
    }
}

/// What would be refused by everybody is told when the configuration is read.
fn may_sign(format: CounterFormat, key: &SigningKey, chain: &[Certificate]) -> Result<(), SettingError> {
    match format {
        CounterFormat::Notation | CounterFormat::NotationCose => {
            notation_profile(chain).map_err(|e| SettingError::new(["certificate_chain"], e.to_string()))
        }
        CounterFormat::Cosign | CounterFormat::CosignBundle => {
            cosign::may_sign(key).map_err(|e| SettingError::new(["key"], e.to_string()))
        }
        CounterFormat::Nv2 => match chain.first() {
            Some(leaf) => {
                may_claim(leaf, &[]).map_err(|e| SettingError::new(["certificate_chain"], e.to_string()))
            }
            None => Ok(()),
        },
    }
}

/// What was verified, by what, on what grounds, when.
fn summary(repository: &Repository, decision: &Decision, inputs: &[Digest]) -> Value {
    let digest = |d: &Digest| json!({d.algorithm().as_str(): d.hex()});
    let inputs: Vec<Value> = inputs.iter().map(|input| json!({"digest": digest(input)})).collect();
    let policy = decision.policy().map_or("none", |name| &**name);
    json!({
        "verifier": {"id": VERIFIER, "version": {"portcullis": env!("CARGO_PKG_VERSION")}},
        "timeVerified": humantime::format_rfc3339_seconds(decision.decided()).to_string(),
        "resourceUri": format!("oci://{repository}@{}", decision.subject()),
        "policy": {
            "uri": format!("{VERIFIER}:policy:{policy}"),
            "digest": {"sha256": decision.revision().to_string()},
        },
        "inputAttestations": inputs,
        "verificationResult": "PASSED",
        "verifiedLevels": [LEVEL],
        "slsaVersion": "1.0",
    })
}
