//! A software token (SoftHSM2), asked through PKCS #11.

mod pins;
mod several;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use portcullis::signing::SigningKey;
use portcullis::x509::{Algorithm, Encoding, Hash, KeyKind};

use super::super::content;
use super::super::process::run;
use super::super::proxy::{PORTCULLIS, config};
use super::super::signing::Proof;
use super::super::stand::{SIGNED, Stand};
use super::super::upstream::Kind;
use super::Desk;

const PIN: &str = "271828";
const KINDS: [&str; 6] = ["p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096"];

/// A token that holds a key of each kind; the same keys are beside it as files, to compare with.
fn token() -> Desk {
    let mut desk = Desk::new();
    let tokens = desk.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let settings = format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display());
    let settings = desk.file("softhsm2.conf", &settings);
    desk.variables.push(("SOFTHSM2_CONF", settings.display().to_string()));
    desk.file("pin", &format!("{PIN}\n"));
    let init = ["--init-token", "--free", "--label", "The token", "--so-pin", "314159", "--pin", PIN];
    desk.run("softhsm2-util", &init).passed();
    for (at, kind) in KINDS.into_iter().enumerate() {
        let (file, id) = (format!("{kind}.pem"), format!("0{at}"));
        desk.portcullis(&["key", "generate", "--kind", kind, "-o", &file]).passed();
        let import = ["--import", &file, "--token", "The token", "--label", kind, "--id", &id, "--pin", PIN];
        desk.run("softhsm2-util", &import).passed();
    }
    desk
}

fn uri(attributes: &str) -> String {
    format!("pkcs11:{attributes}?module-path={}", module())
}

/// Debian's and others' places.
fn module() -> String {
    let places = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"];
    places.into_iter().find(|place| std::path::Path::new(place).exists()).unwrap().to_owned()
}

/// A module before it, by which it is another sort of token.
fn module_with(desk: &Desk, trait_of_it: &str) -> String {
    desk.file("module.c", include_str!("token/module.c"));
    let (with, real) = (format!("-D{trait_of_it}"), format!("-DMODULE=\"{}\"", module()));
    desk.run("cc", &["-shared", "-fPIC", "-w", &with, &real, "-o", "other.so", "module.c", "-ldl"]).passed();
    desk.path().join("other.so").display().to_string()
}

#[test]
#[ignore = "needs softhsm2, openssl"]
fn needs_softhsm2_keys_in_a_token_sign_what_their_public_halves_verify() {
    let desk = token();
    for kind in KINDS {
        let name = uri(&format!("token=The%20token;object={kind}")) + "&pin-source=pin";
        let file = format!("{kind}.pem");
        assert_eq!(desk.public(&name, &[]), desk.public(&file, &[]), "{kind}");
        desk.signs(&name, &[]);
    }
}

#[test]
#[ignore = "needs softhsm2, openssl"]
fn needs_softhsm2_a_pin_comes_from_a_file_and_shows_nowhere() {
    let desk = token();
    let name = uri("token=The%20token;id=%01");
    let with = ["--key-password-file", "pin"];
    assert_eq!(desk.public(&name, &with), desk.public("p384.pem", &[]));
    desk.portcullis(&["key", "show", &name]).failed().says("there is no terminal to ask for it");
    desk.file("other", "161803");
    for (name, arguments) in
        [(name.clone(), &["--key-password-file", "other"][..]), (name.clone() + "&pin-source=other", &[])]
    {
        let refused = desk.portcullis(&[&["key", "show", &name], arguments].concat()).failed();
        let refused = refused.says("the PIN is not accepted");
        assert!(!refused.text.contains("161803"), "{}", refused.text);
    }
    let value = format!("{name}&pin-value={PIN}");
    let refused = desk.portcullis(&["key", "show", &value]).failed().says("pin-source");
    assert!(!refused.text.contains(PIN), "{}", refused.text);
}

#[test]
#[ignore = "needs softhsm2, openssl"]
fn needs_softhsm2_a_name_that_is_not_one_key_is_refused() {
    let desk = token();
    let pin = ["--key-password-file", "pin"];
    for (attributes, why) in [
        ("token=Another", "found 0 of 1: there are token=The token"),
        ("token=The%20token", "expected one private key that the URI names, found 6"),
        ("token=The%20token;object=absent", "found 0"),
        ("serial=0", "expected one token"),
        ("slot-id=1", "expected one token"),
    ] {
        desk.portcullis(&[&["key", "show", &uri(attributes)][..], &pin].concat()).failed().says(why);
    }
    let absent = "pkcs11:token=t?module-path=/absent/module.so";
    desk.portcullis(&["key", "show", absent])
        .failed()
        .says("/absent/module.so does not serve as a PKCS #11 module");
}

/// Makes a key in the token.
fn make(desk: &Desk, arguments: &str) {
    let module = module();
    let login = ["--module", &module, "--token-label", "The token", "--login", "--pin", PIN, "--keypairgen"];
    desk.run("pkcs11-tool", &[&login[..], &arguments.split(' ').collect::<Vec<_>>()].concat()).passed();
}

/// SoftHSM2 imports no Ed25519 keys, but makes them.
#[test]
#[ignore = "needs softhsm2, opensc, openssl"]
fn needs_softhsm2_a_key_that_was_made_in_the_token_asks_for_its_certificate() {
    let desk = token();
    make(&desk, "--key-type EC:edwards25519 --label ed --id 0a");
    desk.certify(&uri("object=ed"), "signer.crt", &["--key-password-file", "pin"]);
}

/// RSASSA-PSS by each hash, as notation itself verifies it.
#[test]
#[ignore = "needs softhsm2, notation, openssl"]
fn needs_softhsm2_notation_verifies_what_keys_in_a_token_sign() {
    let desk = token();
    let names = ["rsa2048", "rsa3072", "rsa4096", "p384"].map(|kind| uri(&format!("object={kind}")));
    desk.notation_verifies(&names, &["--key-password-file", "pin"]);
}

/// Such a key takes no signature without the PIN, which is entered within each.
#[test]
#[ignore = "needs softhsm2, opensc, notation, openssl"]
fn needs_softhsm2_a_key_that_asks_for_its_pin_each_time_signs() {
    let desk = token();
    let with = ["--key-password-file", "pin"];
    make(&desk, "--key-type rsa:2048 --label always --id 0a --always-auth");
    make(&desk, "--key-type EC:prime256v1 --label curve --id 0b --always-auth");
    let shown = ["--module", &module(), "--login", "--pin", PIN, "--list-objects", "--type", "privkey"];
    desk.run("pkcs11-tool", &[&shown[..], &["--token-label", "The token"]].concat()).passed().says("always");
    let name = uri("object=always");
    desk.signs(&name, &with);
    desk.notation_verifies(&[name], &with);
    // SoftHSM2 2.6 hashes for no curve, so that it has no place for a PIN there.
    let request = ["key", "certificate-request", "--subject", "CN=a", &uri("object=curve")];
    desk.portcullis(&[&request[..], &with].concat()).failed().says("the token does not sign by ECDSA-SHA256");
}

/// Where the test below finds its token: it runs in a process of its own, since the module reads its settings from the
/// environment.
const WITHIN: &str = "PORTCULLIS_TEST_TOKEN";

#[test]
#[ignore = "needs softhsm2"]
fn needs_softhsm2_a_session_that_the_module_lets_go_of_comes_back() {
    let desk = token();
    let mut own = desk.command(std::env::current_exe().unwrap().to_str().unwrap());
    own.args(["--ignored", "--exact", "keys::token::needs_softhsm2_within_a_process_of_its_own"]);
    run(own.env(WITHIN, uri("object=p256") + "&pin-source=pin")).passed().says("1 passed");
}

#[test]
#[ignore = "part of the one above"]
fn needs_softhsm2_within_a_process_of_its_own() {
    let Ok(name) = std::env::var(WITHIN) else { return };
    let key = SigningKey::open(&name, &|| panic!("the file has the PIN")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sign = || {
        let algorithm = Algorithm::Ecdsa(Hash::Sha256, Encoding::Fixed);
        runtime.block_on(key.sign(algorithm, b"message")).map_err(|e| e.to_string())
    };
    sign().unwrap();
    let module = || Pkcs11::new(module()).unwrap();
    let start = || module().initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    // All sessions end, as when a token is taken out and put in again.
    let restart = || {
        module().finalize().unwrap();
        start();
    };
    restart();
    sign().unwrap();
    sign().unwrap();
    // Somebody else within the process logs out.
    let session = || {
        let module = module();
        let slot = module.get_slots_with_initialized_token().unwrap()[0];
        module.open_rw_session(slot).unwrap()
    };
    session().logout().unwrap();
    sign().unwrap();
    // Another PIN: it is tried once, and not until the token locks.
    let pin = |text: &str| AuthPin::new(text.into());
    session().set_pin(&pin(PIN), &pin("161803")).unwrap();
    sign().unwrap();
    restart();
    assert!(sign().unwrap_err().contains("the PIN is not accepted: it is another one"));
    let anew = || SigningKey::open(&name, &|| panic!("the file has the PIN")).map_err(|e| e.to_string());
    for _ in 0..2 {
        assert!(sign().unwrap_err().contains("it was refused before and is not tried again"));
        assert!(anew().unwrap_err().contains("it was refused before and is not tried again"));
    }
    // Nor is another one, until somebody has shown that it is right.
    std::fs::write("pin", "161803").unwrap();
    assert!(anew().unwrap_err().contains("until somebody has logged in by hand"));
    assert!(sign().unwrap_err().contains("until somebody has logged in by hand"));
    let by_hand = session();
    by_hand.login(UserType::User, Some(&pin("161803"))).unwrap();
    by_hand.logout().unwrap();
    drop(by_hand);
    sign().unwrap();
}

#[test]
#[ignore = "needs softhsm2"]
fn needs_softhsm2_keys_of_a_token_that_restarts_are_not_taken_for_each_other() {
    let desk = token();
    let mut own = desk.command(std::env::current_exe().unwrap().to_str().unwrap());
    own.args(["--ignored", "--exact", "keys::token::needs_softhsm2_restarts_within_a_process_of_its_own"]);
    run(own.env(WITHIN, uri("object=KIND") + "&pin-source=pin")).passed().says("1 passed");
}

#[test]
#[ignore = "part of the one above"]
fn needs_softhsm2_restarts_within_a_process_of_its_own() {
    let Ok(name) = std::env::var(WITHIN) else { return };
    let open =
        |kind| SigningKey::open(&name.replace("KIND", kind), &|| panic!("the file has the PIN")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sign = |key: &SigningKey| {
        let algorithm = match key.public().kind() {
            KeyKind::P256 => Algorithm::Ecdsa(Hash::Sha256, Encoding::Fixed),
            _ => Algorithm::RsaPkcs1(Hash::Sha256),
        };
        runtime.block_on(key.sign(algorithm, b"message")).map(drop).map_err(|e| e.to_string())
    };
    let restart = || {
        Pkcs11::new(module()).unwrap().finalize().unwrap();
        let module = Pkcs11::new(module()).unwrap();
        module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    };
    let keys = ["rsa2048", "rsa3072", "p256"].map(open);
    for _ in 0..2 {
        // Whichever signs first has the session's number, and objects are numbered in the order in which they are found.
        restart();
        for key in keys.iter().rev().chain(&keys) {
            assert_eq!(sign(key), Ok(()));
        }
    }
    // Nor does one that is opened meanwhile, as by a reload, have the others sign in its place, or end with them.
    restart();
    let fourth = open("rsa4096");
    let [first, second, third] = keys;
    assert_eq!([sign(&second), sign(&third)], [Ok(()), Ok(())]);
    drop([first, second, third]);
    assert_eq!(sign(&fourth), Ok(()));
}

/// Verifying asks nobody for a PIN: the public half is shown to everybody.
#[test]
#[ignore = "needs softhsm2, cosign"]
fn needs_softhsm2_what_its_keys_sign_verifies_by_their_names() {
    let (stand, desk) = (Stand::new(Kind::Referrers), token());
    let mut import = stand.command("cosign");
    import.args(["import-key-pair", "--yes", "--output-key-prefix", "cosign", "--key"]);
    run(import.arg(desk.path().join("p256.pem")).env("COSIGN_PASSWORD", "")).passed();
    let digest = stand.push(SIGNED, content::image);
    stand.sign(Proof::CosignTag, SIGNED, &digest);
    let verify = |attributes: &str| {
        let written = config(&stand, "verify.yaml", "{}");
        let text = std::fs::read_to_string(&written).unwrap();
        let text = text.replace(&stand.cosign_key().display().to_string(), &uri(attributes));
        std::fs::write(&written, text).unwrap();
        let mut verify = desk.command(PORTCULLIS);
        run(verify.args(["verify", "--config"]).arg(written).arg(format!("docker.io/{SIGNED}:v1")))
    };
    verify("object=p256").passed();
    assert_eq!(verify("object=p384").code, Some(1));
    let absent = verify("object=absent").says("signers.wabbit.cosign.key: the token shows no public half");
    assert_eq!(absent.code, Some(64));
    for (key, code) in [("p256", 0), ("p384", 1)] {
        let mut verify = desk.command(PORTCULLIS);
        verify.args(["verify", "--insecure-ignore-tlog", "--insecure-registry", "--key"]);
        verify.arg(uri(&format!("object={key}")));
        verify.arg(format!("{}/{SIGNED}@{digest}", stand.upstream.address()));
        let outcome = run(&mut verify);
        assert_eq!(outcome.code, Some(code), "{}", outcome.text);
    }
}
