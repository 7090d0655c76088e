//! Settings that contradict themselves, and what depends on them.

use super::super::*;
use crate::signature::{SignerName, Verifier as _};

#[test]
fn settings_say_one_thing() {
    let fault = |s: Settings| verifier(&SignerName("a".into()), &s).err().unwrap().path.join(".");
    let none = Settings { key: None, ..Settings::default() };
    assert_eq!(fault(none.clone()), "key");
    assert_eq!(fault(Settings { key: Some(Pem("/absent/key.pub".into())), ..none.clone() }), "key");
    let keyless = |change: fn(&mut Keyless)| {
        let mut keyless = Keyless {
            issuer: Some("https://i".to_owned()),
            identity: Some("i".to_owned()),
            ..Keyless::default()
        };
        change(&mut keyless);
        Settings { keyless: Some(keyless), ..none.clone() }
    };
    assert_eq!(fault(Settings { key: Some(Pem("a".into())), ..keyless(|_| {}) }), "keyless");
    let rootless = Settings { trusted_root: Some("/absent/root.json".into()), ..keyless(|_| {}) };
    assert_eq!(fault(rootless), "trusted_root");
    assert_eq!(fault(keyless(|k| k.issuer = None)), "keyless.issuer");
    assert_eq!(fault(keyless(|k| k.identity_regexp = Some(".*".into()))), "keyless.identity");
    let unknown = fault(keyless(|k| drop(k.extensions.insert("colour".into(), "red".into()))));
    assert_eq!(unknown, "keyless.extensions.colour");
}
