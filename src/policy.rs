//! Which evidence a repository needs, and what follows from the evidence that was found: a verdict
//! with reasons. Pure: finds, fetches and verifies nothing, asks for no time.

mod assess;
mod attested;
mod cluster_image_policy;
mod condition;
mod counter_sign;
mod decide;
mod decision;
mod exception;
mod findings;
mod limits;
mod message;
mod name;
mod parties;
mod policies;
mod report;
mod require;
mod revision;
mod scope;
mod settings;
mod terms;

pub use attested::{Attested, PredicateType};
pub use cluster_image_policy::ClusterImagePolicies;
pub use condition::{Condition, Fault};
pub use counter_sign::{CounterFormat, CounterSign};
pub use decide::{decide, decide_index, refuse};
pub use decision::{Decision, DecisionRecord, Verdict};
pub use exception::Exception;
pub use findings::{Findings, Judged, Reason, Trouble};
pub use limits::Limits;
pub use policies::{Policies, Policy, Signer};
pub use report::{Belief, Report, SignatureReport};
pub use require::Require;
pub use revision::Revision;
pub use scope::{Scope, ScopeError};
pub use settings::{IndexRule, Mode, ReferrerRule, Settings, SignedName, Source};
pub use terms::Demand;

/// The number of our verification rules: raised whenever a check changes, so that decisions made
/// by the old ones are stale.
pub const RULES: u32 = 3;
