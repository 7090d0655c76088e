//! The flags that notation has too.

use super::run::{Folder, Outcome, case, layout, portcullis};

fn verify(arguments: &[&str]) -> Outcome {
    Folder::with(|_| {}).verify(&layout(&case("alg-p256-jws")), arguments)
}

#[test]
fn user_metadata_must_be_signed() {
    for asked in [&["-m", "io.test=1"][..], &["--user-metadata", "a=b", "-m", "c=d"]] {
        let outcome = verify(asked);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.err.contains("not signed"), "{outcome:?}");
    }
    assert_eq!(verify(&["-m", "a"]).code, Some(64));
    assert_eq!(verify(&["-m", "a=b", "-m", "a=c"]).code, Some(1));
}

#[test]
fn only_so_many_signatures_are_looked_at() {
    assert_eq!(verify(&["--max-signatures", "1"]).code, Some(0));
    assert_eq!(verify(&["--max-signatures", "0"]).code, Some(64));
}

#[test]
fn a_layout_has_a_scope_and_notations_flags_its_folder() {
    let folder = Folder::with(|_| {});
    assert_eq!(folder.run(&["--oci-layout", &layout(&case("unsigned"))]).code, Some(64));
    assert_eq!(folder.run(&["--scope", "a.test/b", "a.test/b:v1"]).code, Some(64));
    assert_eq!(portcullis(&["verify", "--insecure-registry", "a.test/b:v1"]).code, Some(64));
    assert_eq!(folder.run(&["--config", "x.yaml", "a.test/b:v1"]).code, Some(64));
}

#[test]
fn a_registry_that_does_not_answer_exits_1() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outcome = Folder::with(|_| {}).run(&["--insecure-registry", &format!("{free}/app:v1")]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.err.contains(&free.to_string()), "{outcome:?}");
    for incomplete in ["app:v1", "a.test/app", "a.test/app@v1"] {
        assert_eq!(Folder::with(|_| {}).run(&[incomplete]).code, Some(1), "{incomplete}");
    }
}
