//! `source` of an authority: where its signatures lie. They are looked for there and beside the image, and count
//! wherever they are found: it is who signed that is asked.

use super::object::Object;
use crate::oci::{Repository, RepositoryPattern, SignatureSource};
use crate::setting::SettingError;

const FIELDS: [&str; 3] = ["oci", "signaturePullSecrets", "tagPrefix"];

/// Reads the repositories that an authority names.
///
/// # Errors
/// What cannot be honoured, with the path from the authority on.
pub(super) fn all(authority: &Object<'_>) -> Result<Vec<SignatureSource>, SettingError> {
    authority.each("source", |_, value| {
        let source = Object::of(value, &FIELDS)?;
        source.refuse(
            "signaturePullSecrets",
            "there are no secrets of a cluster here: write `credentials` under the registry's own entry of `upstreams`",
        )?;
        source.refuse(
            "tagPrefix",
            "signatures are found by cosign's own tags and as referrers: copy them to such tags, and leave it out",
        )?;
        let name = source.needed_text("oci")?;
        let wrong = |why: &dyn std::fmt::Display| SettingError::new(["oci"], format!("{name:?}: {why}"));
        let repository = Repository::parse(name).map_err(|why| wrong(&why))?;
        let pattern = RepositoryPattern::parse(&repository.to_string()).map_err(|why| wrong(&why))?;
        Ok(SignatureSource::Repository(pattern))
    })
}
