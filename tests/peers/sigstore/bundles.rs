//! Bundles in a registry with the referrers API, read and replaced by `tests/fixtures/sigstore/registry.py`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process::run;
use crate::stand::Stand;

impl Stand {
    fn in_registry(&self, command: &str, repository: &str, arguments: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sigstore/registry.py");
        let mut python = self.command("python3");
        python.arg(script).arg(command).arg(format!("http://{}/{repository}", self.upstream.address()));
        run(python.args(arguments)).passed();
    }

    fn written(&self, bundle: &Value) -> PathBuf {
        self.file("bundle.json", &bundle.to_string())
    }

    /// The one bundle that refers to the digest.
    pub fn bundle(&self, repository: &str, digest: &str) -> Value {
        let file = self.home().join("bundle.json");
        self.in_registry("bundle", repository, &[digest, file.to_str().unwrap()]);
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    }

    /// Puts another in its place.
    pub fn replace_bundle(&self, repository: &str, digest: &str, bundle: &Value) {
        self.in_registry("rebundle", repository, &[digest, self.written(bundle).to_str().unwrap()]);
    }

    /// Lets a bundle refer to the digest.
    pub fn attach_bundle(&self, repository: &str, digest: &str, bundle: &Value) {
        self.in_registry("attach", repository, &[digest, self.written(bundle).to_str().unwrap()]);
    }
}
