//! Every metric of the process.

/// All metric families.
#[derive(Debug)]
pub struct Metrics {}
