//! OCI image layouts that were carried here (image-spec 1.1, `image-layout.md`), as folders or in tar archives, several
//! pieces of one or several whole: they answer as the registries would whose full names stand in their indexes.
//! Opened once, read where they lie, never written; whoever made them is not trusted.

mod archive;
mod damage;
mod index;
mod place;
mod source;
mod stream;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use bytes::Bytes;

use super::error::Error;
use super::layout::{INDEX, may_refer, path};
use crate::oci::{
    Algorithm, Descriptor, Digest, Kind, MAX_MANIFEST_BYTES, Manifest, ManifestError, Reference, Repository,
    Tag, Target,
};
use damage::Looked;
use index::Attached;
use place::Place;

pub use archive::fuzz as fuzz_archive;
pub use index::CarriedLayout;
pub use source::Source;

/// The annotation of an index entry that is its name.
const NAME: &str = "org.opencontainers.image.ref.name";
/// To find what is attached, so many bytes of manifests without a name are read of each layout.
const MAX_READ_BYTES: u64 = 256 << 20;

/// What was carried here.
#[derive(Debug, Default)]
pub struct Carried {
    places: Vec<Place>,
    layouts: Vec<CarriedLayout>,
    /// Nothing where two manifests have the name: readers differ in which of them they take.
    names: HashMap<Reference, Option<Digest>>,
    /// By subject, of what no name leads to.
    referrers: HashMap<Digest, Vec<Descriptor>>,
    expected: HashMap<Digest, Expected>,
    /// What a tag alone is a tag of.
    repository: Option<Repository>,
    /// Where damage was looked for.
    looked: Looked,
}

/// What was said of content before it is looked for.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// It should be there.
    Here,
    /// It was left out, and has so many bytes.
    LeftOut(u64),
}

impl Carried {
    /// Opens folders and archives; from beside each index, `beside` is read too, to at most `limit` bytes. An entry whose
    /// name is a tag alone is one of `repository`. What cannot be opened or read to its end is told of as a broken layout, of
    /// which nothing is found, and the others are read. Blocks.
    ///
    /// # Errors
    /// None has an index.
    pub fn open(
        paths: &[PathBuf],
        repository: Option<Repository>,
        beside: &str,
        limit: u64,
    ) -> Result<Self, Error> {
        let mut carried = Self { repository, ..Self::default() };
        let mut opened = Vec::with_capacity(paths.len());
        for path in paths {
            let place = Place::open(path, beside);
            opened.push(place.map(|place| {
                carried.places.push(place);
                carried.places.len() - 1
            }));
        }
        for (path, place) in paths.iter().zip(opened) {
            let mut layout = CarriedLayout::at(path);
            match place.and_then(|at| carried.read_index(at, &mut layout, beside, limit)) {
                Ok(None) => continue,
                Ok(Some(attached)) => carried.enter(&layout, attached),
                Err(Error::Unavailable(why)) => layout.broken = Some(why),
                Err(other) => layout.broken = Some(format!("{}: {INDEX}: {other}", path.display())),
            }
            carried.layouts.push(layout);
        }
        if carried.layouts.is_empty() {
            return Err(Error::Unavailable(format!("none of what was given has an {INDEX}")));
        }
        Ok(carried)
    }

    /// What it is made of.
    pub fn layouts(&self) -> &[CarriedLayout] {
        &self.layouts
    }

    /// What a name stands for, where it is one manifest.
    pub fn named(&self, name: &Reference) -> Option<Digest> {
        self.names.get(name).copied().flatten()
    }

    /// Forgets other names, so that nobody finds what they stood for by them.
    pub fn retain(&mut self, keep: impl Fn(&Reference) -> bool) {
        self.names.retain(|name, _| keep(name));
    }

    /// Notes what is said of content.
    pub fn expect(&mut self, digest: Digest, expected: Expected) {
        // What one export leaves out another has.
        match expected {
            Expected::Here => _ = self.expected.insert(digest, expected),
            Expected::LeftOut(_) => _ = self.expected.entry(digest).or_insert(expected),
        }
    }

    /// How many bytes of content are there, whatever they are; `None` where it is not there. Blocks.
    ///
    /// # Errors
    /// What the system says.
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        Ok(self.find(digest)?.map(|part| part.size))
    }

    /// Content of at most `limit` bytes, as its digest says. Blocks.
    ///
    /// # Errors
    /// [`Error`].
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Bytes, Error> {
        for place in &self.places {
            if let Some(bytes) = place.read(&path(digest), limit)? {
                return if digest.matches(&bytes) {
                    Ok(bytes)
                } else {
                    Err(Error::Unavailable(something_else(digest)))
                };
            }
        }
        Err(self.missing(digest))
    }

    /// What an index says, where there is one.
    fn read_index(
        &self,
        at: usize,
        layout: &mut CarriedLayout,
        beside: &str,
        limit: u64,
    ) -> Result<Option<Attached>, Error> {
        let place = &self.places[at];
        let Some(bytes) = place.read(&[INDEX], MAX_MANIFEST_BYTES)? else { return Ok(None) };
        let index =
            Manifest::parse(bytes, Algorithm::Sha256).map_err(|why| place.fault(INDEX, why.to_string()))?;
        if index.kind() != Kind::Index {
            return Err(place.fault(INDEX, "is no index".to_owned()));
        }
        layout.beside = place.read(&[beside], limit)?;
        let (mut seen, mut attached) = (HashSet::new(), Attached::default());
        for entry in index.manifests() {
            match entry.annotations.get(NAME) {
                Some(name) => self.name(name, entry, layout),
                None if seen.insert(entry.digest) => self.note_subject(entry, layout, &mut attached)?,
                None => {}
            }
        }
        Ok(Some(attached))
    }

    /// Has found what a layout says that was read whole.
    fn enter(&mut self, layout: &CarriedLayout, attached: Attached) {
        for (reference, digest) in &layout.named {
            let known = self.names.entry(reference.clone()).or_insert(Some(*digest));
            *known = known.filter(|known| known == digest);
        }
        for (subject, referrer) in attached.referrers {
            self.referrers.entry(subject).or_default().push(referrer);
        }
    }

    fn name(&self, name: &str, entry: &Descriptor, layout: &mut CarriedLayout) {
        let whole = Reference::parse(name).ok().filter(|reference| {
            let is_of_entry = !matches!(&reference.target, Target::Digest(d) if *d != entry.digest);
            reference.to_string() == name && is_of_entry
        });
        let of_repository = || {
            let (repository, tag) = (self.repository.clone()?, Tag::parse(name).ok()?);
            Some(Reference { repository, target: Target::Tag(tag) })
        };
        let Some(reference) = whole.or_else(of_repository) else {
            return layout.nameless.push(name.to_owned());
        };
        layout.named.push((reference, entry.digest));
    }

    /// An entry without a name may be about another manifest.
    fn note_subject(
        &self,
        entry: &Descriptor,
        layout: &mut CarriedLayout,
        attached: &mut Attached,
    ) -> Result<(), Error> {
        let mut bytes = None;
        for place in &self.places {
            match place.read(&path(&entry.digest), MAX_MANIFEST_BYTES) {
                Ok(Some(found)) => bytes = Some(found),
                Ok(None) => continue,
                Err(why) => layout.damaged(why.plainly()),
            }
            break;
        }
        let Some(bytes) = bytes else { return Ok(()) };
        attached.read += bytes.len() as u64;
        if attached.read > MAX_READ_BYTES {
            return Err(Error::TooLarge { limit: MAX_READ_BYTES });
        }
        let manifest = match Manifest::parse_expecting(bytes.clone(), &entry.digest) {
            Ok(manifest) => manifest,
            Err(ManifestError::Digest { .. }) => {
                layout.damaged(something_else(&entry.digest));
                return Ok(());
            }
            // What is no manifest that may be judged carries no signature.
            Err(_) => return Ok(()),
        };
        if let Some(subject) = manifest.subject().map(|subject| subject.digest)
            && let Some(referrer) = may_refer(entry, Some(bytes), &subject)
        {
            attached.referrers.push((subject, referrer));
        }
        Ok(())
    }

    fn find(&self, digest: &Digest) -> Result<Option<place::Part>, Error> {
        for place in &self.places {
            if let Some(part) = place.find(&path(digest))? {
                return Ok(Some(part));
            }
        }
        Ok(None)
    }

    /// What should be there and is not is trouble, not an answer.
    fn missing(&self, digest: &Digest) -> Error {
        match self.expected.get(digest) {
            Some(Expected::Here) => {
                Error::Unavailable(format!("{digest} is listed, and in none of the pieces that were given"))
            }
            Some(Expected::LeftOut(_)) => Error::Unavailable(format!(
                "{digest} was left out, as an earlier export has it: import that one first"
            )),
            None if self.names.values().flatten().any(|named| named == digest) => {
                Error::Unavailable(format!("{digest} is listed, and not there"))
            }
            None => Error::NotFound,
        }
    }

    fn manifest_now(&self, repository: &Repository, target: &Target) -> Result<(Digest, Bytes), Error> {
        let digest = match target {
            Target::Digest(digest) => *digest,
            Target::Tag(tag) => self.tagged(repository, tag).ok_or(Error::NotFound)?,
        };
        Ok((digest, self.read(&digest, MAX_MANIFEST_BYTES)?))
    }

    fn tagged(&self, repository: &Repository, tag: &Tag) -> Option<Digest> {
        self.named(&Reference { repository: repository.clone(), target: Target::Tag(tag.clone()) })
    }

    fn referrers_now(&self, repository: &Repository, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let mut found = self.referrers.get(subject).cloned().unwrap_or_default();
        // distribution-spec 1.1, "Referrers Tag Schema".
        if let Some(list) = self.tagged(repository, &Tag::about(subject, "")) {
            let bytes = self.read(&list, MAX_MANIFEST_BYTES)?;
            let list = Manifest::parse_expecting(bytes, &list)
                .map_err(|why| Error::Unavailable(format!("the list {list} of referrers: {why}")))?;
            found.extend(list.manifests().iter().cloned());
        }
        let mut seen = HashSet::new();
        found.retain(|referrer| seen.insert(referrer.digest));
        Ok(found)
    }
}

/// What is said of content that was damaged.
fn something_else(digest: &Digest) -> String {
    format!("the content under {digest} is something else")
}

#[cfg(test)]
mod tests;
