//! Fulcio's certificate extensions by name (sigstore/fulcio, `docs/oid-info.md`).

use crate::x509::Certificate;

/// One of the extensions that a policy may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) name: &'static str,
    /// The last arc under 1.3.6.1.4.1.57264.1.
    arc: u8,
}

/// The first six were written as bare text; what came later is a DER UTF8String.
const LAST_BARE: u8 = 6;
const ISSUER_BARE: u8 = 1;
const ISSUER: u8 = 8;

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

    /// What the certificate says there; `None` where it says nothing, or nothing that is text.
    pub(super) fn of(self, certificate: &Certificate) -> Option<&str> {
        text(certificate, self.arc)
    }
}

/// The OIDC issuer that vouched for the identity; empty where the certificate names none. Fulcio's carry it
/// twice, in the old form and the new one: two that differ, or one that is no text, are `None`.
pub(super) fn issuer(certificate: &Certificate) -> Option<&str> {
    let stands = |arc| certificate.extension(&oid(arc)).is_some();
    match (stands(ISSUER), stands(ISSUER_BARE)) {
        (false, false) => Some(""),
        (true, false) => text(certificate, ISSUER),
        (false, true) => text(certificate, ISSUER_BARE),
        (true, true) => text(certificate, ISSUER).filter(|new| Some(*new) == text(certificate, ISSUER_BARE)),
    }
}

fn text(certificate: &Certificate, arc: u8) -> Option<&str> {
    let oid = oid(arc);
    if arc > LAST_BARE {
        return certificate.text_extension(&oid);
    }
    certificate.extension(&oid).and_then(|bytes| std::str::from_utf8(bytes).ok())
}

fn oid(arc: u8) -> String {
    format!("1.3.6.1.4.1.57264.1.{arc}")
}
