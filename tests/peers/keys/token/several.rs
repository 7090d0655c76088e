//! Signatures that a token makes at the same time.

use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use futures_util::future::join_all;
use portcullis::signing::SigningKey;
use portcullis::x509::{Algorithm, Encoding, Hash, KeyKind};

use super::super::super::process::run;
use super::{WITHIN, module, module_with, token};

/// What each signature takes.
const SLOW: Duration = Duration::from_millis(200);

#[test]
#[ignore = "needs softhsm2, cc"]
fn needs_softhsm2_a_token_signs_several_at_once() {
    let desk = token();
    let module = module_with(&desk, &format!("SLOW={}", SLOW.as_micros()));
    let mut own = desk.command(std::env::current_exe().unwrap().to_str().unwrap());
    own.args([
        "--ignored",
        "--exact",
        "keys::token::several::needs_softhsm2_several_within_a_process_of_its_own",
    ]);
    let name = format!("pkcs11:object=KIND?module-path={module}&pin-source=pin");
    run(own.env(WITHIN, name)).passed().says("1 passed");
}

async fn sign(key: &SigningKey) -> Result<(), String> {
    let algorithm = match key.public().kind() {
        KeyKind::P256 => Algorithm::Ecdsa(Hash::Sha256, Encoding::Fixed),
        _ => Algorithm::RsaPkcs1(Hash::Sha256),
    };
    key.sign(algorithm, b"message").await.map(drop).map_err(|e| e.to_string())
}

#[test]
#[ignore = "part of the one above"]
fn needs_softhsm2_several_within_a_process_of_its_own() {
    let Ok(name) = std::env::var(WITHIN) else { return };
    let open =
        |kind| SigningKey::open(&name.replace("KIND", kind), &|| panic!("the file has the PIN")).unwrap();
    let keys = ["p256", "rsa2048"].map(open);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let eight = || {
        let start = Instant::now();
        // Each is verified with its key's public half before it is given away.
        let signed = runtime.block_on(join_all(keys.iter().cycle().take(8).map(sign)));
        assert!(signed.iter().all(Result::is_ok), "{signed:?}");
        start.elapsed()
    };
    let at_once = || {
        let taken = eight();
        assert!(taken >= 2 * SLOW, "four at once, not more: {taken:?}");
        assert!(taken < 6 * SLOW, "one after the other: {taken:?}");
    };
    at_once();
    // The token lets go of one session, and of all.
    std::fs::write("cut", "").unwrap();
    eight();
    assert!(!std::path::Path::new("cut").exists());
    at_once();
    Pkcs11::new(module()).unwrap().finalize().unwrap();
    let module = Pkcs11::new(module()).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    eight();
    at_once();
}
