//! The `Accept` header, applied to the answer: it never goes upstream, so that no client can choose
//! what others get from the cache. RFC 9110, section 12.5.1.

use http::HeaderMap;
use http::header::ACCEPT;

/// How closely a range names a type; the closest one decides.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Any,
    Kind,
    Exact,
}

/// Whether a client that sent `headers` takes content of `media_type`. Without the header it takes
/// all; parameters other than `q` are not looked at.
pub fn admits(headers: &HeaderMap, media_type: &str) -> bool {
    let mut best: Option<(Fit, bool)> = None;
    let mut anything = true;
    for range in headers.get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        if name.is_empty() {
            continue;
        }
        anything = false;
        let wanted = !parts.any(is_zero);
        if let Some(fit) = fit(name, media_type) {
            best = match best {
                Some((closest, _)) if closest > fit => best,
                Some((closest, before)) if closest == fit => Some((fit, before || wanted)),
                _ => Some((fit, wanted)),
            };
        }
    }
    anything || best.is_some_and(|(_, wanted)| wanted)
}

fn fit(range: &str, media_type: &str) -> Option<Fit> {
    if range.eq_ignore_ascii_case(media_type) {
        return Some(Fit::Exact);
    }
    let kind = range.strip_suffix("/*")?;
    if kind == "*" {
        return Some(Fit::Any);
    }
    let (own, _) = media_type.split_once('/')?;
    own.eq_ignore_ascii_case(kind).then_some(Fit::Kind)
}

/// `q=0`, `q=0.`, `q=0.000`: not wanted.
fn is_zero(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    name.trim().eq_ignore_ascii_case("q") && value.trim().parse::<f32>().is_ok_and(|q| q == 0.0)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::oci::media_type::{DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};

    fn admitted(values: &[&str], media_type: &str) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT, HeaderValue::from_str(value).unwrap());
        }
        admits(&headers, media_type)
    }

    #[test]
    fn ranges_and_quality() {
        for values in [
            &[][..],
            &[""],
            &[OCI_MANIFEST],
            &["APPLICATION/vnd.oci.image.manifest.v1+JSON"],
            &[DOCKER_MANIFEST, OCI_MANIFEST],
            &["text/html, application/*;q=0.1"],
            &["*/*"],
            &["text/html,*/*;q=0.8"],
            &["application/vnd.oci.image.manifest.v1+json; charset=utf-8; q=0.5"],
            &["*/*;q=0, application/vnd.oci.image.manifest.v1+json"],
            &["application/*;q=0, application/vnd.oci.image.manifest.v1+json;q=0.001, */*;q=0"],
        ] {
            assert!(admitted(values, OCI_MANIFEST), "{values:?}");
        }
        for values in [
            &[OCI_INDEX][..],
            &["text/*"],
            &["application/json"],
            &["*/*;q=0"],
            &["*/*, application/vnd.oci.image.manifest.v1+json;q=0"],
            &["*/*, application/* ; Q = 0.000"],
            &["*"],
        ] {
            assert!(!admitted(values, OCI_MANIFEST), "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_answered(value in "[ -~]{0,80}") {
            let _ = admitted(&[&value], OCI_INDEX);
        }
    }
}
