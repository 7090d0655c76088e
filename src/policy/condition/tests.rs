use serde_json::json;

use super::*;

mod bounds;
mod faults;
mod language;

/// A statement as builders make them, cut short.
fn statement() -> Json {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "app", "digest": { "sha256": "ab" } }, { "name": "app-arm", "digest": { "sha256": "cd" } }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "builder": { "id": "https://github.com/acme/builder@v2", "tags": ["a", "b", "b"] },
            "count": 3, "ratio": 0.5, "whole": 2.0, "large": 18_446_744_073_709_551_615_u64, "least": i64::MIN,
            "none": null, "yes": true, "empty": "", "a.b": "dotted",
            "finished": "2026-11-25T10:00:00Z", "took": "90s",
            "findings": [
                { "id": "CVE-1", "severity": "LOW", "fixed": true },
                { "id": "CVE-2", "severity": "HIGH" },
                { "id": "CVE-3", "severity": "LOW", "fixed": false },
            ],
        },
    })
}

fn evaluate(text: &str) -> Result<bool, String> {
    let condition = Condition::compile(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    condition.holds_for(&statement())
}

fn fault(text: &str) -> Fault {
    Condition::compile(text).err().unwrap_or_else(|| panic!("{text} compiles"))
}
