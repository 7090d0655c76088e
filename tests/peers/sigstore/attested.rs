//! Attestations by the real cosigns: they are no signatures, and what they say must be what is asked.

use super::gate::{Gate, attested, everybody};
use super::services::{EMAIL, Sigstore, WORKFLOW};
use super::ways::{Form, Seen, Way, Who};
use crate::content;
use crate::stand::Stand;
use crate::upstream::Kind;

const PREDICATE: &str = r#"{
    "buildDefinition": { "buildType": "https://acme.example/build/v1", "externalParameters": { "ref": "refs/heads/main" } },
    "runDetails": { "builder": { "id": "https://acme.example/builder" } }
}"#;

#[test]
#[ignore = "needs cosign, cosign2, sigstore-stand, docker-registry, skopeo"]
fn needs_sigstore_an_attestation_is_no_signature_and_is_asked_what_it_says() {
    for (kind, way, signer, stranger) in [
        (Kind::TagSchema, Way(Who::Email, Form::Tag, Seen::Rekor1), "email", EMAIL.0),
        (Kind::TagSchema, Way(Who::Workflow, Form::Bundle, Seen::Rekor1), "workflow", WORKFLOW.0),
        (Kind::Referrers, Way(Who::Workflow, Form::Bundle, Seen::Rekor2), "workflow", WORKFLOW.0),
        (Kind::Referrers, Way(Who::Key, Form::Bundle, Seen::Rekor1), "key", "a key without a certificate"),
    ] {
        let stand = Stand::new(kind);
        let sigstore = Sigstore::start(&stand);
        let (only, both) = ("sigstore/attested", "sigstore/both");
        let digest = stand.push(only, content::image);
        sigstore.attest(way, only, &digest, PREDICATE);
        let digest = stand.push(both, content::image);
        sigstore.attest(way, both, &digest, PREDICATE);
        sigstore.sign(way, both, &digest);
        let signed = way.repository();
        sigstore.signed(way);

        let builder = "predicate.runDetails.builder.id";
        let by_us = format!("{builder} == 'https://acme.example/builder'");
        let on_next =
            format!("{by_us} && predicate.buildDefinition.externalParameters.ref.endsWith('/next')");
        let mut asked = everybody(&stand);
        asked.push(attested("built-by-us", signer, &by_us));
        asked.push(attested("built-on-next", signer, &on_next));
        asked.push(attested("built-with-more", signer, "predicate.runDetails.metadata.invocationId != ''"));
        asked.push(attested("built-by-eve", "eve", &by_us));
        let gate = Gate::open(&stand, &asked);
        gate.refuses(signer, only, &["attestation"]);
        gate.copy("built-by-us", only).passed();
        gate.refuses("built-on-next", only, &["/next"]);
        gate.refuses("built-with-more", only, &["metadata"]);
        gate.refuses("built-by-eve", only, &[stranger]);
        gate.copy("built-by-us", both).passed();
        gate.copy(signer, both).passed();
        gate.copy(signer, &signed).passed();
        gate.refuses("built-by-us", &signed, &["signature"]);
    }
}
