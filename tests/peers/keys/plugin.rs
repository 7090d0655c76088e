//! A signing plug-in as notation has them, which openssl signs for.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::super::process::run;
use super::super::signing::Proof;
use super::super::stand::Stand;
use super::super::upstream::Kind;
use super::Desk;

/// Installs it where notation would.
fn install(home: &Path) {
    let folder = home.join("config/notation/plugins/openssl");
    std::fs::create_dir_all(&folder).unwrap();
    let program = folder.join("notation-openssl");
    std::fs::write(&program, include_str!("notation-openssl")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A key of that kind with its certificates, and the name that the plug-in gives it.
fn key(desk: &Desk, kind: &str) -> String {
    let file = format!("{kind}.pem");
    desk.portcullis(&["key", "generate", "--kind", kind, "-o", &file]).passed();
    desk.certify(&file, "leaf.crt", &[]);
    desk.file(&format!("{kind}.chain"), &(desk.read("leaf.crt") + &desk.read("ca.crt")));
    format!("plugin:openssl?id={kind}&config.folder={}", desk.path().display())
}

#[test]
#[ignore = "needs openssl, python3"]
fn needs_openssl_keys_of_a_plugin_sign_what_their_public_halves_verify() {
    let desk = Desk::new();
    install(desk.path());
    for kind in ["p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096"] {
        let name = key(&desk, kind);
        assert_eq!(desk.public(&name, &[]), desk.public(&format!("{kind}.pem"), &[]), "{kind}");
        if kind.starts_with('p') {
            desk.signs(&name, &[]);
        } else {
            // The contract has RSASSA-PSS alone: authorities certify by it, nv2 has none.
            desk.certify(&name, "pss.crt", &[]);
            let shown = desk.run("openssl", &["req", "-in", "request.csr", "-noout", "-text"]).passed();
            shown.says("Signature Algorithm: rsassaPss");
            let sign = ["nv2", "sign", "-k", &name, "-c", "pss.crt", "-o", "s.jwt", "file:manifest.json"];
            desk.portcullis(&sign).failed().says("by RSA-PSS");
        }
    }
}

#[test]
#[ignore = "needs openssl, python3"]
fn needs_openssl_what_a_plugin_refuses_is_said() {
    let desk = Desk::new();
    let absent = "plugin:openssl?id=p256";
    desk.portcullis(&["key", "show", absent])
        .failed()
        .says("notation-openssl does not serve as a plug-in: No such file");
    install(desk.path());
    let shown = desk.portcullis(&["key", "show", absent]).failed();
    shown.says("the key's id or a setting is wrong: no folder is set");
    let name = key(&desk, "p256");
    let other = name.replace("id=p256", "id=p384");
    desk.portcullis(&["key", "show", &other]).failed().says("there is no key p384");
    desk.portcullis(&["key", "generate", "-o", "other.pem"]).passed();
    desk.file("p256.pem", &desk.read("other.pem"));
    desk.portcullis(&["key", "show", &name]).failed().says("does not verify with its own certificate");
}

/// That the plug-in of these tests is one by notation's own measure.
#[test]
#[ignore = "needs notation, openssl, python3"]
fn needs_notation_signs_with_the_same_plugin() {
    let desk = Desk::new();
    key(&desk, "p256");
    let stand = Stand::with_images(Kind::Referrers, Proof::NotationJws);
    install(stand.home());
    let image = format!("{}/{}:v1", stand.upstream.address(), super::super::stand::UNSIGNED);
    let mut notation = stand.command("notation");
    notation.args(["sign", "--insecure-registry", "--plugin", "openssl", "--id", "p256", &image]);
    notation.arg("--plugin-config").arg(format!("folder={}", desk.path().display()));
    run(&mut notation).passed().says("Successfully signed");
}
