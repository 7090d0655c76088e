//! Settings that contradict themselves, and what depends on them.

use super::super::*;
use super::recorded::{self, Recorded};
use crate::signature::{Code, SignerName, Verifier as _};

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
    let twice = Settings { trusted_root: Some("root.json".into()), ..keyless(|_| {}) };
    assert_eq!(fault(Settings { roots: Some(Roots::default()), ..twice }), "roots");
    assert_eq!(fault(Settings { pki: Some(Pki::default()), ..none.clone() }), "pki.roots");
    let skipping = Settings { dangerous_skip_sct: true, key: Some(Pem("a".into())), ..none };
    assert_eq!(fault(skipping), "dangerous_skip_sct");
}

/// Without a witness no chain would be walked: none is not a number of them.
#[test]
fn at_least_is_at_least_one_and_few() {
    for (key, change) in [
        ("log_entries", (|least, n| least.log_entries = n) as fn(&mut AtLeast, usize)),
        ("timestamps", |least, n| least.timestamps = n),
        ("times", |least, n| least.times = n),
        ("scts", |least, n| least.scts = n),
    ] {
        for wrong in [0, 9] {
            let mut settings = recorded::identity(recorded::WORKFLOW);
            change(&mut settings.at_least, wrong);
            let fault = verifier(&SignerName("a".into()), &settings).err().unwrap();
            assert_eq!(fault.path.join("."), format!("at_least.{key}"));
            assert_eq!(fault.message, format!("expected 1 to 8, found {wrong}"));
        }
    }
}

#[test]
fn a_layout_that_is_asked_for_is_the_only_one() {
    for (case, layout) in [("key-p256-legacy", Layout::Legacy), ("key-p256-bundle-none", Layout::Bundle)] {
        let judge = |layout| {
            let settings = Settings { layout, ..recorded::unlogged(recorded::key("p256")) };
            Recorded::read(case).verify(&super::built(&settings))
        };
        assert!(judge(layout).is_ok() && judge(Layout::Any).is_ok());
        let other = if layout == Layout::Legacy { Layout::Bundle } else { Layout::Legacy };
        let rejected = judge(other).unwrap_err();
        assert_eq!(rejected.code(), Code::Unsupported, "{rejected}");
        assert!(rejected.to_string().contains("layout"), "{rejected}");
    }
}

#[test]
fn certificates_that_no_log_has_seen_are_warned_of() {
    let settings = recorded::identity(recorded::WORKFLOW);
    let limited = |settings: &Settings| super::built(settings).limitation();
    assert_eq!(limited(&settings), None);
    let skipping = Settings { dangerous_skip_sct: true, ..settings };
    assert!(limited(&skipping).unwrap().contains("dangerous_skip_sct"));
}

/// What verdicts depend on makes another revision: settings, keys, trusted root.
#[test]
fn a_revision_is_of_all_that_decides() {
    let base = recorded::identity(recorded::WORKFLOW);
    let mut revisions = vec![super::built(&base).revision()];
    for changed in [
        recorded::identity(recorded::EMAIL),
        recorded::stamped(base.clone()),
        Settings { at_least: AtLeast { times: 2, ..AtLeast::default() }, ..base.clone() },
        Settings { trusted_root: None, ..base.clone() },
        Settings { layout: Layout::Bundle, ..base },
        recorded::key("p256"),
        recorded::key("p384"),
    ] {
        revisions.push(super::built(&changed).revision());
    }
    let distinct: std::collections::BTreeSet<_> = revisions.iter().collect();
    assert_eq!(distinct.len(), revisions.len());
}
