//! What one key alone cannot tell: contradictions between keys, and files that are not there.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use super::{Settings, Tls, unexpanded};
use crate::oci::{Registry, SignatureSource};
use crate::policy::Policies;
use crate::setting::SettingError;
use crate::store;
use crate::upstream::{self, Credentials};

const MAX_SIGNER_NAME: usize = 64;

/// Everything that needs no other file.
pub(super) fn all(settings: &Settings) -> Result<(), SettingError> {
    settings.egress.hosts().map_err(|fault| fault.under("egress"))?;
    settings.trust.tuf.base().map_err(|fault| fault.under("tuf").under("trust"))?;
    hosts(settings)?;
    admin(settings)?;
    defaults(settings)?;
    private_content(settings)?;
    signers(settings)?;
    configured(settings)?;
    signature_sources(settings)?;
    limits(settings)?;
    unexpanded::check(settings)
}

fn hosts(settings: &Settings) -> Result<(), SettingError> {
    for (host, registry) in &settings.listen.hosts {
        let fault = |message: String| Err(SettingError::new(["listen", "hosts", host], message));
        if Registry::parse(host).is_err() {
            return fault("expected a host name, with a port where clients write one".to_owned());
        }
        if !settings.upstreams.contains_key(registry) {
            return fault(unknown_upstream(settings, registry));
        }
    }
    Ok(())
}

fn admin(settings: &Settings) -> Result<(), SettingError> {
    let fault = |key: &str, message: &str| Err(SettingError::new(["admin", key], message));
    let (listen, admin) = (settings.listen.address, settings.admin.address);
    if admin == listen && listen.port() != 0 {
        return fault("address", "is the address of `listen` too: give each its own");
    }
    match &settings.admin.url {
        Some(url) if !is_web_address(url) => {
            fault("url", "expected a URL that starts with https:// or http://")
        }
        _ => Ok(()),
    }
}

fn is_web_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}

fn defaults(settings: &Settings) -> Result<(), SettingError> {
    let mut defaults =
        settings.upstreams.iter().filter(|(_, upstream)| upstream.default).map(|(name, _)| name);
    match (defaults.next(), defaults.next()) {
        (Some(first), Some(second)) => Err(SettingError::new(
            ["upstreams", second.as_str(), "default"],
            format!("{first} is the default upstream already, and there is one at most"),
        )),
        _ if settings.upstreams.is_empty() => {
            Err(SettingError::new(["upstreams"], "names no registry, so that nothing can be pulled"))
        }
        _ => Ok(()),
    }
}

/// Anyone who reaches the proxy reads what its credentials can read.
fn private_content(settings: &Settings) -> Result<(), SettingError> {
    let listen = &settings.listen;
    if !listen.is_public() || listen.authenticates_clients() || listen.dangerous_anonymous_clients {
        return Ok(());
    }
    match settings.upstreams.iter().find_map(|(name, upstream)| Some((name, credentials_key(upstream)?))) {
        None => Ok(()),
        Some((name, key)) => Err(SettingError::new(
            ["upstreams", name.as_str(), key],
            format!(
                "whoever reaches {} could read private content through these credentials: listen on a loopback \
                 address, ask clients for certificates (listen.tls.client_ca), or accept it with \
                 listen.dangerous_anonymous_clients: true",
                listen.address
            ),
        )),
    }
}

fn credentials_key(upstream: &upstream::Settings) -> Option<&'static str> {
    if upstream.credentials.is_some() {
        return Some("credentials");
    }
    upstream.mirrors.iter().any(|mirror| mirror.credentials.is_some()).then_some("mirrors")
}

/// Names are shown in refusals; the rest of a signer is its format's to check.
fn signers(settings: &Settings) -> Result<(), SettingError> {
    for (name, signer) in &settings.signers {
        let fault = |message: &str| Err(SettingError::new(["signers", &*name.0], message));
        let name = &name.0;
        if name.is_empty() || name.len() > MAX_SIGNER_NAME || !name.chars().all(|c| c.is_ascii_graphic()) {
            return fault("a signer's name is 1 to 64 visible ASCII characters without spaces");
        }
        let ways = [signer.nv2.is_some(), signer.notation.is_some(), signer.cosign.is_some()];
        if ways.into_iter().filter(|way| *way).count() != 1 {
            return fault("a signer has exactly one of nv2, notation, cosign");
        }
    }
    Ok(())
}

/// What names a registry names an upstream: anything else could never apply.
fn configured(settings: &Settings) -> Result<(), SettingError> {
    let check = |registry: &Registry, path: [String; 4]| match settings.upstreams.contains_key(registry) {
        true => Ok(()),
        false => {
            let path = path.into_iter().filter(|key| !key.is_empty());
            Err(SettingError::new(path, unknown_upstream(settings, registry)))
        }
    };
    for (i, policy) in settings.policies.iter().enumerate() {
        for (j, scope) in policy.scopes.iter().enumerate() {
            check(scope.registry(), ["policies".into(), i.to_string(), "scopes".into(), j.to_string()])?;
        }
    }
    for (i, exception) in settings.exceptions.iter().enumerate() {
        let registry = exception.repository.registry();
        check(registry, ["exceptions".into(), i.to_string(), "repository".into(), String::new()])?;
    }
    Ok(())
}

/// A repository of signatures is asked as its registry's own settings say: without them there is nobody to ask.
fn signature_sources(settings: &Settings) -> Result<(), SettingError> {
    let check = |sources: &[SignatureSource]| {
        let unknown = sources.iter().enumerate().find_map(|(i, source)| match source {
            SignatureSource::Repository(pattern) => pattern
                .registry()
                .filter(|registry| !settings.upstreams.contains_key(registry))
                .map(|r| (i, r)),
            SignatureSource::Layout(_) => None,
        });
        let Some((i, registry)) = unknown else { return Ok(()) };
        let why = unknown_upstream(settings, &registry);
        let message = format!("{why}. Add it there: its address and credentials are those of its own entry");
        Err(SettingError::new(["signatures", &i.to_string(), "repository"], message))
    };
    for (name, upstream) in &settings.upstreams {
        check(&upstream.signatures).map_err(|fault| fault.under(name.as_str()).under("upstreams"))?;
    }
    for (i, policy) in settings.policies.iter().enumerate() {
        check(&policy.signatures).map_err(|fault| fault.under(i.to_string()).under("policies"))?;
    }
    Ok(())
}

/// The same for what a policy's file of the ecosystem names.
pub(super) fn sources_of_files(settings: &Settings, policies: &Policies) -> Result<(), SettingError> {
    for (policy, source) in policies.sources_of_files() {
        let SignatureSource::Repository(pattern) = source else { continue };
        let registry = pattern.registry().filter(|registry| !settings.upstreams.contains_key(registry));
        let Some(registry) = registry else { continue };
        let at = settings.policies.iter().position(|known| known.name == **policy).unwrap_or_default();
        let why = unknown_upstream(settings, &registry);
        let message = format!("its source {pattern} cannot be asked: {why}. Add it there");
        return Err(SettingError::new(
            ["policies", &at.to_string(), "from", "cluster_image_policy"],
            message,
        ));
    }
    Ok(())
}

fn unknown_upstream(settings: &Settings, registry: &Registry) -> String {
    let known: Vec<&str> = settings.upstreams.keys().map(Registry::as_str).collect();
    format!("{registry} is not among `upstreams`; these are: {}", known.join(", "))
}

fn limits(settings: &Settings) -> Result<(), SettingError> {
    if settings.decisions.allow_max_age == Duration::ZERO {
        return Err(SettingError::new(
            ["decisions", "allow_max_age"],
            "must be longer than 0s: nothing would be served",
        ));
    }
    if settings.store.max_size < store::LEAST_SIZE {
        let found = settings.store.max_size;
        return Err(SettingError::new(
            ["store", "max_size"],
            format!("expected at least 64KiB, found {found} bytes: next to nothing could be kept"),
        ));
    }
    let rate = settings.store.scrub.rate;
    if rate != 0 && rate < store::LEAST_SCRUB_RATE {
        return Err(SettingError::new(
            ["store", "scrub", "rate"],
            format!(
                "{rate} bytes a second would never come to an end: give at least 64KiB, `0` for as fast as the disk, or \
                 switch the scrub off with `store.scrub.every: 0s`"
            ),
        ));
    }
    Ok(())
}

/// Files that are read later are there now, and readable by us. Trust material is not among them:
/// reading it tells more.
pub(super) fn files(settings: &Settings) -> Result<(), SettingError> {
    if let Some(Tls { certificate, key, client_ca }) = &settings.listen.tls {
        readable(certificate, &["listen", "tls", "certificate"])?;
        readable(key, &["listen", "tls", "key"])?;
        client_ca.as_ref().map_or(Ok(()), |path| readable(path, &["listen", "tls", "client_ca"]))?;
    }
    let root = &settings.trust.tuf.root;
    root.as_ref().map_or(Ok(()), |path| readable(path, &["trust", "tuf", "root"]))?;
    for (name, upstream) in &settings.upstreams {
        let at = ["upstreams", name.as_str()];
        upstream.ca.as_ref().map_or(Ok(()), |path| readable(path, &[at[0], at[1], "ca"]))?;
        upstream
            .credentials
            .as_ref()
            .map_or(Ok(()), |login| credentials(login, &[at[0], at[1], "credentials"]))?;
        for (i, mirror) in upstream.mirrors.iter().enumerate() {
            let path = [at[0], at[1], "mirrors", &i.to_string(), "credentials"];
            mirror.credentials.as_ref().map_or(Ok(()), |login| credentials(login, &path))?;
        }
    }
    Ok(())
}

fn credentials(login: &Credentials, path: &[&str]) -> Result<(), SettingError> {
    for (file, key) in [(&login.password_file, "password_file"), (&login.docker_config, "docker_config")] {
        if let Some(file) = file {
            readable(file, &[path, &[key]].concat())?;
        }
    }
    Ok(())
}

fn readable(file: &Path, path: &[&str]) -> Result<(), SettingError> {
    let fault = |why: &dyn std::fmt::Display| {
        Err(SettingError::new(path.iter().copied(), format!("{} cannot be read: {why}", file.display())))
    };
    match File::open(file).and_then(|opened| opened.metadata()) {
        Ok(found) if found.is_dir() => fault(&"it is a folder"),
        Ok(_) => Ok(()),
        Err(why) => fault(&why),
    }
}
