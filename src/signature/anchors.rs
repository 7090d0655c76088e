//! Where the certificates and keys lie that a signer is trusted by.

use super::SignerSettings;
use super::cosign::Pem;
use crate::trust::Place;

/// A place, and the key of the signer's settings that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPlace {
    /// `nv2.certificates`
    pub key: &'static str,
    /// Where it is.
    pub place: Place,
}

impl SignerSettings {
    /// Where its own certificates and keys lie, those that are used most first. Paths are absolute.
    pub fn places(&self) -> Vec<NamedPlace> {
        let mut all = Vec::new();
        let mut add = |key, place| all.push(NamedPlace { key, place });
        if let Some(nv2) = &self.nv2 {
            nv2.certificates
                .iter()
                .for_each(|path| add("nv2.certificates", Place::Certificates(path.clone())));
            let authorities = nv2.ca_certificates.iter();
            authorities.for_each(|path| add("nv2.ca_certificates", Place::Certificates(path.clone())));
        }
        if let Some(notation) = &self.notation {
            let key =
                if notation.config_dir.is_some() { "notation.config_dir" } else { "notation.trust_store" };
            notation.stores().into_iter().for_each(|(name, folder)| add(key, Place::Store(name, folder)));
        }
        if let Some(cosign) = &self.cosign {
            cosign.key.iter().for_each(|pem| add("cosign.key", place(pem, Place::Key)));
            if let Some(pki) = &cosign.pki {
                pki.roots.iter().for_each(|pem| add("cosign.pki.roots", place(pem, Place::Certificates)));
            }
        }
        all
    }
}

fn place(pem: &Pem, of_path: fn(std::path::PathBuf) -> Place) -> Place {
    pem.path().map_or_else(|| Place::Written(pem.0.clone()), |path| of_path(path.to_owned()))
}
