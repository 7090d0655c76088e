//! Fulcio's certificate extensions by name (sigstore/fulcio, `docs/oid-info.md`).

/// One of the extensions that a policy may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) name: &'static str,
    /// The last arc under 1.3.6.1.4.1.57264.1.
    arc: u8,
}

const ALL: [Extension; 20] = [
    Extension { name: "github_workflow_trigger", arc: 2 },
    Extension { name: "github_workflow_sha", arc: 3 },
    Extension { name: "github_workflow_name", arc: 4 },
    Extension { name: "github_workflow_repository", arc: 5 },
    Extension { name: "github_workflow_ref", arc: 6 },
    Extension { name: "build_signer_uri", arc: 9 },
    Extension { name: "build_signer_digest", arc: 10 },
    Extension { name: "runner_environment", arc: 11 },
    Extension { name: "source_repository_uri", arc: 12 },
    Extension { name: "source_repository_digest", arc: 13 },
    Extension { name: "source_repository_ref", arc: 14 },
    Extension { name: "source_repository_identifier", arc: 15 },
    Extension { name: "source_repository_owner_uri", arc: 16 },
    Extension { name: "source_repository_owner_identifier", arc: 17 },
    Extension { name: "build_config_uri", arc: 18 },
    Extension { name: "build_config_digest", arc: 19 },
    Extension { name: "build_trigger", arc: 20 },
    Extension { name: "run_invocation_uri", arc: 21 },
    Extension { name: "source_repository_visibility_at_signing", arc: 22 },
    Extension { name: "deployment_environment", arc: 23 },
];

impl Extension {
    /// The extension of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|extension| extension.name == name)
    }
}
