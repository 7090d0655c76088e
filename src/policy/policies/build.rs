//! Settings → policies: everything that can be refused at load is refused here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::require::Asked;
use super::super::terms::Terms;
use super::super::{
    ClusterImagePolicies, Exception, Mode, Require, Revision, Scope, Settings, SignedName, Source,
};
use super::{Policies, Policy, Signer};
use crate::setting::SettingError;
use crate::signature::{Format, SignerName, Strength, notation};

const MAX_NAME: usize = 64;

pub(super) fn build(
    settings: &[Settings],
    exceptions: &[Exception],
    signers: &BTreeMap<SignerName, Signer>,
) -> Result<Policies, SettingError> {
    let within = |key: &str, i: usize| {
        let key = key.to_owned();
        move |fault: SettingError| fault.under(i.to_string()).under(key.clone())
    };
    let mut owners: BTreeMap<&Scope, usize> = BTreeMap::new();
    for (i, policy) in settings.iter().enumerate() {
        check(policy, &settings[..i]).map_err(within("policies", i))?;
        claim_scopes(&mut owners, i, settings).map_err(within("policies", i))?;
    }
    for (i, exception) in exceptions.iter().enumerate() {
        check_exception(exception, &exceptions[..i]).map_err(within("exceptions", i))?;
    }
    let (mut built, mut of_files) = (Vec::new(), Vec::new());
    for (i, policy) in settings.iter().enumerate() {
        let touching = exceptions.iter().filter(|exception| {
            owners
                .iter()
                .find(|(scope, _)| scope.matches(&exception.repository))
                .is_some_and(|(_, o)| *o == i)
        });
        let made = policy_of(policy, signers, touching).map_err(within("policies", i))?;
        if let Terms::ClusterImagePolicies(file) = &made.terms {
            of_files
                .extend(file.warnings().iter().map(|warning| format!("policy {}: {warning}", policy.name)));
        }
        built.push(Arc::new(made));
    }
    let limited = signers.values().filter_map(|signer| signer.verifier.limitation());
    let warnings = weaker(&owners, settings).into_iter().chain(limited).chain(of_files).collect();
    // A BTreeMap of scopes is in their order: the most specific first.
    let scopes = owners.into_iter().map(|(scope, i)| (scope.clone(), built[i].clone())).collect();
    Ok(Policies { scopes, exceptions: exceptions.to_vec(), audit_everything: false, warnings })
}

/// What one entry can get wrong by itself, and its name among the earlier ones.
fn check(policy: &Settings, earlier: &[Settings]) -> Result<(), SettingError> {
    let fault = |key: &str, message: &str| Err(SettingError::new([key], message));
    let name = &policy.name;
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(|c| c.is_ascii_graphic()) {
        return fault("name", "a policy's name is 1 to 64 visible ASCII characters without spaces");
    }
    if earlier.iter().any(|other| other.name == *name) {
        return fault("name", &format!("another policy is called {name} already"));
    }
    if policy.scopes.is_empty() {
        return fault("scopes", "the list is empty: name at least one scope, such as docker.io/library/*");
    }
    match (&policy.require, &policy.from) {
        (Some(_), Some(_)) => return fault("from", "contradicts `require`: write one of them"),
        (None, None) if matches!(policy.mode, Mode::Enforce | Mode::Audit) => {
            return fault("require", "missing: modes enforce and audit need `require` or `from`");
        }
        _ => {}
    }
    match &policy.counter_sign {
        Some(_) if policy.mode != Mode::Enforce => {
            return fault("counter_sign", "only what mode enforce has proven is counter-signed");
        }
        Some(counter_sign) => counter_sign.check().map_err(|fault| fault.under("counter_sign"))?,
        None => {}
    }
    if !policy.renamed_from.is_empty() && policy.signed_name == SignedName::Any {
        return fault(
            "renamed_from",
            "says nothing while signed_name is `any`: set it to repository or exact",
        );
    }
    match policy.acquire.iter().position(|url| !is_web_address(url)) {
        Some(_) => fault("acquire", "expected a URL that starts with https:// or http://"),
        None => Ok(()),
    }
}

/// URLs are shown to people, in one line: never fetched.
fn is_web_address(url: &str) -> bool {
    let web = url.starts_with("https://") || url.starts_with("http://");
    web && url.len() <= 512 && url.chars().all(|c| c.is_ascii_graphic())
}

fn claim_scopes<'a>(
    owners: &mut BTreeMap<&'a Scope, usize>,
    i: usize,
    settings: &'a [Settings],
) -> Result<(), SettingError> {
    for (j, scope) in settings[i].scopes.iter().enumerate() {
        if let Some(other) = owners.insert(scope, i) {
            let whose = &settings[other].name;
            let message = format!(
                "a tie: {scope} is a scope of policy {whose} already, and exactly one policy applies"
            );
            return Err(SettingError::new(["scopes".to_owned(), j.to_string()], message));
        }
    }
    Ok(())
}

fn check_exception(exception: &Exception, earlier: &[Exception]) -> Result<(), SettingError> {
    if exception.reason.trim().is_empty() {
        return Err(SettingError::new(["reason"], "say why: it is written to the audit log"));
    }
    let same = |e: &&Exception| e.repository == exception.repository && e.digest == exception.digest;
    match earlier.iter().find(same) {
        Some(_) => {
            Err(SettingError::new(["digest"], "another exception names this digest in this repository"))
        }
        None => Ok(()),
    }
}

fn policy_of<'a>(
    settings: &Settings,
    signers: &BTreeMap<SignerName, Signer>,
    exceptions: impl Iterator<Item = &'a Exception>,
) -> Result<Policy, SettingError> {
    let (terms, named) = match (&settings.require, &settings.from) {
        (_, Some(source)) => {
            terms_from(source, settings).map_err(|fault| fault.under(source.key()).under("from"))?
        }
        (Some(require), None) => {
            require
                .check(&|name, asked| check_signer(name, asked, require, settings, signers))
                .map_err(|fault| fault.under("require"))?;
            let named: BTreeSet<&SignerName> = require.signers();
            let used = signers.iter().filter(|(name, _)| named.contains(name));
            let used = used.map(|(name, signer)| (name.clone(), signer.clone())).collect();
            (Terms::Same(Some(require.clone())), used)
        }
        (None, None) => (Terms::Same(None), BTreeMap::new()),
    };
    let mut revision = Revision::of(settings, &named, exceptions);
    if let Terms::ClusterImagePolicies(file) = &terms {
        revision = revision.resting_on(file.digest());
    }
    Ok(Policy {
        name: settings.name.as_str().into(),
        settings: settings.clone(),
        terms,
        signers: named,
        revision,
    })
}

/// A signer that is not enforced proves nothing, so it may not stand beside others. Attestations are made in sigstore's ways
/// alone.
fn check_signer(
    name: &SignerName,
    asked: Asked,
    tree: &Require,
    settings: &Settings,
    signers: &BTreeMap<SignerName, Signer>,
) -> Result<(), String> {
    let Some(signer) = signers.get(name) else {
        let known: Vec<String> = signers.keys().map(ToString::to_string).collect();
        let known = if known.is_empty() { "none is configured".to_owned() } else { known.join(", ") };
        return Err(format!("no signer is called {name}; known signers: {known}"));
    };
    let format = signer.verifier.format();
    if asked == Asked::Attestation && format != Format::Cosign {
        return Err(format!(
            "signer {name} makes {format} signatures, and attestations are made by cosign signers: name one"
        ));
    }
    if tree.sole().is_some() {
        return Ok(());
    }
    for repository in settings.scopes.iter().filter_map(Scope::sample) {
        match signer.verifier.strength(&repository) {
            Strength::Enforced => {}
            Strength::Logged | Strength::Skipped => {
                return Err(format!(
                    "signer {name} does not enforce integrity and authenticity, so it proves nothing \
                     beside others: let it stand alone as the whole `require`, or raise its level"
                ));
            }
        }
    }
    Ok(())
}

type Named = BTreeMap<SignerName, Signer>;

fn terms_from(source: &Source, settings: &Settings) -> Result<(Terms, Named), SettingError> {
    match source {
        Source::Notation(folder) => {
            let name = SignerName(format!("notation:{}", folder.display()).into());
            let verifier = Arc::new(notation::from_config_dir(&name, folder)?);
            let terms = Terms::Same(Some(Require::Signer(name.clone())));
            Ok((terms, BTreeMap::from([(name, Signer { verifier, acquire: None })])))
        }
        Source::ClusterImagePolicy(path) => {
            let file = ClusterImagePolicies::read(path, settings.trusted_root.as_deref())?;
            let signers = file.signers().clone();
            Ok((Terms::ClusterImagePolicies(file), signers))
        }
        Source::ContainersPolicy(_) => Err(SettingError::here(
            "a containers policy.json is not read by this version yet: write `require`",
        )),
    }
}

/// A warning for each scope that takes names from a stricter policy's.
fn weaker(owners: &BTreeMap<&Scope, usize>, settings: &[Settings]) -> Vec<String> {
    let mut warnings = Vec::new();
    let ordered: Vec<_> = owners.iter().collect();
    for (at, (scope, i)) in ordered.iter().enumerate() {
        for (wider, j) in &ordered[at + 1..] {
            let (policy, other) = (&settings[**i], &settings[**j]);
            if policy.mode < other.mode && scope.overlaps(wider) {
                warnings.push(format!(
                    "names under {scope} fall to policy {} (mode {}), though {wider} of policy {} (mode {}) covers them too",
                    policy.name,
                    policy.mode.as_str(),
                    other.name,
                    other.mode.as_str(),
                ));
            }
        }
    }
    warnings
}

#[cfg(test)]
mod tests;
