//! `portcullis verify --notation-config` as people run it: the built program over the layouts in
//! `tests/fixtures/notation`, whose verdicts the notation CLI gave.

#[path = "verify/arguments.rs"]
mod arguments;
#[path = "verify/layouts.rs"]
mod layouts;
#[path = "verify/run.rs"]
mod run;
#[path = "verify/verdicts.rs"]
mod verdicts;
