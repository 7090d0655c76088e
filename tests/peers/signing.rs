//! Signing by the real tools, with keys made for one test.

use std::path::PathBuf;
use std::process::Command;

use super::process::run;
use super::stand::Stand;

/// How a signature is made and stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Proof {
    /// cosign's simple signing under the tag `sha256-<hex>.sig`.
    CosignTag,
    /// The same as a referrer.
    CosignReferrer,
    /// Notary Project, JWS envelope.
    NotationJws,
    /// Notary Project, COSE envelope.
    NotationCose,
}

impl Proof {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::CosignTag, Self::CosignReferrer, Self::NotationJws, Self::NotationCose];

    /// What `verify` calls the format.
    pub const fn format(self) -> &'static str {
        match self {
            Self::CosignTag | Self::CosignReferrer => "cosign",
            Self::NotationJws | Self::NotationCose => "notation",
        }
    }
}

/// The identity in the certificates that `notation cert generate-test` makes.
pub const NOTATION_IDENTITY: &str = "x509.subject: C=US, ST=WA, L=Seattle, O=Notary, CN=acme-rockets.io";

impl Stand {
    /// Signs what `digest` names in a repository of the upstream.
    pub fn sign(&self, proof: Proof, repository: &str, digest: &str) {
        let reference = format!("{}/{repository}@{digest}", self.upstream.address());
        match proof {
            Proof::CosignTag => self.cosign_sign(&reference, "legacy"),
            Proof::CosignReferrer => self.cosign_sign(&reference, "oci-1-1"),
            Proof::NotationJws => self.notation_sign(&reference, "jws"),
            Proof::NotationCose => self.notation_sign(&reference, "cose"),
        }
    }

    /// The public key of cosign's signatures. It exists from the start.
    pub fn cosign_key(&self) -> PathBuf {
        self.home().join("cosign.pub")
    }

    /// The folder that holds `x509/ca/acme-rockets.io`.
    pub fn notation_trust_store(&self) -> PathBuf {
        self.home().join("config/notation/truststore")
    }

    /// Makes the keys.
    pub(super) fn make_keys(&self) {
        run(self.cosign().args(["generate-key-pair", "--output-key-prefix", "cosign"])).passed();
        run(self.command("notation").args(["cert", "generate-test", "--default", "acme-rockets.io"]))
            .passed();
    }

    /// Puts other keys, of the same names, in place of those that signatures were made with.
    pub fn trust_others(&self) {
        let others = self.home().join("others");
        std::fs::create_dir(&others).unwrap();
        let prefix = others.join("cosign");
        run(self.cosign().args(["generate-key-pair", "--output-key-prefix"]).arg(&prefix)).passed();
        let mut notation = self.command("notation");
        notation.env("XDG_CONFIG_HOME", &others).args(["cert", "generate-test", "acme-rockets.io"]);
        run(&mut notation).passed();
        let certificate = "x509/ca/acme-rockets.io/acme-rockets.io.crt";
        let stored = self.notation_trust_store().join(certificate);
        std::fs::copy(prefix.with_extension("pub"), self.cosign_key()).unwrap();
        std::fs::copy(others.join("notation/truststore").join(certificate), stored).unwrap();
    }

    fn cosign(&self) -> Command {
        let mut command = self.command("cosign");
        command.env("COSIGN_PASSWORD", "").env("COSIGN_EXPERIMENTAL", "1");
        command
    }

    fn cosign_sign(&self, reference: &str, referrers_mode: &str) {
        let mut sign = self.cosign();
        sign.args(["sign", "--yes", "--key", "cosign.key", "--allow-http-registry"]);
        // Version 3 would ask for its signing config and write a bundle.
        sign.args(["--use-signing-config=false", "--new-bundle-format=false", "--tlog-upload=false"]);
        run(sign.args(["--registry-referrers-mode", referrers_mode, reference])).passed();
    }

    fn notation_sign(&self, reference: &str, envelope: &str) {
        let mut sign = self.command("notation");
        // By default it writes the tag schema even where there is a referrers API.
        sign.args(["sign", "--insecure-registry", "--force-referrers-tag=false"]);
        run(sign.args(["--signature-format", envelope, reference])).passed();
    }
}
