//! Metric families whose labels are fields, so that no two can be mixed up.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use prometheus::IntGaugeVec;

/// What a registry that is not configured is called in labels.
pub const OTHER: &str = "other";

/// The registries that labels may name. It only grows: a series outlives the configuration that
/// made it.
#[derive(Debug, Default)]
pub(super) struct Registries(RwLock<BTreeSet<String>>);

impl Registries {
    pub(super) fn know(&self, name: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }

    /// The label for `name`: a name that a client made up must not become a series.
    pub(super) fn label<'a>(&self, name: &'a str) -> &'a str {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.contains(name) { name } else { OTHER }
    }
}

/// A gauge that is shown only while it has a value.
#[derive(Debug)]
pub struct OptionalGauge(pub(super) IntGaugeVec);

impl OptionalGauge {
    /// Shows a value, or nothing.
    pub fn set(&self, value: Option<i64>) {
        match value {
            Some(value) => self.0.with_label_values::<&str>(&[]).set(value),
            None => self.0.reset(),
        }
    }
}

/// Declares a family: a struct that holds it and a struct with one field a label. `at` looks a
/// handle up; whoever counts often keeps the handle.
macro_rules! family {
    ($(#[$doc:meta])* $family:ident: $vector:ty => $handle:ty, $labels:ident { $($label:ident: $meaning:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $family {
            vector: $vector,
            registries: std::sync::Arc<$crate::telemetry::metrics::family::Registries>,
        }

        #[doc = concat!("The labels of [`", stringify!($family), "`], each of a closed set of values.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $labels<'a> {
            $(#[doc = $meaning] pub $label: &'a str,)+
        }

        impl $family {
            pub(super) const LABELS: &'static [&'static str] = &[$(stringify!($label)),+];

            pub(super) fn over(
                vector: $vector,
                registries: &std::sync::Arc<$crate::telemetry::metrics::family::Registries>,
            ) -> Self {
                Self { vector, registries: registries.clone() }
            }

            /// The handle for these labels, made on first use. Keep it where it is used often.
            pub fn at(&self, labels: $labels<'_>) -> $handle {
                let value = |name: &str, value| match name {
                    "registry" => self.registries.label(value),
                    _ => value,
                };
                self.vector.with_label_values(&[$(value(stringify!($label), labels.$label)),+])
            }

            /// Forgets every series, where what they told of may be gone (a reload).
            pub fn clear(&self) {
                self.vector.reset();
            }
        }
    };
}
pub(super) use family;
