//! The gate between an upstream that misbehaves as told and clients that try their luck.

mod again;
mod bounds;
mod countersigning;
mod indexes;
mod links;
mod referrers;
mod restarts;
mod retiring;
mod serving;
mod tags;
mod time;
mod trouble;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::*;
use crate::access::Principal;
use crate::clock::Clock;
use crate::config;
use crate::demo::package::Package;
use crate::demo::registry::{Fault, Registry};
use crate::demo::signing::{Key, KeyKind, cosign};
use crate::engine::{Engine, State};
use crate::oci::{Digest, Manifest, Reference, Repository};
use crate::policy::{Decision, Verdict};
use crate::signature::Code;

const HOUR: Duration = Duration::from_secs(3600);

/// An upstream, keys, and a gate before it. Everything stands in the repository `reg.test/app`.
struct Stand {
    registry: Registry,
    clock: Clock,
    state: Arc<State>,
    engine: Engine,
    /// Whom the policy trusts, as `acme`.
    acme: Key,
    /// Another one, known as `rival`.
    rival: Key,
}

impl Stand {
    /// A gate whose one policy, for all repositories, has these keys.
    async fn new(policy: &str) -> Self {
        Self::with(&[policy], "").await
    }

    async fn with(policies: &[&str], rest: &str) -> Self {
        let clock = Clock::manual(SystemTime::now());
        let state = State::ephemeral(clock.clone()).await.unwrap();
        Self::over(state, clock, policies, rest).await
    }

    async fn over(state: Arc<State>, clock: Clock, policies: &[&str], rest: &str) -> Self {
        let registry = Registry::start().await.unwrap();
        let [acme, rival] = [(); 2].map(|()| Key::generate(KeyKind::P256).unwrap());
        let text = configuration(&registry, [&acme, &rival], policies, rest);
        let engine = Engine::build(text, &state, None).unwrap();
        Self { registry, clock, state, engine, acme, rival }
    }

    /// One that has its store and its audit log in files.
    async fn logging_in(folder: &std::path::Path) -> Self {
        let clock = Clock::manual(SystemTime::now());
        let mut settings = config::Settings::built_in();
        settings.store.path = folder.join("store");
        settings.audit.path = Some(folder.join("audit.jsonl"));
        let state = State::open(&settings, clock.clone(), crate::engine::Unmatched::Refused).await.unwrap();
        Self::over(state, clock, &["require: acme"], "").await
    }

    /// A new engine over the same state.
    fn reload(&mut self, policies: &[&str], rest: &str) {
        let settings = configuration(&self.registry, [&self.acme, &self.rival], policies, rest);
        self.engine = Engine::build(settings, &self.state, Some(&self.engine)).unwrap();
    }

    fn gate(&self) -> &Gate {
        self.engine.gate()
    }

    fn memory(&self) -> &Arc<Memory> {
        self.gate().memory()
    }

    fn request(&self) -> request::Request {
        self.gate().request(&repository(), &Principal::Anonymous).unwrap()
    }

    fn push<'a>(&self, tag: impl Into<Option<&'a str>>, package: &Package) -> Digest {
        self.registry.push("app", tag, package).digest
    }

    /// Pushes with a signature of `acme`, and returns that.
    fn push_signed<'a>(&self, tag: impl Into<Option<&'a str>>, package: &Package) -> Package {
        self.push(tag, package);
        self.sign(&self.acme, package)
    }

    /// Pushes a signature as a referrer, and returns it.
    fn sign(&self, key: &Key, subject: &Package) -> Package {
        let signature = signature(key, subject, "reg.test/app");
        self.push(None, &signature);
        signature
    }

    /// Pulls `:tag` or `@digest`.
    async fn pull(&self, target: &str) -> Result<Admitted<Arc<Manifest>>, Refusal> {
        let reference = Reference::parse(&format!("reg.test/app{target}")).unwrap();
        self.gate().manifest(&reference, &Principal::Anonymous).await
    }

    async fn pull_digest(&self, digest: &Digest) -> Result<Admitted<Arc<Manifest>>, Refusal> {
        self.pull(&format!("@{digest}")).await
    }

    async fn blob(&self, digest: &Digest) -> Result<Admitted<Blob>, Refusal> {
        self.gate().blob(&repository(), digest, &Principal::Anonymous).await
    }

    /// The digests that the list of referrers holds.
    async fn referrers(&self, subject: &Digest) -> Result<Vec<Digest>, Refusal> {
        self.referrers_of(subject, None).await
    }

    /// Those of a type.
    async fn referrers_of(&self, subject: &Digest, kind: Option<&str>) -> Result<Vec<Digest>, Refusal> {
        let list = self.gate().referrers(&repository(), subject, kind, &Principal::Anonymous).await?;
        let list = Manifest::parse(list.unwrap().content().bytes().clone(), crate::oci::Algorithm::Sha256);
        Ok(list.unwrap().manifests().iter().map(|d| d.digest).collect())
    }

    /// How many decisions were recorded so far.
    fn decisions(&self) -> usize {
        self.state.audit().lines().iter().filter(|line| line.contains("\"outcome\"")).count()
    }

    /// Waits for what goes on behind an answer.
    async fn until(&self, mut done: impl AsyncFnMut(&Self) -> bool) {
        for _ in 0..400 {
            if done(self).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not come about");
    }
}

fn configuration(
    registry: &Registry,
    [acme, rival]: [&Key; 2],
    policies: &[&str],
    rest: &str,
) -> config::Settings {
    let signer = |key: &Key| {
        let pem = serde_json::to_string(&key.public_pem()).unwrap();
        format!("{{ cosign: {{ key: {pem}, transparency_log: ignore }} }}")
    };
    let policies: Vec<String> = policies
        .iter()
        .enumerate()
        .map(|(at, policy)| {
            let scopes = if policy.contains("scopes") { "" } else { "scopes: [\"reg.test/**\"], " };
            format!("  - {{ name: p{at}, {scopes}{policy} }}\n")
        })
        .collect();
    let policies = if policies.is_empty() { " []\n".to_owned() } else { format!("\n{}", policies.concat()) };
    let text = format!(
        "upstreams:\n  reg.test: {{ url: \"{}\", timeouts: {{ connect: 2s, headers: 60s, idle: 2s }} }}\n\
         signers:\n  acme: {}\n  rival: {}\npolicies:{policies}{rest}\n",
        registry.url(),
        signer(acme),
        signer(rival),
    );
    config::parse(&text, std::path::Path::new("/nowhere/portcullis.yaml")).unwrap()
}

fn signature(key: &Key, subject: &Package, name: &str) -> Package {
    let payload = cosign::payload(name, &subject.digest());
    cosign::referrer(key, &payload).unwrap().about(subject.descriptor())
}

/// The log is moved away and a folder stands in its place.
fn take_log_away(folder: &std::path::Path) {
    std::fs::rename(folder.join("audit.jsonl"), folder.join("moved")).unwrap();
    std::fs::create_dir(folder.join("audit.jsonl")).unwrap();
}

fn repository() -> Repository {
    Repository::parse("reg.test/app").unwrap()
}

/// The decision that denies.
fn denial<T>(outcome: Result<T, Refusal>) -> Arc<Decision> {
    match outcome {
        Err(Refusal::Denied(decision)) => {
            assert_eq!(decision.verdict(), Verdict::Deny);
            decision
        }
        Err(other) => panic!("refused otherwise: {other}"),
        Ok(_) => panic!("admitted"),
    }
}

/// The decision that could not be made.
fn undecided<T>(outcome: Result<T, Refusal>) -> Arc<Decision> {
    match outcome {
        Err(Refusal::Undecided { decision, .. }) => decision,
        Err(other) => panic!("refused otherwise: {other}"),
        Ok(_) => panic!("admitted"),
    }
}

fn is_unknown<T>(outcome: Result<T, Refusal>) -> bool {
    matches!(outcome, Err(Refusal::Unknown(_)))
}
