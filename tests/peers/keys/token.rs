//! A software token (SoftHSM2), asked through PKCS #11.

use super::super::content;
use super::super::process::run;
use super::super::proxy::{PORTCULLIS, config};
use super::super::signing::Proof;
use super::super::stand::{SIGNED, Stand};
use super::super::upstream::Kind;
use super::Desk;

const PIN: &str = "271828";

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
    for (at, kind) in ["p256", "p384", "p521", "rsa2048", "rsa3072"].into_iter().enumerate() {
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

#[test]
#[ignore = "needs softhsm2, openssl"]
fn needs_softhsm2_keys_in_a_token_sign_what_their_public_halves_verify() {
    let desk = token();
    for kind in ["p256", "p384", "p521", "rsa2048", "rsa3072"] {
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
        ("token=The%20token", "expected one private key that the URI names, found 5"),
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

/// SoftHSM2 imports no Ed25519 keys, but makes them.
#[test]
#[ignore = "needs softhsm2, opensc, openssl"]
fn needs_softhsm2_a_key_that_was_made_in_the_token_asks_for_its_certificate() {
    let desk = token();
    let pair = "--login --keypairgen --key-type EC:edwards25519 --label ed --id 0a --token-label";
    let mut make = vec!["--pin", PIN, "--module"];
    let module = module();
    make.push(&module);
    make.extend(pair.split(' '));
    make.push("The token");
    desk.run("pkcs11-tool", &make).passed();
    desk.certify(&uri("object=ed"), "signer.crt", &["--key-password-file", "pin"]);
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
