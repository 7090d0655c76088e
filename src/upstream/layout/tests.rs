use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::egress;
use crate::oci::Registry;
use crate::oci::media_type::{OCI_INDEX, OCI_MANIFEST};
use crate::telemetry::Metrics;
use crate::upstream::{Settings, Upstream};
use futures_util::TryStreamExt as _;

/// A layout that a test writes.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
        folder.index(&[]);
        folder
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn blob(&self, content: impl AsRef<[u8]>) -> Digest {
        let digest = Digest::sha256(content.as_ref());
        self.write(&file_of(&digest), content);
        digest
    }

    /// Writes `index.json` with these manifests under these names.
    fn index(&self, entries: &[(Digest, Option<&str>)]) {
        let entry = |(digest, name): &(Digest, Option<&str>)| {
            let mut entry = json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": 2});
            if let Some(name) = name {
                entry["annotations"] = json!({ TAG: name });
            }
            entry
        };
        let manifests: Vec<Value> = entries.iter().map(entry).collect();
        self.write("index.json", json!({"schemaVersion": 2, "manifests": manifests}).to_string());
    }

    fn upstream(&self) -> Arc<Upstream> {
        open(self.0.path()).unwrap()
    }
}

fn open(folder: &Path) -> Result<Arc<Upstream>, SettingError> {
    let layout = Some(Layout { folder: folder.to_owned(), repository: repository("team/app") });
    let settings = Settings { layout, ..Settings::default() };
    let (name, egress) = (repository("team/app").registry().clone(), egress::Settings::default());
    Upstream::build_in(&|_| None, name, &settings, &egress, &Metrics::new(), None)
}

fn repository(path: &str) -> Repository {
    Repository::new(Registry::parse("r.test").unwrap(), path).unwrap()
}

fn file_of(digest: &Digest) -> String {
    path(digest).join("/")
}

fn tag(text: &str) -> Target {
    Target::Tag(Tag::parse(text).unwrap())
}

fn image(note: &str) -> String {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/x", "digest": Digest::sha256(b"{}"), "size": 2},
        "layers": [],
        "annotations": {"note": note},
    })
    .to_string()
}

fn about(subject: &Digest) -> String {
    let mut manifest: Value = serde_json::from_str(&image("")).unwrap();
    manifest["subject"] = json!({"mediaType": OCI_MANIFEST, "digest": subject, "size": 2});
    manifest.to_string()
}

async fn manifest(folder: &Folder, target: Target) -> Result<Bytes, Error> {
    folder.upstream().manifest(&repository("team/app"), &target).await
}

async fn referrers(folder: &Folder, subject: &Digest) -> Result<Vec<Digest>, Error> {
    let list = folder.upstream().referrers(&repository("team/app"), subject).await?;
    Ok(list.into_iter().map(|d| d.digest).collect())
}

#[tokio::test]
async fn manifests_are_found_by_tag_and_digest() {
    let folder = Folder::new();
    let listed = folder.blob(image("a"));
    let child = folder.blob(image("b"));
    folder.index(&[(listed, Some("v1")), (listed, Some("latest"))]);
    for target in [tag("v1"), tag("latest"), Target::Digest(listed)] {
        assert_eq!(manifest(&folder, target.clone()).await.unwrap(), image("a"));
        let head = folder.upstream().head_manifest(&repository("team/app"), &target).await.unwrap();
        let size = Some(image("a").len() as u64);
        assert_eq!(head, Head { digest: Some(listed), media_type: Some(OCI_MANIFEST.to_owned()), size });
    }
    assert_eq!(manifest(&folder, Target::Digest(child)).await.unwrap(), image("b"));
    for missing in [tag("v2"), Target::Digest(Digest::sha256(b"x"))] {
        assert!(matches!(manifest(&folder, missing).await, Err(Error::NotFound)));
    }
}

#[tokio::test]
async fn only_its_own_repository_is_there() {
    let folder = Folder::new();
    let digest = folder.blob(image("a"));
    folder.index(&[(digest, Some("v1"))]);
    let other = folder.upstream().manifest(&repository("team/other"), &tag("v1")).await;
    assert!(matches!(other, Err(Error::NotFound)), "{other:?}");
}

#[tokio::test]
async fn blobs_are_read_from_any_byte_on() {
    let folder = Folder::new();
    let digest = folder.blob("0123456789");
    let (upstream, here) = (folder.upstream(), repository("team/app"));
    assert_eq!(upstream.head_blob(&here, &digest).await.unwrap(), 10);
    let blob = Descriptor::new("application/octet-stream", digest, 10);
    for from in [0_u64, 4, 10] {
        let stream = upstream.blob(&here, &blob, from).await.unwrap();
        assert_eq!((stream.offset, stream.size), (from, Some(10)));
        let body: Vec<Bytes> = stream.body.try_collect().await.unwrap();
        assert_eq!(body.concat(), &b"0123456789"[usize::try_from(from).unwrap()..]);
    }
    assert!(upstream.blob(&here, &blob, 11).await.is_err());
    assert!(matches!(upstream.head_blob(&here, &Digest::sha256(b"x")).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn tags_are_listed_in_order_and_parts() {
    let folder = Folder::new();
    let digest = folder.blob(image("a"));
    let names = ["b", "c", "a", "b", "docker.io/library/nginx:1"].map(|name| (digest, Some(name)));
    folder.index(&names);
    let page = async |n, last: Option<&str>| {
        let page = folder.upstream().tags(&repository("team/app"), n, last).await.unwrap();
        (page.tags.iter().map(|t| t.as_str().to_owned()).collect::<Vec<_>>().concat(), page.more)
    };
    assert_eq!(page(None, None).await, ("abc".to_owned(), false));
    assert_eq!(page(Some(2), None).await, ("ab".to_owned(), true));
    assert_eq!(page(Some(2), Some("b")).await, ("c".to_owned(), false));
    assert_eq!(page(Some(0), None).await, (String::new(), false));
}

#[tokio::test]
async fn referrers_are_what_names_the_subject_and_what_the_tag_schema_lists() {
    let folder = Folder::new();
    let subject = folder.blob(image("a"));
    let signature = folder.blob(about(&subject));
    let other = folder.blob(about(&Digest::sha256(b"other")));
    let by_schema = Digest::sha256(b"signature by the schema");
    let entry = json!({"mediaType": OCI_MANIFEST, "digest": by_schema, "size": 2});
    let schema = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]});
    let schema = folder.blob(schema.to_string());
    folder.index(&[(subject, Some("v1")), (signature, None), (signature, Some("sig")), (other, None)]);
    assert_eq!(referrers(&folder, &subject).await.unwrap(), [signature]);
    let name = Tag::about(&subject, "");
    folder.index(&[(subject, None), (signature, None), (schema, Some(name.as_str()))]);
    assert_eq!(referrers(&folder, &subject).await.unwrap(), [signature, by_schema]);
    assert_eq!(referrers(&folder, &signature).await.unwrap(), []);
}

#[tokio::test]
async fn what_cannot_be_read_is_not_taken_for_unsigned() {
    let folder = Folder::new();
    let subject = folder.blob(image("a"));
    let (gone, changed) = (Digest::sha256(b"gone"), folder.blob(about(&subject)));
    folder.write(&file_of(&changed), image("something else"));
    folder.index(&[(subject, None), (gone, None), (changed, None)]);
    assert_eq!(referrers(&folder, &subject).await.unwrap(), [gone, changed]);
    let error = manifest(&folder, Target::Digest(gone)).await.unwrap_err().to_string();
    assert!(error.contains(&gone.hex()) && error.contains("index.json lists it"), "{error}");
}

#[tokio::test]
async fn a_name_for_two_manifests_names_none() {
    let folder = Folder::new();
    let (a, b) = (folder.blob(image("a")), folder.blob(image("b")));
    folder.index(&[(a, Some("v1")), (b, Some("v1")), (b, Some("v2"))]);
    let error = manifest(&folder, tag("v1")).await.unwrap_err().to_string();
    assert!(error.contains("both") && error.contains("v1"), "{error}");
    assert!(manifest(&folder, tag("v2")).await.is_ok());
}

#[tokio::test]
async fn links_are_not_followed() {
    let outside = Folder::new();
    let digest = outside.blob(image("a"));
    let refused = async |folder: &Folder| {
        let error = manifest(folder, Target::Digest(digest)).await.unwrap_err();
        assert!(matches!(&error, Error::Unavailable(why) if why.contains("symbolic link")), "{error}");
    };
    let file = Folder::new();
    fs::create_dir_all(file.path("blobs/sha256")).unwrap();
    symlink(outside.path(&file_of(&digest)), file.path(&file_of(&digest))).unwrap();
    refused(&file).await;
    let folder = Folder::new();
    fs::create_dir(folder.path("blobs")).unwrap();
    symlink(outside.path("blobs/sha256"), folder.path("blobs/sha256")).unwrap();
    refused(&folder).await;
    let blobs = Folder::new();
    symlink(outside.path("blobs"), blobs.path("blobs")).unwrap();
    refused(&blobs).await;
    let index = Folder::new();
    fs::remove_file(index.path("index.json")).unwrap();
    symlink(outside.path("index.json"), index.path("index.json")).unwrap();
    refused(&index).await;
}

#[tokio::test]
async fn what_is_no_file_or_too_long_is_named() {
    let folder = Folder::new();
    let digest = Digest::sha256(b"folder");
    fs::create_dir_all(folder.path(&file_of(&digest))).unwrap();
    let error = manifest(&folder, Target::Digest(digest)).await.unwrap_err().to_string();
    assert!(error.contains("is no file"), "{error}");
    let pipe = Digest::sha256(b"pipe");
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, folder.path(&file_of(&pipe)), rustix::fs::FileType::Fifo, mode, 0)
        .unwrap();
    assert!(manifest(&folder, Target::Digest(pipe)).await.is_err(), "and nobody waits for a writer");
    let large = folder.blob(vec![b' '; usize::try_from(MAX_MANIFEST_BYTES).unwrap() + 1]);
    let error = manifest(&folder, Target::Digest(large)).await.unwrap_err().to_string();
    assert!(error.contains(&large.hex()) && error.contains("more than"), "{error}");
}

#[tokio::test]
async fn indexes_that_mislead_are_refused() {
    let folder = Folder::new();
    for (content, why) in [
        (image("a"), "is no index"),
        ("{".to_owned(), "not well-formed"),
        (r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#.to_owned(), "twice"),
        (
            r#"{"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":"sha256:../../x","size":1}]}"#
                .to_owned(),
            "digest",
        ),
        (format!(r#"{{"schemaVersion":2,"manifests":[]{}}}"#, " ".repeat(4 << 20)), "more than"),
    ] {
        folder.write("index.json", content);
        let error = manifest(&folder, tag("v1")).await.unwrap_err().to_string();
        assert!(error.contains("index.json") && error.contains(why), "{why}: {error}");
    }
    fs::remove_file(folder.path("index.json")).unwrap();
    assert!(manifest(&folder, tag("v1")).await.unwrap_err().to_string().contains("not there"));
    let many: Vec<_> = (0..=MAX_READ).map(|i| (Digest::sha256(&i.to_be_bytes()), None)).collect();
    folder.index(&many[1..]);
    assert_eq!(referrers(&folder, &many[0].0).await.unwrap().len(), MAX_READ, "those that are not there");
    folder.index(&many);
    let error = referrers(&folder, &many[0].0).await.unwrap_err().to_string();
    assert!(error.contains("more than 4096 manifests"), "{error}");
}

#[tokio::test]
async fn only_so_much_is_read_to_find_referrers() {
    let folder = Folder::new();
    let most = MAX_READ_BYTES / MAX_MANIFEST_BYTES;
    let all: Vec<_> = (0..=most).map(|n| (Digest::sha256(&n.to_be_bytes()), None)).collect();
    for (digest, _) in &all {
        folder.write(&file_of(digest), "");
        let file = fs::File::create(folder.path(&file_of(digest))).unwrap();
        file.set_len(MAX_MANIFEST_BYTES).unwrap();
    }
    folder.index(&all[1..]);
    assert_eq!(referrers(&folder, &all[0].0).await.unwrap().len(), all.len() - 1);
    folder.index(&all);
    let error = referrers(&folder, &all[0].0).await.unwrap_err().to_string();
    assert!(error.contains(&MAX_READ_BYTES.to_string()), "{error}");
}

#[test]
fn the_file_that_makes_a_layout_has_an_end() {
    let folder = Folder::new();
    let marker = r#"{"imageLayoutVersion":"1.0.0"}"#;
    let most = usize::try_from(MAX_MARKER_BYTES).unwrap();
    folder.write("oci-layout", format!("{marker}{}", " ".repeat(most - marker.len())));
    assert!(open(folder.0.path()).is_ok());
    folder.write("oci-layout", format!("{marker}{}", " ".repeat(most + 1 - marker.len())));
    assert!(open(folder.0.path()).unwrap_err().to_string().contains("more than 4096 bytes"));
}

#[test]
fn a_folder_that_is_no_layout_is_refused_at_once() {
    let folder = Folder::new();
    for (marker, why) in
        [(r#"{"imageLayoutVersion":"2.0.0"}"#, "version"), ("{}", "imageLayoutVersion"), ("", "EOF")]
    {
        folder.write("oci-layout", marker);
        let error = open(folder.0.path()).unwrap_err();
        assert!(error.path == ["layout"] && error.message.contains(why), "{error}");
    }
    fs::remove_file(folder.path("oci-layout")).unwrap();
    assert!(open(folder.0.path()).unwrap_err().message.contains("no OCI image layout"));
    assert!(open(Path::new("/nowhere")).is_err());
}

#[tokio::test]
async fn layouts_that_tools_wrote_are_read() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/notation");
    for (case, signatures) in [("alg-p256-jws", 1), ("unsigned", 0)] {
        let upstream = open(&fixtures.join(case).join("oci")).unwrap();
        let here = repository("team/app");
        let subject = upstream.head_manifest(&here, &tag("v1")).await.unwrap().digest.unwrap();
        let mut found: Vec<_> = upstream.referrers(&here, &subject).await.unwrap();
        found.sort_by_key(|d| d.digest);
        found.dedup_by_key(|d| d.digest);
        assert_eq!(found.len(), signatures, "{case}: {found:?}");
    }
}
