//! Nobody outside can forge a proof: each file in `tests/forgery/` tries one way, and the compiler
//! must refuse it for the reason that the file's first line names. One control compiles.
//!
//! The files are compiled against the library that cargo has just built for these tests, which takes
//! a second; a build of its own would compile every dependency again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::ops::DerefMut;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// Does not compile where the type has one of the traits: then both methods answer, and neither
/// is meant.
macro_rules! lacks {
    ($type:ty: $($name:path),+) => {$({
        trait Meant<A> {
            fn meant() {}
        }
        impl<T: ?Sized> Meant<()> for T {}
        struct Other;
        impl<T: ?Sized + $name> Meant<Other> for T {}
        <$type as Meant<_>>::meant();
    })+};
}

#[test]
fn every_forgery_is_refused_by_the_compiler() {
    let cases = cases();
    assert!(cases.len() > 1, "the cases are gone");
    let library = library();
    let faults: Vec<_> = cases.iter().filter_map(|case| judge(case, &library).err()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What could be made from nothing, copied or read from a file would be no proof.
#[test]
fn proofs_have_no_trait_that_makes_one() {
    use portcullis::admission::{Admitted, Unlocks};
    use portcullis::oci::Manifest;
    use portcullis::policy::Decision;
    use portcullis::signature::Evidence;
    use serde::de::DeserializeOwned;

    lacks!(Admitted<Manifest>: Clone, Default, DeserializeOwned, From<Manifest>, AsMut<Manifest>, DerefMut);
    lacks!(Unlocks: Clone, Default, DeserializeOwned);
    lacks!(Decision: Default, DeserializeOwned);
    lacks!(Evidence: Default, DeserializeOwned);
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forgery");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// A case's first line is `//! compiles`, or `//! refused: E0451`.
fn judge(case: &Path, library: &Path) -> Result<(), String> {
    let text = fs::read_to_string(case).unwrap();
    let expected = text.lines().next().unwrap_or_default();
    let (compiled, complaints) = compile(case, library);
    let codes: Vec<_> = complaints.iter().filter_map(|line| code(line)).collect();
    let as_told = match expected.strip_prefix("//! refused: ") {
        Some(reason) => !compiled && !codes.is_empty() && codes.iter().all(|code| *code == reason),
        None => expected == "//! compiles" && compiled,
    };
    if as_told {
        return Ok(());
    }
    Err(format!("{}: {expected:?}, but the compiler said:\n  {}", case.display(), complaints.join("\n  ")))
}

fn compile(case: &Path, library: &Path) -> (bool, Vec<String>) {
    let out = tempfile::tempdir().unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let done = Command::new(rustc)
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--error-format=short", "-Awarnings"])
        .arg("--out-dir")
        .arg(out.path())
        .arg("--extern")
        .arg(format!("portcullis={}", library.display()))
        .arg("-L")
        .arg(format!("dependency={}", library.parent().unwrap().display()))
        .arg(case)
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&done.stderr).lines().map(str::to_owned).collect();
    (done.status.success(), complaints)
}

/// `E0451` of `case.rs:3:5: error[E0451]: field …`.
fn code(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("error[")?;
    Some(rest.split_once(']')?.0)
}

/// The newest build of the library beside this test.
fn library() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let built = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libportcullis-") && name.ends_with(".rlib")
    };
    let age =
        |path: &PathBuf| fs::metadata(path).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let beside = fs::read_dir(own.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    beside.filter(built).max_by_key(age).expect("cargo builds the library before its tests")
}
