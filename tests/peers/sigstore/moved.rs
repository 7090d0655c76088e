//! Signatures survive movement: what was copied with its image is believed in the new place.

use super::gate::{Gate, everybody};
use super::services::{EMAIL, Sigstore, WORKFLOW};
use super::ways::{Form, Seen, Way, Who};
use crate::process::run;
use crate::stand::Stand;
use crate::upstream::{Kind, Upstream};

/// With who is believed, who is not, and why not.
const WAYS: [(Way, &str, &str, &str); 4] = [
    (Way(Who::Email, Form::Tag, Seen::Rekor1), "email", "eve", EMAIL.0),
    (Way(Who::Key, Form::Referrer, Seen::Rekor1), "key", "key-of-another", "the signature does not match"),
    (Way(Who::Email, Form::Bundle, Seen::Rekor1), "email", "eve", EMAIL.0),
    (Way(Who::Workflow, Form::Bundle, Seen::Rekor2), "workflow", "workflow-of-next", WORKFLOW.0),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Tool {
    /// `copy --all` of every tag.
    Skopeo,
    /// `cp -r`, which follows referrers.
    Oras,
    /// `copy`, which follows the tags of signatures and attestations.
    Cosign,
}

impl Tool {
    /// Does it find a signature of this form in a registry of this kind?
    fn carries(self, kind: Kind, form: Form) -> bool {
        match self {
            Self::Skopeo => kind == Kind::TagSchema || form == Form::Tag,
            Self::Oras => form != Form::Tag,
            Self::Cosign => form == Form::Tag,
        }
    }

    fn copy(self, stand: &Stand, from: &str, to: &str) {
        let tags = match self {
            Self::Skopeo => run(stand.command("crane").args(["--insecure", "ls", from])).passed().stdout,
            Self::Oras | Self::Cosign => "v1".to_owned(),
        };
        for tag in tags.split_whitespace() {
            let (from, to) = (format!("{from}:{tag}"), format!("{to}:{tag}"));
            let mut command = match self {
                Self::Skopeo => stand.command("skopeo"),
                Self::Oras => stand.command("oras"),
                Self::Cosign => stand.command("cosign"),
            };
            match self {
                Self::Skopeo => command
                    .args(["copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false"])
                    // Else it compresses layers, and the image becomes another.
                    .args((tag == "v1").then_some("--preserve-digests"))
                    .args([format!("docker://{from}"), format!("docker://{to}")]),
                Self::Oras => command.args(["cp", "-r", "--from-plain-http", "--to-plain-http", &from, &to]),
                Self::Cosign => command.args(["copy", "--allow-http-registry", &from, &to]),
            };
            run(&mut command).passed();
        }
    }
}

fn move_from(kind: Kind, other: Kind) {
    let stand = Stand::new(kind);
    let sigstore = Sigstore::start(&stand);
    for (way, ..) in WAYS {
        sigstore.signed(way);
    }
    drop(sigstore);
    let home = stand.home().join("elsewhere");
    std::fs::create_dir(&home).unwrap();
    let elsewhere = Upstream::start(other, &stand.place, &home);
    for (name, place) in [("here", stand.upstream.address()), ("elsewhere", elsewhere.address())] {
        let gate =
            Gate::open_in(&stand.place, &stand, &format!("url: \"http://{place}\""), &everybody(&stand));
        for tool in [Tool::Skopeo, Tool::Oras, Tool::Cosign] {
            for (way, right, wrong, why) in WAYS {
                let from = format!("{}/{}", stand.upstream.address(), way.repository());
                let to = format!("{name}/{tool:?}/{}", way.repository()).to_lowercase();
                tool.copy(&stand, &from, &format!("{place}/{to}"));
                if tool.carries(kind, way.1) {
                    gate.copy(right, &to).passed();
                    gate.refuses(wrong, &to, &[why]);
                } else {
                    gate.copy(right, &to).failed().says("none found");
                }
            }
        }
        gate.close();
    }
}

#[test]
#[ignore = "needs cosign, cosign2, sigstore-stand, docker-registry, skopeo, oras, crane"]
fn needs_sigstore_signatures_survive_movement_from_a_registry_of_tags() {
    move_from(Kind::TagSchema, Kind::Referrers);
}

#[test]
#[ignore = "needs cosign, cosign2, sigstore-stand, docker-registry, skopeo, oras, crane"]
fn needs_sigstore_signatures_survive_movement_from_a_registry_of_referrers() {
    move_from(Kind::Referrers, Kind::TagSchema);
}
