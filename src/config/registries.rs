//! `upstreams`: a map whose keys are made canonical, so that one registry under two of its names is
//! found out.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, Visitor};

use crate::oci::Registry;
use crate::upstream;

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Registry, upstream::Settings>, D::Error> {
    deserializer.deserialize_map(Registries)
}

struct Registries;

impl<'de> Visitor<'de> for Registries {
    type Value = BTreeMap<Registry, upstream::Settings>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("registries by their own names, such as ghcr.io: {}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut registries = BTreeMap::new();
        while let Some(name) = map.next_key::<Registry>()? {
            // `ghcr.io:` with nothing behind it means the same as `ghcr.io: {}`.
            let settings = map.next_value::<Option<upstream::Settings>>()?.unwrap_or_default();
            if registries.insert(name.clone(), settings).is_some() {
                return Err(A::Error::custom(format!("{name} is named twice (its other names count as it)")));
            }
        }
        Ok(registries)
    }
}
