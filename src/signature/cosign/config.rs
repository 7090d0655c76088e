//! The config of cosign's artifacts: an image's, which describes the layers and says nothing of its own.
//! Nobody signs it, so that what it could say besides would be anybody's.

use std::fmt::Write as _;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::oci::{Descriptor, Digest, json};

/// The longest that is read: room for the most layers that are looked at.
pub(super) const MAX_BYTES: u64 = 64 * 1024;
/// The longest time that RFC 3339 writes with nanoseconds.
const MAX_TIME: usize = "2026-01-01T00:00:00.123456789+00:00".len();
/// cosign's configs are as old as Go's zero time.
const ZERO_TIME: &str = r#"{"created":"0001-01-01T00:00:00Z"}"#;

// Other fields than these could say anything, and so could the values of most that there are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    created: Option<String>,
    #[serde(default, rename = "config")]
    _config: Option<Nothing>,
    rootfs: Option<RootFs>,
    #[serde(default)]
    history: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RootFs {
    #[serde(rename = "type")]
    kind: String,
    diff_ids: Vec<Digest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    created: Option<String>,
}

/// Whether the descriptor is of a config that needs no reading: an empty one, or what cosign writes of these
/// layers, byte by byte.
pub(super) fn is_known(config: &Descriptor, layers: &[Descriptor]) -> bool {
    let is = |content: &[u8]| config.size == content.len() as u64 && config.digest.matches(content);
    is(b"{}") || is(of(layers).as_bytes())
}

/// Whether a config says nothing but what the layers are, and when it was made: as cosign writes it when it is told
/// to record the time, and as other tools do.
pub(super) fn is_plain(config: &[u8], layers: &[Descriptor]) -> bool {
    // Neither between the fields nor behind escapes is there room for more.
    if config.len() as u64 > MAX_BYTES || config.iter().any(|b| b.is_ascii_whitespace() || *b == b'\\') {
        return false;
    }
    let Ok(config) = json::strict::<Config>(config) else { return false };
    let is_layer = |digest: &Digest| layers.iter().any(|layer| layer.digest == *digest);
    let mut times = config.history.iter().map(|step| &step.created).chain([&config.created]).flatten();
    config.architecture.is_empty()
        && config.os.is_empty()
        && config.history.len() <= layers.len()
        && times.all(|time| time.len() <= MAX_TIME && OffsetDateTime::parse(time, &Rfc3339).is_ok())
        && config.rootfs.is_none_or(|root| {
            matches!(&*root.kind, "" | "layers")
                && root.diff_ids.len() <= layers.len()
                && root.diff_ids.iter().all(is_layer)
        })
}

/// What cosign writes.
fn of(layers: &[Descriptor]) -> String {
    let mut ids = String::new();
    for layer in layers {
        let comma = if ids.is_empty() { "" } else { "," };
        let _ = write!(ids, r#"{comma}"{}""#, layer.digest);
    }
    format!(
        r#"{{"architecture":"","created":"0001-01-01T00:00:00Z","history":[{}],"os":"","rootfs":{{"type":"layers","diff_ids":[{ids}]}},"config":{{}}}}"#,
        vec![ZERO_TIME; layers.len()].join(","),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers() -> [Descriptor; 2] {
        [b"one", b"two"].map(|layer| Descriptor::new("application/x", Digest::sha256(layer), 3))
    }

    fn described(content: &[u8]) -> Descriptor {
        Descriptor::new("application/x", Digest::sha256(content), content.len() as u64)
    }

    #[test]
    fn cosigns_own_and_an_empty_one_need_no_reading() {
        let own = of(&layers());
        assert!(is_plain(own.as_bytes(), &layers()));
        for known in [own.as_str(), "{}"] {
            assert!(is_known(&described(known.as_bytes()), &layers()), "{known}");
        }
        assert!(!is_known(&described(own.as_bytes()), &layers()[..1]));
        assert!(!is_known(&described(b"{ }"), &layers()));
        assert!(!is_known(&Descriptor { size: 3, ..described(b"{}") }, &layers()));
    }

    #[test]
    fn what_other_tools_write_is_plain() {
        let [one, two] = layers().map(|layer| layer.digest);
        for config in [
            "{}".to_owned(),
            of(&layers()).replacen("0001-01-01T00:00:00Z", "2026-11-27T10:00:00.123456789+01:00", 1),
            // containers/image, alone and behind a layer of cosign's.
            format!(
                r#"{{"architecture":"","os":"","config":{{}},"rootfs":{{"type":"layers","diff_ids":["{one}","{two}"]}}}}"#
            ),
            format!(
                r#"{{"created":"0001-01-01T00:00:00Z","architecture":"","os":"","config":{{}},"rootfs":{{"type":"layers","diff_ids":["{one}","{two}"]}},"history":[{ZERO_TIME}]}}"#
            ),
        ] {
            assert!(is_plain(config.as_bytes(), &layers()), "{config}");
        }
    }

    #[test]
    fn a_config_that_says_something_is_not_plain() {
        let other = Digest::sha256(b"three").to_string();
        let own = of(&layers());
        for (what, by) in [
            (r#""architecture":"""#, r#""architecture":"evil""#),
            (r#""os":"""#, r#""os":"evil""#),
            (r#""os":"""#, r#""os":"","author":"evil""#),
            (r#""os":"""#, r#""os": """#),
            (r#""os":"""#, r#""os":"","o\u0073":"""#),
            (r#""os":"""#, r#""os":"","os":"""#),
            (r#""config":{}"#, r#""config":{"Cmd":["evil"]}"#),
            (r#""config":{}"#, r#""config":["evil"]"#),
            (r#""type":"layers""#, r#""type":"evil""#),
            (r#""type":"layers""#, r#""type":"layers","evil":0"#),
            (r#""created":"0001-01-01T00:00:00Z","history""#, r#""created":"evil","history""#),
            (r#"00:00:00Z","history""#, r#"00:00:00.1234567890123456789012345678Z","history""#),
            (r#""history":["#, r#""history":[{},"#),
            (ZERO_TIME, r#"{"created_by":"evil"}"#),
            (&layers()[0].digest.to_string(), &other),
            (r#""diff_ids":["#, &format!(r#""diff_ids":["{}","#, layers()[0].digest)),
            (r#"{"architecture""#, r#"[{"architecture""#),
        ] {
            let changed = own.replacen(what, by, 1);
            assert_ne!(changed, own, "{what}");
            assert!(!is_plain(changed.as_bytes(), &layers()), "{changed}");
        }
        assert!(!is_plain(b"an executable", &layers()));
    }
}
