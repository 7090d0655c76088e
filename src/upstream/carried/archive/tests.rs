use proptest::prelude::*;

use super::*;

/// A header block with a right checksum, and its content in whole blocks.
fn entry(kind: u8, name: &str, content: &[u8]) -> Vec<u8> {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    block[148..156].copy_from_slice(b"        ");
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut entry = [block.as_slice(), content].concat();
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

fn read(entries: &[Vec<u8>]) -> Result<HashMap<String, (u64, u64)>, String> {
    let bytes = [entries.concat(), vec![0; 1024]].concat();
    files(&bytes.as_slice(), bytes.len() as u64, "a", MAX_FILES)
}

#[test]
fn plain_files_are_found_where_they_lie() {
    let long = format!("blobs/sha512/{}", "a".repeat(128));
    let short = format!("blobs/sha256/{}", "b".repeat(64));
    let record = format!("path={long}\n");
    let record = format!("{} {record}", record.len() + 4);
    let found = read(&[
        entry(b'5', "./blobs/", b""),
        entry(b'0', "./index.json", b"{}"),
        entry(b'g', "pax_global_header", b"11 a=bcde\n"),
        entry(b'x', "PaxHeaders/x", record.as_bytes()),
        entry(b'0', "cut", b"content"),
        entry(b'L', "././@LongLink", short.as_bytes()),
        entry(0, "cut", b""),
        entry(b'0', "a", b"beside"),
    ])
    .unwrap();
    assert_eq!(found["index.json"], (1024, 2));
    assert_eq!(found[&long].1, 7);
    assert_eq!(found[&short].1, 0);
    assert_eq!(found["a"].1, 6);
    assert_eq!(found.len(), 4);
}

/// Names cost memory, and nobody asks for these.
#[test]
fn what_is_no_part_of_a_layout_is_not_noted() {
    let hex = "b".repeat(64);
    let names =
        ["b", "oci-layout", "blobs/x", "blobs/sha256/b", &format!("blobs/md5/{hex}"), &format!("x/{hex}")];
    let others: Vec<_> = names.iter().map(|name| entry(b'0', name, b"x")).collect();
    assert!(read(&others).unwrap().is_empty());
}

#[test]
fn what_could_lead_an_unpacker_astray_is_refused() {
    let sparse = b"24 GNU.sparse.major=1.0\n".as_slice();
    for (entries, why) in [
        (vec![entry(b'2', "index.json", b"")], "a link"),
        (vec![entry(b'1', "index.json", b"")], "a link"),
        (vec![entry(b'S', "index.json", b"")], "the kind S"),
        (vec![entry(b'3', "index.json", b"")], "the kind 3"),
        (vec![entry(b'0', "../index.json", b"")], "leads out of it"),
        (vec![entry(b'0', "blobs/../../x", b"")], "leads out of it"),
        (vec![entry(b'0', "/etc/passwd", b"")], "leads out of it"),
        (vec![entry(b'x', "x", sparse), entry(b'0', "a", b"")], "holes"),
        (vec![entry(b'x', "x", b"no record"), entry(b'0', "a", b"")], "malformed"),
        (vec![entry(b'x', "x", b"99 path=a\n"), entry(b'0', "a", b"")], "malformed"),
        (vec![entry(b'0', "a", b"1"), entry(b'0', "./a", b"2")], "there twice"),
        (vec![vec![b'x'; 512]], "a number that is none"),
    ] {
        let error = read(&entries).unwrap_err();
        assert!(error.contains(why), "{why}: {error}");
    }
}

#[test]
fn what_a_header_says_of_the_next_file_has_an_end() {
    let comment = |length: u64| {
        let start = format!("{length} comment=");
        let rest = usize::try_from(length).unwrap() - start.len() - 1;
        entry(b'x', "x", format!("{start}{}\n", "c".repeat(rest)).as_bytes())
    };
    assert!(read(&[comment(MAX_EXTENSION), entry(b'0', "a", b"")]).is_ok());
    let error = read(&[comment(MAX_EXTENSION + 1), entry(b'0', "a", b"")]).unwrap_err();
    assert!(error.contains("a header of more than 65536 bytes"), "{error}");
}

#[test]
fn an_archive_of_too_many_files_is_not_read() {
    let blob = |n: usize| entry(b'0', &format!("blobs/sha256/{n:064x}"), b"");
    let bytes = [(0..3).flat_map(blob).collect(), vec![0; 512]].concat();
    let read = |most| files(&bytes.as_slice(), bytes.len() as u64, "", most);
    assert_eq!(read(3).unwrap().len(), 3);
    assert_eq!(read(2).unwrap_err(), "more than 2 files");
}

#[test]
fn an_archive_that_was_cut_is_refused_wherever_it_was() {
    let whole = [entry(b'0', "a", &[1; 600]), vec![0; 512]].concat();
    assert!(files(&whole.as_slice(), whole.len() as u64, "a", MAX_FILES).is_ok());
    for length in 0..whole.len() {
        assert!(files(&&whole[..length], length as u64, "a", MAX_FILES).is_err(), "{length}");
    }
}

proptest! {
    #[test]
    fn a_changed_archive_names_nothing_beyond_its_end(at in 0usize..2048, to in any::<u8>()) {
        let mut bytes = [entry(b'0', "index.json", &[1; 600]), vec![0; 512]].concat();
        let at = at % bytes.len();
        bytes[at] = to;
        prop_assert!(fuzz(&bytes));
    }
}
