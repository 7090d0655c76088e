//! PINs that nobody asks for, and those that are not asked for again.

use cryptoki::context::Pkcs11;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use portcullis::signing::SigningKey;

use super::super::super::process::{Daemon, free_port, run};
use super::super::super::proxy::PORTCULLIS;
use super::{PIN, WITHIN, make, module, module_with, token, uri};

/// SoftHSM2 itself wants everybody to log in.
#[test]
#[ignore = "needs softhsm2, opensc, openssl, cc"]
fn needs_softhsm2_a_key_asks_for_its_pin_where_its_token_does_not() {
    let desk = token();
    make(&desk, "--key-type rsa:2048 --label always --id 0a --always-auth");
    let module = module_with(&desk, &format!("OPEN=\"{PIN}\""));
    let name = |object: &str, more: &str| format!("pkcs11:object={object}?module-path={module}{more}");
    desk.signs(&name("p256", ""), &[]);
    desk.signs(&name("always", "&pin-source=pin"), &[]);
    // Nobody is asked before it is known whether somebody has to be.
    let with = ["--key-password-file", "pin"];
    desk.portcullis(&[&["key", "show", &name("always", "")], &with[..]].concat())
        .failed()
        .says("it asks for a PIN with each signature: name its file in pin-source");
    desk.file("other", "161803");
    let request = ["key", "certificate-request", "--subject", "CN=a"];
    desk.portcullis(&[&request[..], &[&name("always", "&pin-source=other")]].concat())
        .failed()
        .says("the PIN is not accepted: it is another one");
}

#[test]
#[ignore = "needs softhsm2, openssl"]
fn needs_softhsm2_another_pin_is_told_while_a_token_is_logged_into() {
    let desk = token();
    let name = uri("object=p256");
    desk.certify(&(name.clone() + "&pin-source=pin"), "signer.crt", &[]);
    let policy = |image: &str, pin: &str| {
        let key = format!("{name}&pin-source={pin}");
        format!(
            "  - {{ name: {image}, scopes: [docker.io/{image}], require: wabbit, \
             counter_sign: {{ key: \"{key}\", formats: [cosign_bundle] }} }}\n"
        )
    };
    let policies = policy("a", "pin") + &policy("b", "other");
    let head = "upstreams: { docker.io: { offline: true } }\n\
         signers: { wabbit: { nv2: { certificates: [signer.crt] } } }\npolicies:\n";
    desk.file("portcullis.yaml", &(head.to_owned() + &policies));
    let told = |pin: &str| {
        desk.file("other", pin);
        let checked = desk.portcullis(&["check", "portcullis.yaml"]).passed();
        assert!(!checked.text.contains(pin), "{}", checked.text);
        checked.text.contains("the PIN is another one than the token took")
    };
    assert_eq!([told(PIN), told("161803")], [false, true]);
    // It took no try.
    let shown = desk.run("pkcs11-tool", &["--module", &module(), "--list-token-slots"]).passed();
    assert!(!shown.text.contains("user PIN count low"), "{}", shown.text);
}

/// A server looks at the file of the PIN: nobody needs to tell it that the token was given another one.
#[test]
#[ignore = "needs softhsm2, openssl"]
fn needs_softhsm2_a_server_takes_notice_of_another_pin() {
    let desk = token();
    let name = uri("object=p256") + "&pin-source=pin";
    desk.certify(&name, "signer.crt", &[]);
    let (listen, admin) = (free_port(), free_port());
    let text = format!(
        "listen: {{ address: \"127.0.0.1:{listen}\" }}\nadmin: {{ address: \"127.0.0.1:{admin}\" }}\n\
         store: {{ path: store }}\naudit: {{ path: audit.jsonl }}\nupstreams: {{ docker.io: {{ offline: true }} }}\n\
         signers: {{ wabbit: {{ nv2: {{ certificates: [signer.crt] }} }} }}\npolicies:\n  - {{ name: a, \
         scopes: [docker.io/a], require: wabbit, counter_sign: {{ key: \"{name}\", formats: [cosign_bundle] }} }}\n"
    );
    desk.file("portcullis.yaml", &text);
    let mut serve = desk.command(PORTCULLIS);
    serve.args(["serve", "--config", "portcullis.yaml"]);
    let says = |text: &'static str| move |daemon: &Daemon| daemon.output().contains(text);
    let daemon = Daemon::start(&serve, desk.path()).ready_when(says("serving"));
    desk.file("pin", "161803");
    let daemon = daemon.ready_when(says("the PIN is another one than the token took"));
    assert!(!daemon.output().contains("161803"), "{}", daemon.output());
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
#[ignore = "needs softhsm2"]
fn needs_softhsm2_a_pin_that_was_refused_is_refused_while_the_token_is_logged_into() {
    let desk = token();
    desk.file("other", "161803");
    let mut own = desk.command(std::env::current_exe().unwrap().to_str().unwrap());
    own.args([
        "--ignored",
        "--exact",
        "keys::token::pins::needs_softhsm2_refused_within_a_process_of_its_own",
    ]);
    run(own.env(WITHIN, uri("object=p256") + "&pin-source=")).passed().says("1 passed");
}

#[test]
#[ignore = "part of the one above"]
fn needs_softhsm2_refused_within_a_process_of_its_own() {
    let Ok(name) = std::env::var(WITHIN) else { return };
    let open = |pin: &str| {
        let opened = SigningKey::open(&(name.clone() + pin), &|| panic!("the file has the PIN"));
        opened.map(drop).map_err(|e| e.to_string())
    };
    assert!(open("other").unwrap_err().contains("the PIN is not accepted: it is another one"));
    let by_hand = Pkcs11::new(module()).unwrap();
    let slot = by_hand.get_slots_with_initialized_token().unwrap()[0];
    let by_hand = by_hand.open_rw_session(slot).unwrap();
    by_hand.login(UserType::User, Some(&AuthPin::new(PIN.into()))).unwrap();
    by_hand.logout().unwrap();
    assert_eq!(open("pin"), Ok(()));
    assert!(open("other").unwrap_err().contains("it was refused before and is not tried again"));
    assert_eq!(open("pin"), Ok(()));
}
