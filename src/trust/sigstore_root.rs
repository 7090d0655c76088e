//! Which of sigstore's trusted roots is in use where a signer names none, and when it was last known to be
//! the current one. What stands in it is not read here.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::Settings;
use crate::setting::{SettingError, time};

/// The public instance's TUF root, which updates begin with.
pub const TUF_ROOT: &[u8] = include_bytes!("../../config/sigstore/public-good/root.json");

/// When the trusted root that is built in was the current one: 2026-08-21T19:25:56Z.
const BUILT_IN_SINCE: Duration = Duration::from_secs(1_787_340_356);

/// The trusted root of all signers that name none of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootInUse {
    /// Its file; none is built in.
    path: Option<PathBuf>,
    known: SystemTime,
}

impl RootInUse {
    /// Looks which it is.
    ///
    /// # Errors
    /// The folder that the settings name holds none: another one is never used in its place.
    pub fn of(settings: &Settings) -> Result<Self, SettingError> {
        let Some(path) = settings.trusted_root() else {
            return Ok(Self { path: None, known: SystemTime::UNIX_EPOCH + BUILT_IN_SINCE });
        };
        let known = std::fs::metadata(&path).and_then(|found| found.modified()).map_err(|why| {
            let what =
                format!("{}: {why}: fetch it with `portcullis trust update`, or carry it in", path.display());
            SettingError::new(["trust", "tuf", "path"], what)
        })?;
        Ok(Self { path: Some(path), known })
    }

    /// For how long it has not been known to be the current one.
    pub fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.known).unwrap_or_default()
    }
}

impl fmt::Display for RootInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}", path.display())?,
            None => f.write_str("the public instance's, as built in")?,
        }
        write!(f, ", known to be current at {}", time::show(self.known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::tuf;

    #[test]
    fn the_built_in_one_has_the_date_that_its_notes_give() {
        let notes = include_str!("../../config/sigstore/public-good/README.md");
        let built_in = RootInUse::of(&Settings::default()).unwrap();
        assert!(notes.contains(&time::show(built_in.known)), "{built_in}");
        let day = Duration::from_secs(86_400);
        assert_eq!(built_in.age(built_in.known + day), day);
        assert_eq!(built_in.age(built_in.known - day), Duration::ZERO);
    }

    #[test]
    fn the_built_in_one_is_what_updates_would_accept() {
        let bytes = include_bytes!("../../config/sigstore/public-good/trusted_root.json");
        assert_eq!(tuf::anchors(bytes).unwrap().len(), 7);
    }

    #[test]
    fn a_configured_one_has_its_files_date_and_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let tuf = tuf::Settings { path: Some(folder.path().to_owned()), ..tuf::Settings::default() };
        let settings = Settings { tuf, ..Settings::default() };
        let missing = RootInUse::of(&settings).unwrap_err();
        assert_eq!(missing.path, ["trust", "tuf", "path"]);
        assert!(missing.message.contains("portcullis trust update"), "{missing}");
        let file = settings.trusted_root().unwrap();
        std::fs::write(&file, "{}").unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(at).unwrap();
        let found = RootInUse::of(&settings).unwrap();
        assert_eq!(found.age(at + Duration::from_secs(5)), Duration::from_secs(5));
        assert!(
            found.to_string().ends_with("trusted_root.json, known to be current at 2027-01-15T08:00:00Z"),
            "{found}"
        );
    }
}
