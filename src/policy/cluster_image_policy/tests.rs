mod meaning;
mod refused;

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// A public key.
pub(super) static KEY: LazyLock<String> =
    LazyLock::new(|| rcgen::KeyPair::generate().unwrap().public_key_pem());
/// A sigstore of one's own.
pub(super) static ROOT: LazyLock<Root> = LazyLock::new(Root::new);

pub(super) struct Root {
    pub(super) chain_pem: String,
    pub(super) key_pem: String,
    /// The same as the file has it.
    pub(super) chain: String,
    pub(super) key: String,
}

impl Root {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let (chain_pem, key_pem) = (authority.self_signed(&key).unwrap().pem(), key.public_key_pem());
        let (chain, key) = (STANDARD.encode(&chain_pem), STANDARD.encode(&key_pem));
        Self { chain_pem, key_pem, chain, key }
    }

    /// The spec of a TrustRoot.
    pub(super) fn spec(&self) -> String {
        let Self { chain, key, .. } = self;
        let subject = "{ organization: corp, commonName: ca }";
        let authority = |uri: &str| format!("[{{ subject: {subject}, uri: {uri}, certChain: {chain} }}]");
        let log = |url: &str| format!("[{{ baseURL: {url}, hashAlgorithm: sha-256, publicKey: {key} }}]");
        format!(
            "sigstoreKeys: {{ certificateAuthorities: {}, tLogs: {}, ctLogs: {}, timestampAuthorities: {} }}",
            authority("http://fulcio.corp"),
            log("http://rekor.corp"),
            log("http://ct.corp"),
            authority("http://tsa.corp")
        )
    }
}

/// A policy of this spec, in YAML's flow form.
pub(super) fn policy_text(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{ name: {name} }}\nspec: {{ {spec} }}\n"
    )
}

/// An authority of this name with the key.
pub(super) fn by_key(name: &str) -> String {
    format!("{{ name: {name}, key: {{ data: {} }} }}", serde_json::to_string(&*KEY).unwrap())
}

pub(super) fn file(text: &str) -> ClusterImagePolicies {
    ClusterImagePolicies::parse("cip.yaml", text, None)
        .unwrap_or_else(|fault| panic!("cip.yaml{fault}\n{text}"))
}
