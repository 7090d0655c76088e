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
#[test]
fn only_so_much_is_read_to_find_what_is_attached() {
    let most = MAX_READ_BYTES / MAX_MANIFEST_BYTES;
    let digests: Vec<Digest> = (0..=most).map(|n| Digest::sha256(&n.to_be_bytes())).collect();
    let entry = |digest: &Digest| json!({ "mediaType": "a/b", "digest": digest, "size": MAX_MANIFEST_BYTES });
    let entries: Vec<Value> = digests.iter().map(entry).collect();
    let most = usize::try_from(most).unwrap();
    for (count, broken) in [(most, false), (most + 1, true)] {
        let folder = layout(&entries[..count], b"");
        for digest in &digests[..count] {
            let file = File::create(folder.path().join("blobs/sha256").join(digest.hex())).unwrap();
            file.set_len(MAX_MANIFEST_BYTES).unwrap();
        }
        let carried = open(&[&folder]).unwrap();
        let layout = &carried.layouts()[0];
        assert_eq!(layout.broken.is_some(), broken, "{:?}", layout.broken);
        assert_eq!(layout.damaged, most);
        assert_eq!(layout.unread.len(), index::MAX_UNREAD);
    }
}
