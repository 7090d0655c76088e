//! The story: what is pulled, what is told to happen, and what happened.

use super::client::Client;
use super::pull::{Pulled, pull};
use super::stage::{Stage, WABBIT_KEYS};
use super::{Error, Package, Proxy};
use crate::access::Principal;
use crate::oci::Reference;

/// One step that was played.
#[derive(Debug)]
pub struct Played {
    /// What it shows.
    pub title: &'static str,
    /// What was pulled.
    pub reference: String,
    /// What was told.
    pub expected: Expected,
    /// What came.
    pub pulled: Pulled,
    /// The names that the content was signed under.
    pub origin: Vec<String>,
}

/// What is told to happen.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// All of it comes, signed under this name, where the signature holds one.
    Served(Option<&'static str>),
    /// A refusal whose message holds all of these.
    Refused(u16, &'static [&'static str]),
    /// The connection ends before forged content is complete.
    Broken,
}

impl Expected {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Served(_) => "served",
            Self::Refused(..) => "refused",
            Self::Broken => "cut off",
        }
    }
}

impl Played {
    /// Whether it came out as told.
    pub fn as_told(&self) -> bool {
        match (&self.expected, &self.pulled) {
            (Expected::Served(Some(name)), Pulled::Whole { .. }) => {
                // The gate counter-signs a digest, where publishers sign a tag.
                let is_it = |origin: &String| origin.split('@').next() == Some(name);
                self.origin.iter().any(is_it)
            }
            (Expected::Served(None), Pulled::Whole { .. }) => true,
            (Expected::Refused(expected, words), Pulled::Refused { status, message, .. }) => {
                expected == status && words.iter().all(|word| message.contains(word))
            }
            (Expected::Broken, Pulled::Broken { .. }) => true,
            // A layer as short as this one may be found out before the answer begins.
            (Expected::Broken, Pulled::Refused { status: 503, message, .. }) => {
                message.contains("is something else")
            }
            _ => false,
        }
    }

    /// What happened, in one word.
    pub fn word(&self) -> &'static str {
        match self.pulled {
            Pulled::Whole { .. } => "served",
            Pulled::Refused { .. } => "refused",
            Pulled::Broken { .. } => "cut off",
            Pulled::Forged(_) => "FORGED",
        }
    }
}

struct Step {
    title: &'static str,
    reference: String,
    expected: Expected,
    by: By,
}

/// Who pulls.
#[derive(Clone, Copy)]
enum By {
    /// A machine of ACME Rockets', through its gate.
    Acme,
    /// A developer of theirs, through a gate of their own before that one.
    Developer,
}

fn step(title: &'static str, reference: impl Into<String>, expected: Expected) -> Step {
    Step { title, reference: reference.into(), expected, by: By::Acme }
}

/// Plays all of it. `tell` is called after each step.
///
/// # Errors
/// The proxy is not there, or the key cannot be written.
pub async fn play(stage: &Stage, mut tell: impl FnMut(&Played) -> Result<(), Error>) -> Result<(), Error> {
    for step in before_the_key() {
        tell(&stage.play(step).await?)?;
    }
    if !stage.acquire_wabbit_key()? {
        return Err(Error::Reload);
    }
    let rest = [after_the_key(), attacks(), artifacts(), copies(), certified()];
    for step in rest.into_iter().flatten() {
        tell(&stage.play(step).await?)?;
    }
    if !stage.revoke_charts_key()? {
        return Err(Error::Reload);
    }
    tell(&stage.play(after_the_theft()).await?)
}

fn before_the_key() -> Vec<Step> {
    use Expected::{Refused, Served};
    vec![
        step(
            "Docker certifies its official images",
            "docker.io/hello-world",
            Served(Some("docker.io/library/hello-world:latest")),
        ),
        step(
            "Nobody here knows Wabbit Networks yet",
            "docker.io/wabbit-networks/net-monitor:v1",
            Refused(403, &["no trusted signature", WABBIT_KEYS]),
        ),
    ]
}

fn after_the_key() -> Vec<Step> {
    use Expected::Served;
    vec![step(
        "The key is acquired; the same pull again",
        "docker.io/wabbit-networks/net-monitor:v1",
        Served(Some("registry.wabbit-networks.io/net-monitor:v1")),
    )]
}

fn attacks() -> Vec<Step> {
    use Expected::{Broken, Refused};
    let tampered = Package::image("tampered-manifest").digest();
    vec![
        step(
            "Nobody signed it",
            "docker.io/wabbit-networks/unsigned:v1",
            Refused(403, &["no trusted signature: none found"]),
        ),
        step(
            "The registry gives another manifest than was asked for",
            format!("docker.io/wabbit-networks/tampered-manifest@{tampered}"),
            Refused(503, &["content of", "is something else"]),
        ),
        step(
            "The registry gives another layer: its last byte never comes",
            "docker.io/wabbit-networks/tampered-layer:v1",
            Broken,
        ),
        step(
            "A good signature, moved to another image",
            "docker.io/wabbit-networks/moved-signature:v1",
            Refused(403, &["the claim's digest is", "the manifest's is"]),
        ),
        step(
            "The signature ended an hour ago",
            "docker.io/wabbit-networks/expired:v1",
            Refused(403, &["the signature's validity ended at"]),
        ),
    ]
}

fn artifacts() -> Vec<Step> {
    use Expected::{Refused, Served};
    let index = Package::multi_arch("multi-arch");
    let child = index.children().first().map(|child| child.digest().to_string()).unwrap_or_default();
    vec![
        step(
            "A multi-arch index is signed",
            "docker.io/wabbit-networks/multi-arch:v1",
            Served(Some("registry.wabbit-networks.io/multi-arch:v1")),
        ),
        step(
            "Its images come in with it, by digest",
            format!("docker.io/wabbit-networks/multi-arch@{child}"),
            Served(Some("registry.wabbit-networks.io/multi-arch:v1")),
        ),
        step(
            "A bill of materials",
            "docker.io/wabbit-networks/net-monitor:v1-sbom",
            Served(Some("registry.wabbit-networks.io/sbom:v1")),
        ),
        step(
            "A Helm chart, signed by the Notary Project's rules",
            "registry.acme-rockets.io/charts/net-monitor:0.1.0",
            Served(None),
        ),
        step(
            "An OPA bundle, signed with a cosign key",
            "registry.acme-rockets.io/policies/baseline:1",
            Served(Some("registry.acme-rockets.io/policies/baseline")),
        ),
        step(
            "An artifact of a type nobody knows",
            "registry.acme-rockets.io/strange:7",
            Served(Some("acme-rockets.io/strange:7")),
        ),
        step(
            "The same type, unsigned",
            "registry.acme-rockets.io/strange:unsigned",
            Refused(403, &["no trusted signature: none found"]),
        ),
    ]
}

fn after_the_theft() -> Step {
    step(
        "The charts' key was stolen: what is cached closes",
        "registry.acme-rockets.io/charts/net-monitor:0.1.0",
        Expected::Refused(403, &["was revoked at", "(keyCompromise)"]),
    )
}

fn copies() -> Vec<Step> {
    let origin = Expected::Served(Some("registry.wabbit-networks.io/dev/net-monitor:v1"));
    vec![
        step("Built for development", "registry.wabbit-networks.io/dev/net-monitor:v1", origin),
        step("Copied to staging", "registry.wabbit-networks.io/staging/net-monitor:v1", origin),
        step("Copied to production", "registry.wabbit-networks.io/production/net-monitor:v1", origin),
        step("Copied to ACME Rockets' registry", "registry.acme-rockets.io/net-monitor:v1", origin),
    ]
}

fn certified() -> Vec<Step> {
    let by_developer =
        |title, reference: &str, expected| Step { by: By::Developer, ..step(title, reference, expected) };
    vec![
        by_developer(
            "A developer trusts ACME alone, which signed what it let in",
            "docker.io/wabbit-networks/net-monitor:v1",
            Expected::Served(Some("acme-rockets.io/wabbit-networks/net-monitor")),
        ),
        by_developer(
            "The same image straight from Wabbit Networks",
            "registry.wabbit-networks.io/dev/net-monitor:v1",
            Expected::Refused(403, &["no trusted signature"]),
        ),
    ]
}

impl Stage {
    async fn play(&self, step: Step) -> Result<Played, Error> {
        let reference = Reference::parse(&step.reference)?;
        let proxy = match step.by {
            By::Acme => &self.proxy,
            By::Developer => &self.developer.proxy,
        };
        let pulled = pull(&Client::new(), &proxy.url(), &reference).await?;
        let origin = match pulled {
            Pulled::Whole { .. } => origin(proxy, &reference).await,
            _ => Vec::new(),
        };
        Ok(Played { title: step.title, reference: step.reference, expected: step.expected, pulled, origin })
    }
}

/// The names that a believed signature holds: what `portcullis verify` shows as origin.
async fn origin(proxy: &Proxy, reference: &Reference) -> Vec<String> {
    let engine = proxy.engine();
    let Ok(decision) = engine.gate().decide(reference, &Principal::Anonymous).await else {
        return Vec::new();
    };
    decision.signatures().iter().flat_map(|signature| &signature.origin).map(ToString::to_string).collect()
}
