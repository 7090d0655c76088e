//! Keys that are kept elsewhere: the built program asks their real keepers to sign.

mod kms;
mod plugin;
mod token;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use super::content;
use super::notary::tool::simple;
use super::process::{Outcome, command, run};
use super::proxy::PORTCULLIS;
use super::stand::{SIGNED, Stand};
use super::upstream::Kind;

/// A folder to sign in, with a manifest.
struct Desk {
    home: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Desk {
    fn new() -> Self {
        let home = tempfile::Builder::new().prefix("portcullis-").tempdir().unwrap();
        let desk = Self { home, variables: Vec::new() };
        desk.file("manifest.json", r#"{"schemaVersion":2}"#);
        desk
    }

    fn path(&self) -> &Path {
        self.home.path()
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = command(program, self.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Outcome {
        run(self.command(program).args(arguments))
    }

    fn portcullis(&self, arguments: &[&str]) -> Outcome {
        self.run(PORTCULLIS, arguments)
    }

    /// The public half (PEM) of the key that `name` names.
    fn public(&self, name: &str, more: &[&str]) -> String {
        let shown = self.portcullis(&[&["key", "show", name], more].concat()).passed().stdout;
        shown[shown.find("-----BEGIN").unwrap()..].to_owned()
    }

    /// Signs the manifest as the prototype does, with a certificate that the key itself asked for, and has the
    /// signature verified.
    fn signs(&self, name: &str, more: &[&str]) {
        self.certify(name, "signer.crt", more);
        let sign = ["nv2", "sign", "-k", name, "-c", "signer.crt", "-o", "s.jwt", "file:manifest.json"];
        self.portcullis(&[&sign[..], more].concat()).passed();
        let verify = ["nv2", "verify", "-f", "s.jwt", "-c", "signer.crt", "file:manifest.json"];
        self.portcullis(&verify).passed();
    }

    /// Signs an image with each key in both forms of notation's, and has notation verify it and refuse another root.
    fn notation_verifies(&self, names: &[String], more: &[&str]) {
        let stand = Stand::new(Kind::Referrers);
        let folder = stand.notation_folder().join("truststore/x509/ca/keys");
        std::fs::create_dir_all(&folder).unwrap();
        for name in names {
            self.certify(name, "leaf.crt", more);
            self.file("chain.crt", &(self.read("leaf.crt") + &self.read("ca.crt")));
            std::fs::copy(self.path().join("ca.crt"), folder.join("ca.crt")).unwrap();
            for form in ["jws", "cose"] {
                let image = stand.reference(SIGNED, &stand.push(SIGNED, content::image));
                let sign = ["sign", "--insecure", "--format", "notation", "--form", form, "--key", name];
                let with = ["--certificate-chain", "chain.crt", &image];
                self.portcullis(&[&sign[..], &with, more].concat()).passed();
                stand.policy(&simple(json!({ "level": "strict" }), &["ca:keys"]));
                stand.notation_verify(&image).passed();
                stand.policy(&simple(json!({ "level": "strict" }), &["ca:acme-rockets.io"]));
                stand.notation_verify(&image).failed();
            }
        }
    }

    /// Has openssl check a request of the key's, and an authority of openssl's certify it.
    fn certify(&self, name: &str, output: &str, more: &[&str]) {
        let subject = ["--subject", "CN=registry.acme.example,O=ACME Rockets\\, Inc.,C=US"];
        let request = ["key", "certificate-request", name];
        let names = ["--name", "registry.acme.example"];
        let request = self.portcullis(&[&request[..], &subject, &names, more].concat()).passed();
        self.file("request.csr", &request.stdout);
        self.run("openssl", &["req", "-verify", "-in", "request.csr", "-noout"]).passed().says("verify OK");
        let shown =
            self.run("openssl", &["req", "-in", "request.csr", "-noout", "-subject", "-text"]).passed();
        shown
            .says("C = US, O = \"ACME Rockets, Inc.\", CN = registry.acme.example")
            .says("DNS:registry.acme.example");
        if !self.path().join("ca.key").exists() {
            let ca = "req -x509 -nodes -newkey rsa:2048 -days 9 -subj /CN=ca -keyout ca.key -out ca.crt -addext keyUsage=critical,keyCertSign,cRLSign";
            self.run("openssl", &ca.split(' ').collect::<Vec<_>>()).passed();
        }
        self.file("leaf.ext", "keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n");
        let sign = "x509 -req -in request.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 9 -extfile leaf.ext -out";
        self.run("openssl", &[&sign.split(' ').collect::<Vec<_>>()[..], &[output]].concat()).passed();
    }
}
