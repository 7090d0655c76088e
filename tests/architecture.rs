//! Holds the layers: which module may use which, as `docs/ARCHITECTURE.md` tells it. Reads the
//! sources as the compiler would, tests left out, so that inline paths, groups, globs and macros count.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "architecture/layers.rs"]
mod layers;
#[path = "architecture/pinned.rs"]
mod pinned;
#[path = "architecture/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use layers::{LAYERS, Row, documented, may_use};
use source::{Source, production_sources};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_module_has_its_row_and_every_row_its_module() {
    let declared: BTreeSet<_> =
        production_sources(root()).iter().filter_map(|s| s.module.first().cloned()).collect();
    let listed: BTreeSet<_> = LAYERS.iter().map(|row| row.module.to_owned()).collect();
    assert_eq!(declared, listed, "src/lib.rs on the left, the table of layers on the right");
    assert!(LAYERS.is_sorted_by_key(|row| row.layer), "the table goes from the bottom up");
}

#[test]
fn modules_use_only_what_their_row_names() {
    let faults: Vec<_> = production_sources(root()).iter().flat_map(Source::faults).collect();
    assert!(faults.is_empty(), "imports that break the layers:\n  {}", faults.join("\n  "));
}

#[test]
fn the_table_lets_nobody_look_upwards() {
    for row in LAYERS.iter().filter(|row| row.module != "cli") {
        for used in may_use(row) {
            let below = LAYERS.iter().find(|other| other.module == used).unwrap();
            assert!(below.layer < row.layer, "{} may use {used}, which is not below it", row.module);
        }
    }
}

/// Everything that can make an `Admitted` stands in one file. A new method, field, derive or wider
/// visibility there must be argued for in the same commit as this list.
#[test]
fn the_file_that_makes_proofs_is_pinned() {
    let text = fs::read_to_string(root().join("src/admission/admitted.rs")).unwrap();
    let pinned = "\
pub trait Content { fn digest(&self) -> Digest }
impl Content for Manifest
    fn digest(&self) -> Digest
impl Content for Descriptor
    fn digest(&self) -> Digest
impl Content for Blob
    fn digest(&self) -> Digest
impl<T: Content> Content for Arc<T>
    fn digest(&self) -> Digest
pub struct Unlocks { pub(super) digest: Digest }
#[derive(Debug)] pub struct Admitted<T> { content: T, decision: Arc<Decision>, stale: bool }
impl<T: Content> Admitted<T>
    pub(super) fn new(decision: &Arc<Decision>, unlocks: Unlocks, content: T, stale: bool) -> Option<Self>
impl<T> Admitted<T>
    pub fn content(&self) -> &T
    pub fn decision(&self) -> &Arc<Decision>
    pub fn stale(&self) -> bool
    pub fn into_content(self) -> T";
    assert_eq!(pinned::declarations(&text).join("\n"), pinned);
}

/// An answer's body is made of admitted content, or of texts that `http/reply.rs` writes in one place.
#[test]
fn the_file_that_makes_bodies_is_pinned() {
    let text = fs::read_to_string(root().join("src/http/reply/body.rs")).unwrap();
    let pinned = "\
pub struct Body { Inner }
enum Inner { Whole(Option<Bytes>), Blob { reader: BlobReader, left: u64, served: SpreadCounter }, }
impl Body
    pub(super) fn empty() -> Self
    pub(super) fn manifest(manifest: &Admitted<Arc<Manifest>>, served: &SpreadCounter) -> Self
    pub(super) fn referrers(list: &Admitted<Referrers>) -> Self
    pub(super) fn blob(blob: Admitted<Blob>, range: Range<u64>, served: &SpreadCounter, outlet: Outlet,) -> Self
    pub(super) fn written_here(json: Vec<u8>) -> Self
    pub(super) fn literal(text: &'static [u8]) -> Self
impl http_body::Body for Body
    type Data = Bytes
    type Error = io::Error
    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>,) -> Poll<Option<Result<Frame<Bytes>, io::Error>>>
    fn is_end_stream(&self) -> bool
    fn size_hint(&self) -> SizeHint";
    assert_eq!(pinned::declarations(&text).join("\n"), pinned);
    let uses =
        production_sources(root()).iter().map(|s| s.text.matches("written_here(").count()).sum::<usize>();
    assert_eq!(uses, 2, "its definition, and the one that writes JSON");
}

/// Leave is made from what links know, and nothing outside the pinned file adds to the proof's type.
#[test]
fn only_links_say_what_a_decision_unlocks() {
    for source in production_sources(root()) {
        let (made, extended) = pinned::makers(&source.text, &["Unlocks", "Admitted"]);
        let (file, path) = (source.path.file_name().unwrap(), source.path.display());
        assert!(made.iter().all(|made| made == "Unlocks" && file == "links.rs"), "{path} makes {made:?}");
        assert!(extended.is_empty() || file == "admitted.rs", "{path} adds to {extended:?}");
    }
}

/// `docs/ARCHITECTURE.md` holds the same table: both change in one commit.
#[test]
fn the_documented_table_is_the_same() {
    let page = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let documented = documented(&page);
    let held: Vec<Row<'_>> = LAYERS.to_vec();
    assert_eq!(documented, held, "the documentation on the left, the table of layers on the right");
}

#[test]
fn the_root_declares_modules_and_re_exports_nothing() {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let file = syn::parse_file(&text).unwrap();
    assert!(file.items.iter().all(|item| matches!(item, syn::Item::Mod(_))), "src/lib.rs holds modules only");
}

#[test]
fn every_file_opens_with_its_job() {
    for source in production_sources(root()) {
        assert!(source.text.starts_with("//! "), "{} does not say what it is for", source.path.display());
    }
}

#[test]
fn no_module_is_a_drawer_for_everything() {
    const DRAWERS: [&str; 7] = ["utils", "util", "common", "types", "helpers", "services", "manager"];
    for source in production_sources(root()) {
        let drawer = source.module.iter().find(|name| DRAWERS.contains(&name.as_str()));
        assert_eq!(drawer, None, "{}", source.path.display());
    }
}

#[test]
fn errors_stay_typed_and_code_stays_safe() {
    for source in production_sources(root()) {
        let module = source.module.first().map(String::as_str);
        if module != Some("cli") {
            assert!(!source.text.contains("anyhow"), "{}: anyhow is cli's alone", source.path.display());
        }
        if module != Some("sendfile") {
            let opened = source.text.contains("allow(unsafe_code)");
            assert!(!opened, "{}: unsafe is sendfile's alone", source.path.display());
        }
    }
}

/// The checker itself: each way to name another module is seen.
#[test]
fn no_way_of_naming_a_module_is_missed() {
    let faulty = [
        "use crate::http::Reply;",
        "use crate::{oci, http};",
        "use crate::{oci::Digest, http::{Reply, route}};",
        "use crate::http::*;",
        "use super::http::Reply;",
        "use crate::*;",
        "use crate as all;",
        "use super::*;",
        "fn f() { crate::http::serve() }",
        "fn f(_: &dyn crate::http::Serve) {}",
        "fn f() { let _ = <crate::http::A as Clone>::clone; }",
        "mod inner { use super::super::http::Reply; }",
        "mod inner { fn f() { super::super::http::serve() } }",
        "fn f() { println!(\"{}\", crate::http::NAME) }",
        "macro_rules! m { () => { use $crate::{oci, http::Reply}; } }",
        "#[derive(Deserialize)] struct S { #[serde(with = \"crate::http::setting\")] a: u8 }",
        "#[path = \"../http.rs\"] mod copy;",
    ];
    for text in faulty {
        let faults = Source::of("x509", text).faults();
        assert_eq!(faults.len(), 1, "{text}: {faults:?}");
    }
    let sound = [
        "use crate::oci::Digest; use crate::telemetry::{self, Untrusted};",
        "use self::chain::Error; use chain::walk; mod chain { use super::Name; }",
        "pub(in crate::http) fn f() {} pub(crate) fn g() {}",
        "#[cfg(test)] mod tests { use crate::http::Reply; use super::*; }",
        "#[cfg(test)] use crate::http::Reply;",
        "#[cfg(test)] impl crate::http::Named for S {}",
        "/// As [`crate::http::Reply`] shows it.\nstruct S;",
        "use ::http::StatusCode; use bytes::Bytes;",
    ];
    for text in sound {
        assert_eq!(Source::of("x509", text).faults(), Vec::<String>::new(), "{text}");
    }
}
