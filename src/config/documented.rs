//! What users read names everything that there is, and nothing else.

use std::collections::BTreeSet;

use serde_json::Value;

const PAGE: &str = include_str!("../../docs/CONFIG.md");
const REASONS: &str = include_str!("../../docs/REASONS.md");
const METRICS_PAGE: &str = include_str!("../../docs/METRICS.md");
const METRICS: &str =
    concat!(include_str!("../telemetry/metrics.rs"), include_str!("../telemetry/metrics/maker.rs"));
const PROCESS: &str = include_str!("../telemetry/metrics/process.rs");
const CODES: &str = include_str!("../signature/code.rs");

/// The first cells of a page's tables, out of their backticks.
fn rows(page: &str) -> impl Iterator<Item = &str> {
    page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next())
}

#[test]
fn every_reason_code_is_explained() {
    let file = syn::parse_file(CODES).unwrap();
    let variants = file.items.iter().find_map(|item| match item {
        syn::Item::Enum(item) if item.ident == "Code" => Some(&item.variants),
        _ => None,
    });
    let snake = |name: String| {
        let mut text = String::new();
        for c in name.chars() {
            if c.is_ascii_uppercase() && !text.is_empty() {
                text.push('_');
            }
            text.push(c.to_ascii_lowercase());
        }
        text
    };
    let codes: BTreeSet<String> = variants.unwrap().iter().map(|v| snake(v.ident.to_string())).collect();
    let explained: BTreeSet<String> = rows(REASONS).map(str::to_owned).collect();
    assert_eq!(codes, explained, "the codes on the left, docs/REASONS.md on the right");
    assert_eq!(rows(REASONS).count(), explained.len(), "a code is explained twice");
}

#[test]
fn every_metric_is_documented() {
    let makers = ["counter(", "counters(", "gauge(", "gauges(", "histogram(", "options("];
    let made = makers.iter().flat_map(|maker| METRICS.split(maker).skip(1));
    let name = |call: &'static str| call.trim_start().strip_prefix('"')?.split('"').next();
    let of_process = PROCESS.split("of_process(").skip(1).filter_map(name).map(str::to_owned);
    let names: BTreeSet<String> =
        made.filter_map(name).map(|name| format!("portcullis_{name}")).chain(of_process).collect();
    let documented: BTreeSet<String> = rows(METRICS_PAGE).map(str::to_owned).collect();
    assert_eq!(names, documented, "the metrics on the left, docs/METRICS.md on the right");
}

#[test]
fn every_key_is_documented() {
    let schema: Value = serde_json::to_value(schemars::schema_for!(super::Settings)).unwrap();
    let mut keys = BTreeSet::new();
    collect(&schema, &schema, "", &mut keys);
    let groups: Vec<String> = keys.iter().filter(|key| is_group(key, &keys)).cloned().collect();
    groups.iter().for_each(|group| {
        keys.remove(group);
    });
    let documented: BTreeSet<String> = rows(PAGE).map(str::to_owned).collect();
    assert_eq!(keys, documented, "the keys on the left, docs/CONFIG.md on the right");
}

/// Keys that only hold others are told as their section.
fn is_group(key: &str, keys: &BTreeSet<String>) -> bool {
    keys.iter().any(|other| other.strip_prefix(key).is_some_and(|rest| rest.starts_with(['.', '['])))
}

/// All keys of the schema in dotted form; `NAME` stands for a map's key, `[]` for a list's item.
/// `require` is a tree and is told in a section of its own; mirrors have the credentials of upstreams.
fn collect(root: &Value, node: &Value, path: &str, keys: &mut BTreeSet<String>) {
    if ["policies[].require", "upstreams.NAME.mirrors[].credentials"].contains(&path) {
        return;
    }
    if let Some(reference) = node.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(reference.trim_start_matches('#')).unwrap();
        return collect(root, target, path, keys);
    }
    for choice in ["anyOf", "oneOf"] {
        for shape in node.get(choice).and_then(Value::as_array).into_iter().flatten() {
            collect(root, shape, path, keys);
        }
    }
    for (name, property) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        keys.insert(below.clone());
        collect(root, property, &below, keys);
    }
    if let Some(values) = node.get("additionalProperties").filter(|values| values.is_object()) {
        collect(root, values, &format!("{path}.NAME"), keys);
    }
    if let Some(items) = node.get("items") {
        collect(root, items, &format!("{path}[]"), keys);
    }
}
