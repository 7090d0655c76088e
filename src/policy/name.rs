//! `signed_name`: whether the name in a signed claim is the one that is pulled.

use crate::oci::{DOCKER_HUB, Digest, Registry, Repository, Tag};
use crate::signature::Evidence;
use crate::telemetry::Untrusted;

use super::{Policy, SignedName};

/// What is pulled.
pub(super) struct Pulled<'a> {
    pub(super) repository: &'a Repository,
    pub(super) tag: Option<&'a Tag>,
    pub(super) digest: &'a Digest,
}

/// Why the names in the claim do not fit; `Ok` where one does or the policy does not ask.
pub(super) fn check(policy: &Policy, pulled: &Pulled<'_>, evidence: &Evidence) -> Result<(), String> {
    if policy.signed_name() == SignedName::Any {
        return Ok(());
    }
    let names = evidence.names();
    if names.is_empty() {
        return Err(format!(
            "the signed claim carries no name, and the policy asks for one (signed_name: {})",
            rule(policy.signed_name())
        ));
    }
    if names.iter().any(|name| fits(policy, pulled, name)) {
        return Ok(());
    }
    let shown: Vec<String> = names.iter().take(3).map(Untrusted::to_string).collect();
    Err(format!("signed as {}, expected {}", shown.join(", "), expected(policy, pulled)))
}

fn fits(policy: &Policy, pulled: &Pulled<'_>, name: &Untrusted) -> bool {
    let Some(name) = Name::parse(name.as_raw()) else { return false };
    if name.repository != *pulled.repository && !policy.renamed_from().contains(&name.repository) {
        return false;
    }
    // A digest in the name is the claim's own word for what it is about.
    if name.digest.is_some_and(|digest| digest != *pulled.digest) {
        return false;
    }
    match (policy.signed_name(), pulled.tag) {
        (SignedName::Exact, Some(tag)) => name.tag.as_ref() == Some(tag),
        _ => true,
    }
}

/// A reference as signers write it: unlike in a pull, an absent tag stays absent.
struct Name {
    repository: Repository,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Name {
    fn parse(text: &str) -> Option<Self> {
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(Digest::parse(digest).ok()?)),
            None => (text, None),
        };
        let path_start = named.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match named[path_start..].split_once(':') {
            Some((last, tag)) => (&named[..path_start + last.len()], Some(Tag::parse(tag).ok()?)),
            None => (named, None),
        };
        let repository = match name.split_once('/') {
            Some((host, _)) if crate::oci::looks_like_host(host) => Repository::parse(name).ok()?,
            _ => Repository::with_library(Registry::parse(DOCKER_HUB).ok()?, name).ok()?,
        };
        Some(Self { repository, tag, digest })
    }
}

fn expected(policy: &Policy, pulled: &Pulled<'_>) -> String {
    let tag = match (policy.signed_name(), pulled.tag) {
        (SignedName::Exact, Some(tag)) => format!(":{tag}"),
        _ => String::new(),
    };
    let mut text = format!("{}{tag}", pulled.repository);
    for repository in policy.renamed_from() {
        text.push_str(&format!(" or {repository}{tag}"));
    }
    text
}

fn rule(rule: SignedName) -> &'static str {
    match rule {
        SignedName::Any => "any",
        SignedName::Repository => "repository",
        SignedName::Exact => "exact",
    }
}
