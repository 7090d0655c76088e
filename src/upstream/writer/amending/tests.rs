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
    for (delay, asked) in [(20, &["GET", "PUT", "GET"][..]), (400, &["GET", "GET", "PUT", "GET"])] {
        let (registry, image) = without_api().await;
        let read = format!("GET /v2/app/manifests/{}", Tag::about(&image.digest(), ""));
        registry.fault_times(&read, 1, Fault::Delay(Duration::from_millis(delay)));
        list(&registry, &image, "one").await.unwrap();
        assert_eq!(of_list(&registry, &image), asked);
    }
}

/// Where it never goes faster, it is written all the same.
#[tokio::test]
async fn a_registry_that_always_answers_late_can_be_written_to() {
    let (registry, image) = without_api().await;
    let read = format!("GET /v2/app/manifests/{}", Tag::about(&image.digest(), ""));
    registry.fault(&read, Fault::Delay(Duration::from_millis(700)));
    list(&registry, &image, "one").await.unwrap();
    assert_eq!(of_list(&registry, &image), ["GET", "GET", "PUT", "GET"]);
}

/// Others may need as long, or longer, and have read before.
#[tokio::test]
async fn what_was_slow_to_write_or_to_read_settles_for_longer() {
    let settled = async |delay: u64| {
        let (registry, image) = without_api().await;
        let request = format!("PUT /v2/app/manifests/{}", Tag::about(&image.digest(), ""));
        registry.fault(&request, Fault::Delay(Duration::from_millis(delay)));
        let begun = Instant::now();
        list(&registry, &image, "one").await.unwrap();
        begun.elapsed() - Duration::from_millis(delay)
    };
    let (fast, slow) = tokio::join!(settled(0), settled(700));
    assert!(fast >= SETTLED, "{fast:?}");
    assert!(slow >= WINDOW + Duration::from_millis(3 * 700), "{slow:?}");
    let (read, write) = (Some(Duration::from_millis(900)), Duration::from_millis(10));
    assert_eq!(Pace { read, write }.settled(), Duration::from_millis(6 * 900 + 3 * 10));
    let write = Duration::from_secs(60);
    assert_eq!(Pace { read, write }.settled(), LONGEST, "nobody waits for ever");
}

/// A token that has to be had first may take longer than what was read is good for.
#[tokio::test]
async fn what_a_new_token_made_late_is_read_anew() {
    let (registry, image) = without_api().await;
    let read = format!("GET /v2/app/manifests/{}", Tag::about(&image.digest(), ""));
    registry.fault_times(&read, 1, Fault::Delay(Duration::from_millis(100)));
    registry.fault("GET /token", Fault::Delay(Duration::from_millis(400)));
    let login_begins = async {
        while registry.count(&read) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        registry.require_token(None);
    };
    tokio::join!(list(&registry, &image, "one"), login_begins).0.unwrap();
    assert_eq!(registry.count("GET /token"), 1);
    assert_eq!(of_list(&registry, &image), ["GET", "PUT", "GET", "PUT", "GET"]);
}

/// Who wrote it may have been killed since, and who had read before may overwrite it yet.
#[tokio::test]
async fn what_is_found_there_is_there_to_stay() {
    let (registry, image) = without_api().await;
    let note = list(&registry, &image, "one").await.unwrap();
    let tag = Tag::about(&image.digest(), "");
    let read = format!("GET /v2/app/manifests/{tag}");
    let (before, empty) = (registry.count(&read), Package::index([]));
    let overwritten = async {
        while registry.count(&read) == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        registry.push("app", tag.as_str(), &empty);
    };
    assert_eq!(tokio::join!(list(&registry, &image, "one"), overwritten).0.unwrap(), note);
    assert_eq!(of_list(&registry, &image), ["GET", "PUT", "GET", "GET", "GET", "PUT", "GET"]);
}

#[tokio::test]
async fn who_is_overwritten_again_and_again_gives_up() {
    let (registry, image) = without_api().await;
    let (writer, app, tag) = (writer(&registry), app(), Tag::about(&image.digest(), ""));
    let empty = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).to_string();
    // Nothing that is there is what it should be.
    let never = |_| Ok::<_, Error>(Some((Vec::new(), parsed(Bytes::from(empty.clone()))?)));
    let settling = writer.amend(&app, vec![Amendment::new(tag, never)]).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), settling.settled_within(3)).await;
    let refused = ended.unwrap().unwrap_err();
    assert!(refused.to_string().contains("again and again"), "{refused}");
    assert_eq!(of_list(&registry, &image), ["GET", "PUT", "GET", "PUT", "GET", "PUT"]);
}
