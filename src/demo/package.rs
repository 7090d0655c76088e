//! What is pushed to the demo's registries: a manifest with all that belongs to it. Built here, not
//! read: hostile manifests come from editing honest ones.

use bytes::Bytes;
use serde_json::{Value, json};

use super::archive;
use crate::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST, EMPTY, OCI_INDEX, OCI_MANIFEST};
use crate::oci::{Algorithm, Descriptor, Digest};

const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const IMAGE_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A manifest, the blobs it names and the manifests it lists.
#[derive(Clone, Debug)]
pub struct Package {
    json: Value,
    bytes: Bytes,
    descriptor: Descriptor,
    blobs: Vec<Bytes>,
    children: Vec<Package>,
}

impl Package {
    /// An image with one layer that holds `name`; other names are other images.
    pub fn image(name: &str) -> Self {
        Self::image_for(name, "amd64")
    }

    /// An image for one architecture.
    pub fn image_for(name: &str, architecture: &str) -> Self {
        let (config, layer) = image_content(name, architecture);
        Self::configured(IMAGE_CONFIG, config, [(IMAGE_LAYER, layer)])
    }

    /// The same image as Docker's own tools push it: version 2, schema 2.
    pub fn docker_image(name: &str) -> Self {
        let (config, layer) = image_content(name, "amd64");
        Self::configured(
            "application/vnd.docker.container.image.v1+json",
            config,
            [("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)],
        )
        .edited(|manifest| manifest["mediaType"] = json!(DOCKER_MANIFEST))
    }

    /// An index of these manifests, in their order.
    pub fn index(children: impl IntoIterator<Item = Self>) -> Self {
        Self::list(OCI_INDEX, children.into_iter().collect())
    }

    /// Docker's manifest list of these manifests.
    pub fn docker_list(children: impl IntoIterator<Item = Self>) -> Self {
        Self::list(DOCKER_LIST, children.into_iter().collect())
    }

    /// An index for two architectures of one image.
    pub fn multi_arch(name: &str) -> Self {
        let platforms = ["amd64", "arm64"];
        let mut index = Self::index(platforms.map(|architecture| Self::image_for(name, architecture)));
        for (at, architecture) in platforms.iter().enumerate() {
            index = index.edited(|manifest| {
                manifest["manifests"][at]["platform"] = json!({"architecture": architecture, "os": "linux"});
            });
        }
        index
    }

    /// An artifact packed as the OCI guidelines say: an empty config, a type of its own.
    pub fn artifact(artifact_type: &str, layers: impl IntoIterator<Item = (&'static str, Bytes)>) -> Self {
        Self::configured(EMPTY, Bytes::from_static(b"{}"), layers)
            .edited(|manifest| manifest["artifactType"] = json!(artifact_type))
    }

    /// A manifest with this config, whose media type tells what it is.
    pub fn configured(
        config_type: &str,
        config: Bytes,
        layers: impl IntoIterator<Item = (&'static str, Bytes)>,
    ) -> Self {
        let layers: Vec<_> = layers.into_iter().collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor_of(config_type, &config),
            "layers": layers.iter().map(|(kind, blob)| descriptor_of(kind, blob)).collect::<Vec<_>>(),
        });
        let blobs = std::iter::once(config).chain(layers.into_iter().map(|(_, blob)| blob)).collect();
        Self::sealed(manifest, Algorithm::Sha256, blobs, Vec::new())
    }

    /// A Helm chart as `helm push` packs it.
    pub fn helm_chart(name: &str) -> Self {
        let chart = format!("apiVersion: v2\nname: {name}\nversion: 0.1.0\n");
        let file = format!("{name}/Chart.yaml");
        let archive = archive::gzip(&archive::tar(&[(&file, chart.as_bytes())]));
        let config = json!({"apiVersion": "v2", "name": name, "version": "0.1.0"}).to_string();
        Self::configured(
            "application/vnd.cncf.helm.config.v1+json",
            config.into(),
            [("application/vnd.cncf.helm.chart.content.v1.tar+gzip", archive.into())],
        )
    }

    /// An SPDX bill of materials about another manifest.
    pub fn sbom(subject: &Descriptor) -> Self {
        let document = json!({"spdxVersion": "SPDX-2.3", "name": subject.digest.to_string()}).to_string();
        Self::artifact("application/spdx+json", [("application/spdx+json", document.into())]).about(subject)
    }

    /// An Open Policy Agent bundle, as `conftest push` packs it.
    pub fn opa_bundle(name: &str) -> Self {
        let rule = format!("package {name}\n\ndeny contains \"no\" if false\n");
        let archive = archive::gzip(&archive::tar(&[("policy.rego", rule.as_bytes())]));
        Self::configured(
            "application/vnd.cncf.openpolicyagent.config.v1+json",
            Bytes::from_static(b"{}"),
            [("application/vnd.cncf.openpolicyagent.policy.layer.v1+rego", archive.into())],
        )
    }

    /// An artifact of a type that nobody has heard of.
    pub fn unknown(name: &str) -> Self {
        Self::artifact(
            "application/vnd.example.strange.v7",
            [("application/x-strange", Bytes::from(name.to_owned()))],
        )
    }

    /// A manifest as somebody else made it, byte by byte, with its blobs and the manifests that it lists.
    pub fn made(manifest: Bytes, blobs: Vec<Bytes>, children: Vec<Self>) -> serde_json::Result<Self> {
        let json: Value = serde_json::from_slice(&manifest)?;
        let sealed = Self::sealed(json, Algorithm::Sha256, blobs, children);
        let digest = Digest::sha256(&manifest);
        let descriptor = Descriptor { digest, size: manifest.len() as u64, ..sealed.descriptor };
        Ok(Self { bytes: manifest, descriptor, ..sealed })
    }

    /// The same, as a referrer of `subject`.
    pub fn about(self, subject: &Descriptor) -> Self {
        self.edited(|manifest| manifest["subject"] = descriptor_json(subject))
    }

    /// The same with a change in its manifest, and so with another digest.
    pub fn edited(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.json);
        let algorithm = self.descriptor.digest.algorithm();
        Self::sealed(self.json, algorithm, self.blobs, self.children)
    }

    /// The same under a digest of another algorithm; what it names keeps its own.
    pub fn digested_by(self, algorithm: Algorithm) -> Self {
        Self::sealed(self.json, algorithm, self.blobs, self.children)
    }

    /// The same with one blob more that the registry is to hold.
    pub fn with_blob(mut self, blob: impl Into<Bytes>) -> Self {
        self.blobs.push(blob.into());
        self
    }

    /// The same manifest without the blobs that it names: a registry that lost them.
    pub fn without_blobs(mut self) -> Self {
        self.blobs.clear();
        self
    }

    /// The manifest's bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Media type, digest and size of the manifest.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The manifest's digest.
    pub fn digest(&self) -> Digest {
        self.descriptor.digest
    }

    /// Config first, then the layers.
    pub fn blobs(&self) -> &[Bytes] {
        &self.blobs
    }

    /// The digest of the last layer.
    pub fn layer(&self) -> Digest {
        Digest::sha256(self.blobs.last().map_or(&[][..], |layer| layer))
    }

    /// The manifests that it lists.
    pub fn children(&self) -> &[Self] {
        &self.children
    }

    fn list(media_type: &str, children: Vec<Self>) -> Self {
        let entries: Vec<_> = children.iter().map(|child| descriptor_json(&child.descriptor)).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries});
        Self::sealed(manifest, Algorithm::Sha256, Vec::new(), children)
    }

    fn sealed(json: Value, algorithm: Algorithm, blobs: Vec<Bytes>, children: Vec<Self>) -> Self {
        let bytes = Bytes::from(json.to_string());
        let media_type = json["mediaType"].as_str().unwrap_or(OCI_MANIFEST);
        let mut descriptor = Descriptor::new(media_type, Digest::of(algorithm, &bytes), bytes.len() as u64);
        let kind = json["artifactType"].as_str().or(json["config"]["mediaType"].as_str());
        descriptor.artifact_type = kind.map(Into::into);
        Self { json, bytes, descriptor, blobs, children }
    }
}

/// The descriptor of a blob, as it stands in a manifest.
pub fn descriptor_of(media_type: &str, blob: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::sha256(blob), "size": blob.len()})
}

fn descriptor_json(descriptor: &Descriptor) -> Value {
    json!({"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size})
}

fn image_content(name: &str, architecture: &str) -> (Bytes, Bytes) {
    let greeting = format!("hello from {name} on {architecture}\n");
    let files = archive::tar(&[("hello", greeting.as_bytes())]);
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["/hello"]},
        "rootfs": {"type": "layers", "diff_ids": [Digest::sha256(&files)]},
    });
    (config.to_string().into(), archive::gzip(&files).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Kind, Manifest};

    fn parsed(package: &Package) -> Manifest {
        Manifest::parse_expecting(package.bytes().clone(), &package.digest()).unwrap()
    }

    #[test]
    fn packages_are_manifests_of_their_kind() {
        let image = Package::image("app");
        for (package, kind) in [
            (image.clone(), Kind::Image),
            (Package::docker_image("app"), Kind::Image),
            (Package::multi_arch("app"), Kind::Index),
            (Package::docker_list([Package::docker_image("app")]), Kind::Index),
            (Package::helm_chart("app"), Kind::Image),
            (Package::sbom(image.descriptor()), Kind::Image),
            (Package::opa_bundle("app"), Kind::Image),
            (Package::unknown("app").digested_by(Algorithm::Sha512), Kind::Image),
        ] {
            let manifest = parsed(&package);
            assert_eq!(manifest.kind(), kind);
            assert_eq!(manifest.descriptor().media_type, package.descriptor().media_type);
            assert_eq!(manifest.descriptor().artifact_type, package.descriptor().artifact_type);
        }
        let sbom = Package::sbom(image.descriptor());
        assert_eq!(parsed(&sbom).subject().unwrap().digest, image.digest());
    }
}
