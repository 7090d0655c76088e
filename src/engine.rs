//! One consistent configuration with everything built from it ([`Engine`]), over what is opened
//! once a process ([`State`]). A reload swaps the engine as a whole.

pub mod jobs;
mod layouts;
mod listener;
pub mod reload;
mod state;
pub mod upkeep;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;

use crate::admission::{CounterSigners, Gate, Parts};
use crate::config::{self, Settings};
use crate::policy::{Policies, Report};
use crate::setting::SettingError;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{CounterSigned, OfRegistry, SignerCertificate};
use crate::trust::{RevocationSources, RootInUse};
use crate::upstream::{Upstream, Upstreams};
use crate::x509::PublicKey;

pub use listener::ListenerTls;
#[cfg(test)]
pub(crate) use listener::tests::files as tls_files;
pub use state::{OpenError, State, Unmatched};

/// The engine that new requests get. A request keeps the one that it began with.
pub type Current = Arc<ArcSwap<Engine>>;

/// A configuration at work.
pub struct Engine {
    settings: Settings,
    gate: Gate,
    metrics: Arc<Metrics>,
    trusted_root: RootInUse,
    import_keys: Vec<PublicKey>,
    warnings: Vec<String>,
}

impl Engine {
    /// Builds everything that the settings ask for. Parts of `before` whose settings are equal are
    /// taken over with their connections, tokens and breakers. Contacts nobody but those who keep the keys of
    /// `counter_sign`, and blocks until they answer.
    ///
    /// # Errors
    /// The first setting that cannot be honoured, with its place in the file.
    pub fn build(
        settings: Settings,
        state: &Arc<State>,
        before: Option<&Self>,
    ) -> Result<Self, config::Error> {
        let metrics = &state.metrics;
        metrics.know_registries(settings.upstreams.keys().map(|name| name.as_str()));
        let upstreams = upstreams(&settings, metrics, before).map_err(|fault| settings.locate(&fault))?;
        let layouts = layouts::of(&settings, metrics).map_err(|fault| settings.locate(&fault))?;
        metrics.know_registries(layouts.iter().map(|layout| layout.name().as_str()));
        let revocation = RevocationSources::build(&settings.trust, &settings.egress)
            .map_err(|fault| settings.locate(&fault))?;
        let trusted_root = RootInUse::of(&settings.trust).map_err(|fault| settings.locate(&fault))?;
        let certificate = match &settings.listen.tls {
            Some(files) => {
                listener::check(files, state.clock.now()).map_err(|fault| settings.locate(&fault))?
            }
            None => None,
        };
        let import_keys = settings.trust.read_import_keys().map_err(|fault| settings.locate(&fault))?;
        let signing = if settings.signs_nothing { &[] } else { &settings.policies[..] };
        let held = before.map(|engine| engine.gate.counter_signers());
        let counter_signers =
            CounterSigners::build(signing, held).map_err(|fault| settings.locate(&fault))?;
        let mut policies = settings.policies()?.resting_on(&revocation.revision());
        if let Some(keys) = counter_signers.revision() {
            policies = policies.resting_on(&keys);
        }
        watch_certificates(&policies, metrics);
        count_from_zero(&settings, metrics);
        if state.unmatched == Unmatched::Audited {
            policies = policies.audit_everything();
        }
        let now = state.clock.now();
        let warnings = uncovered(state.unmatched, &settings).map(str::to_owned).into_iter();
        let warnings = warnings.chain(settings.warnings(now)).chain(policies.warnings());
        let warnings = warnings.chain(revocation.warnings(now)).chain(certificate).collect();
        let gate = Gate::new(Parts {
            memory: Arc::clone(&state.memory),
            policies,
            counter_signers,
            upstreams,
            layouts,
            revocation,
            freshness: settings.freshness.clone(),
            limits: settings.decisions.clone(),
            bounds: settings.bounds,
            dangerous_skip_audit: settings.dangerous_skip_audit,
            generation: state.next_generation(),
        });
        let metrics = Arc::clone(metrics);
        Ok(Self { settings, gate, metrics, trusted_root, import_keys, warnings })
    }

    /// The door to content.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// What it was built from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The closed list of upstreams.
    pub fn upstreams(&self) -> &Upstreams {
        self.gate.upstreams()
    }

    /// The process's metrics.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Which of sigstore's trusted roots holds where a signer names none; nothing where all name one, or need none.
    pub fn trusted_root(&self) -> Option<&RootInUse> {
        let mut signers = self.gate.policies().signers();
        signers.any(|(_, signer)| signer.verifier.shares_root()).then_some(&self.trusted_root)
    }

    /// Shows in the metrics what of it changes with time.
    pub fn show(&self, now: SystemTime) {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.trust_root_age.set(self.trusted_root().map(|root| whole(root.age(now).as_secs())));
        self.metrics.store_limit.set(whole(self.settings.store.max_size));
        self.metrics.upstream_available.clear();
        for upstream in self.upstreams().all() {
            let labels = OfRegistry { registry: upstream.name().as_str() };
            self.metrics.upstream_available.at(labels).set(i64::from(!upstream.is_left_alone()));
        }
    }

    /// What the operator should know: weakened checks, signers that cannot vouch yet.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// A decision that is still remembered, as it was reported.
    pub fn decision(&self, id: &str) -> Option<Report> {
        let decision = self.gate.decision(id)?;
        let reference = format!("{}@{}", decision.repository(), decision.subject());
        Some(decision.report(&reference))
    }
}

/// What becomes of repositories that no policy covers, where that is not as everybody expects.
fn uncovered(unmatched: Unmatched, settings: &Settings) -> Option<&'static str> {
    match unmatched {
        Unmatched::Audited => Some(
            "--audit: what no policy covers is served unverified; what would be refused is recorded, and enforced \
             without --audit",
        ),
        Unmatched::Refused if settings.policies.is_empty() => {
            Some("there are no policies: every pull is refused")
        }
        Unmatched::Refused => None,
    }
}

/// What becomes of counter-signatures is counted from zero: a series that appeared with its first event would have no
/// increase.
fn count_from_zero(settings: &Settings, metrics: &Metrics) {
    for policy in settings.policies.iter().filter(|policy| policy.counter_sign.is_some()) {
        for registry in policy.scopes.iter().map(|scope| scope.registry().as_str()) {
            for result in ["made", "failed", "withdrawn"] {
                metrics.counter_signatures.at(CounterSigned { registry, policy: &policy.name, result });
            }
        }
    }
}

/// Shows when trust ends, for alerts well before it does.
fn watch_certificates(policies: &Policies, metrics: &Metrics) {
    metrics.certificate_expiry.clear();
    for (name, signer) in policies.signers() {
        let ends = signer.verifier.trust_ends().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        if let Some(ends) = ends {
            let seconds = i64::try_from(ends.as_secs()).unwrap_or(i64::MAX);
            metrics.certificate_expiry.at(SignerCertificate { signer: &name.0 }).set(seconds);
        }
    }
}

fn upstreams(
    settings: &Settings,
    metrics: &Arc<Metrics>,
    before: Option<&Engine>,
) -> Result<Upstreams, SettingError> {
    let mut built = Vec::with_capacity(settings.upstreams.len());
    for (name, of_upstream) in &settings.upstreams {
        let same_egress = before.filter(|engine| engine.settings.egress == settings.egress);
        let before = same_egress.and_then(|engine| engine.upstreams().of(name));
        let upstream = Upstream::build(name.clone(), of_upstream, &settings.egress, metrics, before)
            .map_err(|e| e.under(name.as_str()).under("upstreams"))?;
        built.push(upstream);
    }
    Ok(Upstreams::new(built))
}
