//! `portcullis verify` as people run it in place of notation and cosign: the built program over the layouts in
//! `tests/fixtures/notation` and `tests/fixtures/sigstore`, whose verdicts those tools gave.

#[path = "verify/arguments.rs"]
mod arguments;
#[path = "verify/cosign.rs"]
mod cosign;
#[path = "verify/layouts.rs"]
mod layouts;
#[path = "verify/run.rs"]
mod run;
#[path = "verify/verdicts.rs"]
mod verdicts;
