//! sigstore's `ClusterImagePolicy`, read as it stands (policy-controller, `pkg/apis/policy/v1beta1`): which of a file's
//! policies are about a repository, and what they ask together. What cannot be honoured is a fault, with its place
//! in the file. The file's own matching applies inside the scope of the policy that names it.

mod attestation;
mod authority;
mod document;
mod glob;
mod identity;
mod object;
mod source;
mod trust_root;
mod witnesses;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use self::authority::{Authority, Reader};
use self::document::{Document, Head, Kind, MAX_BYTES};
use self::glob::Glob;
use self::object::Object;
use self::trust_root::TrustRoot;
use self::witnesses::TrustRoots;
use super::{Demand, Mode, Reason, Require, Signer};
use crate::oci::{Repository, SignatureSource};
use crate::setting::SettingError;
use crate::signature::{Code, SignerName};

const SPEC: [&str; 5] = ["images", "authorities", "policy", "mode", "match"];
/// They are tried one by one, for every decision.
const MAX_GLOBS: usize = 1000;
/// So many globs are named in a refusal.
const SHOWN: usize = 5;
const MAX_NAME: usize = 253;
const NAME: &str = "a name is 1 to 253 visible ASCII characters without spaces and slashes";

/// The policies of one file.
#[derive(Clone)]
pub struct ClusterImagePolicies {
    file: String,
    policies: Vec<Policy>,
    signers: BTreeMap<SignerName, Signer>,
    warnings: Vec<String>,
    digest: [u8; 32],
}

/// One policy of the file.
#[derive(Clone, Debug)]
struct Policy {
    name: String,
    images: Vec<Glob>,
    warns: bool,
    asks: Asks,
    sources: Vec<SignatureSource>,
}

/// What its authorities come to: one of them suffices.
#[derive(Clone, Debug)]
enum Asks {
    Vouch(Require),
    Nothing,
    Impossible(String),
}

impl ClusterImagePolicies {
    /// Reads a file. Signers for which it names no trust root judge by `root`, where there is one.
    ///
    /// # Errors
    /// The system's, or the first thing that cannot be honoured, with file, line and column.
    pub fn read(path: &Path, root: Option<&Path>) -> Result<Self, SettingError> {
        let shown = path.display().to_string();
        let fault = |why: String| SettingError::here(format!("{shown}{why}"));
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
            .map_err(|e| fault(format!(": {e}")))?;
        let name = path.file_name().map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned());
        Self::parse(&name, &text, root).map_err(fault)
    }

    /// Reads the text of a file of this name.
    ///
    /// # Errors
    /// The first thing that cannot be honoured, `:line:column` in front where it has a place.
    pub fn parse(file: &str, text: &str, root: Option<&Path>) -> Result<Self, String> {
        let documents = document::all(text)?;
        let heads = documents.iter().map(|document| {
            document.head().map_err(|fault| document.locate(text, "", &fault)).map(|head| (document, head))
        });
        let heads: Vec<(&Document, Head<'_>)> = heads.collect::<Result<_, _>>()?;
        let (roots, stem) = (roots(text, &heads)?, stem(file));
        let mut reader =
            Reader { stem: &stem, roots: &roots, root, signers: BTreeMap::new(), sources: Vec::new() };
        let mut policies: Vec<Policy> = Vec::new();
        for (document, head) in heads.iter().filter(|(_, head)| head.kind == Kind::ClusterImagePolicy) {
            let locate = |fault| document.locate(text, &format!("ClusterImagePolicy {}", head.name), &fault);
            if policies.iter().any(|other| other.name == head.name) {
                let message = "another ClusterImagePolicy of the file has this name";
                return Err(locate(SettingError::new(["metadata", "name"], message)));
            }
            policies.push(policy(head, &mut reader).map_err(locate)?);
        }
        if policies.is_empty() {
            return Err(": holds no ClusterImagePolicy".to_owned());
        }
        if policies.iter().map(|policy| policy.images.len()).sum::<usize>() > MAX_GLOBS {
            return Err(format!(": has more than {MAX_GLOBS} globs"));
        }
        let signers = reader.signers;
        let limited = signers.values().filter_map(|signer| signer.verifier.limitation());
        let warnings = weak(&policies).into_iter().chain(limited).map(|w| format!("{file}: {w}")).collect();
        Ok(Self { file: file.to_owned(), policies, signers, warnings, digest: Sha256::digest(text).into() })
    }

    /// What is asked of content of a repository, and the strictest mode that the file leaves for it: all policies
    /// that are about it, those that only warn left out where others enforce.
    pub fn of(&self, repository: &Repository) -> (Demand<'_>, Mode) {
        let matching: Vec<&Policy> = self.about(repository).collect();
        if matching.is_empty() {
            return (Demand::Never(self.no_match()), Mode::Enforce);
        }
        let asking = matching.into_iter().filter(|policy| !matches!(policy.asks, Asks::Nothing));
        let (warning, enforcing): (Vec<_>, Vec<_>) = asking.partition(|policy| policy.warns);
        match (enforcing.is_empty(), warning.is_empty()) {
            (false, _) => (together(&enforcing), Mode::Enforce),
            (true, false) => (together(&warning), Mode::Audit),
            (true, true) => (Demand::Nothing, Mode::Allow),
        }
    }

    /// Where signatures of content of a repository may lie, beside the repository itself.
    pub fn sources_of(&self, repository: &Repository) -> impl Iterator<Item = &SignatureSource> {
        self.about(repository).flat_map(|policy| &policy.sources)
    }

    /// Where signatures of anything may lie.
    pub fn sources(&self) -> impl Iterator<Item = &SignatureSource> {
        self.policies.iter().flat_map(|policy| &policy.sources)
    }

    fn about(&self, repository: &Repository) -> impl Iterator<Item = &Policy> {
        self.policies.iter().filter(|policy| policy.images.iter().any(|glob| glob.matches(repository)))
    }

    /// The signers that its authorities became.
    pub fn signers(&self) -> &BTreeMap<SignerName, Signer> {
        &self.signers
    }

    /// What an operator should know, though nothing is wrong.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// SHA-256 over the file.
    pub(super) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    fn no_match(&self) -> Reason {
        let globs: Vec<String> =
            self.policies.iter().flat_map(|policy| &policy.images).map(ToString::to_string).collect();
        let more = globs.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let globs = globs[..globs.len().min(SHOWN)].join(", ");
        let message =
            format!("is covered by no ClusterImagePolicy of {}, which are about {globs}{more}", self.file);
        Reason { code: Code::NoPolicy, message }
    }
}

/// All of them, of which none asks nothing.
fn together<'a>(policies: &[&'a Policy]) -> Demand<'a> {
    let mut members = Vec::new();
    for policy in policies {
        match &policy.asks {
            Asks::Impossible(why) => {
                let why = if why.is_empty() { String::new() } else { format!(": {why}") };
                let message =
                    format!("is disallowed by ClusterImagePolicy {} (static: fail){why}", policy.name);
                return Demand::Never(Reason { code: Code::ModeDeny, message });
            }
            Asks::Vouch(require) => members.push(require),
            Asks::Nothing => {}
        }
    }
    Demand::Require(match members[..] {
        [one] => Cow::Borrowed(one),
        _ => Cow::Owned(Require::All(members.into_iter().cloned().collect())),
    })
}

fn roots(text: &str, heads: &[(&Document, Head<'_>)]) -> Result<TrustRoots, String> {
    let mut roots = TrustRoots::new();
    for (document, head) in heads.iter().filter(|(_, head)| head.kind == Kind::TrustRoot) {
        let locate = |fault| document.locate(text, &format!("TrustRoot {}", head.name), &fault);
        let root = TrustRoot::read(head.name, head.spec).map_err(|fault| locate(fault.under("spec")))?;
        if roots.insert(head.name.to_owned(), root).is_some() {
            let message = "another TrustRoot of the file has this name";
            return Err(locate(SettingError::new(["metadata", "name"], message)));
        }
    }
    Ok(roots)
}

fn policy(head: &Head<'_>, reader: &mut Reader<'_>) -> Result<Policy, SettingError> {
    let read = |reader: &mut Reader<'_>| {
        let spec = Object::of(head.spec, &SPEC)?;
        spec.refuse("match", "a registry proxy sees no resources of a cluster: leave it out")?;
        spec.refuse(
            "policy",
            &format!(
                "{}: say with `require` (all, at_least) which signers are needed together",
                attestation::NO_LANGUAGE
            ),
        )?;
        let warns = match spec.text("mode")? {
            None | Some("enforce") => false,
            Some("warn") => true,
            Some(other) => {
                return Err(SettingError::new(
                    ["mode"],
                    format!("expected enforce or warn, found {other:?}"),
                ));
            }
        };
        let images = spec.each("images", |_, value| image(value))?;
        if images.is_empty() {
            return Err(SettingError::new(["images"], "is missing: name at least one glob"));
        }
        let authorities = spec.each("authorities", |i, value| reader.read(head.name, i, value))?;
        let sources = std::mem::take(&mut reader.sources);
        Ok(Policy { name: head.name.to_owned(), images, warns, asks: asks(authorities)?, sources })
    };
    read(reader).map_err(|fault| fault.under("spec"))
}

fn image(value: &serde_json::Value) -> Result<Glob, SettingError> {
    let glob = Object::of(value, &["glob"])?.needed_text("glob")?;
    Glob::parse(glob).map_err(|why| SettingError::new(["glob"], why))
}

/// One of the authorities suffices. What passes by itself would make the others say nothing.
fn asks(authorities: Vec<Authority>) -> Result<Asks, SettingError> {
    let (mut vouchers, mut refusal) = (Vec::new(), None);
    let alone = authorities.len() == 1;
    for (i, authority) in authorities.into_iter().enumerate() {
        match authority {
            Authority::Pass if alone => return Ok(Asks::Nothing),
            Authority::Pass => {
                let message = "pass proves nothing, and beside it the other authorities would not matter: let it \
                    stand alone, or leave it out";
                return Err(SettingError::new(["authorities", &i.to_string(), "static", "action"], message));
            }
            Authority::Fail(why) => refusal = refusal.or(Some(why)),
            Authority::Vouch(require) => vouchers.push(require),
        }
    }
    match (vouchers.len(), refusal) {
        (0, Some(why)) => Ok(Asks::Impossible(why)),
        (0, None) => Err(SettingError::new(["authorities"], "is missing: name at least one")),
        (1, _) => Ok(Asks::Vouch(vouchers.remove(0))),
        _ => Ok(Asks::Vouch(Require::Any(vouchers))),
    }
}

/// Each choice that weakens what is promised.
fn weak(policies: &[Policy]) -> Vec<String> {
    let mut warnings = Vec::new();
    let enforces = policies.iter().any(|policy| !policy.warns && !matches!(policy.asks, Asks::Nothing));
    for Policy { name, warns, asks, .. } in policies {
        if matches!(asks, Asks::Nothing) {
            warnings.push(format!("ClusterImagePolicy {name} (static: pass) serves content unverified"));
        } else if *warns {
            let beside = if enforces { "; where another enforces, it is not looked at" } else { "" };
            warnings
                .push(format!("ClusterImagePolicy {name} (mode warn) serves what it would refuse{beside}"));
        }
    }
    warnings
}

/// What the names of its signers begin with.
fn stem(file: &str) -> String {
    let stem = Path::new(file).file_stem().map_or(file.into(), |stem| stem.to_string_lossy());
    stem.chars().map(|c| if c.is_ascii_graphic() && c != '/' { c } else { '-' }).collect()
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic() && c != '/')
}
