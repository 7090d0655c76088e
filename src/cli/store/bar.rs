//! How far the work is, on standard error where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of bytes, whose end is known later.
pub(in crate::cli) fn of_bytes() -> ProgressBar {
    styled("{bar:40} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}")
}

/// A bar of references.
pub(in crate::cli) fn of_references(number: usize) -> ProgressBar {
    let bar = styled("{bar:40} {pos}/{len} {msg}");
    bar.set_length(number as u64);
    bar
}

/// Draws nothing where standard error is no terminal.
fn styled(template: &str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
