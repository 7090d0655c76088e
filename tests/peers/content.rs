//! Content to push: OCI layouts of images that nobody else has, since images made of the same bytes share
//! their signatures.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An OCI layout with one entry, tagged `v1`.
pub struct Layout {
    /// Its folder.
    pub folder: PathBuf,
    /// The entry's digest.
    pub digest: String,
}

/// An image of one random layer.
pub fn image(folder: &Path) -> Layout {
    let manifest = write_image(folder, "amd64");
    finish(folder, &manifest)
}

/// An index of two such images, for amd64 and arm64.
pub fn index(folder: &Path) -> Layout {
    let manifests = ["amd64", "arm64"].map(|architecture| {
        let mut manifest = write_image(folder, architecture);
        manifest["platform"] = json!({ "architecture": architecture, "os": "linux" });
        manifest
    });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
    let index = write_blob(folder, INDEX, index.to_string().as_bytes());
    finish(folder, &index)
}

fn write_image(folder: &Path, architecture: &str) -> Value {
    std::fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    let layer = archive(&hex::encode(std::array::from_fn::<u8, 32, _>(|_| fastrand::u8(..))));
    let config = json!({
        "architecture": architecture, "os": "linux", "config": { "Cmd": ["/random"] },
        "rootfs": { "type": "layers", "diff_ids": [digest_of(&layer)] },
    });
    let layer = write_blob(folder, "application/vnd.oci.image.layer.v1.tar", &layer);
    let config =
        write_blob(folder, "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
    write_blob(folder, MANIFEST, manifest.to_string().as_bytes())
}

/// A tar archive (POSIX ustar) that holds one file, `random`.
fn archive(text: &str) -> Vec<u8> {
    let mut header = [0u8; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"random");
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", text.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        "); // The checksum counts itself as spaces.
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend(text.as_bytes());
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn write_blob(folder: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let digest = digest_of(bytes);
    std::fs::write(folder.join("blobs").join(digest.replace(':', "/")), bytes).unwrap();
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

fn finish(folder: &Path, entry: &Value) -> Layout {
    let mut tagged = entry.clone();
    tagged["annotations"] = json!({ "org.opencontainers.image.ref.name": "v1" });
    let index = json!({ "schemaVersion": 2, "manifests": [tagged] });
    std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
    std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    Layout { folder: folder.to_owned(), digest: entry["digest"].as_str().unwrap().to_owned() }
}
