//! What is signed or verified: a manifest in a file, on standard input, or in a registry.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::cli::registry::{self, Registries};
use crate::cli::runtime;
use crate::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use crate::oci::{Algorithm, Descriptor, Hasher, Manifest, Reference, Repository, Target};

/// How much of a file is read at a time.
const PIECE: usize = 64 * 1024;

#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Flags {
    /// The media type of a manifest that is read from a file or standard input.
    #[arg(long, value_name = "TYPE", default_value = DOCKER_MANIFEST)]
    media_type: String,
    #[command(flatten)]
    registry: registry::Flags,
    /// The manifest: file:PATH, - for standard input, docker://REFERENCE for one of Docker's types in a registry,
    /// oci://REFERENCE for one of OCI's.
    #[arg(value_name = "URI", default_value = "-", value_parser = Place::parse)]
    place: Place,
}

/// What a URI names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Input,
    File(PathBuf),
    Registry(Reference, Family),
}

/// Whose manifests are asked for. One image may be there as either, with two digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Docker,
    Oci,
}

impl Family {
    fn types(self) -> [&'static str; 2] {
        match self {
            Self::Docker => [DOCKER_LIST, DOCKER_MANIFEST],
            Self::Oci => [OCI_INDEX, OCI_MANIFEST],
        }
    }

    fn scheme(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Oci => "oci",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Docker => Self::Oci,
            Self::Oci => Self::Docker,
        }
    }
}

impl Place {
    fn parse(uri: &str) -> Result<Self, String> {
        if uri == "-" {
            return Ok(Self::Input);
        }
        let expected =
            || format!("expected file:PATH, -, docker://REFERENCE or oci://REFERENCE, found {uri:?}");
        let (scheme, rest) = uri.split_once(':').ok_or_else(expected)?;
        let family = match scheme.to_ascii_lowercase().as_str() {
            "file" => return Ok(Self::File(rest.strip_prefix("//").unwrap_or(rest).into())),
            "docker" => Family::Docker,
            "oci" => Family::Oci,
            _ => return Err(expected()),
        };
        let reference = rest.strip_prefix("//").ok_or_else(expected)?;
        let reference = Reference::parse(reference).map_err(|e| format!("{reference:?}: {e}"))?;
        Ok(Self::Registry(reference, family))
    }
}

impl Flags {
    /// The manifest's media type, digest and size: of the bytes, never as a registry tells them.
    pub(super) fn descriptor(&self) -> anyhow::Result<Descriptor> {
        match &self.place {
            Place::Input => self.described(io::stdin().lock()).context("standard input"),
            Place::File(path) => self.file(path).with_context(|| path.display().to_string()),
            Place::Registry(reference, family) => {
                let registries = self.registry.registries(reference.repository.registry())?;
                runtime()?.block_on(fetch(reference, *family, &registries))
            }
        }
    }

    fn file(&self, path: &Path) -> anyhow::Result<Descriptor> {
        self.described(File::open(path)?)
    }

    /// Whatever it is: the prototype signs any bytes.
    fn described(&self, mut bytes: impl Read) -> anyhow::Result<Descriptor> {
        let (mut hasher, mut size, mut piece) = (Hasher::new(Algorithm::Sha256), 0, vec![0; PIECE]);
        loop {
            let read = match bytes.read(&mut piece) {
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e.into()),
            };
            if read == 0 {
                return Ok(Descriptor::new(self.media_type.as_str(), hasher.finish(), size));
            }
            hasher.update(&piece[..read]);
            size += read as u64;
        }
    }

    /// The same of a manifest in a registry, with its repository and the way to that registry.
    pub(super) async fn in_registry(&self) -> anyhow::Result<(Repository, Descriptor, Registries)> {
        let Place::Registry(reference, family) = &self.place else {
            bail!("expected docker://REFERENCE or oci://REFERENCE, where signatures can be attached");
        };
        let registries = self.registry.registries(reference.repository.registry())?;
        let descriptor = fetch(reference, *family, &registries).await?;
        Ok((reference.repository.clone(), descriptor, registries))
    }
}

async fn fetch(reference: &Reference, family: Family, registries: &Registries) -> anyhow::Result<Descriptor> {
    let fetched = async {
        let (repository, target) = (&reference.repository, &reference.target);
        let upstream = registries.upstream(repository.registry())?;
        let bytes = upstream.manifest_of(repository, target, &family.types()).await?;
        let manifest = match target {
            Target::Digest(digest) => Manifest::parse_expecting(bytes, digest)?,
            Target::Tag(_) => Manifest::parse(bytes, Algorithm::Sha256)?,
        };
        let descriptor = manifest.descriptor();
        if !family.types().contains(&&*descriptor.media_type) {
            let other = family.other().scheme();
            bail!("the registry has it as {} only; ask with {other}://{reference}", descriptor.media_type);
        }
        Ok(Descriptor::new(descriptor.media_type.clone(), descriptor.digest, descriptor.size))
    };
    fetched.await.with_context(|| format!("{}://{reference}", family.scheme()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_a_file_the_input_or_a_registry() {
        assert_eq!(Place::parse("-").unwrap(), Place::Input);
        for uri in ["file:m.json", "FILE:m.json", "file://m.json"] {
            assert_eq!(Place::parse(uri).unwrap(), Place::File("m.json".into()), "{uri}");
        }
        assert_eq!(Place::parse("file:///tmp/m.json").unwrap(), Place::File("/tmp/m.json".into()));
        for (uri, named, family) in [
            (
                "docker://docker.io/library/hello-world",
                "docker.io/library/hello-world:latest",
                Family::Docker,
            ),
            ("oci://reg.test:5000/a/b:v1", "reg.test:5000/a/b:v1", Family::Oci),
        ] {
            let Place::Registry(reference, found) = Place::parse(uri).unwrap() else { panic!("{uri}") };
            assert_eq!((reference.to_string().as_str(), found), (named, family));
        }
        for uri in ["m.json", "https://reg.test/a:1", "docker:reg.test/a:1", "oci://UPPER/x:1", "oci://"] {
            assert!(Place::parse(uri).is_err(), "{uri}");
        }
    }
}
