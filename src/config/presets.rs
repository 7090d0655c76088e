//! The well-known signed registries, by the identities that their publishers name: what holds where there is no
//! file. Each stands in `config/presets/` as a file that can be used by itself.

use std::path::Path;

use super::{Error, Settings, parse};

/// Name and text of each.
const ALL: [(&str, &str); 6] = [
    ("buildkit", include_str!("../../config/presets/buildkit.yaml")),
    ("chainguard", include_str!("../../config/presets/chainguard.yaml")),
    ("dhi", include_str!("../../config/presets/dhi.yaml")),
    ("distroless", include_str!("../../config/presets/distroless.yaml")),
    ("kubernetes", include_str!("../../config/presets/kubernetes.yaml")),
    ("redhat", include_str!("../../config/presets/redhat.yaml")),
];

/// Adds every preset's upstreams, signers and policies.
///
/// # Errors
/// None that a released program could give: a test reads them.
pub(super) fn add(settings: &mut Settings) -> Result<(), Error> {
    for (name, text) in ALL {
        let preset = parse(text, Path::new(&format!("{name}.yaml")))?;
        for (registry, upstream) in preset.upstreams {
            settings.upstreams.entry(registry).or_insert(upstream);
        }
        settings.signers.extend(preset.signers);
        settings.policies.extend(preset.policies);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Repository;
    use crate::policy::Mode;
    use crate::signature::SignerName;

    #[test]
    fn each_is_a_whole_configuration_and_all_go_together() {
        for (name, text) in ALL {
            let preset = parse(text, Path::new("preset.yaml")).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(preset.policies().unwrap().warnings().is_empty(), "{name}");
        }
        let all = Settings::without_file().unwrap();
        assert_eq!((all.policies.len(), all.signers.len()), (ALL.len(), ALL.len()));
        all.policies().unwrap();
    }

    /// The identities that the publishers name, and the repositories that they sign in.
    #[test]
    fn each_asks_for_its_publishers_identity() {
        const GITHUB: &str = "https://token.actions.githubusercontent.com";
        const GOOGLE: &str = "https://accounts.google.com";
        let all = Settings::without_file().unwrap();
        let policies = all.policies().unwrap();
        for (image, signer, issuer, identity) in [
            ("gcr.io/distroless/static", "distroless", GOOGLE, "keyless@distroless.iam.gserviceaccount.com"),
            (
                "registry.k8s.io/kube-proxy",
                "kubernetes",
                GOOGLE,
                "krel-trust@k8s-releng-prod.iam.gserviceaccount.com",
            ),
            (
                "cgr.dev/chainguard/nginx",
                "chainguard",
                GITHUB,
                "https://github.com/chainguard-images/images/.github/workflows/release.yaml@refs/heads/main",
            ),
            (
                "docker.io/moby/buildkit",
                "docker-github-builder",
                GITHUB,
                "https://github.com/docker/github-builder/.github/workflows/bake.yml@refs/tags/v1.0.0",
            ),
            ("dhi.io/golang", "docker-hardened-images", "", ""),
            ("registry.access.redhat.com/ubi9/ubi-minimal", "redhat", "", ""),
        ] {
            let repository = Repository::parse(image).unwrap();
            let policy = policies.matching(&repository).unwrap_or_else(|| panic!("{image}"));
            assert_eq!(policy.mode(&repository), Mode::Enforce, "{image}");
            let named: Vec<_> = policy.signers().map(|(name, _)| name.to_string()).collect();
            assert_eq!(named, [signer], "{image}");
            let cosign = all.signers[&SignerName(signer.into())].cosign.clone().unwrap();
            match &cosign.keyless {
                Some(keyless) => assert!(keyless.names(issuer, identity).unwrap(), "{image}"),
                None => assert!(cosign.key.is_some() && issuer.is_empty(), "{image}"),
            }
            if let Some(keyless) = &cosign.keyless {
                for other in
                    ["", "https://github.com/docker/github-builder/x", &format!("{identity}.evil.example")]
                {
                    let is_pattern = keyless.identity_regexp.is_some() && other.starts_with(identity);
                    assert!(is_pattern || !keyless.names(issuer, other).unwrap(), "{image}: {other}");
                }
                assert!(!keyless.names("https://evil.example", identity).unwrap(), "{image}");
            }
        }
        assert!(policies.matching(&Repository::parse("docker.io/library/nginx").unwrap()).is_none());
        assert!(policies.matching(&Repository::parse("cgr.dev/other/nginx").unwrap()).is_none());
    }
}
