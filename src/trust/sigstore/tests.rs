#![allow(clippy::indexing_slicing)]

use serde_json::{Value, json};

use super::*;
use crate::setting::time;

fn read(document: &Value) -> Result<TrustedRoot, Error> {
    TrustedRoot::parse(document.to_string().as_bytes())
}

fn public() -> Value {
    serde_json::from_slice(PUBLIC_GOOD).unwrap()
}

#[test]
fn the_public_root_is_read_whole() {
    let root = TrustedRoot::public_good().unwrap();
    let of = |key: &str| public()[key].as_array().unwrap().len();
    assert_eq!(root.authorities().len(), of("certificateAuthorities"));
    assert_eq!(root.logs().len(), of("tlogs"));
    assert_eq!(root.ct_logs().len(), of("ctlogs"));
    assert_eq!(root.timestamp_authorities().len(), of("timestampAuthorities"));
    let rekor = &root.logs()[0];
    assert_eq!(rekor.host().unwrap(), "rekor.sigstore.dev");
    assert_eq!(rekor.id, rekor.key.fingerprint(), "logs of the first version are named by their keys");
    let fulcio = &root.authorities()[1];
    assert_eq!((fulcio.others().len(), fulcio.root().unwrap().is_self_signed()), (1, true));
    assert!(root.ends().unwrap() > time::parse("2030-01-01T00:00:00Z").unwrap());
}

#[test]
fn windows_are_closed_intervals() {
    let at = |text: &str| time::parse(text).unwrap();
    let window = Window { start: Some(at("2026-01-01T00:00:00Z")), end: Some(at("2026-12-31T00:00:00Z")) };
    assert!(window.contains(at("2026-01-01T00:00:00Z")) && window.contains(at("2026-12-31T00:00:00Z")));
    assert!(!window.contains(at("2025-12-31T23:59:59Z")) && !window.contains(at("2026-12-31T00:00:01Z")));
    assert!(Window::default().contains(at("1999-01-01T00:00:00Z")));
}

#[test]
fn what_is_not_understood_is_refused() {
    let with = |pointer: &str, value: Value| {
        let mut document = public();
        *document.pointer_mut(pointer).unwrap() = value;
        read(&document).unwrap_err().0
    };
    assert!(with("/mediaType", json!("application/json")).contains("mediaType"));
    assert!(with("/tlogs/0/hashAlgorithm", json!("SHA2_512")).contains("tlogs[0]: expected hashAlgorithm"));
    assert!(with("/tlogs/0/publicKey/validFor/start", Value::Null).contains("validFor.start is missing"));
    assert!(with("/tlogs/0/publicKey/rawBytes", json!("AAAA")).contains("tlogs[0]: publicKey"));
    assert!(with("/tlogs/0/logId/keyId", json!("")).contains("tlogs[0]: logId"));
    assert!(with("/certificateAuthorities/0/certChain/certificates", json!([])).contains("[0]: certChain"));
    assert!(with("/tlogs/0/baseUrl", json!({})).contains("invalid type"));
    let mut unknown = public();
    unknown["tlogs"][0]["onlyFor"] = json!("x");
    assert!(read(&unknown).unwrap_err().0.contains("onlyFor"));
    let mut many = public();
    many["ctlogs"] = json!(vec![public()["ctlogs"][0].clone(); MAX_INSTANCES + 1]);
    assert!(read(&many).unwrap_err().0.contains("more than"));
    assert!(TrustedRoot::parse(&vec![b' '; MAX_SIZE as usize + 1]).unwrap_err().0.contains("longer"));
    let twice = String::from_utf8(PUBLIC_GOOD.to_vec()).unwrap().replacen('{', r#"{"tlogs": [],"#, 1);
    assert!(TrustedRoot::parse(twice.as_bytes()).unwrap_err().0.contains("twice"));
}

#[test]
fn parts_make_a_root_of_each_chain() {
    let public = TrustedRoot::public_good().unwrap();
    let whole = |authority: &Authority| authority.certificates.clone();
    let parts = Parts {
        fulcio: vec![whole(&public.authorities()[1])],
        rekor: vec![public.logs()[0].key.clone()],
        ct_logs: vec![public.ct_logs()[0].key.clone()],
        timestamps: vec![whole(&public.timestamp_authorities()[0])],
    };
    let root = TrustedRoot::from_parts(parts.clone()).unwrap();
    assert_eq!(root.authorities()[0].root(), public.authorities()[1].root());
    assert_eq!(root.authorities()[0].others(), public.authorities()[1].others());
    assert_eq!((&root.logs()[0].id, root.logs()[0].host()), (&public.logs()[0].id, None));
    assert_ne!(root.material(), TrustedRoot::from_parts(Parts::default()).unwrap().material());
    let rootless = Parts { fulcio: vec![public.authorities()[1].others().to_vec()], ..parts };
    assert!(TrustedRoot::from_parts(rootless).unwrap_err().0.contains("there is no root"));
}

/// Moving a certificate to the other list is other trust, though the bytes follow one another as before.
#[test]
fn the_material_of_parts_tells_what_each_vouches_for() {
    let public = TrustedRoot::public_good().unwrap();
    let roots: Vec<Certificate> = public.authorities().iter().filter_map(Authority::root).cloned().collect();
    let material = |at: usize| {
        let (fulcio, timestamps) = roots.split_at(at);
        let [fulcio, timestamps] = [fulcio, timestamps].map(|all| all.chunks(1).map(<[_]>::to_vec).collect());
        let parts = Parts { fulcio, timestamps, ..Parts::default() };
        TrustedRoot::from_parts(parts).unwrap().material().to_vec()
    };
    assert_ne!(material(1), material(2));
    let chains = |fulcio: Vec<Vec<Certificate>>| {
        TrustedRoot::from_parts(Parts { fulcio, ..Parts::default() }).unwrap().material().to_vec()
    };
    let apart = roots.iter().map(|root| vec![root.clone()]).collect();
    assert_ne!(chains(vec![roots.clone()]), chains(apart));
    let keys = [&public.logs()[0], &public.ct_logs()[0]].map(|log| log.key.clone());
    let logs = |at: usize| {
        let (rekor, ct_logs) = keys.split_at(at);
        let parts = Parts { rekor: rekor.to_vec(), ct_logs: ct_logs.to_vec(), ..Parts::default() };
        TrustedRoot::from_parts(parts).unwrap().material().to_vec()
    };
    assert_ne!(logs(0), logs(1));
}
