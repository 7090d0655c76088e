//! CEL conditions, and the predicates that they are evaluated over: what compiles has the same answer twice and costs no more
//! than its budget, whatever it is asked of.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use portcullis::policy::Condition;
use serde_json::{Value, json};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (expression, predicate) = text.split_once("\n---\n").unwrap_or((&text, "{}"));
    let predicate: Value = serde_json::from_str(predicate).unwrap_or_else(|_| json!({ "text": predicate }));
    let statement =
        json!({ "predicate": predicate, "predicateType": "https://slsa.dev/provenance/v1", "subject": [{}] });
    match Condition::compile(expression) {
        Ok(condition) => {
            let started = Instant::now();
            let held = condition.holds_for(&statement);
            assert!(started.elapsed() < Duration::from_secs(5), "the budget bounds nothing");
            assert_eq!(held, condition.holds_for(&statement));
        }
        Err(fault) => {
            let line = expression.split('\n').nth(fault.line as usize - 1).expect("a line of the text");
            assert!(fault.column as usize <= line.chars().count() + 1, "{fault}");
        }
    }
});
