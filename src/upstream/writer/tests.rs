use bytes::Bytes;

use super::super::settings::{Credentials, Secret};
use super::*;
use crate::demo::package::Package;
use crate::demo::registry::{Fault, Registry as Demo};
use crate::oci::{Algorithm, Descriptor, Tag};

const USER: &str = "robot";
const PASSWORD: &str = "a secret";

fn settings(registry: &Demo) -> Settings {
    let (username, password) = (Some(USER.to_owned()), Some(Secret::new(PASSWORD.to_owned())));
    let credentials = Some(Credentials { username, password, ..Credentials::default() });
    Settings { url: Some(registry.url()), credentials, ..Settings::default() }
}

pub(super) fn writer(registry: &Demo) -> Writer {
    let name = Registry::parse("reg.test").unwrap();
    Writer::build(&name, &settings(registry), &egress::Settings::default(), &Metrics::new()).unwrap()
}

pub(super) fn app() -> Repository {
    Repository::parse("reg.test/app").unwrap()
}

fn parsed(package: &Package) -> Manifest {
    Manifest::parse(package.bytes().clone(), Algorithm::Sha256).unwrap()
}

pub(super) async fn push(writer: &Writer, package: &Package) -> Result<bool, Error> {
    for blob in package.blobs() {
        writer.put_bytes(&app(), blob).await?;
    }
    writer.put_manifest(&app(), &Target::Tag(Tag::parse("1").unwrap()), &parsed(package)).await
}

#[tokio::test]
async fn what_is_pushed_is_there_and_is_not_sent_twice() {
    let registry = Demo::start().await.unwrap();
    registry.require_token(Some((USER, PASSWORD)));
    let (writer, image) = (writer(&registry), Package::image("app"));
    let tag = Target::Tag(Tag::parse("1").unwrap());
    assert_eq!(writer.resolve(&app(), &tag).await.unwrap(), None);
    assert!(!push(&writer, &image).await.unwrap(), "it has no subject");
    assert_eq!(writer.resolve(&app(), &tag).await.unwrap(), Some(image.digest()));
    assert_eq!(writer.manifest(&app(), &tag).await.unwrap().unwrap(), image.bytes());
    assert!(writer.has_blob(&app(), &image.layer()).await.unwrap());
    let sent = registry.count("PUT /v2/app/blobs/");
    assert_eq!(sent, image.blobs().len());
    push(&writer, &image).await.unwrap();
    assert_eq!(registry.count("PUT /v2/app/blobs/"), sent);
    // One token does for all of it.
    assert_eq!(registry.count("/token"), 1);
    assert_eq!(registry.count("scope=repository%3Aapp%3Apull%2Cpush"), 1);
}

#[tokio::test]
async fn nothing_is_written_where_the_manifests_content_or_the_leave_is_missing() {
    let registry = Demo::start().await.unwrap();
    registry.require_token(Some((USER, "another")));
    let image = Package::image("app");
    let refused = push(&writer(&registry), &image).await.unwrap_err();
    assert!(matches!(refused, Error::Refused { status: 401, .. }), "{refused}");

    let registry = Demo::start().await.unwrap();
    let tag = Target::Tag(Tag::parse("1").unwrap());
    let refused = writer(&registry).put_manifest(&app(), &tag, &parsed(&image)).await.unwrap_err();
    assert!(refused.to_string().contains("MANIFEST_BLOB_UNKNOWN"), "{refused}");
    assert_eq!(registry.count("PUT /v2/app/manifests/"), 1);
}

#[tokio::test]
async fn a_blob_is_mounted_from_a_neighbour_that_has_it() {
    let registry = Demo::start().await.unwrap();
    registry.require_token(None);
    let digest = registry.push_blob("neighbour", b"layer");
    let (writer, from) = (writer(&registry), Repository::parse("reg.test/neighbour").unwrap());
    assert!(writer.mount(&app(), &digest, &from).await.unwrap());
    assert!(writer.has_blob(&app(), &digest).await.unwrap());
    assert!(!writer.mount(&app(), &Digest::sha256(b"another"), &from).await.unwrap());
    let scopes = "scope=repository%3Aapp%3Apull%2Cpush&scope=repository%3Aneighbour%3Apull";
    assert_eq!(registry.count(scopes), 1);
}

#[tokio::test]
async fn an_upload_that_fails_begins_again_and_one_that_lies_does_not() {
    let registry = Demo::start().await.unwrap();
    let writer = writer(&registry);
    registry.fault_times("PUT /v2/app/blobs/", 1, Fault::Status(503, None));
    writer.put_bytes(&app(), &Bytes::from_static(b"layer")).await.unwrap();
    assert_eq!(registry.count("POST /v2/app/blobs/uploads/"), 2);

    let piece = || -> crate::egress::Pieces {
        let pieces = [Ok(Bytes::from_static(b"lay")), Ok(Bytes::from_static(b"er"))];
        Box::pin(futures_util::stream::iter(pieces))
    };
    for (length, wrong) in [(6, "shorter"), (4, "longer")] {
        let blob = Descriptor::new("a/b", Digest::sha256(b"other"), length);
        let open = || -> futures_util::future::BoxFuture<'_, _> { Box::pin(std::future::ready(Ok(piece()))) };
        let refused = writer.put_blob(&app(), &blob, &open).await.unwrap_err();
        assert!(refused.to_string().contains(wrong), "{refused}");
    }
    let blob = Descriptor::new("a/b", Digest::sha256(b"other"), 5);
    let open = || -> futures_util::future::BoxFuture<'_, _> { Box::pin(std::future::ready(Ok(piece()))) };
    let refused = writer.put_blob(&app(), &blob, &open).await.unwrap_err();
    assert!(refused.to_string().contains("DIGEST_INVALID"), "{refused}");
}

/// As distribution's registry does, while somebody else pushes a blob that the manifest names.
#[tokio::test]
async fn a_manifest_whose_digest_the_registry_doubts_is_sent_again_and_one_that_it_refuses_is_not() {
    let sent = async |put: &str, times: u32, status, code| {
        let registry = Demo::start().await.unwrap();
        registry.referrers_api(false);
        let image = Package::image("app");
        push(&writer(&registry), &image).await.unwrap();
        let put = put.replace("LIST", Tag::about(&image.digest(), "").as_str());
        let before = registry.count(&put);
        registry.fault_times(&put, times, Fault::Error(status, code));
        let listed = list(&registry, &image, "one").await.map(|_| ());
        (listed.map_err(|refused| refused.to_string()), registry.count(&put) - before)
    };
    const MANIFEST: &str = "PUT /v2/app/manifests/sha256:";
    const LIST: &str = "PUT /v2/app/manifests/LIST";
    for put in [MANIFEST, LIST] {
        assert_eq!(sent(put, 1, 400, "DIGEST_INVALID").await, (Ok(()), 2), "{put}");
        for (status, code) in [(400, "MANIFEST_INVALID"), (403, "DIGEST_INVALID")] {
            let (refused, count) = sent(put, 1, status, code).await;
            assert!(refused.unwrap_err().contains(code), "{put}");
            assert_eq!(count, 1, "{put}");
        }
        let (refused, count) = sent(put, 9, 400, "DIGEST_INVALID").await;
        assert!(refused.unwrap_err().contains("DIGEST_INVALID"), "{put}");
        assert_eq!(count, 3, "{put}");
    }
}

#[tokio::test]
async fn what_is_not_mounted_is_asked_for_once() {
    let registry = Demo::start().await.unwrap();
    registry.fault("POST", Fault::Error(400, "DIGEST_INVALID"));
    let from = Repository::parse("reg.test/neighbour").unwrap();
    assert!(!writer(&registry).mount(&app(), &Digest::sha256(b"layer"), &from).await.unwrap());
    assert_eq!(registry.count("POST"), 1);
}

#[tokio::test]
async fn an_upload_goes_on_neither_without_tls_nor_with_somebody_elses_login() {
    let (registry, certificate) = Demo::start_tls().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.crt");
    std::fs::write(&ca, certificate).unwrap();
    let settings = Settings { ca: Some(ca), ..settings(&registry) };
    let name = Registry::parse("reg.test").unwrap();
    let writer = Writer::build(&name, &settings, &egress::Settings::default(), &Metrics::new()).unwrap();
    let plain = registry.url().replace("https", "http");
    for (location, word) in [
        (format!("{plain}/v2/app/blobs/uploads/1?state=begun"), "without TLS"),
        (registry.url().replace("//", "//name:word@"), "credentials"),
        ("https://[".to_owned(), "Location is not a URL"),
    ] {
        registry.fault("POST", Fault::Header("location", location));
        let refused = writer.put_bytes(&app(), &Bytes::from_static(b"layer")).await.unwrap_err();
        assert!(refused.to_string().contains(word), "{refused}");
    }
    assert_eq!(registry.count("PUT"), 0);
}

#[tokio::test]
async fn a_login_does_not_follow_an_upload_to_another_host() {
    let (registry, storage) = (Demo::start().await.unwrap(), Demo::start().await.unwrap());
    registry.require_token(Some((USER, PASSWORD)));
    let to = format!("{}/v2/app/blobs/uploads/1?state=begun", storage.url());
    registry.fault("POST", Fault::Header("location", to));
    let allowed_hosts = vec![storage.address().to_string()];
    let settings = Settings { allowed_hosts, ..settings(&registry) };
    let name = Registry::parse("reg.test").unwrap();
    let writer = Writer::build(&name, &settings, &egress::Settings::default(), &Metrics::new()).unwrap();
    writer.put_bytes(&app(), &Bytes::from_static(b"layer")).await.unwrap();
    let seen = storage.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].authorization, None);
}

async fn referrers(registry: &Demo, subject: &Package) -> Vec<Digest> {
    let name = Registry::parse("reg.test").unwrap();
    let upstream = super::super::Upstream::build(
        name,
        &settings(registry),
        &egress::Settings::default(),
        &Metrics::new(),
        None,
    );
    let listed = upstream.unwrap().referrers(&app(), &subject.digest()).await.unwrap();
    listed.into_iter().map(|entry| entry.digest).collect()
}

#[tokio::test]
async fn a_referrer_is_listed_with_the_api_and_without_it() {
    for api in [true, false] {
        let registry = Demo::start().await.unwrap();
        registry.referrers_api(api);
        let (writer, image) = (writer(&registry), Package::image("app"));
        push(&writer, &image).await.unwrap();
        let sbom = Package::sbom(image.descriptor());
        for blob in sbom.blobs() {
            writer.put_bytes(&app(), blob).await.unwrap();
        }
        for _ in 0..2 {
            writer.attach(&app(), &parsed(&sbom)).await.unwrap();
        }
        assert_eq!(referrers(&registry, &image).await, [sbom.digest()]);
        let list = format!("PUT /v2/app/manifests/{}", Tag::about(&image.digest(), ""));
        assert_eq!(registry.count(&list), usize::from(!api));
    }
}

/// go-containerregistry's registry has the API and does not send `OCI-Subject`.
#[tokio::test]
async fn a_registry_that_lists_without_saying_so_is_believed() {
    let registry = Demo::start().await.unwrap();
    let (writer, image) = (writer(&registry), Package::image("app"));
    push(&writer, &image).await.unwrap();
    let sbom = Package::sbom(image.descriptor());
    for blob in sbom.blobs() {
        writer.put_bytes(&app(), blob).await.unwrap();
    }
    registry.fault("PUT", Fault::Header("oci-subject", String::new()));
    writer.attach(&app(), &parsed(&sbom)).await.unwrap();
    assert_eq!(referrers(&registry, &image).await, [sbom.digest()]);
    assert_eq!(registry.count(&format!("PUT /v2/app/manifests/{}", Tag::about(&image.digest(), ""))), 0);
}

#[tokio::test]
async fn a_list_of_referrers_that_is_none_is_not_written_over() {
    let registry = Demo::start().await.unwrap();
    registry.referrers_api(false);
    let (writer, image) = (writer(&registry), Package::image("app"));
    push(&writer, &image).await.unwrap();
    let tag = Tag::about(&image.digest(), "").to_string();
    registry.push("app", tag.as_str(), &image);
    let sbom = Package::sbom(image.descriptor());
    for blob in sbom.blobs() {
        writer.put_bytes(&app(), blob).await.unwrap();
    }
    let refused = writer.attach(&app(), &parsed(&sbom)).await.unwrap_err();
    assert!(refused.to_string().contains("not an index"), "{refused}");
    assert_eq!(registry.count(&format!("PUT /v2/app/manifests/{tag}")), 0);
}

/// Lists a note about the image, as a client of its own.
pub(super) async fn list(registry: &Demo, image: &Package, text: &'static str) -> Result<Digest, Error> {
    let note = Package::artifact("text/plain", [("text/plain", Bytes::from(text))]).about(image.descriptor());
    let writer = writer(registry);
    for blob in note.blobs() {
        writer.put_bytes(&app(), blob).await?;
    }
    writer.attach(&app(), &parsed(&note)).await.map(|()| note.digest())
}

/// Who is told to wait does not come back with what was there before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_listed_while_one_had_to_wait_is_not_lost() {
    let registry = Demo::start().await.unwrap();
    registry.referrers_api(false);
    let image = Package::image("app");
    push(&writer(&registry), &image).await.unwrap();
    let put = format!("PUT /v2/app/manifests/{}", Tag::about(&image.digest(), ""));
    registry.fault_times(&put, 1, Fault::Status(503, Some(2)));
    let waits = list(&registry, &image, "one");
    let meanwhile = async {
        while registry.count(&put) == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        list(&registry, &image, "another").await
    };
    let (one, another) = tokio::join!(waits, meanwhile);
    let mut expected = [one.unwrap(), another.unwrap()];
    expected.sort();
    let mut listed = referrers(&registry, &image).await;
    listed.sort();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_list_that_may_not_be_written_is_not_tried_again() {
    for (status, wait) in [(403, None), (503, Some(60))] {
        let registry = Demo::start().await.unwrap();
        registry.referrers_api(false);
        let image = Package::image("app");
        push(&writer(&registry), &image).await.unwrap();
        let put = format!("PUT /v2/app/manifests/{}", Tag::about(&image.digest(), ""));
        registry.fault(&put, Fault::Status(status, wait));
        let refused = list(&registry, &image, "one").await.unwrap_err();
        assert!(refused.to_string().contains(&status.to_string()), "{refused}");
        assert_eq!(registry.count(&put), 1);
    }
}

/// As many as sign one image at once, each a client of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_who_list_at_once_lose_nothing() {
    let registry = Demo::start().await.unwrap();
    registry.referrers_api(false);
    let image = Package::image("app");
    push(&writer(&registry), &image).await.unwrap();
    let mut expected = Vec::new();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let content = Bytes::from(format!("note {number}"));
        let note = Package::artifact("text/plain", [("text/plain", content)]).about(image.descriptor());
        expected.push(note.digest());
        let writer = writer(&registry);
        tasks.spawn(async move {
            for blob in note.blobs() {
                writer.put_bytes(&app(), blob).await.unwrap();
            }
            writer.attach(&app(), &parsed(&note)).await.unwrap();
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let mut listed = referrers(&registry, &image).await;
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
}
