use std::time::Duration;

use super::super::tests::{app, list, push, writer};
use super::*;
use crate::demo::package::Package;
use crate::demo::registry::{Fault, Registry as Demo};

/// What requests there were for the list of what refers to an image.
fn of_list(registry: &Demo, image: &Package) -> Vec<String> {
    let path = format!("/v2/app/manifests/{}", Tag::about(&image.digest(), ""));
    let seen = registry.seen().into_iter().map(|request| request.line);
    seen.filter_map(|line| line.strip_suffix(&path).map(|method| method.trim().to_owned())).collect()
}

async fn without_api() -> (Demo, Package) {
    let registry = Demo::start().await.unwrap();
    registry.referrers_api(false);
    let image = Package::image("app");
    push(&writer(&registry), &image).await.unwrap();
    (registry, image)
}

#[tokio::test]
async fn what_was_read_too_long_ago_is_read_anew() {
    for (delay, asked) in [(300, &["GET", "PUT", "GET"][..]), (700, &["GET", "GET", "PUT", "GET"])] {
        let (registry, image) = without_api().await;
        let read = format!("GET /v2/app/manifests/{}", Tag::about(&image.digest(), ""));
        registry.fault_times(&read, 1, Fault::Delay(Duration::from_millis(delay)));
        list(&registry, &image, "one").await.unwrap();
        assert_eq!(of_list(&registry, &image), asked);
    }
}

#[tokio::test]
async fn who_is_overwritten_again_and_again_gives_up() {
    let (registry, image) = without_api().await;
    let (writer, app) = (writer(&registry), app());
    let empty = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).to_string();
    // Nothing that is there is what it should be.
    let never = |_| Ok::<_, Error>(Some((Vec::new(), parsed(Bytes::from(empty.clone()))?)));
    let change = Amendment::new(Tag::about(&image.digest(), ""), never);
    let settling = writer.amend(&app, vec![change]).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), settling.settled_within(3)).await;
    let refused = ended.unwrap().unwrap_err();
    assert!(refused.to_string().contains("again and again"), "{refused}");
    assert_eq!(of_list(&registry, &image), ["GET", "PUT", "GET", "PUT", "GET", "PUT"]);
}
