//! The JSON Schema for editors, made from the types that the file is read into.

use super::Settings;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/portcullis.schema.json");

#[test]
fn the_shipped_schema_is_that_of_the_types() {
    let mut schema = schemars::schema_for!(Settings);
    for part in schema.get_mut("$defs").and_then(|parts| parts.as_object_mut()).unwrap().values_mut() {
        forget_this_machine(part);
    }
    schema.insert("title".to_owned(), "Portcullis configuration".into());
    let made = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(SHIPPED, &made).unwrap();
    }
    let shipped = std::fs::read_to_string(SHIPPED).unwrap_or_default();
    assert!(shipped == made, "{SHIPPED} is not what the types say: run this test with UPDATE_SCHEMA=1");
}

/// Some defaults depend on who asks, such as the user's cache folder.
fn forget_this_machine(part: &mut serde_json::Value) {
    let Some(properties) = part.get_mut("properties").and_then(|p| p.as_object_mut()) else { return };
    for property in properties.values_mut().filter_map(|p| p.as_object_mut()) {
        if property.get("default").and_then(|d| d.as_str()).is_some_and(|d| d.starts_with('/')) {
            property.remove("default");
        }
    }
}
