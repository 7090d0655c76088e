//! The JSON Schema for editors, made from the types that the file is read into.

use super::Settings;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/portcullis.schema.json");

#[test]
fn the_shipped_schema_is_that_of_the_types() {
    let mut schema = schemars::schema_for!(Settings);
    schema.insert("title".to_owned(), "Portcullis configuration".into());
    let made = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(SHIPPED, &made).unwrap();
    }
    let shipped = std::fs::read_to_string(SHIPPED).unwrap_or_default();
    assert!(shipped == made, "{SHIPPED} is not what the types say: run this test with UPDATE_SCHEMA=1");
}
