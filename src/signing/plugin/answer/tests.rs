use serde_json::json;

use super::*;

fn metadata(change: impl Fn(&mut serde_json::Value)) -> Result<(), String> {
    let mut metadata = json!({
        "name": "x", "description": "", "version": "1", "url": "", "supportedContractVersions": ["1.0"],
        "capabilities": ["SIGNATURE_GENERATOR.RAW"], "more": 1,
    });
    change(&mut metadata);
    let read = read::<Metadata>(metadata.to_string().as_bytes()).map_err(|e| e.to_string())?;
    read.check("x").map_err(|e| e.to_string())
}

#[test]
fn a_plugin_must_sign_by_the_contract_that_is_spoken() {
    metadata(|_| {}).unwrap();
    assert!(metadata(|m| m["name"] = "y".into()).unwrap_err().contains("\"x\" expected, y found"));
    assert!(
        metadata(|m| m["supportedContractVersions"] = json!(["1.1", "2.0"]))
            .unwrap_err()
            .contains("1.1, 2.0")
    );
    let envelope = json!(["SIGNATURE_GENERATOR.ENVELOPE"]);
    assert!(metadata(|m| m["capabilities"] = envelope.clone()).unwrap_err().contains("RAW expected"));
    assert!(metadata(|m| m["capabilities"] = json!("SIGNATURE_GENERATOR.RAW")).is_err());
    assert!(
        read::<Metadata>(br#"{"name":"x","name":"x","supportedContractVersions":[],"capabilities":[]}"#)
            .is_err()
    );
}

fn signed(change: impl Fn(&mut serde_json::Value)) -> Result<Made, String> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let made = rcgen::CertificateParams::new(vec!["x".to_owned()]).unwrap().self_signed(&key).unwrap();
    let mut answer = json!({
        "keyId": "k", "signature": STANDARD.encode([1, 2]), "signingAlgorithm": "ECDSA-SHA-256",
        "certificateChain": [STANDARD.encode(made.der())],
    });
    change(&mut answer);
    let read = read::<Signed>(answer.to_string().as_bytes()).map_err(|e| e.to_string())?;
    read.made("k", SPECS[3]).map_err(|e| e.to_string())
}

#[test]
fn a_signature_comes_with_what_was_asked_for() {
    let made = signed(|_| {}).unwrap();
    assert_eq!((made.signature, made.chain.len()), (vec![1, 2], 1));
    assert!(signed(|a| a["keyId"] = "other".into()).unwrap_err().contains("the key other"));
    assert!(
        signed(|a| a["signingAlgorithm"] = "ECDSA-SHA-384".into())
            .unwrap_err()
            .contains("ECDSA-SHA-384 found")
    );
    assert!(signed(|a| a["certificateChain"] = json!([])).unwrap_err().contains("0 certificates"));
    assert!(
        signed(|a| a["certificateChain"] = vec!["AAAA"; 11].into()).unwrap_err().contains("11 certificates")
    );
    assert!(signed(|a| a["certificateChain"] = json!(["!"])).unwrap_err().contains("not base64"));
    assert!(
        signed(|a| a["certificateChain"] = json!(["AAAA"])).unwrap_err().contains("a certificate that is")
    );
    assert!(signed(|a| a["signature"] = "!".into()).unwrap_err().contains("not base64"));
}

#[test]
fn a_certificate_of_another_kind_of_key_is_refused() {
    let chain = signed(|_| {}).unwrap().chain;
    let answer = json!({
        "keyId": "k", "signature": "", "signingAlgorithm": "ECDSA-SHA-384",
        "certificateChain": [STANDARD.encode(chain[0].der())],
    });
    let read = read::<Signed>(answer.to_string().as_bytes()).unwrap();
    assert!(read.made("k", SPECS[4]).unwrap_err().to_string().contains("of a P-256 key, P-384 expected"));
}

#[test]
fn a_key_is_of_a_kind_that_the_contract_has() {
    let description = |id: &str, spec: &str| Description { key_id: id.to_owned(), key_spec: spec.to_owned() };
    for spec in SPECS {
        assert_eq!(description("k", spec.name).spec("k").unwrap(), spec);
    }
    assert!(description("k", "RSA-1024").spec("k").is_err());
    assert!(description("j", "EC-256").spec("k").is_err());
}

#[test]
fn errors_have_their_codes_meaning() {
    let refused = |code: &str| {
        let written = json!({ "errorCode": code, "errorMessage": "no\u{1b}[1m" }).to_string();
        refusal(written.as_bytes()).to_string()
    };
    assert_eq!(refused("ACCESS_DENIED"), "the plug-in refused: access to the key is denied: no\\u{1b}[1m");
    assert_eq!(refused("ERROR"), "the plug-in refused: no\\u{1b}[1m");
    assert_eq!(refusal(b"trouble\n").to_string(), "the plug-in refused: trouble\\n");
    for code in ["VALIDATION_ERROR", "UNSUPPORTED_CONTRACT_VERSION", "TIMEOUT", "THROTTLED"] {
        assert_ne!(refused(code), refused("ERROR"), "{code}");
    }
}
