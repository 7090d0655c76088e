//! Choices that weaken what is promised: allowed, but never silent.

use std::time::SystemTime;

use super::Settings;
use crate::policy::{Mode, ReferrerRule};
use crate::setting::time::show;

/// The largest manifest has 4 MiB, and a quarter of the store is for manifests.
const SMALL_STORE: u64 = 16 << 20;

pub(super) fn of(settings: &Settings, now: SystemTime) -> Vec<String> {
    let mut warnings = Vec::new();
    listeners(settings, &mut warnings);
    upstreams(settings, &mut warnings);
    policies(settings, &mut warnings);
    exceptions(settings, now, &mut warnings);
    if settings.store.max_size < SMALL_STORE {
        warnings.push("store.max_size: in less than 16MiB not every manifest can be kept".to_owned());
    }
    let grace = settings.trust.dangerous_revocation_grace;
    if !grace.is_zero() {
        warnings.push(format!(
            "trust.dangerous_revocation_grace: a revocation may go unnoticed for {} after the answers that \
             knew nothing of it have ended",
            humantime::format_duration(grace)
        ));
    }
    let repository = &settings.trust.tuf.url;
    if repository.starts_with("http://") {
        warnings.push(format!(
            "trust.tuf.url: {repository} is asked over plain HTTP; only signatures protect the trusted root"
        ));
    }
    if settings.dangerous_skip_audit {
        warnings.push(
            "dangerous_skip_audit: content is served though its admission cannot be recorded".to_owned(),
        );
    }
    warnings
}

fn listeners(settings: &Settings, warnings: &mut Vec<String>) {
    let listen = &settings.listen;
    if listen.dangerous_anonymous_clients {
        let message =
            "listen.dangerous_anonymous_clients: whoever reaches the proxy reads what its credentials can";
        warnings.push(message.to_owned());
    }
    if listen.is_public() && listen.tls.is_none() {
        let message =
            "without listen.tls, what clients of other machines pull can be read and changed on its way";
        warnings.push(format!("listen.address {}: {message}", listen.address));
    }
    if !settings.admin.address.ip().to_canonical().is_loopback() {
        let message = "the admin listener asks nobody who they are, and other machines can reach it";
        warnings.push(format!("admin.address {}: {message}", settings.admin.address));
    }
}

fn upstreams(settings: &Settings, warnings: &mut Vec<String>) {
    for (name, upstream) in &settings.upstreams {
        let urls = upstream.url.iter().chain(upstream.mirrors.iter().map(|mirror| &mirror.url));
        for url in urls.filter(|url| url.starts_with("http://")) {
            warnings.push(format!(
                "upstreams.{name}: {url} is asked over plain HTTP; only signatures protect content"
            ));
        }
        let logins =
            upstream.credentials.iter().chain(upstream.mirrors.iter().filter_map(|m| m.credentials.as_ref()));
        if logins.into_iter().any(|login| login.password.is_some()) {
            warnings.push(format!(
                "upstreams.{name}: a password stands in the file; password_file keeps it apart"
            ));
        }
    }
}

fn policies(settings: &Settings, warnings: &mut Vec<String>) {
    for policy in &settings.policies {
        let name = &policy.name;
        match policy.mode {
            Mode::Allow => warnings.push(format!("policy {name} (mode allow) serves content unverified")),
            Mode::Audit => warnings.push(format!("policy {name} (mode audit) serves what it would refuse")),
            Mode::Enforce | Mode::Deny => {}
        }
        if policy.referrers == ReferrerRule::All {
            warnings.push(format!("policy {name} (referrers all) serves attached artifacts unverified"));
        }
    }
}

fn exceptions(settings: &Settings, now: SystemTime, warnings: &mut Vec<String>) {
    for exception in &settings.exceptions {
        let (until, reason) = (show(exception.expires), exception.reason.trim());
        let what = format!("{}@{}", exception.repository, exception.digest);
        warnings.push(match exception.expires > now {
            true => format!("an exception admits {what} until {until}: {reason}"),
            false => format!(
                "an exception ended at {until} and admits nothing any more: take it out ({what}: {reason})"
            ),
        });
    }
}
