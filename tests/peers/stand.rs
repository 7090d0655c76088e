//! What a test stands on: a folder, an upstream registry with content, keys, and the proxy before it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::content::{self, Layout};
use super::namespace::Place;
use super::process::run;
use super::proxy::Proxy;
use super::signing::Proof;
use super::upstream::{Kind, Upstream};

/// The signed image's repository, as Docker Hub's name would be.
pub const SIGNED: &str = "wabbit-networks/net-monitor";
/// A repository whose image nobody signed.
pub const UNSIGNED: &str = "wabbit-networks/unsigned";

/// Fields are dropped in order: servers before the place they run in, the folder last.
pub struct Stand {
    pub upstream: Upstream,
    pub place: Place,
    home: TempDir,
}

impl Stand {
    /// An empty upstream, and keys.
    pub fn new(kind: Kind) -> Self {
        Self::in_place(kind, |_| Place::Machine)
    }

    /// The same in namespaces of its own, where `names` are loopback.
    pub fn apart(kind: Kind, names: &[&str]) -> Self {
        Self::in_place(kind, |home| Place::apart(names, home))
    }

    /// An upstream with a signed and an unsigned image, both tagged `v1` and `latest`.
    pub fn with_images(kind: Kind, proof: Proof) -> Self {
        let stand = Self::new(kind);
        stand.push_images(proof);
        stand
    }

    /// Both upstreams, and a signature as each holds it: what a client has to work with.
    pub fn each() -> impl Iterator<Item = Self> {
        [(Kind::TagSchema, Proof::CosignTag), (Kind::Referrers, Proof::NotationCose)]
            .into_iter()
            .map(|(kind, proof)| Self::with_images(kind, proof))
    }

    fn in_place(kind: Kind, place: impl FnOnce(&Path) -> Place) -> Self {
        let home = tempfile::Builder::new().prefix("portcullis-").tempdir().unwrap();
        let place = place(home.path());
        let upstream = Upstream::start(kind, &place, home.path());
        let stand = Self { upstream, place, home };
        stand.make_keys();
        stand
    }

    /// Pushes the signed and the unsigned image.
    pub fn push_images(&self, proof: Proof) {
        let digest = self.push(SIGNED, content::image);
        self.sign(proof, SIGNED, &digest);
        self.push(UNSIGNED, content::image);
    }

    /// Pushes new content under `v1` and `latest`: its digest.
    pub fn push(&self, repository: &str, make: impl FnOnce(&Path) -> Layout) -> String {
        let layout = make(&self.home().join("layouts").join(repository));
        for tag in ["v1", "latest"] {
            let source = format!("oci:{}:v1", layout.folder.display());
            let target = format!("docker://{}/{repository}:{tag}", self.upstream.address());
            let mut copy = self.command("skopeo");
            copy.args(["copy", "--all", "--preserve-digests", "--dest-tls-verify=false"]);
            run(copy.args([&source, &target])).passed();
        }
        layout.digest
    }

    /// Starts the proxy.
    pub fn proxy(&self) -> Proxy {
        Proxy::start(self)
    }

    /// A command in this stand's place, at home in its folder.
    pub fn command(&self, program: &str) -> Command {
        self.place.command(program, self.home())
    }

    /// The folder.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A file of the folder, written.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}
