//! Paths with `~` or variables in them: nothing is expanded, and a folder of that name is not what was meant.

use std::path::{Path, PathBuf};

use super::{Settings, Tls};
use crate::policy;
use crate::setting::SettingError;
use crate::signature::SignerSettings;
use crate::upstream;

/// # Errors
/// The first such path, at its key or the nearest that is known.
pub(super) fn check(settings: &Settings) -> Result<(), SettingError> {
    let key = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let mut all: Vec<(Vec<String>, Vec<PathBuf>)> = vec![
        (key(&["store", "path"]), vec![settings.store.path.clone()]),
        (key(&["audit", "path"]), settings.audit.path.iter().cloned().collect()),
        (key(&["listen", "tls"]), settings.listen.tls.iter().flat_map(Tls::paths).collect()),
        (key(&["trust"]), settings.trust.paths()),
    ];
    let upstreams = settings.upstreams.iter();
    all.extend(
        upstreams.map(|(name, of)| (key(&["upstreams", name.as_str()]), upstream::Settings::paths(of))),
    );
    let signers = settings.signers.iter();
    all.extend(signers.map(|(name, of)| (key(&["signers", &name.0]), SignerSettings::paths(of))));
    let policies = settings.policies.iter().enumerate();
    all.extend(policies.map(|(i, of)| (key(&["policies", &i.to_string()]), policy::Settings::paths(of))));
    let wrong =
        all.into_iter().find_map(|(key, paths)| Some((key, paths.into_iter().find(|p| is_meant(p))?)));
    wrong.map_or(Ok(()), |(key, path)| {
        let message = format!(
            "{}: neither `~` nor variables are expanded: write the whole path, or one that starts at this file's folder",
            path.display()
        );
        Err(SettingError::new(key, message))
    })
}

/// Whether somebody meant a path to be expanded.
fn is_meant(path: &Path) -> bool {
    let mut parts = path.iter().map(|part| part.to_string_lossy());
    parts.any(|part| part == "~" || part.starts_with('$') || part.contains("${"))
}
