//! Claims of every kind with each of their fields changed, one at a time and in many ways. Nothing is believed that
//! was not signed, logged or stamped so, but for a closed list of fields by which nobody is told anything; and what
//! is refused is refused for what is wrong with it.

mod free;

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use self::free::{FREE, codes, glob};
use super::super::*;
use super::recorded::{self, Recorded, file, parsed, with_payload, workflow};
use super::stand::{self, By, Stand, Work, bundle, claim, entry_with, legacy};
use super::tree::mutations;
use super::{built, judge};
use crate::oci::media_type;
use crate::signature::Subject;

/// A claim that is believed, as a document, and the claim that is made of a changed one.
struct Kind {
    name: &'static str,
    verifier: Cosign,
    subject: Subject,
    claim: Signature,
    now: SystemTime,
}

impl Kind {
    fn recorded(name: &'static str, settings: Settings) -> Self {
        let Recorded { subject, claims } = Recorded::read(name);
        let [claim] = <[_; 1]>::try_from(claims).unwrap();
        Self { name, verifier: built(&settings), subject, claim, now: recorded::later() }
    }

    /// The bundle; of a layer, its text and its annotations, as far as they are JSON themselves.
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
        let attestation = &*self.claim.media_type == media_type::DSSE_ENVELOPE;
        let layer = if attestation { json(text).unwrap() } else { json!(text) };
        json!({"layer": layer, "annotations": annotations})
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
        let judge = |document: &Value| judge(&self.verifier, &self.subject, &self.claim(document), self.now);
        judge(&document).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let mut faults = Vec::new();
        let all = mutations(&document);
        for mutation in &all {
            let place = format!("{} {}", mutation.pointer, mutation.what);
            let free = FREE.iter().any(|(kinds, what, _)| glob(kinds, self.name) && glob(what, &place));
            match judge(&mutation.document) {
                Ok(_) if free => {}
                Ok(_) => faults.push(format!("{place}: is believed")),
                Err(why) if codes(&mutation.pointer).contains(&why.code()) => {}
                Err(why) => faults.push(format!("{place}: {:?}: {why}", why.code())),
            }
        }
        assert!(all.len() > 100, "{}: {}", self.name, all.len());
        assert!(faults.is_empty(), "{}: {} of {}\n{}", self.name, faults.len(), all.len(), faults.join("\n"));
    }
}

#[test]
fn a_bundle_with_an_entry_of_the_first_log() {
    Kind::recorded("keyless-workflow-bundle-rekor1", workflow()).check();
}

#[test]
fn a_bundle_with_an_entry_of_the_second_log_and_a_timestamp() {
    Kind::recorded("keyless-workflow-bundle-rekor2", workflow()).check();
}

#[test]
fn a_bundle_with_entries_of_both_logs() {
    let at_least = AtLeast { log_entries: 2, times: 2, ..AtLeast::default() };
    Kind::recorded("keyless-workflow-bundle-both", Settings { at_least, ..workflow() }).check();
}

#[test]
fn a_bundle_with_a_timestamp() {
    Kind::recorded("keyless-email-bundle-nolog", recorded::stamped(email())).check();
}

#[test]
fn a_layer_with_the_first_logs_promise() {
    Kind::recorded("keyless-email-legacy", email()).check();
}

#[test]
fn a_layer_with_a_timestamp() {
    Kind::recorded("keyless-workflow-legacy-tsa", recorded::stamped(workflow())).check();
}

/// The identity that signs in the fixtures' other half.
fn email() -> Settings {
    let keyless = Keyless {
        issuer: Some("https://issuer.example.test".to_owned()),
        identity: Some("dev@example.test".to_owned()),
        ..Keyless::default()
    };
    Settings { keyless: Some(keyless), ..workflow() }
}

/// What is made in memory: claims about one image, by a key or an identity of the Sigstore there.
fn made(name: &'static str, settings: &Settings, stand: &Stand, claim: Signature) -> Kind {
    let verifier = stand.verifier(settings);
    Kind { name, verifier, subject: stand::image(), claim, now: stand::later() }
}
