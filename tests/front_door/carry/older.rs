//! Exports that are older than what was taken in, and exports from the future.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use portcullis::demo::Package;
use portcullis::signing::Key;
use portcullis::x509::KeyKind;

use super::{export, import, island, mainland};
use crate::revocation::HOUR;
use crate::test_proxy::{Running, push_signed, served, signed};

/// The private and the public half.
fn key(proxy: &Running) -> [String; 2] {
    let (private, pem) = Key::generate(KeyKind::P256, None).unwrap();
    let put = |name: &str, text: &str| -> PathBuf {
        proxy.folder.write(name, text).unwrap();
        proxy.folder.path().join(name)
    };
    let paths = [put("contents.pem", &pem), put("contents.pub", &private.public().to_pem())];
    paths.map(|path| path.to_str().unwrap().to_owned())
}

/// Its signature holds for ever, and so do those of the older image.
#[tokio::test]
async fn an_older_export_takes_no_name_back_unasked() {
    let mainland = mainland(|registry| {
        signed("app")(registry);
        signed("only")(registry);
    })
    .await;
    let [private, public] = key(&mainland);
    let out = |name: &str| mainland.folder.path().join(name);
    let references = ["registry.test/app:1", "registry.test/only:1", "--key", &private];
    export(&mainland, &out("first"), &references).await.ended(0);
    let newer = Package::image("newer");
    push_signed(mainland.upstream(), "app", "1", &newer);
    mainland.pass(Duration::from_secs(600));
    // Times are told to the second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    export(&mainland, &out("second"), &["registry.test/app:1", "--key", &private]).await.ended(0);
    let island = island().await;
    let trust = ["--trusted-key", public.as_str()];
    import(&island, &[out("second")], &trust).await.ended(0);
    served(&island.get("app:1").await, newer.bytes());

    let done = import(&island, &[out("first")], &trust).await.ended(1);
    assert!(done.line("registry.test/app:1: refused").contains("--older goes back"), "{}", done.out);
    // What no newer one said anything about comes in.
    assert!(done.line("registry.test/only:1: taken in").contains("manifests"), "{}", done.out);
    served(&island.get("app:1").await, newer.bytes());
    import(&island, &[out("second")], &trust).await.ended(0);

    let done = import(&island, &[out("first")], &[trust[0], trust[1], "--older"]).await.ended(0);
    assert!(done.line("registry.test/app:1: taken in").contains("manifests"), "{}", done.out);
    served(&island.get("app:1").await, Package::image("app").bytes());
}

/// A time that somebody trusted signed tells that this clock is wrong; by the word of others only their own layout stays out.
#[tokio::test]
async fn whoever_is_not_trusted_cannot_hold_the_others_up_by_a_date() {
    let mainland = mainland(|registry| {
        signed("app")(registry);
        signed("other")(registry);
    })
    .await;
    let [private, public] = key(&mainland);
    let out = |name: &str| mainland.folder.path().join(name);
    export(&mainland, &out("good"), &["registry.test/app:1", "--key", &private]).await.ended(0);
    export(&mainland, &out("late"), &["registry.test/other:1"]).await.ended(0);
    let island = island().await;
    super::odd::edit_contents(&out("late"), |payload| payload["made"] = "2999-01-01T00:00:00Z".into());
    let trust = ["--trusted-key", public.as_str()];
    let done = import(&island, &[out("late"), out("good")], &trust).await.ended(1);
    assert!(done.line("registry.test/app:1: taken in").contains("manifests"), "{}", done.out);
    assert!(done.line("registry.test/other:1: refused").contains("no trusted key"), "{}", done.out);
    let done = import(&island, &[out("late"), out("good")], &[]).await.ended(2);
    assert!(done.line("registry.test/other:1: trouble").contains("set it right first"), "{}", done.out);
    assert!(done.line("registry.test/app:1: taken in").contains("manifests"), "{}", done.out);
    island.clock.set(SystemTime::now() - HOUR);
    let done = import(&island, &[out("good")], &trust).await.ended(2);
    assert!(done.err.contains("set it right first"), "{}", done.err);
}
