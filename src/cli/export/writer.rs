//! What an export consists of, as it is found, and the indexes that end it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;

use super::archive::Archive;
use super::folder::Folder;
use crate::clock::Clock;
use crate::engine::upkeep::{Contents, Found, Listed, Named, Platform, Sealed};
use crate::oci::{Descriptor, Digest, MAX_MANIFEST_BYTES, media_type};
use crate::signing::SigningKey;
use crate::store;
use crate::trust::revocation::Answer;

/// The annotation of an index entry that is its name.
const NAME: &str = "org.opencontainers.image.ref.name";
pub(super) const MARKER: (&str, &[u8]) = ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);

/// Where it is written.
pub(super) enum Sink {
    Folder(Folder),
    Archive(Archive),
}

pub(super) struct Writer {
    store: PathBuf,
    sink: Sink,
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
pub(super) struct Summary {
    pub(super) paths: Vec<PathBuf>,
    /// What other contents call these by.
    pub(super) contents: Digest,
    pub(super) written: u64,
    pub(super) left_out: u64,
    pub(super) present: u64,
}

/// Whether content had to be written, and to which piece.
pub(super) enum Put {
    Written(u32),
    Present,
}

/// Content on its way.
pub(super) enum Content<'a> {
    File(&'a mut File, u64),
    Bytes(&'a [u8]),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: &'a [Descriptor],
}

impl Writer {
    pub(super) fn new(folder: &Path, sink: Sink, earlier: Option<Sealed>, platforms: Vec<Platform>) -> Self {
        let since = earlier.as_ref().map(|sealed| sealed.digest);
        let earlier = earlier.into_iter().flat_map(|sealed| sealed.contents.blobs);
        // What is small weighs nothing, and may be a signature: each export can be judged by itself.
        let earlier = earlier.filter(|listed| listed.size > store::SMALL);
        Self {
            store: folder.to_owned(),
            sink,
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
    pub(super) fn take(&mut self, found: Found) -> anyhow::Result<()> {
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

    fn copy(&mut self, digest: &Digest) -> anyhow::Result<()> {
        if self.blobs.get(digest).is_some_and(|listed| listed.piece.is_some()) {
            return Ok(());
        }
        if digest.matches(b"") {
            return self.put(digest, Content::Bytes(b""));
        }
        let opened = store::peek(&self.store, digest).with_context(|| format!("{digest} in the store"))?;
        let mut file = opened.with_context(|| {
            format!("{digest} went from the store before it was written: is store.max_size large enough?")
        })?;
        let size = file.metadata()?.len();
        self.put(digest, Content::File(&mut file, size))
    }

    fn put(&mut self, digest: &Digest, content: Content<'_>) -> anyhow::Result<()> {
        if self.blobs.get(digest).is_some_and(|listed| listed.piece.is_some()) {
            return Ok(());
        }
        let size = content.size();
        let put = match &mut self.sink {
            Sink::Folder(folder) => folder.put(digest, content)?,
            Sink::Archive(archive) => archive.put(digest, content)?,
        };
        let piece = match put {
            Put::Written(piece) => piece,
            Put::Present => {
                self.present += size;
                1
            }
        };
        self.blobs.insert(*digest, Listed { digest: *digest, size, piece: Some(piece) });
        Ok(())
    }

    /// Writes the indexes. Blocks.
    ///
    /// # Errors
    /// What the system says; a key that does not sign; more names than an index may have.
    pub(super) async fn finish(mut self, key: Option<&SigningKey>) -> anyhow::Result<Summary> {
        let index = self.index()?;
        let mut contents = self.contents();
        let mut sealed = contents.seal(key).await?;
        if let Sink::Archive(archive) = &mut self.sink
            && archive.make_room(&[sealed.len(), index.len()])?
        {
            contents.pieces = archive.pieces();
            sealed = contents.seal(key).await?;
        }
        let digest = Sealed::read(&sealed).map_err(anyhow::Error::msg)?.digest;
        let paths = match self.sink {
            Sink::Folder(folder) => folder.finish(&index, &sealed)?,
            Sink::Archive(archive) => archive.finish(&index, &sealed)?,
        };
        let sum = |is_here: bool| -> u64 {
            let all = self.blobs.values().filter(|listed| listed.piece.is_some() == is_here);
            all.map(|listed| listed.size).sum()
        };
        let (present, left_out) = (self.present, sum(false));
        Ok(Summary { paths, contents: digest, written: sum(true) - present, left_out, present })
    }

    fn index(&mut self) -> anyhow::Result<Vec<u8>> {
        let name = |entry: &Descriptor| entry.annotations.get(NAME).cloned();
        let named: HashSet<Digest> =
            self.entries.iter().filter(|e| name(e).is_some()).map(|e| e.digest).collect();
        self.entries.retain(|entry| name(entry).is_some() || !named.contains(&entry.digest));
        let key = |entry: &Descriptor| (name(entry).is_none(), name(entry), entry.digest.to_string());
        self.entries.sort_by_cached_key(key);
        self.entries.dedup_by_key(|entry| key(entry));
        let index = Index { schema_version: 2, media_type: media_type::OCI_INDEX, manifests: &self.entries };
        let index = serde_json::to_vec(&index)?;
        ensure!(
            index.len() as u64 <= MAX_MANIFEST_BYTES,
            "an index of {} entries is longer than the {MAX_MANIFEST_BYTES} bytes that tools read: export fewer \
             references at once",
            self.entries.len()
        );
        Ok(index)
    }

    fn contents(&mut self) -> Contents {
        let mut blobs: Vec<Listed> = self.blobs.values().cloned().collect();
        blobs.sort_by_cached_key(|listed| listed.digest.to_string());
        self.references.sort_by(|a, b| a.name.cmp(&b.name));
        self.references.dedup();
        let pieces = match &self.sink {
            Sink::Folder(_) => 1,
            Sink::Archive(archive) => archive.pieces(),
        };
        Contents {
            made: self.made,
            since: self.since,
            platforms: self.platforms.clone(),
            pieces,
            references: self.references.clone(),
            blobs,
            revocation: self.answers.clone(),
        }
    }
}

impl Content<'_> {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::File(_, size) => *size,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Writes it all, and sees that it is what its digest says.
    ///
    /// # Errors
    /// What the system says; other content.
    pub(super) fn write(self, digest: &Digest, to: &mut File) -> anyhow::Result<()> {
        use std::io::{Read as _, Write as _};
        let mut hasher = crate::oci::Hasher::new(digest.algorithm());
        match self {
            Self::Bytes(bytes) => {
                hasher.update(bytes);
                to.write_all(bytes)?;
            }
            Self::File(file, size) => {
                let (mut piece, mut left) = (vec![0; 1 << 20], size);
                while left > 0 {
                    let most = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
                    let read = file.read(&mut piece[..most])?;
                    ensure!(read > 0, "{digest} in the store is shorter than it was");
                    hasher.update(&piece[..read]);
                    to.write_all(&piece[..read])?;
                    left -= read as u64;
                }
            }
        }
        if hasher.finish() != *digest {
            bail!("{digest} in the store is something else: see `portcullis store verify`");
        }
        Ok(())
    }
}
