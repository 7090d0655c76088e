//! The OCI layouts that signatures are looked for in, ready to be asked.

use std::sync::Arc;

use crate::config::Settings;
use crate::oci::SignatureSource;
use crate::setting::SettingError;
use crate::telemetry::Metrics;
use crate::upstream::{self, Layout, Upstream};

/// Those of all upstreams and policies, each folder once.
pub(super) fn of(settings: &Settings, metrics: &Arc<Metrics>) -> Result<Vec<Arc<Upstream>>, SettingError> {
    let mut layouts = Vec::new();
    let mut add = |sources: &[SignatureSource]| {
        for (i, source) in sources.iter().enumerate() {
            add_one(&mut layouts, source, settings, metrics)
                .map_err(|fault| fault.under(i.to_string()).under("signatures"))?;
        }
        Ok::<_, SettingError>(())
    };
    for (name, upstream) in &settings.upstreams {
        add(&upstream.signatures).map_err(|fault| fault.under(name.as_str()).under("upstreams"))?;
    }
    for (i, policy) in settings.policies.iter().enumerate() {
        add(&policy.signatures).map_err(|fault| fault.under(i.to_string()).under("policies"))?;
    }
    Ok(layouts)
}

fn add_one(
    layouts: &mut Vec<Arc<Upstream>>,
    source: &SignatureSource,
    settings: &Settings,
    metrics: &Arc<Metrics>,
) -> Result<(), SettingError> {
    let SignatureSource::Layout(folder) = source else { return Ok(()) };
    if layouts.iter().any(|known| known.layout().is_some_and(|layout| layout.folder == *folder)) {
        return Ok(());
    }
    let layout =
        Layout::of_signatures(folder).map_err(|why| SettingError::new(["layout"], why.to_string()))?;
    let name = layout.repository.registry().clone();
    let of_layout = upstream::Settings { layout: Some(layout), ..upstream::Settings::default() };
    layouts.push(Upstream::build(name, &of_layout, &settings.egress, metrics, None)?);
    Ok(())
}
