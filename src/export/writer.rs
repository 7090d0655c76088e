//! What an export consists of, as it is found, and the indexes that end it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::content::Content;
use super::{Destination, Error, Put, system};
use crate::clock::Clock;
use crate::engine::upkeep::{Contents, Found, Listed, Named, Platform, Sealed};
use crate::oci::{Descriptor, Digest, Index, MAX_MANIFEST_BYTES, media_type};
use crate::signing::SigningKey;
use crate::store::{SMALL, peek};
use crate::trust::revocation::Answer;

/// The annotation of an index entry that is its name.
const NAME: &str = "org.opencontainers.image.ref.name";

/// An export on its way into a layout.
pub struct Writer {
    store: PathBuf,
    to: Destination,
    /// What an earlier export has, and what that one's contents are called.
    earlier: HashMap<Digest, u64>,
    since: Option<Digest>,
    made: SystemTime,
    platforms: Vec<Platform>,
    blobs: HashMap<Digest, Listed>,
    entries: Vec<Descriptor>,
    references: Vec<Named>,
    answers: Vec<Answer>,
    present: u64,
}

/// What came of it.
pub struct Summary {
    /// The folder, or the pieces in their order.
    pub paths: Vec<PathBuf>,
    /// What other contents call these by.
    pub contents: Digest,
    /// So many bytes of content were written.
    pub written: u64,
    /// So many were left out, since an earlier export has them.
    pub left_out: u64,
    /// So many were there already.
    pub present: u64,
}

impl Writer {
    /// Into `to` from the store at `store`; layers that `earlier` has are left out.
    pub fn new(store: &Path, to: Destination, earlier: Option<Sealed>, platforms: Vec<Platform>) -> Self {
        let since = earlier.as_ref().map(|sealed| sealed.digest);
        let earlier = earlier.into_iter().flat_map(|sealed| sealed.contents.blobs);
        // What is small weighs nothing, and may be a signature: each export can be judged by itself.
        let earlier = earlier.filter(|listed| listed.size > SMALL);
        Self {
            store: store.to_owned(),
            to,
            earlier: earlier.map(|listed| (listed.digest, listed.size)).collect(),
            since,
            made: Clock::system().now(),
            platforms,
            blobs: HashMap::new(),
            entries: Vec::new(),
            references: Vec::new(),
            answers: Vec::new(),
            present: 0,
        }
    }

    /// Writes what was found, unless it is written already. Blocks.
    ///
    /// # Errors
    /// What the system says; content that the store has lost meanwhile.
    pub fn take(&mut self, found: Found) -> Result<(), Error> {
        match found {
            Found::Manifest { descriptor, listed, name } => {
                self.copy(&descriptor.digest)?;
                if listed {
                    self.enter(&descriptor, name);
                }
            }
            Found::Blob { descriptor } => match self.earlier.get(&descriptor.digest) {
                Some(size) if *size == descriptor.size => {
                    let Descriptor { digest, size, .. } = descriptor;
                    self.blobs.entry(digest).or_insert(Listed { digest, size, piece: None });
                }
                _ => self.copy(&descriptor.digest)?,
            },
            Found::List { name, json } => {
                let digest = Digest::sha256(json.as_bytes());
                self.put(&digest, Content::Bytes(json.as_bytes()))?;
                self.enter(&Descriptor::new(media_type::OCI_INDEX, digest, json.len() as u64), Some(name));
            }
            Found::Revocation { answer } => {
                self.copy(&answer.digest)?;
                self.answers.push(answer);
            }
        }
        Ok(())
    }

    fn enter(&mut self, descriptor: &Descriptor, name: Option<String>) {
        // What else stands beside it says nothing that the manifest does not say itself.
        let mut entry = Descriptor { annotations: [].into(), ..descriptor.clone() };
        if let Some(name) = name {
            self.references.push(Named { name: name.clone(), digest: entry.digest });
            entry.annotations.insert(NAME.to_owned(), name);
        }
        self.entries.push(entry);
    }

    fn copy(&mut self, digest: &Digest) -> Result<(), Error> {
        if self.blobs.get(digest).is_some_and(|listed| listed.piece.is_some()) {
            return Ok(());
        }
        if digest.matches(b"") {
            return self.put(digest, Content::Bytes(b""));
        }
        let opened = peek(&self.store, digest).map_err(system(format_args!("{digest} in the store")))?;
        let why = "went from the store before it was written: is store.max_size large enough?";
        let mut file = opened.ok_or(Error::Lost { digest: *digest, why })?;
        let size = file.metadata().map_err(system(digest))?.len();
        self.put(digest, Content::File(&mut file, size))
    }

    fn put(&mut self, digest: &Digest, content: Content<'_>) -> Result<(), Error> {
        if self.blobs.get(digest).is_some_and(|listed| listed.piece.is_some()) {
            return Ok(());
        }
        let size = content.size();
        let piece = match self.to.put(digest, content)? {
            Put::Written(piece) => piece,
            Put::Present => {
                self.present += size;
                1
            }
        };
        self.blobs.insert(*digest, Listed { digest: *digest, size, piece: Some(piece) });
        Ok(())
    }

    /// Writes the indexes. Blocks. `None` where they would name nothing: what was there before stays, and names what it
    /// named. Revocation answers alone are written where nothing was.
    ///
    /// # Errors
    /// What the system says; a key that does not sign; more names than an index may have.
    pub async fn finish(mut self, key: Option<&SigningKey>) -> Result<Option<Summary>, Error> {
        if self.references.is_empty() && (self.answers.is_empty() || self.to.has_names()) {
            return Ok(None);
        }
        let index = self.index()?;
        let mut contents = self.contents();
        let mut sealed = contents.seal(key).await?;
        if let Destination::Archive(archive) = &mut self.to
            && archive.make_room(&[sealed.len(), index.len()])?
        {
            contents.pieces = archive.pieces();
            sealed = contents.seal(key).await?;
        }
        let digest = Sealed::read(&sealed).map_err(Error::Contents)?.digest;
        let paths = self.to.finish(&index, &sealed)?;
        let sum = |is_here: bool| -> u64 {
            let all = self.blobs.values().filter(|listed| listed.piece.is_some() == is_here);
            all.map(|listed| listed.size).sum()
        };
        let (present, left_out) = (self.present, sum(false));
        Ok(Some(Summary { paths, contents: digest, written: sum(true) - present, left_out, present }))
    }

    fn index(&mut self) -> Result<Vec<u8>, Error> {
        let name = |entry: &Descriptor| entry.annotations.get(NAME).cloned();
        let named: HashSet<Digest> =
            self.entries.iter().filter(|e| name(e).is_some()).map(|e| e.digest).collect();
        self.entries.retain(|entry| name(entry).is_some() || !named.contains(&entry.digest));
        let key = |entry: &Descriptor| (name(entry).is_none(), name(entry), entry.digest.to_string());
        self.entries.sort_by_cached_key(key);
        self.entries.dedup_by_key(|entry| key(entry));
        let index = Index::of(&self.entries);
        let index = serde_json::to_vec(&index).map_err(|e| Error::Contents(e.to_string()))?;
        if index.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(Error::TooLarge(format!(
                "an index of {} entries is longer than the {MAX_MANIFEST_BYTES} bytes that tools read: export fewer \
                 references at once",
                self.entries.len()
            )));
        }
        Ok(index)
    }

    fn contents(&mut self) -> Contents {
        let mut blobs: Vec<Listed> = self.blobs.values().cloned().collect();
        blobs.sort_by_cached_key(|listed| listed.digest.to_string());
        self.references.sort_by(|a, b| a.name.cmp(&b.name));
        self.references.dedup();
        Contents {
            made: self.made,
            since: self.since,
            platforms: self.platforms.clone(),
            pieces: self.to.pieces(),
            references: self.references.clone(),
            blobs,
            revocation: self.answers.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index is a manifest, and tools read none that is longer.
    #[test]
    fn an_index_is_no_longer_than_a_manifest_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let index = |name: usize| {
            let to = Destination::folder(&folder.path().join("out")).unwrap();
            let mut writer = Writer::new(folder.path(), to, None, Vec::new());
            let descriptor = Descriptor::new(media_type::OCI_MANIFEST, Digest::sha256(b""), 0);
            writer.enter(&descriptor, Some("n".repeat(name)));
            writer.index()
        };
        let most = usize::try_from(MAX_MANIFEST_BYTES).unwrap() - index(0).unwrap().len();
        assert_eq!(index(most).unwrap().len() as u64, MAX_MANIFEST_BYTES);
        let error = index(most + 1).unwrap_err().to_string();
        assert!(error.contains("export fewer references at once"), "{error}");
    }
}
