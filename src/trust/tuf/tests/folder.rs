//! Nobody answers, or what is kept cannot be used.

use super::*;

fn kept(result: Result<Outcome, Error>) -> String {
    match result {
        Err(Error::Kept { path, why }) => format!("{}: {why}", path.display()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_that_is_not_given_is_no_refusal() {
    for missing in ["timestamp.json", "2.snapshot.json", "2.targets.json", "targets/"] {
        let mut site = Site::believed().await;
        site.repository.target = trusted_root(&["https://log2.example"]);
        site.repository.renew();
        site.publish();
        for name in site.repository.files().keys().filter(|name| name.starts_with(missing)) {
            site.server.refuse(name, 404);
        }
        let error = site.update().await.unwrap_err();
        assert!(matches!(&error, Error::Unreachable { url, .. } if url.contains(missing)), "{error}");
    }
}

#[tokio::test]
async fn trouble_with_the_next_root_is_not_taken_for_its_absence() {
    let site = Site::new().await;
    site.server.refuse("2.root.json", 503);
    let error = site.update().await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable { why, .. } if why.contains("503")), "{error}");
    assert_eq!(site.in_use(), None);
    site.server.refuse("2.root.json", 403);
    site.update().await.unwrap();
}

#[tokio::test]
async fn nobody_at_the_address_is_no_refusal() {
    let mut site = Site::believed().await;
    site.settings.url = "http://127.0.0.1:1".to_owned();
    assert!(matches!(site.update().await, Err(Error::Unreachable { .. })));
    assert_eq!(site.in_use().unwrap(), site.repository.target);
}

#[tokio::test]
async fn kept_metadata_that_is_broken_does_not_count_as_none() {
    for role in repository::ROLES {
        let site = Site::believed().await;
        std::fs::write(site.output().with_file_name(role.file()), "{").unwrap();
        let why = kept(site.update().await);
        assert!(why.contains(&role.file()) && why.contains("begin anew"), "{why}");
    }
}

#[tokio::test]
async fn one_update_at_a_time() {
    let site = Site::believed().await;
    let other = std::fs::File::open(site.output().parent().unwrap()).unwrap();
    other.lock().unwrap();
    let why = kept(site.update().await);
    assert!(why.contains("another update"), "{why}");
    drop(other);
    site.update().await.unwrap();
}

#[tokio::test]
async fn the_trusted_root_cannot_take_the_name_of_metadata() {
    let site = Site::new().await;
    let output = site.output().with_file_name("root.json");
    let egress = egress::Settings::default();
    let order = Order {
        settings: &site.settings,
        egress: &egress,
        environment: &|_| None,
        output: &output,
        clock: &site.clock,
    };
    let why = kept(update(&order).await);
    assert!(why.contains("choose another"), "{why}");
}

#[tokio::test]
async fn a_link_that_lies_where_is_written_is_not_followed() {
    let site = Site::believed().await;
    let victim = site.folder.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    for name in [".timestamp.json.new", ".trusted_root.json.new"] {
        std::os::unix::fs::symlink(&victim, site.output().with_file_name(name)).unwrap();
    }
    site.update().await.unwrap();
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
}

#[tokio::test]
async fn a_root_that_is_no_root_is_named() {
    let site = Site::new().await;
    std::fs::write(site.settings.root.as_ref().unwrap(), trusted_root(&[])).unwrap();
    assert!(kept(site.update().await).contains("not a TUF root"));
    let mut forged: serde_json::Value = serde_json::from_slice(&site.repository.root()).unwrap();
    forged["signed"]["version"] = 7.into();
    std::fs::write(site.settings.root.as_ref().unwrap(), forged.to_string()).unwrap();
    assert!(kept(site.update().await).contains("1 distinct keys"));
    std::fs::remove_file(site.settings.root.as_ref().unwrap()).unwrap();
    assert!(kept(site.update().await).contains("first.json"));
}
