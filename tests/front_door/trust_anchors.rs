//! `portcullis trust list, fingerprint, add, remove` as people run them, and what a running server makes of it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, Uri};
use portcullis::demo::signing::{Identity, Key, KeyKind, Profile};
use portcullis::demo::{Package, folder::Folder};
use portcullis::x509::Certificate;

use crate::test_proxy::*;

/// Runs `portcullis trust`; its exit code and what it wrote.
async fn trust(arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("trust").args(arguments).env_remove("PORTCULLIS_CONFIG");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), text)
}

/// A web server for one test: what it has at each path.
async fn serve(pages: &'static [(&'static str, &'static str)]) -> String {
    let give = move |uri: Uri| async move {
        let page = pages.iter().find(|(path, _)| *path == uri.path());
        page.map(|(_, page)| *page).ok_or(StatusCode::NOT_FOUND)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(give)).await });
    url
}

fn fingerprint(pem: &str) -> String {
    hex::encode(Certificate::all_from(pem.as_bytes()).unwrap()[0].fingerprint())
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The whole way: the refusal names the address, the command shows whose key it is, the fingerprint admits it, and the
/// server that is running takes it into use.
#[tokio::test(flavor = "multi_thread")]
async fn the_key_that_a_refusal_names_is_acquired_and_the_next_pull_passes() {
    let pem = WABBIT.certificate_pem();
    let (pem, number): (&'static str, _) = (pem.clone().leak(), fingerprint(&pem));
    let url =
        format!("{}/keys", serve(Vec::leak(vec![("/keys", pem), ("/page", "<html>keys</html>")])).await);
    let signer = format!("{{ wabbit: {{ nv2: {{ certificates: [acquired] }}, acquire: \"{url}\" }} }}");
    let image = Package::image("app");
    let proxy = TestProxy::new().with("signers", &signer).upstream(signed("app")).watching().start().await;
    let config = proxy.folder.path().join("portcullis.yaml");
    let config = shown(&config);
    let refusal = proxy.get("app:1").await;
    refused(&refusal, 403, "DENIED", &format!("acquire the key at {url}"));

    let (code, text) = trust(&["add", "--config", config, "--from", &url]).await;
    assert_eq!(code, 1, "{text}");
    let line = format!(
        "  portcullis trust add --config '{config}' --signer 'wabbit' --from '{url}' --sha256 {number}"
    );
    assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    assert!(text.contains("certificate: ") && text.contains("  valid: ") && text.contains(HOST), "{text}");
    let other = fingerprint(&STRANGER.certificate_pem());
    let (code, text) = trust(&["add", "--config", config, "--from", &url, "--sha256", &other]).await;
    let why = format!("expected SHA-256 {other}, found {number}: nothing is added");
    assert!(code == 1 && text.contains(&why), "{text}");
    assert!(!proxy.folder.path().join("acquired").exists());

    proxy.pass(Duration::from_secs(60));
    refused(&proxy.get("app:1").await, 403, "DENIED", "has not been acquired");
    let (code, text) = trust(&["add", "--config", config, "--from", &url, "--sha256", &number]).await;
    assert!(code == 0 && text.contains("added: "), "{text}");
    proxy.reloaded(1).await;
    served(&proxy.get("app:1").await, image.bytes());
    let (code, text) = trust(&["add", "--config", config, "--from", &url, "--sha256", &number]).await;
    assert!(code == 0 && text.contains("is there already: "), "{text}");
    // As people copy it from openssl.
    let pairs: Vec<_> =
        number.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap().to_uppercase()).collect();
    let (code, text) = trust(&["remove", "--config", config, "--signer", "wabbit", &pairs.join(":")]).await;
    assert!(code == 0 && text.contains("removed from nv2.certificates"), "{text}");
    assert!(proxy.reload());
    refused(&proxy.get("app:1").await, 403, "DENIED", "has not been acquired");
    // Where another key is trusted, the refusal has the number that the command takes.
    let stranger = proxy.folder.write("stranger.crt", &STRANGER.certificate_pem()).unwrap();
    let (code, text) = trust(&["add", "--config", config, "--signer", "wabbit", shown(&stranger)]).await;
    assert_eq!(code, 0, "{text}");
    assert!(proxy.reload());
    refused(&proxy.get("app:1").await, 403, "DENIED", &format!("(SHA-256 {number})"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_key_or_comes_from_nowhere_is_not_added() {
    let folder = Folder::new().unwrap();
    let to = folder.path().join("keys");
    let to = shown(&to);
    let long: &'static str = "A".repeat(300 * 1024).leak();
    let url = serve(Vec::leak(vec![("/page", "<html>keys</html>"), ("/long", long)])).await;
    for (path, code, words) in [
        ("/page", 1, "is no certificate and no public key (if that is a page for people"),
        ("/long", 2, "larger than 262144 bytes"),
        ("/absent", 2, "it answered 404"),
    ] {
        let (found, text) = trust(&["add", "--folder", to, "--from", &format!("{url}{path}")]).await;
        assert!(found == code && text.contains(words), "{path}: {found} {text}");
    }
    let (code, text) = trust(&["add", "--folder", to, "--from", "http://keys.example/a"]).await;
    assert!(code == 64 && text.contains("--insecure"), "{text}");
    let (code, text) = trust(&["add", "--folder", to, "--from", "ftp://keys.example/a"]).await;
    assert!(code == 64 && text.contains("https://"), "{text}");
    let private = folder.write("private.pem", &Key::generate(KeyKind::P256).unwrap().private_pem()).unwrap();
    let (code, text) = trust(&["add", "--folder", to, shown(&private)]).await;
    assert!(code == 1 && text.contains("private.pem"), "{text}");
    let (code, _) = trust(&["add", "--folder", to, shown(&private), "--sha256", "abc"]).await;
    assert_eq!(code, 64);
    let (code, text) = trust(&["add", "--from", &format!("{url}/page")]).await;
    assert!(code == 64 && text.contains("--signer NAME"), "{text}");
    assert!(!Path::new(to).exists());
}

/// Folders of certificates, a trust store, a key's file: each is shown, filled and emptied.
#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_place_is_listed_and_looked_after() {
    let folder = Folder::new().unwrap();
    let acme = Identity::self_signed(&Profile::of_organization("acme rockets")).unwrap();
    let key = Key::generate(KeyKind::P256).unwrap();
    let config = folder
        .write(
            "portcullis.yaml",
            "store: { path: store }\nupstreams: { registry.test: {} }\nsigners:\n\
             \x20 wabbit: { nv2: { certificates: [wabbit], ca_certificates: [wabbit-ca] }, acquire: \"https://wabbit.test/keys\" }\n\
             \x20 acme: { notation: { trust_store: \"ca:acme\", trusted_identities: [\"*\"] } }\n\
             \x20 vendor: { cosign: { key: vendor.pub, transparency_log: ignore } }\n\
             policies: [{ name: all, scopes: [\"registry.test/**\"], require: { any: [wabbit, acme] } }]\n",
        )
        .unwrap();
    let config = shown(&config);
    let (code, text) = trust(&["list", "--config", config]).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("signer wabbit, acquired at https://wabbit.test/keys"), "{text}");
    assert_eq!(text.matches("nothing: not acquired yet").count(), 4, "{text}");

    let files = [
        ("wabbit", folder.write("w.crt", &WABBIT.certificate_pem()).unwrap()),
        ("acme", folder.write("a.pem", &acme.certificate_pem()).unwrap()),
        ("vendor", folder.write("v.pem", &key.public_pem()).unwrap()),
    ];
    for (signer, file) in &files {
        let (code, text) = trust(&["add", "--config", config, "--signer", signer, shown(file)]).await;
        assert!(code == 0 && text.contains("added: "), "{signer}: {text}");
        let (code, text) = trust(&["add", "--config", config, "--signer", signer, shown(file)]).await;
        assert!(code == 0 && text.contains("is there already: "), "{signer}: {text}");
    }
    let authority = ["--setting", "nv2.ca_certificates", shown(&files[0].1)];
    let (code, text) =
        trust(&[&["add", "--config", config, "--signer", "wabbit"], &authority[..]].concat()).await;
    assert!(code == 0 && text.contains("/wabbit-ca/"), "{text}");
    let (code, text) = trust(&["add", "--config", config, "--signer", "vendor", shown(&files[0].1)]).await;
    assert!(code == 1 && text.contains("a public key stands here"), "{text}");
    let other = folder.write("o.pem", &Key::generate(KeyKind::P256).unwrap().public_pem()).unwrap();
    let (code, text) = trust(&["add", "--config", config, "--signer", "vendor", shown(&other)]).await;
    assert!(code == 1 && text.contains("holds another already"), "{text}");

    let (code, list) = trust(&["list", "--config", config]).await;
    assert_eq!(code, 0, "{list}");
    let (code, text) =
        trust(&["fingerprint", shown(&files[0].1), shown(&files[1].1), shown(&files[2].1)]).await;
    assert_eq!(code, 0, "{text}");
    let numbers: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("  sha256: ")).collect();
    assert_eq!(numbers.len(), 3);
    assert_eq!(numbers[0], fingerprint(&WABBIT.certificate_pem()));
    assert!(numbers.iter().all(|number| list.contains(number)), "{list}");
    assert!(list.contains("/truststore/x509/ca/acme/acme-rockets-"), "{list}");
    // What was put there is read by who judges by it.
    let (code, text) = check(config).await;
    assert_eq!(code, 0, "{text}");

    let (code, text) = trust(&["remove", "--config", config, "--signer", "acme", numbers[1]]).await;
    assert!(code == 0 && text.contains("removed from notation.trust_store"), "{text}");
    let (code, text) = trust(&["remove", "--config", config, "--signer", "acme", numbers[1]]).await;
    assert!(code == 1 && text.contains("there is no such"), "{text}");
    let (code, text) = trust(&["remove", "--config", config, "--signer", "vendor", "vendor.pub"]).await;
    assert_eq!(code, 0, "{text}");
    assert!(!folder.path().join("vendor.pub").exists());
    let (code, text) = trust(&["list", "--config", config, "--signer", "nobody"]).await;
    assert!(code == 64 && text.contains("no signer is called nobody"), "{text}");
    folder.write("wabbit/README", "these are keys").unwrap();
    let (code, text) = trust(&["list", "--config", config]).await;
    assert!(code == 1 && text.contains("wabbit/README"), "{text}");
}

async fn check(config: &str) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["check", config]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), text)
}

/// A trust store lies deeper than the folder that the configuration names, and is watched all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_sees_what_is_put_into_a_trust_store() {
    let signer = "{ wabbit: { notation: { trust_store: \"ca:acme\", trusted_identities: [\"*\"] } } }";
    for made in [false, true] {
        let proxy = TestProxy::new().with("signers", signer).upstream(signed("app")).watching().start().await;
        let store = proxy.folder.path().join("truststore/x509/ca/acme");
        if made {
            std::fs::create_dir_all(&store).unwrap();
            proxy.reloaded(1).await;
        }
        let file = proxy.folder.write("acme.crt", &WABBIT.certificate_pem()).unwrap();
        let (code, text) = trust(&["add", "--folder", shown(&store), shown(&file)]).await;
        assert_eq!(code, 0, "{text}");
        let expiry = "portcullis_certificate_expiry_timestamp_seconds{signer=\"wabbit\"}";
        for _ in 0..200 {
            if proxy.metric(expiry).await > 0.0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(proxy.metric(expiry).await > 0.0, "not seen, made before: {made}");
        assert!(
            proxy.metric("portcullis_config_reloads_total{result=\"ok\"}").await > f64::from(u8::from(made))
        );
    }
}

/// Its own file can be out of sight, as behind a link: then a signal has it read, and what it names by then is watched.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_reload_names_is_watched_once_it_is_done() {
    let proxy = TestProxy::new().upstream(signed("app")).watching().start().await;
    let aside = Folder::new().unwrap();
    let (text, keys) = (proxy.moves_its_file(&aside).await, aside.path().join("keys"));
    aside.write("keys/stranger.crt", &STRANGER.certificate_pem()).unwrap();
    aside.write("real.yaml", &text.replace("trust/wabbit", shown(&keys))).unwrap();
    assert!(proxy.reload());
    refused(&proxy.get("app:1").await, 403, "DENIED", "");
    aside.write("keys/wabbit.crt", &WABBIT.certificate_pem()).unwrap();
    proxy.reloaded(3).await;
    assert_eq!(proxy.get("app:1").await.status, 200);
}
