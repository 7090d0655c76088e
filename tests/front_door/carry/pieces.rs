//! Exports in pieces, and on top of each other.

use super::{blob, export, import, island, large, mainland};
use crate::test_proxy::{push_signed, served};

#[tokio::test]
async fn a_second_export_leaves_out_what_the_first_has() {
    let (first, second) = (large("first", 300_000), large("second", 400_000));
    let (one, two) = (first.clone(), second.clone());
    let mainland = mainland(move |registry| {
        push_signed(registry, "first", "1", &one);
        push_signed(registry, "second", "1", &two);
    })
    .await;
    let out = |name: &str| mainland.folder.path().join(name);
    export(&mainland, &out("a"), &["registry.test/first:1"]).await.ended(0);
    let since = out("a").to_str().unwrap().to_owned();
    let references =
        ["registry.test/first:1", "registry.test/second:1", "--since", &since, "--output", "json"];
    let done = export(&mainland, &out("b"), &references).await.ended(0);
    assert!(done.json()["left_out_bytes"].as_u64().unwrap() >= 300_000);
    assert!(!blob(&out("b"), &first.layer()).exists() && blob(&out("b"), &second.layer()).exists());

    let fresh = island().await;
    let done = import(&fresh, &[out("b")], &[]).await.ended(2);
    assert!(done.line("registry.test/first:1: trouble").contains("import that one first"), "{}", done.out);
    assert!(done.line("registry.test/second:1: taken in").contains("manifests"));
    import(&fresh, &[out("a")], &[]).await.ended(0);
    let done = import(&fresh, &[out("b")], &[]).await.ended(0);
    assert!(done.out.contains("builds on the export whose contents are sha256:"), "{}", done.out);
    served(&fresh.blob("first", &first.layer()).await, first.blobs().last().unwrap());
    served(&fresh.blob("second", &second.layer()).await, second.blobs().last().unwrap());
    // Both at once do as well.
    let other = island().await;
    import(&other, &[out("b"), out("a")], &[]).await.ended(0);
}

#[tokio::test]
async fn pieces_come_in_any_order_and_a_missing_one_is_named() {
    let (a, b, c) = (large("a", 700_000), large("b", 700_000), large("c", 700_000));
    let all = [("a", a.clone()), ("b", b), ("c", c)];
    let packages = all.clone();
    let mainland = mainland(move |registry| {
        for (name, package) in packages {
            push_signed(registry, name, "1", &package);
        }
    })
    .await;
    let to = mainland.folder.path().join("out.tar");
    let references =
        ["registry.test/a:1", "registry.test/b:1", "registry.test/c:1", "--jobs", "1", "--split", "1MiB"];
    let done = export(&mainland, &to, &references).await.ended(0);
    let piece = |n: u32| mainland.folder.path().join(format!("out.{n}.tar"));
    for n in 1..=3 {
        assert!(done.out.contains(piece(n).to_str().unwrap()), "{}", done.out);
        assert!(std::fs::metadata(piece(n)).unwrap().len() <= 1 << 20);
        let listed = std::process::Command::new("tar").arg("-tf").arg(piece(n)).output().unwrap();
        assert!(listed.status.success() && listed.stderr.is_empty(), "a piece is a whole archive");
    }
    assert!(!piece(4).exists() && !to.exists());
    let again = export(&mainland, &to, &references).await.ended(64);
    assert!(again.err.contains("it is there already"), "{}", again.err);
    let large = mainland.folder.path().join("small.tar");
    let done = export(&mainland, &large, &["registry.test/a:1", "--split", "1048575"]).await.ended(64);
    assert!(done.err.contains("at least 1MiB"), "{}", done.err);

    let island = island().await;
    let done = import(&island, &[piece(1), piece(3)], &[]).await.ended(2);
    assert!(done.out.contains("content is missing: of piece 2"), "{}", done.out);
    assert!(done.line("registry.test/a:1: taken in").contains("manifests"), "{}", done.out);
    assert!(done.line("registry.test/b:1: trouble").contains("in none of the pieces"), "{}", done.out);
    assert!(done.line("registry.test/c:1: taken in").contains("manifests"), "{}", done.out);
    import(&island, &[piece(3), piece(2), piece(1)], &[]).await.ended(0);
    for (name, package) in &all {
        served(&island.blob(name, &package.layer()).await, package.blobs().last().unwrap());
    }
    let done = import(&island, &[piece(2)], &[]).await.ended(2);
    assert!(done.err.contains("none of what was given has an index.json"), "{}", done.err);
}

/// What somebody else has under the name of a piece, or is writing, stays.
#[tokio::test]
async fn no_piece_is_written_over() {
    let all = [("a", large("a", 700_000)), ("b", large("b", 700_000))];
    let mainland = mainland(move |registry| {
        for (name, package) in all {
            push_signed(registry, name, "1", &package);
        }
    })
    .await;
    let path = |name: &str| mainland.folder.path().join(name);
    let references = ["registry.test/a:1", "registry.test/b:1", "--split", "1MiB"];
    mainland.folder.write("second.2.tar", "precious").unwrap();
    let done = export(&mainland, &path("second.tar"), &references).await.ended(2);
    assert!(done.err.contains("second.2.tar: it is there already"), "{}", done.err);
    assert_eq!(std::fs::read_to_string(path("second.2.tar")).unwrap(), "precious");
    assert!(!path("second.2.tar.partial").exists());

    mainland.folder.write("victim", "precious").unwrap();
    std::os::unix::fs::symlink(path("victim"), path("busy.1.tar.partial")).unwrap();
    let done = export(&mainland, &path("busy.tar"), &references).await.ended(64);
    assert!(done.err.contains("another export writes it"), "{}", done.err);
    assert_eq!(std::fs::read_to_string(path("victim")).unwrap(), "precious");
    assert!(path("busy.1.tar.partial").is_symlink() && !path("busy.1.tar").exists());
}

/// A blob is never cut.
#[tokio::test]
async fn a_blob_that_fits_into_no_piece_ends_the_export() {
    // What a piece has beside it: the marker, two headers, and the end.
    let room = (1 << 20) - 1024 - 512 - 1024;
    for (size, code) in [(room, 0), (room + 1, 2)] {
        let package = large("a", size);
        let pushed = package.clone();
        let mainland = mainland(move |registry| push_signed(registry, "a", "1", &pushed)).await;
        let to = mainland.folder.path().join("out.tar");
        let done = export(&mainland, &to, &["registry.test/a:1", "--split", "1MiB"]).await.ended(code);
        assert_eq!(done.err.contains("split into larger ones"), code == 2, "{}", done.err);
    }
}
