use std::cell::Cell;
use std::fs::{self, File};

use serde_json::{Value, json};

use super::*;

/// A layout whose index has these entries, with a file beside it.
fn layout(entries: &[Value], beside: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
    write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    write(INDEX, json!({ "schemaVersion": 2, "manifests": entries }).to_string().as_bytes());
    write("beside", beside);
    fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
    folder
}

fn open(folders: &[&tempfile::TempDir]) -> Result<Carried, Error> {
    let paths: Vec<PathBuf> = folders.iter().map(|folder| folder.path().to_owned()).collect();
    Carried::open(&paths, None, "beside", 8)
}

#[test]
fn what_stands_beside_an_index_has_an_end() {
    let [fits, is_longer] = [8, 9].map(|length| layout(&[], &vec![b'x'; length]));
    let carried = open(&[&is_longer, &fits]).unwrap();
    let [longer, other] = carried.layouts() else { panic!("two layouts") };
    assert!(longer.broken.as_ref().unwrap().contains("has more than 8 bytes"));
    assert_eq!(other.beside.as_ref().unwrap().len(), 8);
}

/// The largest manifests there are, without a name and without content that is theirs.
fn enlarge(folder: &tempfile::TempDir, digests: &[Digest]) {
    for digest in digests {
        let file = File::create(folder.path().join("blobs/sha256").join(digest.hex())).unwrap();
        file.set_len(MAX_MANIFEST_BYTES).unwrap();
    }
}

fn large(count: u64) -> (Vec<Digest>, Vec<Value>) {
    let digests: Vec<Digest> = (0..count).map(|n| Digest::sha256(&n.to_be_bytes())).collect();
    let entry = |digest: &Digest| json!({ "mediaType": "a/b", "digest": digest, "size": MAX_MANIFEST_BYTES });
    let entries = digests.iter().map(entry).collect();
    (digests, entries)
}

#[test]
fn only_so_much_is_read_to_find_what_is_attached() {
    let most = MAX_READ_BYTES / MAX_MANIFEST_BYTES;
    for (count, broken) in [(most, false), (most + 1, true)] {
        let (digests, entries) = large(count);
        let folder = layout(&entries, b"");
        enlarge(&folder, &digests);
        let carried = open(&[&folder]).unwrap();
        let layout = &carried.layouts()[0];
        assert_eq!(layout.broken.is_some(), broken, "{:?}", layout.broken);
        assert_eq!(layout.damaged, usize::try_from(most).unwrap());
        assert_eq!(layout.unread.len(), index::MAX_UNREAD);
    }
}

/// Nor does it bring anything itself: half of what it says is not what it says.
#[test]
fn a_layout_of_which_too_much_is_to_be_read_takes_nothing_from_the_others() {
    let (name, subject) = ("r.test/app:1", Digest::sha256(b"subject"));
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let entry = |digest: &Digest| json!({ "mediaType": media_type, "digest": digest, "size": 9 });
    let named = |digest: &Digest| {
        let mut named = entry(digest);
        named["annotations"] = json!({ NAME: name });
        named
    };
    let referrer = json!({
        "schemaVersion": 2, "mediaType": media_type, "artifactType": "a/b", "layers": [],
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::sha256(b"{}"), "size": 2 },
        "subject": entry(&subject),
    })
    .to_string();
    let attached = |word: &str| {
        let manifest = referrer.replace("a/b", word);
        (Digest::sha256(manifest.as_bytes()), manifest)
    };
    let made = |word: &str, count: u64| {
        let (about, manifest) = attached(word);
        let (digests, entries) = large(count);
        let own = [named(&Digest::sha256(word.as_bytes())), entry(&about)];
        let folder = layout(&[&own[..], &entries].concat(), b"");
        enlarge(&folder, &digests);
        fs::write(folder.path().join("blobs/sha256").join(about.hex()), manifest).unwrap();
        folder
    };
    let most = MAX_READ_BYTES / MAX_MANIFEST_BYTES;
    let (too_large, half, other) =
        (made("a/large", most), made("a/half", most / 2), made("a/half", most / 2));
    let carried = open(&[&too_large, &half, &other]).unwrap();
    let broken: Vec<bool> = carried.layouts().iter().map(|layout| layout.broken.is_some()).collect();
    assert_eq!(broken, [true, false, false]);
    let name = Reference::parse(name).unwrap();
    assert_eq!(carried.named(&name), Some(Digest::sha256(b"a/half")));
    let referrers = carried.referrers_now(&name.repository, &subject).unwrap();
    assert_eq!(referrers.iter().map(|referrer| referrer.digest).collect::<Vec<_>>(), [attached("a/half").0]);
}

#[test]
fn what_cannot_be_opened_is_told_of_alone() {
    let (none, good) = (tempfile::tempdir().unwrap(), layout(&[], b""));
    let cut = good.path().join("cut.tar");
    fs::write(&cut, b"no tar").unwrap();
    let paths = [none.path().to_owned(), cut, good.path().to_owned()];
    let carried = Carried::open(&paths, None, "beside", 8).unwrap();
    let broken: Vec<bool> = carried.layouts().iter().map(|layout| layout.broken.is_some()).collect();
    assert_eq!(broken, [true, true, false]);
}

/// Each thing is read once, what the store has not at all, and of much damage some is told.
#[test]
fn damage_is_told_once_and_up_to_a_bound() {
    let folder = layout(&[], b"");
    let put = |digest: &Digest, content: &[u8]| {
        fs::write(folder.path().join("blobs/sha256").join(digest.hex()), content).unwrap();
    };
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let image = |layers: &[Digest]| {
        let layer = |digest: &Digest| json!({ "mediaType": "a/b", "digest": digest, "size": 1 });
        let config = json!({ "mediaType": "a/b", "digest": Digest::sha256(b"config"), "size": 6 });
        let layers: Vec<Value> = layers.iter().map(layer).collect();
        let image =
            json!({ "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers });
        let digest = Digest::sha256(image.to_string().as_bytes());
        put(&digest, image.to_string().as_bytes());
        digest
    };
    let repository = Repository::parse("r.test/app").unwrap();
    let digests: Vec<Digest> = (0..20_u8).map(|n| Digest::sha256(&[n])).collect();
    digests.iter().for_each(|digest| put(digest, b"else"));
    put(&Digest::sha256(b"config"), b"config");
    let [few, many] = [&digests[..3], &digests].map(image);
    let absent = Digest::sha256(b"absent");
    let carried = open(&[&folder]).unwrap();
    assert_eq!(carried.damage(&repository, &absent, |_| false, || true), [""; 0]);
    let told = carried.damage(&repository, &few, |digest| *digest == digests[2], || true);
    assert_eq!(told, [0, 1].map(|n| something_else(&digests[n])));
    let told = carried.damage(&repository, &many, |_| false, || true);
    assert_eq!((told.len(), told[0].clone()), (index::MAX_UNREAD + 1, something_else(&digests[2])));
    assert_eq!(told.last().unwrap(), "and 2 more");
    assert_eq!(carried.damage(&repository, &many, |_| false, || true), [""; 0]);
    // Whoever goes is not waited for.
    let asked = Cell::new(0);
    let wanted = |times: usize| {
        asked.set(0);
        let asked = &asked;
        move || asked.replace(asked.get() + 1) < times
    };
    let large = Digest::sha256(b"large");
    put(&large, &vec![0; 3 << 20]);
    let image = image(&[large]);
    for (times, told, asks) in [(9, vec![something_else(&large)], 5), (3, vec![], 4), (0, vec![], 1)] {
        let carried = open(&[&folder]).unwrap();
        assert_eq!(carried.damage(&repository, &image, |_| false, wanted(times)), told);
        assert_eq!(asked.get(), asks, "{times}");
    }
}
