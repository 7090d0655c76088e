//! notation and `portcullis verify --notation-config` over one folder of configuration.

use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::pki::Pki;
use crate::content;
use crate::process::{Outcome, run};
use crate::proxy::portcullis;
use crate::stand::Stand;

/// The annotation of a signature that names the certificates of its chain.
pub const THUMBPRINTS: &str = "io.cncf.notary.x509chain.thumbprint#S256";

impl Stand {
    /// notation's own folder of configuration.
    pub fn notation_folder(&self) -> PathBuf {
        self.home().join("config/notation")
    }

    /// Lets notation sign with this key of the PKI, whose chain is made of these certificates.
    pub fn add_key(&self, pki: &Pki<'_>, name: &str, issuers: &[&str]) {
        let chain = pki.path(&format!("{name}.chain"));
        let certificates = std::iter::once(&name).chain(issuers);
        let read = |name: &&str| std::fs::read_to_string(pki.path(&format!("{name}.pem"))).unwrap();
        std::fs::write(&chain, certificates.map(read).collect::<String>()).unwrap();
        let file = self.notation_folder().join("signingkeys.json");
        let mut keys: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let key = json!({ "name": name, "keyPath": pki.path(&format!("{name}.key")), "certPath": chain });
        keys["keys"].as_array_mut().unwrap().push(key);
        std::fs::write(file, keys.to_string()).unwrap();
    }

    /// Trusts a certificate of the PKI in the store `KIND/NAME`.
    pub fn trust(&self, pki: &Pki<'_>, store: &str, certificate: &str) {
        let folder = self.notation_folder().join("truststore/x509").join(store);
        std::fs::create_dir_all(&folder).unwrap();
        let file = format!("{certificate}.pem");
        std::fs::copy(pki.path(&file), folder.join(file)).unwrap();
    }

    /// Makes this the trust policy.
    pub fn policy(&self, text: &str) {
        std::fs::write(self.notation_folder().join("trustpolicy.json"), text).unwrap();
    }

    /// The reference of an image of this upstream.
    pub fn reference(&self, repository: &str, digest: &str) -> String {
        format!("{}/{repository}@{digest}", self.upstream.address())
    }

    /// Pushes an image of its own to `repository` and signs it with a key of notation's: its reference.
    pub fn signed(&self, repository: &str, key: &str, arguments: &[&str]) -> String {
        let digest = self.push(repository, content::image);
        let reference = self.reference(repository, &digest);
        self.sign_with(&reference, key, arguments);
        reference
    }

    /// Signs what the reference names.
    pub fn sign_with(&self, reference: &str, key: &str, arguments: &[&str]) {
        let mut sign = self.command("notation");
        sign.args(["sign", "--insecure-registry", "--force-referrers-tag=false", "--key", key]);
        run(sign.args(arguments).arg(reference)).passed();
    }

    /// The descriptor of an image that [`Stand::push`] made.
    pub fn descriptor(&self, repository: &str, digest: &str) -> Value {
        let layout = self.home().join("layouts").join(repository);
        let size = std::fs::metadata(layout.join("blobs").join(digest.replace(':', "/"))).unwrap().len();
        json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size })
    }

    /// Attaches an envelope to the subject as notation does. `chain` is the annotation with its certificates'
    /// thumbprints.
    pub fn attach(&self, repository: &str, subject: &Value, kind: &str, envelope: &[u8], chain: &str) {
        let name = format!("{}/{repository}", self.upstream.address());
        let blob = |bytes: &[u8], media_type: &str| {
            let digest = format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
            std::fs::write(self.home().join("blob"), bytes).unwrap();
            let target = format!("{name}@{digest}");
            run(self.command("oras").args(["blob", "push", "--plain-http", &target, "blob"])).passed();
            json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
        };
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "subject": subject,
            "config": blob(b"{}", "application/vnd.cncf.notary.signature"), "layers": [blob(envelope, kind)],
            "annotations": { THUMBPRINTS: chain },
        });
        std::fs::write(self.home().join("manifest"), manifest.to_string()).unwrap();
        run(self.command("oras").args(["manifest", "push", "--plain-http", &name, "manifest"])).passed();
    }

    /// What notation says to the reference. It is made to ask anew whether certificates are revoked.
    pub fn notation_verify(&self, reference: &str) -> Outcome {
        let _ = std::fs::remove_dir_all(self.home().join("cache/notation"));
        self.notation_verify_again(reference)
    }

    /// The same with the CRLs that it has kept.
    pub fn notation_verify_again(&self, reference: &str) -> Outcome {
        run(self.command("notation").args(["verify", "--insecure-registry", reference]))
    }

    /// What we say, by the same folder.
    pub fn portcullis_verify(&self, reference: &str) -> Outcome {
        let mut command = portcullis(self);
        command.args(["verify", "--insecure-registry", "--notation-config"]).arg(self.notation_folder());
        run(command.arg(reference))
    }

    /// Asserts that both accept the reference, or both refuse it.
    #[track_caller]
    pub fn agree(&self, reference: &str, accepted: bool) {
        let (theirs, ours) = (self.notation_verify(reference), self.portcullis_verify(reference));
        let both =
            format!("notation: {:?}\n{}\nours: {:?}\n{}", theirs.code, theirs.text, ours.code, ours.text);
        assert_eq!(theirs.code == Some(0), accepted, "{both}");
        assert_eq!(ours.code == Some(0), accepted, "{both}");
    }
}

/// A trust policy of one statement: everybody of `ca:acme`, strict, unless changed.
pub fn policy(change: impl FnOnce(&mut Value)) -> String {
    let mut statement = json!({
        "name": "p", "registryScopes": ["*"], "signatureVerification": { "level": "strict" },
        "trustStores": ["ca:acme"], "trustedIdentities": ["*"],
    });
    change(&mut statement);
    json!({ "version": "1.0", "trustPolicies": [statement] }).to_string()
}

/// The same with these levels and stores.
pub fn simple(verification: Value, stores: &[&str]) -> String {
    policy(|statement| {
        statement["signatureVerification"] = verification;
        statement["trustStores"] = json!(stores);
    })
}
