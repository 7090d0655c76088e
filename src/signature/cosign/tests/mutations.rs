//! Claims of every kind with each of their fields changed, one at a time and in many ways. Nothing is believed that
//! was not signed, logged or stamped so, but for a closed list of fields by which nobody is told anything; and what
//! is refused is refused for what is wrong with it.

mod free;

use serde_json::{Map, Value, json};

use self::free::{codes, harmless};
use super::super::*;
use super::recorded::{
    self, EMAIL, Recorded, WORKFLOW, identity, key, parsed, stamped, unlogged, with_payload,
};
use super::tree::mutations;
use super::{built, judge};
use crate::signature::Subject;

/// A claim that is believed, as a document, and the claim that is made of a changed one.
struct Kind {
    name: &'static str,
    verifier: Cosign,
    subject: Subject,
    claim: Signature,
}

impl Kind {
    fn recorded(name: &'static str, settings: Settings) -> Self {
        let recorded = Recorded::read(name);
        let claim = recorded.claim().clone();
        Self { name, verifier: built(&settings), subject: recorded.subject, claim }
    }

    /// The bundle; of a layer, its text, whose very bytes count, and its annotations, which may be JSON themselves.
    fn document(&self) -> Value {
        if layout::is_bundle(&self.claim.media_type) {
            return parsed(&self.claim);
        }
        let json = |text: &str| serde_json::from_str(text).ok().filter(Value::is_object);
        let annotations = self.claim.annotations.iter();
        let annotations: Map<String, Value> = annotations
            .map(|(name, text)| (name.clone(), json(text).unwrap_or_else(|| json!(text))))
            .collect();
        let text = std::str::from_utf8(&self.claim.payload).unwrap();
        json!({"layer": text, "annotations": annotations})
    }

    fn claim(&self, document: &Value) -> Signature {
        if layout::is_bundle(&self.claim.media_type) {
            return with_payload(&self.claim, document);
        }
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let annotations = document["annotations"].as_object().cloned().unwrap_or_default();
        Signature {
            payload: text(&document["layer"]).into(),
            annotations: annotations.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            ..self.claim.clone()
        }
    }

    fn check(&self) {
        let document = self.document();
        let judge =
            |document: &Value| judge(&self.verifier, &self.subject, &self.claim(document), recorded::later());
        judge(&document).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let (all, mut faults) = (mutations(&document), Vec::new());
        for mutation in &all {
            let place = format!("{} {}", mutation.pointer, mutation.what);
            match judge(&mutation.document) {
                Ok(_) if harmless(self.name, mutation, &document) => {}
                Ok(_) => faults.push(format!("{place}: is believed")),
                Err(why) if codes(&mutation.pointer).contains(&why.code()) => {}
                Err(why) => faults.push(format!("{place}: {:?}: {why}", why.code())),
            }
        }
        assert!(all.len() > 100, "{}: {}", self.name, all.len());
        assert!(faults.is_empty(), "{}: {} of {}\n{}", self.name, faults.len(), all.len(), faults.join("\n"));
    }
}

macro_rules! kinds {
    ($($test:ident: $case:literal, $settings:expr;)*) => {
        $(
            #[test]
            fn $test() {
                Kind::recorded($case, $settings).check();
            }
        )*
    };
}

kinds! {
    a_bundle_with_an_entry_of_the_first_log: "keyless-workflow-bundle-rekor1", identity(WORKFLOW);
    a_bundle_with_an_entry_of_the_second_log: "keyless-workflow-bundle-rekor2", identity(WORKFLOW);
    a_bundle_with_an_entry_of_an_envelope: "keyless-email-bundle-rekor2-dsse", identity(EMAIL);
    a_bundle_with_a_timestamp: "keyless-email-bundle-nolog", stamped(identity(EMAIL));
    a_bundle_of_version_1: "bundle-v0.1", identity(EMAIL);
    a_bundle_of_version_2: "bundle-v0.2", identity(EMAIL);
    a_bundle_by_a_logged_and_stamped_key: "key-p256-bundle-rekor2", logged_and_stamped(key("p256"));
    a_bundle_by_a_key: "key-p256-bundle-none", unlogged(key("p256"));
    a_bundle_by_a_logged_key: "key-rsa-bundle-rekor1", key("rsa");
    a_bundle_by_a_stamped_key: "key-p384-bundle-nolog", stamped(key("p384"));
    a_bundle_about_a_file: "file-p256-rekor2", logged_and_stamped(key("p256"));
    a_layer_with_the_first_logs_promise: "keyless-email-legacy", identity(EMAIL);
    a_layer_with_a_timestamp: "keyless-workflow-legacy-tsa", stamped(identity(WORKFLOW));
    a_layer_by_a_key: "key-p256-legacy", unlogged(key("p256"));
    a_layer_by_a_logged_key: "key-p384-legacy-rekor1", key("p384");
    an_attestation_as_a_layer: "attest-email-legacy-intoto", identity(EMAIL);
    an_attestation_with_a_timestamp: "attest-email-legacy-tsa", stamped(identity(EMAIL));
    an_attestation_by_a_key: "attest-key-legacy-nolog", unlogged(key("p384"));
    a_layer_with_a_promise_and_a_timestamp: "keyless-workflow-legacy-both", logged_and_stamped(identity(WORKFLOW));
}

/// Both witnesses are needed, so that each must hold.
fn logged_and_stamped(settings: Settings) -> Settings {
    Settings { timestamps: Requirement::Require, ..settings }
}
