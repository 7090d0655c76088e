//! Who vouches for an authority's signatures: certificate authority, transparency log, timestamp authority, each of
//! the public instance or of a `TrustRoot` (policy-controller, `checkOptsFromAuthority`).

use std::collections::BTreeMap;

use super::object::Object;
use super::trust_root::TrustRoot;
use crate::setting::SettingError;
use crate::signature::cosign::{Layout, Requirement, Roots, Settings};

/// The public instance's hosts.
const FULCIO: &str = "fulcio.sigstore.dev";
const REKOR: &str = "rekor.sigstore.dev";

/// All `TrustRoot`s of the file, by name.
pub(super) type TrustRoots = BTreeMap<String, TrustRoot>;

/// Whose word is taken.
#[derive(Clone, Copy, PartialEq)]
enum Origin<'a> {
    /// The public instance's.
    Public,
    /// A root's.
    Root(&'a TrustRoot),
}

/// What an authority says of its witnesses.
#[derive(Default)]
pub(super) struct Witnesses<'a> {
    fulcio: Option<Origin<'a>>,
    log: Option<Origin<'a>>,
    timestamps: Option<Origin<'a>>,
    skip_sct: bool,
}

impl<'a> Witnesses<'a> {
    /// Reads an authority's `ctlog`, `rfc3161timestamp` and what `keyless` says of its authority.
    ///
    /// # Errors
    /// A `TrustRoot` that is not in the file, that lacks what is asked of it, or that would have to be mixed
    /// with the public instance; an address that is not of these.
    pub(super) fn read(
        authority: &Object<'a>,
        keyless: Option<&Object<'a>>,
        layout: Layout,
        roots: &'a TrustRoots,
    ) -> Result<Self, SettingError> {
        let mut all = Self {
            fulcio: keyless
                .map(|keyless| fulcio(keyless, roots))
                .transpose()
                .map_err(|e| e.under("keyless"))?,
            log: authority
                .object("ctlog", &["url", "trustRootRef"])?
                .map(|ctlog| log(&ctlog, roots).map_err(|e| e.under("ctlog")))
                .transpose()?,
            timestamps: authority
                .object("rfc3161timestamp", &["trustRootRef"])?
                .map(|tsa| timestamps(&tsa, roots).map_err(|e| e.under("rfc3161timestamp")))
                .transpose()?,
            skip_sct: keyless
                .map_or(Ok(false), |k| k.flag("insecureIgnoreSCT").map_err(|e| e.under("keyless")))?,
        };
        all.default_log(layout)?;
        all.check_together(layout)?;
        all.check_roots()?;
        Ok(all)
    }

    /// A certificate is good for minutes, and something must say that it was used in them: where nothing is
    /// asked for, the public log is, and for bundles the root's own.
    fn default_log(&mut self, layout: Layout) -> Result<(), SettingError> {
        if self.log.is_some() || self.timestamps.is_some() {
            return Ok(());
        }
        match self.fulcio {
            Some(Origin::Root(root)) if layout != Layout::Bundle => Err(SettingError::new(
                ["keyless", "trustRootRef"],
                format!(
                    "nothing says when a certificate of TrustRoot {} was used: write `ctlog` or \
                     `rfc3161timestamp` with a trustRootRef",
                    root.name
                ),
            )),
            fulcio => {
                self.log = fulcio;
                Ok(())
            }
        }
    }

    /// Whether each root has what is asked of it.
    fn check_roots(&self) -> Result<(), SettingError> {
        let has = |origin: Option<Origin<'a>>, key: &str, what: &str, has: fn(&Roots) -> bool| match origin {
            Some(Origin::Root(root)) if !has(&root.keys) => Err(SettingError::new(
                [key, "trustRootRef"],
                format!("TrustRoot {} has no {what}", root.name),
            )),
            _ => Ok(()),
        };
        has(self.fulcio, "keyless", "certificateAuthorities", |keys| !keys.fulcio.is_empty())?;
        if !self.skip_sct {
            let what = "ctLogs, and insecureIgnoreSCT is not set";
            has(self.fulcio, "keyless", what, |keys| !keys.ct_logs.is_empty())?;
        }
        // Where `ctlog` is not written, the log is that of `keyless`.
        has(self.log, "ctlog", "tLogs", |keys| !keys.rekor.is_empty())?;
        has(self.timestamps, "rfc3161timestamp", "timestampAuthorities", |keys| !keys.timestamps.is_empty())
    }

    fn check_together(&self, layout: Layout) -> Result<(), SettingError> {
        for (origin, key) in [(self.log, "ctlog"), (self.timestamps, "rfc3161timestamp")] {
            let Some(origin) = origin else { continue };
            let fault = |message: &str| Err(SettingError::new([key, "trustRootRef"], message));
            if layout == Layout::Bundle && self.fulcio.is_some_and(|fulcio| fulcio != origin) {
                return fault("with signatureFormat: bundle it must be the trustRootRef of `keyless`");
            }
            if self.all().any(|other| (other == Origin::Public) != (origin == Origin::Public)) {
                return fault(
                    "the public instance and a TrustRoot do not go together in one authority: write what is \
                     needed of the public one into the TrustRoot too",
                );
            }
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = Origin<'a>> {
        [self.fulcio, self.log, self.timestamps].into_iter().flatten()
    }

    /// Sets what they come to.
    pub(super) fn apply(&self, settings: &mut Settings) {
        let requirement = |there: bool| if there { Requirement::Require } else { Requirement::Ignore };
        settings.transparency_log = requirement(self.log.is_some());
        settings.timestamps = requirement(self.timestamps.is_some());
        settings.dangerous_skip_sct = self.skip_sct;
        if self.all().any(|origin| origin != Origin::Public) {
            let keys = |origin: Option<Origin<'a>>| match origin {
                Some(Origin::Root(root)) => root.keys.clone(),
                _ => Roots::default(),
            };
            let fulcio = keys(self.fulcio);
            settings.roots = Some(Roots {
                fulcio: fulcio.fulcio,
                ct_logs: fulcio.ct_logs,
                rekor: keys(self.log).rekor,
                timestamps: keys(self.timestamps).timestamps,
            });
        }
    }
}

fn fulcio<'a>(keyless: &Object<'a>, roots: &'a TrustRoots) -> Result<Origin<'a>, SettingError> {
    let url = keyless.text("url")?;
    if let Some(root) = named(keyless, roots)? {
        return Ok(Origin::Root(root));
    }
    match url {
        Some(url) if !is_of(url, FULCIO) => Err(SettingError::new(
            ["url"],
            format!(
                "only https://{FULCIO} is known by itself, found {url:?}: write its certificates as a TrustRoot and name it in `trustRootRef`"
            ),
        )),
        _ => Ok(Origin::Public),
    }
}

fn log<'a>(ctlog: &Object<'a>, roots: &'a TrustRoots) -> Result<Origin<'a>, SettingError> {
    let url = ctlog.text("url")?;
    let fault = |message: String| Err(SettingError::new(["url"], message));
    match (named(ctlog, roots)?, url) {
        (Some(root), Some(url)) if !root.log_addresses.iter().any(|known| same_address(known, url)) => {
            fault(format!(
                "is none of the tLogs of TrustRoot {}, which are: {}",
                root.name,
                root.log_addresses.join(", ")
            ))
        }
        (Some(root), _) => Ok(Origin::Root(root)),
        (None, Some(url)) if !is_of(url, REKOR) => fault(format!(
            "only https://{REKOR} is known by itself, found {url:?}: write its key as a TrustRoot and name it in \
             `trustRootRef`"
        )),
        (None, _) => Ok(Origin::Public),
    }
}

fn timestamps<'a>(tsa: &Object<'a>, roots: &'a TrustRoots) -> Result<Origin<'a>, SettingError> {
    match named(tsa, roots)? {
        Some(root) => Ok(Origin::Root(root)),
        None => Err(SettingError::new(
            ["trustRootRef"],
            "is missing: a timestamp authority is trusted by nothing else",
        )),
    }
}

fn named<'a>(object: &Object<'a>, roots: &'a TrustRoots) -> Result<Option<&'a TrustRoot>, SettingError> {
    let Some(name) = object.text("trustRootRef")? else { return Ok(None) };
    roots.get(name).map(Some).ok_or_else(|| {
        SettingError::new(
            ["trustRootRef"],
            format!("no TrustRoot of this file is called {name:?}: add it as a further document"),
        )
    })
}

/// Whether an address is the host's, or one below it: each of the public logs has its own.
fn is_of(url: &str, host: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    let of = url.host_str().is_some_and(|found| {
        found == host || found.strip_suffix(host).is_some_and(|below| below.ends_with('.'))
    });
    of && matches!(url.scheme(), "https" | "http") && url.port().is_none()
}

fn same_address(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}
