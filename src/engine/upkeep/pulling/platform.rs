//! Which entries of an index are wanted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::oci::Descriptor;

/// An operating system, an architecture and, where it matters, the CPU's variant: `linux/arm/v7`. The words are
/// those of an index's `platform` (OCI image specification, image index).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    /// What an entry of an index says that it runs on, where it says something that is a platform.
    pub(super) fn of(entry: &Descriptor) -> Option<Self> {
        let platform = entry.platform.as_ref()?;
        let words = [Some(&platform.os), Some(&platform.architecture), platform.variant.as_ref()];
        words.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("/").parse().ok()
    }

    /// Whether an entry of an index runs on this. One that does not say where it runs may, and one that says
    /// that it runs nowhere is an attestation about one that does.
    pub(super) fn runs(&self, entry: &Descriptor) -> bool {
        let Some(entry) = &entry.platform else { return true };
        if (entry.os.as_str(), entry.architecture.as_str()) == ("unknown", "unknown") {
            return true;
        }
        let is_same = (&entry.os, &entry.architecture) == (&self.os, &self.architecture);
        is_same && (self.variant.is_none() || entry.variant == self.variant)
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let words: Vec<&str> = text.split('/').collect();
        match words[..] {
            [os, architecture, ref variant @ ..] if variant.len() < 2 && words.iter().all(|w| is_word(w)) => {
                let variant = variant.first().map(|&variant| variant.to_owned());
                Ok(Self { os: os.to_owned(), architecture: architecture.to_owned(), variant })
            }
            _ => Err(format!(
                "expected OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/amd64 or linux/arm/v7, found {text:?}"
            )),
        }
    }
}

impl TryFrom<String> for Platform {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Platform> for String {
    fn from(platform: Platform) -> Self {
        platform.to_string()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(platform: &str) -> Descriptor {
        let digest = crate::oci::Digest::sha256(b"");
        let json = format!(
            r#"{{ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "{digest}", "size": 0 {platform} }}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn a_platform_is_two_or_three_words() {
        for text in ["linux/amd64", "linux/arm/v7", "windows/amd64", "unknown/unknown"] {
            let platform: Platform = text.parse().unwrap();
            assert_eq!(platform.to_string(), text);
            let json = serde_json::to_string(&platform).unwrap();
            assert_eq!(serde_json::from_str::<Platform>(&json).unwrap(), platform);
        }
        for wrong in
            ["", "amd64", "linux/", "/amd64", "linux/arm/v7/x", "linux/arm/", "linux, amd64/x", "linux/*"]
        {
            let error = wrong.parse::<Platform>().unwrap_err();
            assert!(error.contains("such as linux/amd64"), "{error}");
            assert!(serde_json::from_str::<Platform>(&format!("{wrong:?}")).is_err());
        }
    }

    #[test]
    fn a_variant_matters_where_it_is_asked_for() {
        let armv7 = entry(r#", "platform": { "os": "linux", "architecture": "arm", "variant": "v7" }"#);
        let runs = |platform: &str, entry: &Descriptor| platform.parse::<Platform>().unwrap().runs(entry);
        assert!(runs("linux/arm/v7", &armv7) && runs("linux/arm", &armv7));
        assert!(
            !runs("linux/arm/v6", &armv7) && !runs("linux/amd64", &armv7) && !runs("windows/arm", &armv7)
        );
        let attestation = entry(r#", "platform": { "os": "unknown", "architecture": "unknown" }"#);
        assert!(runs("linux/amd64", &attestation) && runs("linux/amd64", &entry("")));
    }
}
