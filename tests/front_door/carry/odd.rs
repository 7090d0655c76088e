//! Layouts with something odd in them: the rest comes in all the same, and what is told breaks no terminal.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::demo::Package;
use portcullis::oci::Digest;
use serde_json::{Value, json};

use super::{attached, blob, damage, export, import, island, mainland};
use crate::test_proxy::{served, signed};

/// Changes what nobody signed.
pub(super) fn edit_contents(layout: &Path, edit: impl FnOnce(&mut Value)) {
    let path = layout.join("contents.json");
    let mut envelope: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let mut payload: Value = serde_json::from_slice(&payload).unwrap();
    edit(&mut payload);
    envelope["payload"] = STANDARD.encode(payload.to_string()).into();
    fs::write(path, envelope.to_string()).unwrap();
}

fn edit_index(layout: &Path, edit: impl FnOnce(&mut Vec<Value>)) {
    let path = layout.join("index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(index["manifests"].as_array_mut().unwrap());
    fs::write(path, index.to_string()).unwrap();
}

#[tokio::test]
async fn one_odd_file_holds_nothing_else_up() {
    let names = ["app", "layer", "link"];
    let mainland = mainland(move |registry| names.into_iter().for_each(|name| signed(name)(registry))).await;
    let to = mainland.folder.path().join("out");
    let references = names.map(|name| format!("registry.test/{name}:1"));
    export(&mainland, &to, &references.each_ref().map(String::as_str)).await.ended(0);
    let layer = blob(&to, &Package::image("layer").layer());
    fs::remove_file(&layer).unwrap();
    fs::create_dir(&layer).unwrap();
    let signature = blob(&to, &attached(&to, "link", &Package::image("link").digest()));
    fs::rename(&signature, to.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(to.join("elsewhere"), &signature).unwrap();
    let large = Digest::sha256(b"large");
    fs::File::create(blob(&to, &large)).unwrap().set_len((4 << 20) + 1).unwrap();
    edit_index(&to, |entries| {
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        entries.push(json!({ "mediaType": media_type, "digest": large, "size": (4 << 20) + 1 }));
    });
    let island = island().await;
    let done = import(&island, &[&to], &[]).await.ended(2);
    assert!(done.line("registry.test/app:1: taken in").contains("manifests"), "{}", done.out);
    assert!(done.line("registry.test/layer:1: trouble").contains("is no file"), "{}", done.out);
    assert!(done.line("registry.test/link:1: trouble").contains("a symbolic link"), "{}", done.out);
    assert!(done.out.contains("has more than 4194304 bytes"), "{}", done.out);
    assert!(done.out.contains("content is missing: of piece 1"), "{}", done.out);
    served(&island.get("app:1").await, Package::image("app").bytes());

    // Contents that are none keep out what they should list, and nothing else.
    let other = mainland.folder.path().join("other");
    export(&mainland, &other, &["registry.test/layer:1"]).await.ended(0);
    fs::write(other.join("contents.json"), "{}").unwrap();
    let done = import(&island, &[&other, &to], &[]).await.ended(2);
    assert!(done.line("registry.test/layer:1: refused").contains("contents.json: "), "{}", done.out);
    assert!(done.line("registry.test/app:1: taken in").contains("manifests"), "{}", done.out);
}

/// The names in a layout are whatever somebody wrote there.
#[tokio::test]
async fn what_is_told_of_a_layout_breaks_no_terminal() {
    let mainland = mainland(signed("app")).await;
    let to = mainland.folder.path().join("out");
    export(&mainland, &to, &["registry.test/app:1"]).await.ended(0);
    let forged = "\u{1b}[2Jx\u{202e}\nregistry.test/bad:1: taken in, 9 manifests";
    let digest = Package::image("app").digest();
    let name = "org.opencontainers.image.ref.name";
    edit_contents(&to, |payload| {
        let references = payload["references"].as_array_mut().unwrap();
        references.push(json!({ "name": forged, "digest": digest }));
        references.push(json!({ "name": "registry.test/gone:1", "digest": digest }));
    });
    edit_index(&to, |entries| {
        let mut entry = entries.iter().find(|entry| entry["digest"] == digest.to_string()).unwrap().clone();
        entry["annotations"] = json!({ name: forged });
        entries.push(entry);
    });
    let island = island().await;
    let done = import(&island, &[&to], &[]).await.ended(1);
    let is_plain = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
    assert!(done.out.chars().all(is_plain), "{:?}", done.out);
    assert!(!done.out.lines().any(|line| line.starts_with("registry.test/bad:1")), "{}", done.out);
    let gone = done.line("registry.test/gone:1: refused");
    assert!(gone.contains("the contents list it, and the layout's index does not name it"), "{gone}");
    assert!(done.line("registry.test/app:1: taken in").contains("manifests"), "{}", done.out);
}

/// What the contents do not confirm is found by nobody: not by the name that an index gives it either.
#[tokio::test]
async fn a_signature_s_tag_that_the_contents_do_not_list_is_not_there() {
    use portcullis::demo::signing::nv2;
    let app = Package::image("app");
    let tag = nv2::tag(&app.digest());
    let (image, pushed) = (app.clone(), tag.clone());
    let mainland = mainland(move |registry| {
        let token = nv2::jwt(
            &crate::test_proxy::WABBIT,
            &nv2::Claim::new(&["registry.test/app:1"]),
            image.descriptor(),
        );
        registry.push("app", "1", &image);
        registry.push("app", pushed.as_str(), &nv2::jwt_artifact(token.unwrap()));
    })
    .await;
    let to = mainland.folder.path().join("out");
    export(&mainland, &to, &["registry.test/app:1"]).await.ended(0);
    edit_contents(&to, |payload| {
        let tag = format!("registry.test/app:{tag}");
        payload["references"].as_array_mut().unwrap().retain(|reference| reference["name"] != tag);
    });
    let island = island().await;
    let done = import(&island, &[&to], &[]).await.ended(1);
    assert!(done.line("registry.test/app:1: refused").contains("no trusted signature"), "{}", done.out);
    assert_ne!(island.get("app:1").await.status, 200);
}

/// Whoever gives many layouts learns which of them cannot be opened, and has the others.
#[tokio::test]
async fn what_is_no_layout_and_what_is_cut_short_keep_out_themselves_alone() {
    let mainland = mainland(signed("app")).await;
    let out = |name: &str| mainland.folder.path().join(name);
    for name in ["good", "cut.tar"] {
        export(&mainland, &out(name), &["registry.test/app:1"]).await.ended(0);
    }
    let archive = fs::OpenOptions::new().write(true).open(out("cut.tar")).unwrap();
    archive.set_len(archive.metadata().unwrap().len() - 1024).unwrap();
    fs::create_dir(out("none")).unwrap();
    let island = island().await;
    let done = import(&island, &[out("cut.tar"), out("none"), out("good")], &[]).await.ended(2);
    for (name, why) in [("cut.tar", "it is cut short"), ("none", "oci-layout")] {
        let told = done.line(&format!("{}: trouble: ", out(name).display()));
        assert!(told.contains(why), "{told}");
    }
    assert!(done.line("registry.test/app:1: taken in").contains("manifests"), "{}", done.out);
    served(&island.get("app:1").await, Package::image("app").bytes());
    let since = out("cut.tar").to_str().unwrap().to_owned();
    let done = export(&mainland, &out("next"), &["registry.test/app:1", "--since", &since]).await;
    assert!(done.code != 0 && done.err.contains("it is cut short"), "{}", done.err);
}

/// Whoever gives many layouts learns which of them is broken, and has the others.
#[tokio::test]
async fn a_broken_index_keeps_out_its_own_layout_alone() {
    let mainland = mainland(signed("app")).await;
    let out = |name: &str| mainland.folder.path().join(name);
    for name in ["good", "torn", "none"] {
        export(&mainland, &out(name), &["registry.test/app:1"]).await.ended(0);
    }
    let index = fs::read(out("torn").join("index.json")).unwrap();
    fs::write(out("torn").join("index.json"), &index[..index.len() / 2]).unwrap();
    fs::write(out("none").join("index.json"), Package::image("app").bytes()).unwrap();
    let island = island().await;
    let done = import(&island, &[out("torn"), out("good"), out("none")], &[]).await.ended(2);
    for (name, why) in [("torn", "not well-formed"), ("none", "is no index")] {
        let told = done.line(&format!("{}: trouble: ", out(name).display()));
        assert!(told.contains("index.json") && told.contains(why), "{told}");
    }
    assert!(done.line("registry.test/app:1: taken in").contains("manifests"), "{}", done.out);
    served(&island.get("app:1").await, Package::image("app").bytes());
    let done = import(&island, &[out("torn")], &["--output", "json"]).await.ended(2);
    assert!(done.json()["layouts"][0]["broken"].as_str().unwrap().contains("not well-formed"));
}

/// Nobody can tell what it was about, so that nobody misses it: but for the damage, this would be "unsigned".
#[tokio::test]
async fn damage_to_what_no_name_leads_to_is_told() {
    let mainland = mainland(signed("app")).await;
    let to = mainland.folder.path().join("out");
    export(&mainland, &to, &["registry.test/app:1"]).await.ended(0);
    let signature = attached(&to, "app", &Package::image("app").digest());
    // As a tool leaves it that knows of no list of referrers.
    fs::remove_file(to.join("contents.json")).unwrap();
    let name = "org.opencontainers.image.ref.name";
    edit_index(&to, |entries| {
        entries.retain(|entry| !entry["annotations"][name].to_string().contains(":sha256-"));
    });
    let island = island().await;
    import(&island, &[&to], &[]).await.ended(0);

    damage(&blob(&to, &signature));
    let island = self::island().await;
    let done = import(&island, &[&to], &[]).await.ended(2);
    assert!(done.out.contains("  damaged: 1 artifacts"), "{}", done.out);
    assert!(done.out.contains(&format!("the content under {signature} is something else")), "{}", done.out);
    assert!(done.line("registry.test/app:1: refused").contains("no trusted signature"), "{}", done.out);
    let done = import(&island, &[&to], &["--output", "json"]).await.ended(2);
    assert_eq!(done.json()["layouts"][0]["damaged"], 1);
}

/// Whoever made a layout does not decide how much is told of it, nor how much is read.
#[tokio::test]
async fn what_is_told_of_a_layout_has_an_end() {
    let mainland = mainland(signed("app")).await;
    let to = mainland.folder.path().join("out");
    export(&mainland, &to, &["registry.test/app:1"]).await.ended(0);
    let island = island().await;
    let entry = |entries: &[Value], name: String| {
        let mut entry = entries[0].clone();
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        entry
    };
    for (count, told) in [(32, 32), (33, 32)] {
        edit_index(&to, |entries| {
            entries.retain(|entry| !entry.to_string().contains("no-name-"));
            let more: Vec<_> = (0..count).map(|n| entry(entries, format!("no-name-{n}"))).collect();
            entries.extend(more);
        });
        let done = import(&island, &[&to], &[]).await.ended(0);
        assert_eq!(done.out.matches("passed over: ").count(), told, "{}", done.out);
    }
    let contents = to.join("contents.json");
    for (length, why) in
        [(64 << 20, "registry.test/app:1: refused"), ((64 << 20) + 1, "more than 67108864 bytes")]
    {
        fs::File::create(&contents).unwrap().set_len(length).unwrap();
        let done = import(&island, &[&to], &[]).await;
        assert!(done.code != 0 && done.out.contains(why), "{}{}", done.out, done.err);
    }
}
