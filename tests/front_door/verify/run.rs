//! The program, the fixtures, and folders of notation's configuration.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;
use serde_json::{Value, json};

/// What layouts are called in trust policies.
pub const SCOPE: &str = "acme.test/net-monitor";

/// A fixture: an image in a layout, and what notation said about it.
#[derive(Deserialize)]
pub struct Case {
    pub case: String,
    pub digest: String,
    pub verify: Vec<Verdict>,
}

/// One run of the notation CLI.
#[derive(Deserialize)]
pub struct Verdict {
    pub policy: Value,
    pub ca: String,
    pub tsa: Option<String>,
    #[serde(default)]
    pub args: Vec<String>,
    pub rc: i32,
}

/// What a run of ours came to.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/notation")
}

pub fn case(name: &str) -> Case {
    serde_json::from_slice(&fs::read(fixtures().join(name).join("case.json")).unwrap()).unwrap()
}

pub fn cases() -> Vec<Case> {
    let names = fs::read_dir(fixtures()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| fixtures().join(name).join("case.json").exists()).collect();
    names.sort();
    names.iter().map(|name| case(name)).collect()
}

/// A fixture's layout with its image: what is given as reference.
pub fn layout(case: &Case) -> String {
    format!("{}@{}", fixtures().join(&case.case).join("oci").display(), case.digest)
}

/// A folder of notation's configuration.
pub struct Folder(pub tempfile::TempDir);

impl Folder {
    pub fn of(verdict: &Verdict) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("trustpolicy.json", verdict.policy.to_string());
        folder.trust("ca", &verdict.ca);
        if let Some(tsa) = &verdict.tsa {
            folder.trust("tsa", tsa);
        }
        folder
    }

    /// One statement for everything, as `change` makes it.
    pub fn with(change: impl FnOnce(&mut Value)) -> Self {
        let mut statement = json!({
            "name": "all",
            "registryScopes": ["*"],
            "signatureVerification": {"level": "strict"},
            "trustStores": ["ca:t"],
            "trustedIdentities": ["*"],
        });
        change(&mut statement);
        let folder = Self(tempfile::tempdir().unwrap());
        let policy = json!({"version": "1.0", "trustPolicies": [statement]});
        folder.write("trustpolicy.oci.json", policy.to_string());
        folder.trust("ca", "root.pem");
        folder
    }

    pub fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Puts a certificate of the fixtures into the store `KIND:t`.
    fn trust(&self, kind: &str, file: &str) {
        let name = Path::new(file).file_name().unwrap().to_str().unwrap();
        let certificate = fs::read(fixtures().join("pki").join(name)).unwrap();
        self.write(&format!("truststore/x509/{kind}/t/{name}"), certificate);
    }

    /// Verifies what lies in a layout.
    pub fn verify(&self, layout: &str, arguments: &[&str]) -> Outcome {
        let scope = ["--oci-layout", "--scope", SCOPE, layout];
        self.run(&[&scope[..], arguments].concat())
    }

    /// `verify --notation-config` with these arguments.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        let folder = self.0.path().to_str().unwrap();
        portcullis(&[&["verify", "--notation-config", folder], arguments].concat())
    }
}

pub fn portcullis(arguments: &[&str]) -> Outcome {
    portcullis_in(&fixtures(), &BTreeMap::new(), arguments)
}

/// Runs the program in a folder, with these variables.
pub fn portcullis_in(folder: &Path, env: &BTreeMap<String, String>, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let home = tempfile::tempdir().unwrap();
    command.args(arguments).current_dir(folder).env("HOME", home.path());
    command.env_remove("DOCKER_CONFIG").env_remove("RUST_LOG").envs(env);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { code: status.code(), out: text(stdout), err: text(stderr) }
}
